"""Outputs: whole or not there, with a receipt, and gone on with where a run was broken off."""

from __future__ import annotations

import os
import stat
from collections import Counter
from pathlib import Path

import pytest
from output_support import (
    BreakAt,
    Broken,
    commit_always,
    entries_of,
    files_below,
    lines_of,
    notes,
    write,
)

from edspipe.data.json.sinks import JsonLinesSink
from edspipe.data.output import writing as output
from edspipe.data.output.writing import write_records
from edspipe.errors import DataError, EdspipeError, PipeError
from edspipe.stream.account import RunReport
from edspipe.stream.stream import Stream

BALANCE = {"filtered": 0, "skipped": 0, "quarantined": 0}


@pytest.fixture
def always(monkeypatch):
    """Commit after every record."""
    commit_always(monkeypatch)


def is_kept(record: dict) -> bool:
    return record["note_id"][-1] not in "37"


def two_of_one(record: dict):
    yield record
    yield {**record, "note_id": record["note_id"] + "-b"}


def fail_on_five(record: dict) -> dict:
    if record["note_id"].endswith("5"):
        raise ValueError("M. Dupont")
    return record


# The receipt


def test_the_receipt_has_every_document_and_the_file(tmp_path):
    report = write(Stream.from_items(notes(5)).filter(is_kept), tmp_path / "a.jsonl")
    assert isinstance(report, RunReport)
    assert (report.read, report.done, report.filtered) == (5, 4, 1)
    entries = [(f"n{i}", "filtered" if i == 3 else "done") for i in range(5)]
    receipt = tmp_path / "a.jsonl.receipt"
    assert entries_of(receipt) == entries
    *_, file, end = lines_of(receipt)
    assert (file["file"], file["size"]) == ("a.jsonl", (tmp_path / "a.jsonl").stat().st_size)
    assert end["end"] == {"read": 5, "done": 4, **BALANCE, "filtered": 1}
    assert (end["records"], end["files"]) == (4, 1)
    assert sorted(os.listdir(tmp_path)) == ["a.jsonl", "a.jsonl.receipt"]


def test_a_receipt_holds_no_text(tmp_path):
    stream = Stream.from_items(notes(9)).map(fail_on_five).set_processing(on_error="skip")
    write(stream, tmp_path / "a.jsonl")
    receipt = (tmp_path / "a.jsonl.receipt").read_text()
    assert '"status": "skipped", "attempts": 1, "error": "ValueError"' in receipt
    assert "Toux" not in receipt
    assert "Dupont" not in receipt


def test_the_same_run_leaves_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        write(notes(5), tmp_path / folder / "a.jsonl")
    assert files_below(tmp_path / "one") == files_below(tmp_path / "two")


def test_a_receipt_can_be_left_out_and_an_older_one_goes(tmp_path):
    write(notes(5), tmp_path / "a.jsonl")
    write(notes(6), tmp_path / "a.jsonl", receipt=False, overwrite=True)
    assert os.listdir(tmp_path) == ["a.jsonl"]


def test_what_is_added_to_keeps_its_entries(tmp_path):
    write(notes(2), tmp_path / "a.jsonl")
    write(notes(4)[2:], tmp_path / "a.jsonl", overwrite="append")
    receipt = tmp_path / "a.jsonl.receipt"
    assert entries_of(receipt) == [(f"n{i}", "done") for i in range(4)]
    assert lines_of(receipt)[-1]["end"] == {"read": 4, "done": 4, **BALANCE}


def test_what_is_added_to_may_have_no_receipt(tmp_path):
    write(notes(2), tmp_path / "a.jsonl", receipt=False)
    write(notes(4)[2:], tmp_path / "a.jsonl", overwrite="append")
    assert entries_of(tmp_path / "a.jsonl.receipt") == [("n2", "done"), ("n3", "done")]


# Targets


@pytest.mark.parametrize("there", ["a.jsonl", "link"])
def test_a_target_that_is_there_is_refused_before_anything_runs(tmp_path, there):
    target = tmp_path / there
    os.symlink("nowhere", target) if there == "link" else target.touch()
    runs = []
    with pytest.raises(FileExistsError, match=f"{there} exists; pass overwrite=True to replace"):
        write(lambda: runs.append(1) or [], target)
    assert runs == []


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(IsADirectoryError, match="expected the path of a file"):
        write([], tmp_path / "a.jsonl", overwrite=True)


def test_an_unknown_overwrite_is_refused(tmp_path):
    with pytest.raises(ValueError, match="overwrite is True, False or 'append', got 'add'"):
        write([], tmp_path / "a.jsonl", overwrite="add")


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path):
    def records():
        (tmp_path / "a.jsonl").write_text("theirs")
        yield from notes(2)

    with pytest.raises(FileExistsError, match=r"a\.jsonl exists"):
        write(records(), tmp_path / "a.jsonl")
    assert files_below(tmp_path) == {"a.jsonl": b"theirs"}


