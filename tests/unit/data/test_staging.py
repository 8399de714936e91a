"""What a broken-off run leaves, and what the next run makes of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from output_support import BreakAt, commit_always, entries_of, files_below, notes, write

from edspipe import atomic
from edspipe.data.csv.format import Dialect
from edspipe.data.csv.sink import CsvSink
from edspipe.data.output import staging
from edspipe.data.output.staging import read_last_commit
from edspipe.data.output.writing import write_records
from edspipe.errors import CheckpointError, DataError, PipeError
from edspipe.stream.stream import Stream


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    commit_always(monkeypatch)
    monkeypatch.setattr(staging, "LOCK_WAIT_S", 0.1)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "a.jsonl"


def break_off(target: Path, index: int = 4, **options) -> Path:
    """Break a run off; return the folder that it leaves."""
    before = set(target.parent.iterdir())
    with pytest.raises(PipeError):
        write(BreakAt(notes(9), index), target, **options)
    (left,) = set(target.parent.iterdir()) - before
    return left


def go_on(target: Path, **options):
    return write(BreakAt(notes(9), None), target, resume=True, **options)


def test_what_is_left_is_hidden_and_has_our_name(target):
    left = break_off(target)
    assert re.fullmatch(r"\.a\.jsonl\.edspipe-run-[0-9a-f]{8}", left.name)
    assert sorted(os.listdir(left)) == ["commits.jsonl", "files", "ids.jsonl", "ledger.jsonl"]


def test_a_new_run_deletes_what_is_left_and_says_so(target, log):
    left = break_off(target)
    log.clear()
    write(notes(2), target)
    assert log == [
        f"WARNING {left} is deleted: a run that was broken off left it, with 4 documents. To go on "
        "with such a run, pass resume=True (--resume)"
    ]
    assert sorted(os.listdir(target.parent)) == ["a.jsonl", "a.jsonl.receipt"]


def test_other_targets_are_left_alone(target):
    left = break_off(target)
    for name in ("a", "a.jsonl.gz", "b.a.jsonl"):
        write(notes(2), target.with_name(name))
    assert left.exists()


def test_what_never_committed_is_deleted_without_a_word(target, log):
    left = break_off(target)
    (left / "commits.jsonl").unlink()
    log.clear()
    assert go_on(target).read == 9
    assert not left.exists()
    assert log == []


@pytest.mark.parametrize("cut", [1, 40])
def test_a_commit_that_was_cut_does_not_count(target, cut, log):
    left = break_off(target)
    commits = left / "commits.jsonl"
    commits.write_bytes(commits.read_bytes()[:-cut])
    log.clear()
    assert go_on(target).read == 9
    assert log == [
        f"INFO {target}: goes on after 3 documents, which a run that was broken off left"
    ]
    assert entries_of(target.with_name("a.jsonl.receipt")) == [(f"n{i}", "done") for i in range(9)]


def test_a_resumed_run_says_where_it_goes_on(target, log):
    break_off(target)
    log.clear()
    go_on(target)
    assert log == [
        f"INFO {target}: goes on after 4 documents, which a run that was broken off left"
    ]


def test_the_newest_that_fits_is_taken_and_the_others_go(target, log):
    first = break_off(target, 2)
    os.rename(first, target.parent / "aside")
    second = break_off(target, 6)
    os.rename(target.parent / "aside", first)
    os.utime(first / "commits.jsonl", (1, 1))
    log.clear()
    go_on(target)
    assert "goes on after 6 documents" in log[0]
    assert log[1].startswith(f"WARNING {first} is deleted")
    assert not first.exists()
    assert not second.exists()


MISFITS = {
    "seed": ("set_processing", {"seed": 1}, {}, "stream.seed was None, and is 1"),
    "ops": ("map", {"pipe": dict}, {}, r"stream.ops was \[\], and is \['Map map\(dict\)'\]"),
    "loop": ("loop", {}, {}, "stream.looping was False, and is True"),
    "writer": (None, {}, {"stage": "w"}, "writer was 'write_json', and is 'w'"),
    "id": (None, {}, {"id_key": "a"}, "id_key was 'note_id', and is 'a'"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_another_run_is_refused_and_the_difference_named(target, name):
    op, arguments, options, message = MISFITS[name]
    left = break_off(target)
    stream = Stream.from_items(BreakAt(notes(9), None))
    stream = stream if op is None else getattr(stream, op)(**arguments)
    begin = f"{target}: nothing fits to resume. {left} holds 4 documents of another run: "
    end = "Run it as it was, or pass resume=False to begin again"
    with pytest.raises(CheckpointError, match=f"^{re.escape(begin)}{message}. {end}$"):
        write(stream, target, resume=True, **options)
    assert read_last_commit(left).documents == 4


def test_another_source_is_refused(target):
    break_off(target)
    with pytest.raises(CheckpointError, match=r"stream\.source\.items was None, and is 9"):
        write(notes(9), target, resume=True)


def test_another_sink_is_refused(target):
    break_off(target)
    sink = CsvSink(target, Dialect(","))
    message = "sink.type was 'JsonLinesSink', and is 'CsvSink'"
    with pytest.raises(CheckpointError, match=message):
        write_records(
            Stream.from_items(BreakAt(notes(9), None)),
            target,
            sink,
            stage="write_json",
            resume=True,
        )


def test_an_addition_to_what_has_changed_is_refused(target):
    write(notes(1), target, receipt=False)
    break_off_options = {"overwrite": "append", "id_key": None}
    break_off(target, **break_off_options)
    target.write_text("{}\n{}\n")
    with pytest.raises(CheckpointError, match=r"added_to was \[.*\], and is \["):
        go_on(target, **break_off_options)


def test_how_a_stream_is_run_may_change(target):
    break_off(target)
    stream = Stream.from_items(BreakAt(notes(9), None))
    stream = stream.set_processing(num_cpu_workers=1, process_start_method="fork", on_error="skip")
    assert write(stream, target, resume=True, overwrite=True).read == 9


def test_a_run_that_is_alive_is_not_touched(target):
    left = break_off(target)
    lock = atomic.lock(left)
    try:
        with pytest.raises(CheckpointError, match=f"{left} is in use, a run that writes there is"):
            go_on(target)
        write(notes(2), target)
        assert left.exists()
    finally:
        os.close(lock)


def test_a_run_waits_for_workers_that_still_hold_the_lock(target, monkeypatch):
    left = break_off(target)
    lock = atomic.lock(left)
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            os.close(lock)

    monkeypatch.setattr(staging, "LOCK_WAIT_S", 60.0)
    monkeypatch.setattr(staging.time, "sleep", sleep)
    assert go_on(target).read == 9
    assert len(naps) == 3


def test_two_runs_at_a_time_do_not_meet(target):
    def records():
        write(notes(3), target)
        yield from notes(5)

    write(records, target, overwrite=True)
    assert len(target.read_bytes().splitlines()) == 5
    assert sorted(os.listdir(target.parent)) == ["a.jsonl", "a.jsonl.receipt"]


def test_a_disk_without_locks_will_do(target, monkeypatch):
    def unsupported(*args):
        raise OSError(95, "not supported")

    monkeypatch.setattr(atomic.fcntl, "flock", unsupported)
    break_off(target)
    assert go_on(target).read == 9


@pytest.mark.parametrize("name", ["ledger.jsonl", "ids.jsonl", "files/data"])
def test_what_lost_bytes_is_not_gone_on_with(target, name):
    left = break_off(target)
    os.truncate(left / name, (left / name).stat().st_size - 5)
    with pytest.raises(DataError, match=r"committed"):
        go_on(target)
    assert left.exists()
    assert not target.exists()


def test_a_run_that_was_killed_while_it_was_finished_goes_on(target, monkeypatch):
    """Once for each moment between the last commit and the end."""
    write(BreakAt(notes(9), None), target.parent / "calm" / "a.jsonl")
    fsync = atomic.FS.fsync
    for number in range(1, 40):
        folder = target.parent / str(number)
        calls = []

        def die(path, calls=calls, number=number):
            calls.append(path)
            if len(calls) == 36 + number:
                raise KeyboardInterrupt
            fsync(path)

        atomic.FS.fsync = die
        try:
            write(BreakAt(notes(9), None), folder / "a.jsonl")
            break
        except KeyboardInterrupt:
            pass
        finally:
            atomic.FS.fsync = fsync
        if not (folder / "a.jsonl").exists():
            go_on(folder / "a.jsonl")
            assert files_below(folder) == files_below(target.parent / "calm")
    assert number > 5
