"""The lines of a ledger."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edspipe.data.output.journal import Journal
from edspipe.data.output.ledger import (
    Ledger,
    OutputFile,
    _entry_line,
    balance_of,
    read_files,
    read_lines,
)
from edspipe.stream.account import Entry

texts = st.none() | st.text(max_size=8)


@pytest.fixture
def make_journal():
    """Makes journals, and closes them after the test."""
    with ExitStack() as stack:

        def make(*args) -> Journal:
            journal = Journal(*args)
            stack.callback(journal.abort)
            return journal

        yield make


@pytest.fixture
def ledger_of(tmp_path, make_journal):
    """Makes a ledger of entries."""

    def make(*entries: Entry) -> Ledger:
        ledger = Ledger(make_journal(tmp_path / "ledger"))
        ledger.begin("notes.jsonl", {"writer": "write_json"})
        ledger.add(entries)
        return ledger

    return make


@given(st.builds(Entry, texts, texts, texts, st.just("done"), st.integers(1, 9), texts))
def test_a_line_is_json_and_ascii(entry):
    line = _entry_line(entry)
    assert json.loads(line) == entry._asdict()
    assert line.isascii()


def test_documents_are_counted_by_status(tmp_path, ledger_of):
    statuses = ["done", "filtered", "done", "quarantined"]
    ledger = ledger_of(*(Entry(None, None, None, status) for status in statuses))
    assert ledger.documents == 4
    assert ledger.statuses == {"done": 2, "filtered": 1, "quarantined": 1}


def test_the_end_holds_balance_and_hash(tmp_path, ledger_of):
    ledger = ledger_of(Entry("a", None, None, "done"), Entry("b", None, None, "skipped"))
    begin = ledger.finish([OutputFile("notes.jsonl", 3, "ff")], records=1)
    *before, end = (tmp_path / "ledger").read_bytes().splitlines(keepends=True)
    sha256 = hashlib.sha256(b"".join(before)).hexdigest()
    balance = {"read": 2, "done": 1, "filtered": 0, "skipped": 1, "quarantined": 0}
    assert json.loads(end) == {"end": balance, "records": 1, "files": 1, "sha256": sha256}
    assert list(read_files(tmp_path / "ledger", begin)) == [OutputFile("notes.jsonl", 3, "ff")]


def test_the_first_line_says_what_was_run(tmp_path, ledger_of):
    ledger = ledger_of()
    ledger.journal.flush()
    head = next(read_lines(ledger.journal.path))
    assert (head["edspipe"], head["output"], head["run"]) == (
        *("receipt", "notes.jsonl"),
        {"writer": "write_json"},
    )


def test_lines_behind_damage_are_not_read(tmp_path):
    (tmp_path / "l").write_bytes(b'{"a": 1}\n{"a"\n{"a": 2}\n')
    assert list(read_lines(tmp_path / "l")) == [{"a": 1}]
    (tmp_path / "m").write_bytes(b'{"a": 1}\n7\n{"a": 2}\n')
    assert list(read_lines(tmp_path / "m")) == [{"a": 1}]


def test_documents_of_an_earlier_receipt_are_carried_over(tmp_path, ledger_of, make_journal):
    first = ledger_of(Entry("a", "s", None, "done"))
    first.finish([], records=1)
    second = Ledger(make_journal(tmp_path / "second"))
    second.carry_over(tmp_path / "ledger")
    assert [json.loads(line)["id"] for line in second.journal.lines()] == ["a"]
    assert second.statuses == {"done": 1}


def test_a_receipt_that_is_cut_is_not_carried_over(tmp_path, ledger_of, make_journal, log):
    first = ledger_of(Entry("a", "s", None, "done"))
    first.journal.flush()
    second = Ledger(make_journal(tmp_path / "second"))
    second.carry_over(tmp_path / "ledger")
    assert second.documents == 0
    assert log == [f"WARNING {tmp_path}/ledger is cut: what it says of documents is left out"]


def test_a_balance_names_every_status():
    balance = {"read": 3, "done": 3, "filtered": 0, "skipped": 0, "quarantined": 0}
    assert balance_of({"done": 3}) == balance
