"""Files of lines that can be cut back to what was committed."""

from __future__ import annotations

import errno
from contextlib import ExitStack

import pytest

from edspipe import atomic
from edspipe.data.output.journal import Journal
from edspipe.errors import DataError


@pytest.fixture
def make_journal():
    """Makes journals, and closes them after the test."""
    with ExitStack() as stack:

        def make(*args) -> Journal:
            journal = Journal(*args)
            stack.callback(journal.abort)
            return journal

        yield make


def test_lines_are_added_and_read_while_it_is_open(tmp_path, make_journal):
    journal = make_journal(tmp_path / "j")
    journal.add(b"a")
    journal.add(b"")
    assert list(journal.lines()) == [b"a", b""]
    assert journal.size == 3


def test_what_came_after_a_commit_is_cut(tmp_path, make_journal):
    journal = make_journal(tmp_path / "j")
    journal.add(b"a")
    size = journal.size
    journal.add(b"b")
    journal.close()
    again = make_journal(tmp_path / "j", size)
    again.add(b"c")
    assert list(again.lines()) == [b"a", b"c"]
    assert again.size == 4


def test_a_file_that_is_there_is_not_begun_again(tmp_path):
    (tmp_path / "j").touch()
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "j")


def test_a_file_that_lost_bytes_is_an_error(tmp_path):
    (tmp_path / "j").write_bytes(b"a\n")
    message = "j: expected the 3 bytes that were committed, found 2.* run it again with resume=F"
    with pytest.raises(DataError, match=message):
        Journal(tmp_path / "j", 3)


def test_what_does_not_fit_on_the_disk_is_let_go_at_the_end(tmp_path, monkeypatch):
    class Full(atomic.FileSystem):
        def open(self, path):
            handle = super().open(path)

            class Handle:
                write = handle.write

                def close(self):
                    handle.close()
                    raise OSError(errno.ENOSPC, "full")

            return Handle()

    monkeypatch.setattr(atomic, "FS", Full())
    journal = Journal(tmp_path / "j")
    journal.add(b"a")
    journal.abort()
    with pytest.raises(OSError, match="full"):
        journal.close()
