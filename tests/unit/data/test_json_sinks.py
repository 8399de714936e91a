"""How JSON is written in pieces: sinks, resuming, packed files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from sink_support import tree, write_all, write_broken

from edspipe.data.json.sinks import EncodeJson, JsonArraySink, JsonLinesSink
from edspipe.data.json.streams import read_json, write_json
from edspipe.data.output.file_sinks import ENCODED, Encode
from edspipe.errors import DataError
from edspipe.stream.stream import Stream

RECORDS = [{"note_id": f"n{i}", "note_text": "Toux é.\n" * i} for i in range(5)]
SINKS = {
    "a.jsonl": JsonLinesSink,
    "a.json": JsonArraySink,
    "a.jsonl.gz": JsonLinesSink,
    "a.json.gz": JsonArraySink,
    "a.jsonl.xz": JsonLinesSink,
    "a.jsonl.bz2": JsonLinesSink,
}


def read_staged(folder: Path, name: str) -> list:
    return list(read_json((folder / "data").rename(folder / name)))


@pytest.mark.parametrize("name", SINKS)
def test_a_sink_writes_one_file(tmp_path, name):
    write_all(lambda: SINKS[name](name), tmp_path / "out", RECORDS)
    assert list(tree(tmp_path / "out")) == ["data"]
    assert read_staged(tmp_path / "out", name) == RECORDS


@pytest.mark.parametrize("commit_at", range(6))
@pytest.mark.parametrize("name", SINKS)
def test_a_broken_run_goes_on_from_any_commit(tmp_path, name, commit_at):
    for break_at in {commit_at, 5}:
        folder = tmp_path / str(break_at)
        write_broken(lambda: SINKS[name](name), folder, RECORDS, commit_at, break_at)
        assert read_staged(folder, name) == RECORDS


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_broken_run_leaves_the_same_bytes(tmp_path, name):
    write_all(lambda: SINKS[name](name), tmp_path / "calm", RECORDS)
    write_broken(lambda: SINKS[name](name), tmp_path / "broken", RECORDS, 2, 4)
    assert tree(tmp_path / "calm") == tree(tmp_path / "broken")


@pytest.mark.parametrize("name", SINKS)
def test_a_run_that_was_closed_and_not_put_in_place_goes_on(tmp_path, name):
    sink = SINKS[name](name)
    sink.open(tmp_path, None, None)
    for record in RECORDS:
        sink.write(record)
    state = sink.commit()
    sink.close()
    sink = SINKS[name](name)
    sink.open(tmp_path, None, json.loads(json.dumps(state)))
    sink.close()
    assert read_staged(tmp_path, name) == RECORDS


@pytest.mark.parametrize("name", SINKS)
def test_a_sink_can_be_let_go_at_any_moment(tmp_path, name):
    sink = SINKS[name](name)
    sink.abort()
    sink.open(tmp_path, None, None)
    sink.write(RECORDS[0])
    sink.abort()
    sink.abort()


def test_a_staged_file_that_lost_bytes_cannot_go_on(tmp_path):
    (tmp_path / "data").write_bytes(b"abc")
    sink = JsonLinesSink("a.jsonl")
    message = "data: holds 3 bytes, and 10 were committed: the run cannot go on from here"
    with pytest.raises(DataError, match=message):
        sink.open(tmp_path, None, {"size_bytes": 10})


@pytest.mark.parametrize("name", SINKS)
def test_the_ids_of_an_old_file_are_known(tmp_path, name):
    write_json([*RECORDS, {"note_id": 7}], tmp_path / name, receipt=False)
    (tmp_path / "new").mkdir()
    sink = SINKS[name](name)
    sink.open(tmp_path / "new", tmp_path / name, None)
    assert list(sink.old_ids()) == ["n0", "n1", "n2", "n3", "n4", "7"]
    sink.abort()


def test_without_an_old_file_there_are_no_ids(tmp_path):
    for sink in (JsonLinesSink("a.jsonl"), JsonArraySink("a.json")):
        sink.open(tmp_path, None, None)
        assert list(sink.old_ids()) == []
        sink.abort()
        (tmp_path / "data").unlink()


def test_what_is_added_to_a_packed_file_leaves_its_bytes_as_they_are(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    before = gzip.compress(b'{"old":  1}')
    path.write_bytes(before)
    write_json(RECORDS, path, overwrite="append")
    assert path.read_bytes().startswith(before)
    assert gzip.decompress(path.read_bytes()).startswith(b'{"old":  1}\n{"note_id"')


def test_adding_to_a_damaged_packed_file_is_an_error(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"old": 1}\n' * 100)[:-10])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: not a whole gzip file"):
        write_json(RECORDS, path, overwrite="append")


def test_adding_to_an_array_of_something_else_is_an_error(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1}, 2]')
    with pytest.raises(DataError, match=r"a\.json: expected a JSON object .a record., got a int"):
        write_json(RECORDS, path, overwrite="append")
    assert path.read_text() == '[{"a": 1}, 2]'


def test_records_with_an_id_are_encoded_before_the_sink():
    encode = Encode(EncodeJson("note_id"), "note_id")
    assert encode(RECORDS[0]) == {
        "note_id": "n0",
        ENCODED: b'{"note_id": "n0", "note_text": ""}',
    }
    assert encode({"a": 1}) == {"a": 1}
    assert encode(3) == 3
    assert Encode(EncodeJson("note_id"), None)({"a": 1}) == {ENCODED: b'{"a": 1}'}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_record_that_cannot_be_encoded_is_skipped_where_asked(tmp_path, workers):
    records = [{"note_id": "a"}, {"note_id": "b", "x": float("nan")}, {"note_id": "c"}]
    stream = Stream.from_items(records).set_processing(
        on_error="skip", num_cpu_workers=workers, process_start_method="fork"
    )
    report = stream.write_json(tmp_path / "a.jsonl")
    assert (report.done, report.skipped) == (2, 1)
    assert list(read_json(tmp_path / "a.jsonl")) == [{"note_id": "a"}, {"note_id": "c"}]


def test_a_record_that_is_nested_too_deeply_is_an_error(tmp_path):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(DataError, match=r"n1: a value of the record is not plain data .Recurs"):
        EncodeJson("note_id")({"note_id": "n1", "x": deep})
    while deep:  # freeing it at once would overflow the stack too
        deep = deep.pop()


def test_the_receipt_knows_each_line(tmp_path):
    source = tmp_path / "a.jsonl"
    source.write_text('{"note_id": "x", "note_text": "Toux."}\n\n{"note_id": "y"}\n')
    read_json(source).write_json(tmp_path / "b.jsonl")
    lines = (tmp_path / "b.jsonl.receipt").read_text().splitlines()
    sources = [json.loads(line)["source"] for line in lines if "status" in line]
    assert sources == [f"{source}:1", f"{source}:3"]
