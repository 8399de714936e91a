"""The audit of an output against its receipt."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from output_support import entries_of, lines_of, notes, write
from standoff_support import write_folder

from edspipe.cli.main import main
from edspipe.data import audit
from edspipe.data.output import receipt
from edspipe.data.output.journal import Journal
from edspipe.data.output.ledger import Ledger
from edspipe.stream.account import Entry
from edspipe.stream.stream import Stream


def fail(record: dict) -> dict:
    if record["note_id"] in ("n2", "n5"):
        raise ValueError("M. Dupont")
    return record


@pytest.fixture
def file(tmp_path):
    """A file of lines, of which two documents were skipped."""
    stream = Stream.from_items(notes(7)).map(fail).set_processing(on_error="skip")
    write(stream, tmp_path / "a.jsonl")
    return tmp_path / "a.jsonl"


@pytest.fixture
def folder(tmp_path):
    """A folder of documents."""
    records = [{"note_id": f"s/{i}", "text": "a", "entities": []} for i in range(5)]
    write_folder(tmp_path / "out", records)
    return tmp_path / "out"


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def assert_fault(output: Path, message: str) -> None:
    report = audit(output)
    assert not report.ok
    assert any(re.search(message, fault) for fault in report.faults), report.faults
    assert "NOT as its receipt says" in str(report)


def test_an_output_as_it_was_written_is_in_order(file, folder):
    report = audit(file)
    assert report.ok
    balance = {"read": 7, "done": 5, "filtered": 0, "skipped": 2, "quarantined": 0}
    assert (report.balance, report.records, report.files) == (balance, 5, 1)
    report = audit(folder)
    assert report.ok
    assert (report.balance["done"], report.records, report.files) == (5, 5, 10)


def test_documents_that_were_left_out_are_listed(file):
    assert str(audit(file)) == (
        "skipped: n2 (ValueError)\nskipped: n5 (ValueError)\n"
        f"{file}: complete; read 7, done 5, filtered 0, skipped 2, quarantined 0; records 5"
    )


def test_many_that_were_left_out_are_counted(file, monkeypatch):
    monkeypatch.setattr(receipt, "MAX_LISTED", 1)
    assert "skipped: n2 (ValueError)\n... and 1 more documents left out" in str(audit(file))


def test_an_output_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        audit(tmp_path / "nowhere")


def test_an_output_without_a_receipt_is_a_fault(tmp_path):
    write(notes(2), tmp_path / "a.jsonl", receipt=False)
    assert_fault(tmp_path / "a.jsonl", r"a.jsonl.receipt: missing, so nothing is known of .*copy")


def test_a_changed_byte_is_found(file, folder):
    rewrite(file, "Toux 1", "Toux 9")
    assert_fault(file, r"a\.jsonl: its bytes are not those that were written")
    (folder / "s/3.txt").write_bytes(b"b")
    assert_fault(folder, r"s/3\.txt: its bytes are not those that were written")


def test_a_file_that_was_cut_is_found(file):
    file.write_bytes(file.read_bytes()[:-1])
    assert_fault(file, r"a\.jsonl: expected \d+ bytes, found \d+; write the output again")


@pytest.mark.parametrize("change", ["deleted", "linked"])
def test_a_missing_file_is_found(folder, change):
    (folder / "s/3.txt").unlink()
    if change == "linked":
        (folder / "s/3.txt").symlink_to(folder / "s/2.txt")
    assert_fault(folder, r"s/3\.txt: missing, or no plain file")


def test_a_file_that_is_not_listed_is_found(folder):
    (folder / "s/9.txt").touch()
    assert_fault(folder, r"s/9\.txt: not listed in the receipt")


@pytest.mark.parametrize("cut", [1, 30, 200, 800])
def test_a_receipt_that_was_cut_is_found(file, cut):
    path = file.with_name("a.jsonl.receipt")
    path.write_bytes(path.read_bytes()[: -cut or None])
    assert_fault(file, r"receipt: (cut, its last line is missing|its lines are not)")


@pytest.mark.parametrize("content", ["", "{}", "[]\n", '{"edspipe": "receipt", "format": 9}\n'])
def test_what_is_no_receipt_is_a_fault(file, content):
    file.with_name("a.jsonl.receipt").write_text(content)
    assert_fault(file, "not a receipt of format 1: it is damaged, or a newer edspipe wrote it")


def test_a_changed_receipt_is_found(file):
    rewrite(file.with_name("a.jsonl.receipt"), '"id": "n3"', '"id": "n4"')
    assert_fault(file, r"receipt: its lines are not those that were written")
    assert_fault(file, r"receipt: n4 is done 2 times, not once")


def test_a_removed_line_is_found(file):
    path = file.with_name("a.jsonl.receipt")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert_fault(file, r"receipt: unbalanced: says {'read': 7, .*, its lines say {'read': 6, ")


def test_a_removed_line_of_a_file_is_found(folder):
    path = folder / "edspipe.receipt"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2] + lines[-1:]))
    assert_fault(folder, r"receipt: says 10 files, lists 9")


def test_a_line_of_another_kind_is_found(file):
    rewrite(file.with_name("a.jsonl.receipt"), '"status": "skipped"', '"status": "lost"')
    assert_fault(file, r"receipt: unknown status 'lost'")
    rewrite(file.with_name("a.jsonl.receipt"), '"file": "a.jsonl", "size"', '"file": "a", "s"')
    assert_fault(file, r"receipt: a line is not as expected: damaged")


def test_the_same_document_from_two_places_is_no_fault(tmp_path):
    journal = Journal(tmp_path / "a.receipt")
    ledger = Ledger(journal)
    ledger.begin("a", {})
    places = ["x.csv:1", "y.csv:1", None]
    ledger.add(Entry("1", place, None, "done") for place in places)
    ledger.add(Entry("2", "x.csv:2", None, status) for status in ("quarantined", "done"))
    ledger.finish([], 0)
    journal.close()
    (tmp_path / "a").touch()
    assert audit(tmp_path / "a").ok


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_a_document_that_came_twice_is_found(tmp_path, batch, monkeypatch):
    monkeypatch.setattr(receipt, "_BATCH", batch)
    journal = Journal(tmp_path / "a.receipt")
    ledger = Ledger(journal)
    ledger.begin("a", {})
    ledger.add(Entry(name, "x.csv", None, "done") for name in "abcb")
    ledger.finish([], 0)
    journal.close()
    (tmp_path / "a").touch()
    assert_fault(tmp_path / "a", "receipt: b of x.csv is done 2 times, not once")


def test_a_file_may_be_moved_with_its_receipt(file):
    moved = file.rename(file.with_name("b.jsonl"))
    file.with_name("a.jsonl.receipt").rename(file.with_name("b.jsonl.receipt"))
    assert audit(moved).ok


def test_what_was_added_is_in_order(file, folder):
    write(notes(9)[7:], file, overwrite="append")
    assert audit(file).ok
    write_folder(folder, [{"note_id": "new", "text": "a", "entities": []}], overwrite="append")
    assert audit(folder).ok
    assert len(entries_of(folder / "edspipe.receipt")) == 6


def test_many_faults_are_not_all_listed(folder, monkeypatch):
    monkeypatch.setattr(receipt, "MAX_LISTED", 3)
    for path in folder.rglob("*.txt"):
        path.unlink()
    assert len(audit(folder).faults) == 3


def test_the_command_prints_the_report(file, capsys):
    assert main(["audit", str(file)]) == 0
    assert capsys.readouterr().out.endswith("skipped 2, quarantined 0; records 5\n")
    file.write_bytes(b"")
    assert main(["audit", str(file)]) == 1
    assert "expected" in capsys.readouterr().out


def test_the_command_names_what_is_missing(tmp_path, capsys):
    assert main(["audit", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_a_receipt_is_json_lines(file):
    assert all(json.dumps(line) for line in lines_of(file.with_name("a.jsonl.receipt")))
