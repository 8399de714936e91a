"""The operations that change the disk."""

from __future__ import annotations

import errno
import os
import types

import pytest

from edspipe import atomic, filesystem
from edspipe.filesystem import FileSystem, explaining_no_room


def library(result: int) -> type:
    class Library:
        def __init__(self, *args, **kwargs):
            self.syncfs = lambda descriptor: result

    return Library


def test_a_file_is_cut_and_written_on(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    with FileSystem().reopen(tmp_path / "a", 4) as handle:
        handle.write(b"x")
    assert (tmp_path / "a").read_bytes() == b"0123x"


def test_a_file_to_write_on_must_be_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileSystem().reopen(tmp_path / "a", 4)


@pytest.mark.parametrize("release", ["5.8.0-generic", "6.18.44", "10.0"])
def test_the_whole_disk_is_synced_where_the_system_reports_errors(tmp_path, monkeypatch, release):
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(release=release))
    monkeypatch.setattr(filesystem.ctypes, "CDLL", library(0))
    assert FileSystem().syncfs(tmp_path) is True


@pytest.mark.parametrize("release", ["5.7.19", "4.15", "3.10.0-1160.el7", "unknown"])
def test_a_system_that_may_hide_errors_is_not_trusted(tmp_path, monkeypatch, release):
    monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(release=release))
    monkeypatch.setattr(filesystem.ctypes, "CDLL", library(0))
    assert FileSystem().syncfs(tmp_path) is False


def test_a_system_without_such_a_call_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem.ctypes, "CDLL", lambda *args, **kwargs: object())
    assert FileSystem().syncfs(tmp_path) is False


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_such_a_call_says_so(tmp_path, monkeypatch, code):
    monkeypatch.setattr(filesystem.ctypes, "CDLL", library(-1))
    monkeypatch.setattr(filesystem.ctypes, "get_errno", lambda: code)
    assert FileSystem().syncfs(tmp_path) is False


def test_bytes_that_could_not_be_written_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem.ctypes, "CDLL", library(-1))
    monkeypatch.setattr(filesystem.ctypes, "get_errno", lambda: errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as caught:
        FileSystem().syncfs(tmp_path)
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("has_syncfs", [True, False])
def test_a_folder_is_synced_at_once_or_file_by_file(tmp_path, monkeypatch, has_syncfs):
    synced = []

    class Watching(FileSystem):
        def syncfs(self, folder):
            return has_syncfs

        def fsync(self, path):
            synced.append(path.name)

    (tmp_path / "f" / "s").mkdir(parents=True)
    for name in ("a", "s/b"):
        (tmp_path / "f" / name).touch()
    monkeypatch.setattr(atomic, "FS", Watching())
    atomic.sync_tree(tmp_path / "f")
    assert synced == ([] if has_syncfs else ["a", "b", "s", "f"])


def test_a_full_disk_names_the_target(tmp_path):
    message = rf"{tmp_path}/a: not saved \(No space left on device\), \d+ bytes are free there"
    with pytest.raises(OSError, match=message), explaining_no_room(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(OSError, match=r"^\[Errno 5\] else$"), explaining_no_room(tmp_path / "a"):
        raise OSError(errno.EIO, "else")
