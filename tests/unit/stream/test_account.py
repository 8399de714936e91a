"""The books of a run: every document has one entry, and the balance holds."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from loguru import logger

import edspipe.stream.account as account_module
from edspipe.errors import DataError, EdspipeError, PipeError
from edspipe.stream.account import Account, Entry, Failure, Notes, RunReport
from edspipe.stream.hooks import Identity
from edspipe.stream.markers import Item
from edspipe.stream.stream import Stream


def records(count: int = 10) -> Stream:
    return Stream.from_items([{"id": f"d{i}", "text": f"text {i}"} for i in range(count)])


def run(stream: Stream) -> tuple[list, list[Entry]]:
    with iter(stream) as iterator:
        iterator.run.account.keeps_entries = True
        return list(iterator), iterator.run.account.drain()


def statuses(stream: Stream) -> dict[str, str]:
    return {entry.id: entry.status for entry in run(stream)[1]}


def number(record) -> int:
    return int(record["id"][1:])


def fail_on_odd(record):
    if number(record) % 2:
        raise ValueError("M. Dupont")
    return record


def parts(record):
    yield from [record] * number(record)


def test_each_document_has_one_entry():
    values, entries = run(records(3))
    assert [entry.id for entry in entries] == ["d0", "d1", "d2"]
    assert {entry.status for entry in entries} == {"done"}
    assert entries[0].sha256 == hashlib.sha256(b"text 0").hexdigest()
    assert len(values) == 3


def test_a_document_without_parts_is_filtered_and_one_with_many_is_done_once():
    report = records(4).map(parts).execute()
    assert report == {"read": 4, "done": 3, "filtered": 1, "delivered": 6}


def test_a_document_of_which_a_part_fails_has_failed():
    stream = records(4).map(parts).map(fail_on_odd).set_processing(on_error="skip")
    found = statuses(stream)
    assert found == {"d0": "filtered", "d1": "skipped", "d2": "done", "d3": "skipped"}


def test_a_part_that_is_filtered_does_not_make_a_document_filtered():
    seen = []
    twice = records(2).map(lambda record: (yield from [record, record]))
    stream = twice.filter(lambda record: seen.append(record) or len(seen) % 2)
    assert statuses(stream) == {"d0": "done", "d1": "done"}


@pytest.mark.parametrize(
    "shape",
    [
        lambda s: s.batchify(3),
        lambda s: s.batchify(3).unbatch(),
        lambda s: s.batchify(4).map(tuple).flatten(),
        lambda s: s.map_batches(lambda batch: [*batch, *batch], batch_size=3),
        lambda s: s.map_batches(lambda batch: batch[:1], batch_size=4),
        lambda s: s.shuffle("4 docs").batchify("dataset").map(len),
        lambda s: s.map_gpu(None, list, batch_size=4),
    ],
)
def test_documents_in_groups_are_accounted_for_one_by_one(shape):
    report = shape(records(10)).execute()
    assert (report.read, report.done, report.balanced) == (10, 10, True)


def test_a_group_that_becomes_nothing_is_filtered():
    report = records(10).map_batches(lambda batch: [], batch_size=4).execute()
    assert report == {"read": 10, "filtered": 10}


def test_a_batch_that_fails_fails_for_all_of_its_members():
    def fail(batch):
        raise ValueError

    report = records(10).batchify(4).map(fail).set_processing(on_error="skip").execute()
    assert report == {"read": 10, "skipped": 10}


def test_what_take_leaves_is_not_read():
    assert records(10).take(3).execute() == {"read": 3, "done": 3, "delivered": 3}


def test_the_report_is_an_object_too():
    report = records(4).filter(lambda r: number(r) != 2).execute()
    assert (report.read, report.done, report.filtered) == (4, 3, 1)
    assert (report.skipped, report.quarantined, report.delivered) == (0, 0, 3)
    assert str(report) == "read 4, done 3, filtered 1, delivered 3"
    assert repr(report) == f"RunReport({report})"


def test_a_report_that_does_not_balance_says_so():
    assert not RunReport({"done": 2}, {}, num_open=1).balanced


def test_a_document_that_is_lost_fails_the_run(monkeypatch):
    monkeypatch.setattr(Account, "deliver", lambda self, item: None)
    with pytest.raises(EdspipeError, match=r"2 documents were .* never came out.*item 0, item 1"):
        list(records(2))


def test_stats_say_where_the_time_goes():
    with iter(records(5).map(number).filter(bool)) as iterator:
        list(iterator)
        stats = iterator.stats()
    assert {"wall", "reading", "map(number)", "filter(bool)"} <= set(stats)
    assert sum(stats.values()) - stats["wall"] <= stats["wall"]


# Notes


def test_notes_of_a_worker_are_entered_as_if_they_had_been_made_here():
    item = Item(None, 0, 7)
    notes, account = Notes(), Account(keeps_entries=True)
    account.read(item, Identity())
    notes.branch(item, 2)
    notes.identify(item, Identity(id="n7", sha256="ab"))
    notes.retried(item, 2)
    notes.drop(item, "skipped", Failure("map", "ValueError", "map failed"))
    notes.drop(item, "filtered")
    account.enter(notes.notes)
    assert account.drain() == [Entry("n7", None, "ab", "skipped", 2, "ValueError")]


# Quarantine


def test_a_quarantine_holds_the_documents_that_failed_and_why(tmp_path):
    path = tmp_path / "deep" / "q.jsonl"
    stream = records(4).map(fail_on_odd).set_processing(on_error=f"quarantine:{path}")
    assert stream.execute() == {"read": 4, "done": 2, "quarantined": 2, "delivered": 2}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["d1", "d3"]
    assert lines[0]["document"] == {"id": "d1", "text": "text 1"}
    assert (lines[0]["stage"], lines[0]["error"]) == ("map(fail_on_odd)", "ValueError")
    assert "Dupont" not in path.read_text()


def test_no_failure_makes_no_quarantine_and_removes_that_of_an_earlier_run(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text("{}\n")
    records(4).set_processing(on_error=f"quarantine:{path}").execute()
    assert not path.exists()


def test_a_stream_runs_again_over_its_quarantine_alone(tmp_path):
    path = tmp_path / "q.jsonl"
    records(9).map(fail_on_odd).set_processing(on_error=f"quarantine:{path}").execute()
    seen = []
    again = records(9).only(path).map(lambda r: seen.append(r["id"]) or r)
    assert again.execute() == {"read": 4, "done": 4, "delivered": 4}
    assert seen == ["d1", "d3", "d5", "d7"]


def test_a_quarantine_of_another_source_is_refused(tmp_path):
    path = tmp_path / "q.jsonl"
    records(4).map(fail_on_odd).set_processing(on_error=f"quarantine:{path}").execute()
    changed = Stream.from_items([{"id": f"d{i}", "text": "new"} for i in range(4)]).only(path)
    with pytest.raises(DataError, match="item 1 of the source is not the one that was left out"):
        list(changed)


def test_a_quarantine_that_a_kill_has_cut_is_read_up_to_there(tmp_path):
    path = tmp_path / "q.jsonl"
    records(4).map(fail_on_odd).set_processing(on_error=f"quarantine:{path}").execute()
    path.write_bytes(path.read_bytes()[:-7])
    assert [r["id"] for r in records(4).only(path)] == ["d1"]


def test_a_damaged_quarantine_is_named_with_its_line(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"index": 1, "sha256": null}\n{\n{}\n')
    with pytest.raises(DataError, match=re.escape(f"{path}:2: damaged")):
        records(4).only(path)


def test_a_restored_run_goes_on_with_its_quarantine(tmp_path):
    path = tmp_path / "q.jsonl"
    stream = records(20).map(fail_on_odd).set_processing(on_error=f"quarantine:{path}")
    iterator = iter(stream)
    for _ in range(5):
        next(iterator)
    state = iterator.get_state()
    list(iterator)
    whole = path.read_bytes()
    restored = iter(stream)
    restored.set_state(state)
    list(restored)
    assert path.read_bytes() == whole


def test_a_quarantine_that_is_gone_stops_a_restored_run(tmp_path):
    path = tmp_path / "q.jsonl"
    stream = records(20).map(fail_on_odd).set_processing(on_error=f"quarantine:{path}")
    iterator = iter(stream)
    for _ in range(5):
        next(iterator)
    restored = iter(stream)
    restored.set_state(iterator.get_state())
    iterator.close()
    path.unlink()
    with pytest.raises(DataError, match="the quarantine of the run that goes on had"):
        next(restored)


def test_entries_that_nobody_drains_are_spilled(monkeypatch):
    monkeypatch.setattr(account_module, "MAX_ENTRIES", 10)
    spilled = []
    with iter(records(35).filter(lambda record: False)) as iterator:
        iterator.run.account.keeps_entries = True
        iterator.run.account.spill = spilled.extend
        list(iterator)
        rest = iterator.run.account.drain()
    assert (len(spilled), len(rest)) == (30, 5)


def test_raise_names_the_document():
    with pytest.raises(PipeError, match="document 'd1'"):
        records(4).map(fail_on_odd).execute()


def test_many_left_out_documents_are_counted_rather_than_logged():
    lines = []
    sink = logger.add(lines.append, format="{message}")
    records(200).map(fail_on_odd).set_processing(on_error="skip").execute()
    logger.remove(sink)
    assert len(lines) == 22
    assert "further documents that are left out are only counted" in lines[20]