def test_a_private_file_stays_private(tmp_path):
    target = tmp_path / "a.jsonl"
    target.touch(mode=0o600)
    write(notes(2), target, overwrite=True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_nobody_else_looks_into_what_is_being_written(tmp_path):
    def records():
        (folder,) = tmp_path.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        yield from notes(2)

    write(records(), tmp_path / "a.jsonl")


# Ids


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("overwrite", [False, "append"])
def test_two_records_with_one_id_are_an_error_and_nothing_is_seen(tmp_path, overwrite):
    records = [*notes(3), *notes(1)]
    if overwrite:
        write(records[:1], tmp_path / "a.jsonl", receipt=False)
        records = records[1:]
    before = files_below(tmp_path)
    with pytest.raises(DataError, match="n0: two records have this id"):
        write(records, tmp_path / "a.jsonl", overwrite=overwrite)
    assert {k: v for k, v in files_below(tmp_path).items() if k[0] != "."} == before


def test_records_without_an_id_are_counted(tmp_path):
    report = write([{"a": 1}, {"a": 2}], tmp_path / "a.jsonl")
    assert report["generated_ids"] == 2


# The balance


@pytest.mark.parametrize("lost", ["entry", "count"])
def test_a_run_that_lost_a_document_puts_nothing_in_place(tmp_path, monkeypatch, lost):
    if lost == "entry":
        from edspipe.stream.account import Account

        drain = Account.drain
        monkeypatch.setattr(Account, "drain", lambda self: drain(self)[1:])
    else:
        report = RunReport({"done": 2}, {}, 1)
        monkeypatch.setattr("edspipe.stream.executors.executor.StreamIterator.report", report)
        monkeypatch.setattr(
            "edspipe.stream.executors.executor.StreamIterator._finish", lambda self: None
        )
    message = (
        r"a.jsonl: the balance does not hold, so nothing was put in place. Expected \d documents "
        "read to be the sum of done 2, filtered 0, skipped 0, quarantined 0; the ledger holds done "
    )
    with pytest.raises(EdspipeError, match=message):
        write(notes(2), tmp_path / "a.jsonl")
    assert os.listdir(tmp_path) == []


# Going on


STREAMS = {
    "plain": lambda items: Stream.from_items(items),
    "filtered": lambda items: Stream.from_items(items).filter(is_kept),
    "several": lambda items: Stream.from_items(items).map(two_of_one),
    "skipped": lambda items: (
        Stream.from_items(items).map(fail_on_five).set_processing(on_error="skip")
    ),
    "shuffled": lambda items: Stream.from_items(items).shuffle("4 docs", seed=3),
    "random": lambda items: Stream.from_items(items).shuffle("4 docs"),
    "batched": lambda items: (
        Stream.from_items(items)
        .batchify("3 docs")
        .map(lambda batch: {"ids": [record["note_id"] for record in batch]})
    ),
    "ahead": lambda items: Stream.from_items(items).filter(is_kept).set_processing(prefetch=3),
    "without ids": lambda items: Stream.from_items(items).map(lambda record: {"a": record}),
}


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("name", STREAMS)
def test_a_run_broken_off_anywhere_goes_on_to_the_same_output(tmp_path, name, monkeypatch):
    monkeypatch.setattr("edspipe.stream.executors.executor.draw_seed", lambda: 7)
    calm = tmp_path / "calm" / "a.jsonl"
    source = BreakAt(notes(11), None)
    expected = write(STREAMS[name](source), calm)
    for index in range(11):
        target = tmp_path / str(index) / "a.jsonl"
        source.index = index
        with pytest.raises(PipeError):
            write(STREAMS[name](source), target)
        source.index = None
        assert write(STREAMS[name](source), target, resume=True) == expected
        assert files_below(target.parent) == files_below(calm.parent)


@pytest.mark.usefixtures("always")
def test_nothing_is_read_twice(tmp_path):
    reads = Counter()
    broken = [True]

    def read(record):
        reads[record["note_id"]] += 1
        if record["note_id"] == "n6" and broken:
            broken.clear()
            raise Broken
        return record

    stream = Stream.from_items(notes(9)).map(read)
    with pytest.raises(PipeError):
        write(stream, tmp_path / "a.jsonl")
    write(stream, tmp_path / "a.jsonl", resume=True)
    assert reads == {f"n{i}": 2 if i == 6 else 1 for i in range(9)}


@pytest.mark.usefixtures("always")
def test_a_run_may_be_broken_off_many_times(tmp_path):
    source = BreakAt(notes(9), None)
    write(source, tmp_path / "calm" / "a.jsonl")
    for index in (2, 2, 5, 8):
        source.index = index
        with pytest.raises(PipeError):
            write(source, tmp_path / "a" / "a.jsonl", resume=True)
    source.index = None
    write(source, tmp_path / "a" / "a.jsonl", resume=True)
    assert files_below(tmp_path / "a") == files_below(tmp_path / "calm")


@pytest.mark.usefixtures("always")
def test_an_addition_that_was_broken_off_goes_on(tmp_path):
    for folder in ("calm", "broken"):
        write(notes(3), tmp_path / folder / "a.jsonl")
    source = BreakAt(notes(9)[3:], None)
    write(source, tmp_path / "calm" / "a.jsonl", overwrite="append")
    source.index = 4
    target = tmp_path / "broken" / "a.jsonl"
    with pytest.raises(PipeError):
        write(source, target, overwrite="append")
    source.index = None
    report = write(source, target, overwrite="append", resume=True)
    assert (report.read, report.done) == (6, 6)
    assert target.read_bytes() == (tmp_path / "calm" / "a.jsonl").read_bytes()
    assert entries_of(target.with_name("a.jsonl.receipt")) == [(f"n{i}", "done") for i in range(9)]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, MemoryError, Broken])
def test_what_is_safe_stays_and_is_told(tmp_path, log, stop):
    class Stopping(JsonLinesSink):
        def add(self, encoded):
            if b"n3" in encoded:
                raise stop
            super().add(encoded)

    stream = Stream.from_items(notes(5))
    with pytest.raises(stop):
        write_records(stream, tmp_path / "a.jsonl", Stopping("a.jsonl"), stage="write_json")
    (left,) = tmp_path.iterdir()
    assert log == [
        f"ERROR {tmp_path}/a.jsonl: the run was broken off. 3 documents (3 records) are safe in "
        f"{left}: run it again with resume=True (--resume) to go on, or with resume=False to begin "
        "again"
    ]


def test_a_run_without_a_commit_leaves_nothing(tmp_path, log):
    with pytest.raises(PipeError):
        write(BreakAt(notes(5), 3), tmp_path / "a" / "a.jsonl")
    assert os.listdir(tmp_path / "a") == []
    assert log == []


def test_without_anything_to_resume_a_run_begins(tmp_path):
    write(notes(3), tmp_path / "a.jsonl", resume=True)
    assert len((tmp_path / "a.jsonl").read_bytes().splitlines()) == 3


@pytest.mark.usefixtures("always")
def test_a_generator_cannot_be_resumed_and_the_error_says_so(tmp_path):
    def records(broken):
        for record in notes(5):
            if broken and record["note_id"] == "n3":
                raise Broken
            yield record

    with pytest.raises(PipeError):
        write(records(True), tmp_path / "a.jsonl")
    with pytest.raises(TypeError, match="a generator cannot be read again from a position"):
        write(records(False), tmp_path / "a.jsonl", resume=True)


@pytest.mark.usefixtures("always")
def test_a_stream_without_order_is_written_and_leaves_nothing_to_resume(tmp_path):
    source = BreakAt(notes(9), None)
    stream = Stream.from_items(source).set_processing(ordered=False)
    write(stream, tmp_path / "a" / "a.jsonl")
    assert len(entries_of(tmp_path / "a" / "a.jsonl.receipt")) == 9
    source.index = 5
    with pytest.raises(PipeError):
        write(stream, tmp_path / "b" / "a.jsonl")
    assert os.listdir(tmp_path / "b") == []


def test_commits_take_a_tenth_of_the_time_at_most(tmp_path, monkeypatch):
    now = [0.0]
    commits = []

    class Slow(JsonLinesSink):
        def commit(self):
            now[0] += 20.0
            commits.append(now[0])
            return super().commit()

        def add(self, encoded):
            now[0] += 1.0
            super().add(encoded)

    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    stream = Stream.from_items(notes(500))
    write_records(stream, tmp_path / "a.jsonl", Slow("a.jsonl"), stage="write_json")
    assert commits[:2] == [25.0, 245.0]


def test_the_books_do_not_wait_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "ENTER_EVERY_RECORDS", 10)
    most = 0

    class Watching(JsonLinesSink):
        def add(self, encoded):
            nonlocal most
            most = max(most, len(iterator.run.account._closed))
            super().add(encoded)

    iterator = iter(Stream.from_items(notes(100)))

    class Given(Stream):
        def __iter__(self):
            return iterator

    write_records(Given(iterator._stream.source), tmp_path / "a", Watching("a"), stage="w")
    assert 5 < most < 30


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_show(tmp_path, workers):
    stream = Stream.from_items(notes(40)).map(fail_on_five).set_processing(on_error="skip")
    write(stream, tmp_path / "none" / "a.jsonl")
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    write(stream, tmp_path / "some" / "a.jsonl")
    none, some = (files_below(tmp_path / folder) for folder in ("none", "some"))
    assert some["a.jsonl"] == none["a.jsonl"]
    lines = [sorted(files["a.jsonl.receipt"].splitlines()[:-1]) for files in (none, some)]
    assert lines[0] == lines[1]  # chunks are closed in another order


def test_a_name_with_strange_characters_is_a_name(tmp_path):
    target = tmp_path / "a b[1]*é.jsonl"
    write(notes(2), target)
    assert sorted(Path(tmp_path).iterdir()) == [target, tmp_path / "a b[1]*é.jsonl.receipt"]
