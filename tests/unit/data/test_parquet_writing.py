"""write_parquet and its sink: files, parts, columns, and going on after a kill."""

from __future__ import annotations

import errno
import gc
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edspipe import atomic
from edspipe.data import read_parquet, write_parquet
from edspipe.data.output import writing as output
from edspipe.data.parquet import parts as parquet_parts
from edspipe.data.parquet import sink as parquet_sink
from edspipe.data.parquet.sink import ParquetOptions, ParquetSink
from edspipe.errors import CheckpointError, DataError, PipeError
from edspipe.stream.stream import Stream

SECRET = "M. Dupont"


def notes(count: int, start: int = 0) -> list[dict]:
    return [{"note_id": f"n{i}", "note_text": f"Toux {i}."} for i in range(start, start + count)]


def parts(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.parquet"))


# ---- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.parquet", "a.pq", "folder"])
@pytest.mark.parametrize("count", [0, 1, 2500])
def test_what_is_written_is_read_back(tmp_path, name, count):
    report = write_parquet(notes(count), tmp_path / name)
    assert list(read_parquet(tmp_path / name)) == notes(count)
    assert (report.read, report.done) == (count, count)


def test_a_folder_has_parts_of_a_bounded_number_of_rows(tmp_path):
    write_parquet(notes(2500), tmp_path / "out", rows_per_group=500, rows_per_file=1000)
    assert parts(tmp_path / "out") == [f"part-{i:06d}.parquet" for i in range(3)]
    rows = [pq.read_metadata(tmp_path / "out" / name).num_rows for name in parts(tmp_path / "out")]
    assert rows == [1000, 1000, 500]


def test_parts_and_groups_are_bounded_in_bytes_too(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_sink, "CHUNK_CHARS", 10_000)
    monkeypatch.setattr(parquet_sink, "GROUP_BYTES", 20_000)
    monkeypatch.setattr(parquet_parts, "PART_BYTES", 40_000)
    records = [{"note_id": str(i), "note_text": str(i) * 1000} for i in range(100, 200)]
    write_parquet(records, tmp_path / "out", compression="none")
    files = [pq.read_metadata(tmp_path / "out" / name) for name in parts(tmp_path / "out")]
    assert len(files) > 4
    groups = [file.row_group(i) for file in files for i in range(file.num_row_groups)]
    assert max(group.num_rows for group in groups) <= 10
    assert list(read_parquet(tmp_path / "out")) == records


def test_the_codec_can_be_chosen(tmp_path):
    write_parquet(notes(3), tmp_path / "a.parquet", compression="snappy")
    group = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    assert group.column(0).compression == "SNAPPY"


def test_the_same_records_give_the_same_bytes(tmp_path):
    write_parquet(notes(2500), tmp_path / "a.parquet")
    write_parquet(notes(2500), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_an_existing_folder_named_like_a_file_stays_a_folder(tmp_path):
    write_parquet(notes(2), tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "out.parquet")
    write_parquet(notes(3), tmp_path / "out.parquet", overwrite=True)
    assert parts(tmp_path / "out.parquet") == ["part-000000.parquet"]
    assert list(read_parquet(tmp_path / "out.parquet")) == notes(3)


def test_a_stream_has_the_writer(tmp_path):
    Stream.from_items(notes(3)).write_parquet(tmp_path / "a.parquet")
    assert list(read_parquet(tmp_path / "a.parquet")) == notes(3)


def test_an_address_is_written(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    write_parquet(notes(5), "memory://parquet-out/x")
    assert list(read_parquet("memory://parquet-out/x")) == notes(5)
    fsspec.filesystem("memory").rm("/parquet-out", recursive=True)


@pytest.mark.parametrize("name", ["a.parquet", "out"])
def test_an_existing_output_is_not_replaced_unasked(tmp_path, name):
    write_parquet(notes(2), tmp_path / name)
    with pytest.raises(FileExistsError, match=r"exists|is not empty"):
        write_parquet(notes(3), tmp_path / name)
    write_parquet(notes(3), tmp_path / name, overwrite=True)
    assert list(read_parquet(tmp_path / name)) == notes(3)


@pytest.mark.parametrize("name", ["a.parquet", "out"])
def test_an_error_leaves_the_old_output_and_nothing_else(tmp_path, name):
    write_parquet(notes(2), tmp_path / name)
    before = sorted(tmp_path.iterdir())
    stream = Stream.from_items(notes(2500)).map(lambda record: 1 / len(record["note_text"][9:]))
    with pytest.raises(PipeError):
        write_parquet(stream, tmp_path / name, overwrite=True)
    assert list(read_parquet(tmp_path / name)) == notes(2)
    assert sorted(tmp_path.iterdir()) == before


def test_two_records_with_one_id_are_an_error(tmp_path):
    with pytest.raises(DataError, match="n1: two records have this id"):
        write_parquet([*notes(3), *notes(1, start=1)], tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_records_without_an_id_get_one(tmp_path):
    write_parquet([{"x": 1}, {"x": 2, "note_id": None}], tmp_path / "a.parquet")
    ids = [record["note_id"] for record in read_parquet(tmp_path / "a.parquet")]
    assert len(set(ids)) == 2
    assert None not in ids


def test_what_is_no_record_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"write_parquet writes records .dicts., got a") as caught:
        write_parquet([SECRET], tmp_path / "a.parquet")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["rows_per_group", "rows_per_file"])
def test_a_number_of_rows_is_positive(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} is 1 or more, got 0"):
        write_parquet([], tmp_path / "a.parquet", **{name: 0})


def test_a_schema_is_one_of_arrow(tmp_path):
    with pytest.raises(TypeError, match=r"schema is a pyarrow.Schema, got dict"):
        write_parquet([], tmp_path / "a.parquet", schema={"x": "int64"})


# ---- columns -----------------------------------------------------------------------------------


def test_columns_are_fixed_by_the_first_group_of_rows(tmp_path):
    records = notes(2000)
    records[1500]["score"] = 0.5
    write_parquet(records, tmp_path / "a.parquet", rows_per_group=2000)
    assert [r["score"] for r in read_parquet(tmp_path / "a.parquet")].count(None) == 1999
    message = "^n1500: column 'score' is not among those that were fixed before the first write"
    with pytest.raises(DataError, match=message):
        write_parquet(records, tmp_path / "b.parquet", rows_per_group=1000)
    assert not (tmp_path / "b.parquet").exists()


def test_a_schema_says_what_the_first_rows_do_not(tmp_path):
    schema = pa.schema([("note_id", pa.string()), ("x", pa.list_(pa.float64()))])
    records = [{"note_id": "a", "x": []}, {"note_id": "b", "x": [0.5]}]
    write_parquet(records, tmp_path / "a.parquet", schema=schema, rows_per_group=1)
    assert list(read_parquet(tmp_path / "a.parquet")) == records


@pytest.mark.parametrize("name", ["a.parquet", "out"])
def test_an_output_without_rows_has_the_columns_of_its_schema(tmp_path, name):
    schema = pa.schema([("note_id", pa.string()), ("x", pa.int64())])
    write_parquet([], tmp_path / name, schema=schema)
    file = tmp_path / name
    file = file / "part-000000.parquet" if name == "out" else file
    assert pq.read_schema(file) == schema


# ---- adding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.parquet", "out"])
def test_append_adds_rows(tmp_path, name):
    for start in (0, 2, 4):
        write_parquet(notes(2, start), tmp_path / name, overwrite="append")
    assert list(read_parquet(tmp_path / name)) == notes(6)


def test_append_adds_parts_with_new_names_and_leaves_the_old_ones(tmp_path):
    folder = tmp_path / "out"
    write_parquet(notes(2), folder)
    (folder / "part-000000.parquet").rename(folder / "part-000006.parquet")
    (folder / "sub").mkdir()
    pq.write_table(pa.Table.from_pylist(notes(2, start=2)), folder / "sub" / "x.parquet")
    (folder / "README.md").write_text("kept")
    before = (folder / "part-000006.parquet").read_bytes()
    write_parquet(notes(2, start=4), folder, overwrite="append")
    assert parts(folder) == ["part-000006.parquet", "part-000007.parquet"]
    assert (folder / "part-000006.parquet").read_bytes() == before
    assert (folder / "README.md").read_text() == "kept"
    ids = sorted(record["note_id"] for record in read_parquet(folder))
    assert ids == [f"n{i}" for i in range(6)]


def test_old_parts_are_copied_where_a_disk_has_no_links(tmp_path, monkeypatch):
    def refuse(*args: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(parquet_parts.os, "link", refuse)
    for start in (0, 2):
        write_parquet(notes(2, start), tmp_path / "out", overwrite="append")
        write_parquet(notes(2, start), tmp_path / "a.parquet", overwrite="append")
    assert list(read_parquet(tmp_path / "out")) == notes(4)
    assert list(read_parquet(tmp_path / "a.parquet")) == notes(4)


@pytest.mark.parametrize("name", ["a.parquet", "out"])
@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"note_id": "n9", "x": 1}, "^n9: column 'x' is not among those"),
        ({"note_id": "n9", "note_text": 7}, "^n9: column 'note_text' holds string, and here is in"),
        ({"note_id": "n1", "note_text": "a"}, "n1: two records have this id"),
    ],
)
def test_what_is_added_has_the_same_columns_and_other_ids(tmp_path, name, record, message):
    write_parquet(notes(2), tmp_path / name)
    with pytest.raises(DataError, match=message):
        write_parquet([record], tmp_path / name, overwrite="append")
    assert list(read_parquet(tmp_path / name)) == notes(2)


def test_a_schema_of_what_is_added_is_that_of_the_old_rows(tmp_path):
    write_parquet(notes(2), tmp_path / "out")
    schema = pa.schema([("note_id", pa.string()), ("note_text", pa.binary())])
    message = "out: column 'note_text' of the old output is not that of schema=; what"
    with pytest.raises(DataError, match=message):
        write_parquet([], tmp_path / "out", schema=schema, overwrite="append")


@pytest.mark.parametrize("name", ["a.parquet", "out"])
def test_adding_nothing_changes_nothing(tmp_path, name):
    write_parquet(notes(2), tmp_path / name)
    write_parquet([], tmp_path / name, overwrite="append")
    assert list(read_parquet(tmp_path / name)) == notes(2)


# ---- the sink: going on after a kill -----------------------------------------------------------


class Run:
    """A sink that is driven by hand.

    Args:
        folder: Where the runs of one test stage and place.
        is_folder: What the target is.
        options: The layout.
    """

    def __init__(self, folder: Path, is_folder: bool, **options: Any) -> None:
        self.folder = folder / "files"
        self.folder.mkdir(exist_ok=True)
        self.is_folder = is_folder
        layout = {"group_rows": 40, "part_rows": 80, **options}
        self.sink = ParquetSink(ParquetOptions(**layout), is_folder)

    def read(self) -> list[dict]:
        if self.is_folder:
            return list(read_parquet(self.folder))
        copy = self.folder.with_name("copy.parquet")
        copy.write_bytes((self.folder / "data").read_bytes())
        return list(read_parquet(copy))


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(parquet_sink, "BATCH_ROWS", 16)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("is_folder", [True, False])
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("number", [0, 1, 15, 16, 39, 48, 80, 96, 97, 200])
def test_a_run_goes_on_from_its_last_commit(tmp_path, is_folder, closed, number):
    first = Run(tmp_path, is_folder)
    first.sink.open(first.folder, None, None)
    for i, record in enumerate(notes(201)):
        if i in (number // 2, number):
            state = json.loads(json.dumps(first.sink.commit()))
        first.sink.write(record)
    if closed:
        first.sink.close()
    first.sink.abort()
    second = Run(tmp_path, is_folder)
    second.sink.open(second.folder, None, state)
    for record in notes(201 - number, start=number):
        second.sink.write(record)
    second.sink.close()
    assert second.read() == notes(201)
    names = sorted(file.name for file in second.folder.iterdir())
    assert names == ([f"part-{i:06d}.parquet" for i in range(3)] if is_folder else ["data"])


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_run_may_break_off_again_and_again(tmp_path, is_folder):
    state = None
    for start in range(0, 200, 7):
        run = Run(tmp_path, is_folder)
        run.sink.open(run.folder, None, state)
        for record in notes(7, start):
            run.sink.write(record)
        state = json.loads(json.dumps(run.sink.commit()))
        for record in notes(30, start=1000):
            run.sink.write(record)
        run.sink.abort()
    run = Run(tmp_path, is_folder)
    run.sink.open(run.folder, None, state)
    run.sink.close()
    assert run.read() == notes(203)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_run_that_adds_goes_on_too(tmp_path, is_folder):
    old = tmp_path / ("old" if is_folder else "old.parquet")
    write_parquet(notes(50), old)
    first = Run(tmp_path, is_folder)
    first.sink.open(first.folder, old, None)
    assert list(first.sink.old_ids()) == [f"n{i}" for i in range(50)]
    for record in notes(90, start=50):
        first.sink.write(record)
    state = first.sink.commit()
    first.sink.write({"note_id": "lost", "note_text": "lost"})
    first.sink.abort()
    second = Run(tmp_path, is_folder)
    second.sink.open(second.folder, old, state)
    assert list(second.sink.old_ids()) == [f"n{i}" for i in range(50)]
    for record in notes(10, start=140):
        second.sink.write(record)
    second.sink.close()
    assert second.read() == notes(150)


@pytest.mark.usefixtures("small_chunks")
def test_the_columns_of_a_run_that_goes_on_are_those_of_the_whole_run(tmp_path):
    records = [{"note_id": f"n{i}", "x": [i * 1.5] if i > 30 else []} for i in range(60)]
    first = Run(tmp_path, True)
    first.sink.open(first.folder, None, None)
    for record in records[:20]:
        first.sink.write(record)
    state = first.sink.commit()
    first.sink.abort()
    assert state["schema"] is None  # twenty empty lists do not say what is in a list
    second = Run(tmp_path, True)
    second.sink.open(second.folder, None, state)
    for record in records[20:]:
        second.sink.write(record)
    second.sink.close()
    assert second.read() == records


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_a_damaged_journal_is_an_error(tmp_path, damage):
    first = Run(tmp_path, True)
    first.sink.open(first.folder, None, None)
    for record in notes(20):
        first.sink.write(record)
    state = first.sink.commit()
    first.sink.abort()
    (journal,) = (tmp_path / "files.rows").iterdir()
    raw = journal.read_bytes()
    journal.unlink()
    if damage != "gone":
        journal.write_bytes(raw[:-9] if damage == "cut" else b"\xff" * len(raw))
    second = Run(tmp_path, True)
    with pytest.raises(CheckpointError, match=r"rows-000000.arrow: the rows .* are damaged") as err:
        second.sink.open(second.folder, None, state)
    second.sink.abort()
    assert "run it again without resume" in str(err.value)


@pytest.mark.usefixtures("small_chunks")
def test_a_journal_without_all_rows_is_an_error(tmp_path):
    first = Run(tmp_path, True)
    first.sink.open(first.folder, None, None)
    for record in notes(20):
        first.sink.write(record)
    state = first.sink.commit()
    first.sink.abort()
    second = Run(tmp_path, True)
    with pytest.raises(CheckpointError, match="it holds 20 rows, and 21 were committed"):
        second.sink.open(second.folder, None, {**state, "rows": 21})
    second.sink.abort()


@pytest.mark.usefixtures("small_chunks")
def test_journals_of_closed_parts_are_deleted(tmp_path):
    run = Run(tmp_path, True)
    run.sink.open(run.folder, None, None)
    for i, record in enumerate(notes(1000)):
        run.sink.write(record)
        if i % 50 == 0:
            run.sink.commit()
            assert len(list((tmp_path / "files.rows").iterdir())) <= 2
    run.sink.close()


@pytest.mark.usefixtures("small_chunks")
def test_what_is_held_in_memory_is_a_group_of_rows(tmp_path):
    run = Run(tmp_path, False)
    run.sink.open(run.folder, None, None)
    for record in notes(1000):
        run.sink.write(record)
        held = [*run.sink._group, *run.sink._unsaved]
        assert len(run.sink._chunk) + sum(batch.num_rows for batch in held) <= 2 * 40 + 2 * 16
    run.sink.close()


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("name", ["a.parquet", "out"])
def test_a_resumed_run_writes_what_an_unbroken_one_does(tmp_path, monkeypatch, name):
    broken = []

    def convert(record: dict) -> dict:
        if record["note_id"] == "n150" and not broken:
            broken.append(True)
            raise DataError("broken off")
        return record

    monkeypatch.setattr(output, "COMMIT_EVERY_S", 0.0)
    stream = Stream.from_items(notes(201)).map(convert)
    layout = {"rows_per_group": 40, "rows_per_file": 80}
    with pytest.raises(DataError, match="broken off"):
        write_parquet(stream, tmp_path / name, **layout)
    assert not (tmp_path / name).exists()
    report = write_parquet(stream, tmp_path / name, resume=True, **layout)
    assert list(read_parquet(tmp_path / name)) == notes(201)
    assert report.done == 201
    left = {"edspipe.receipt", "manifest.json", "a.parquet", "a.parquet.receipt", "out"}
    assert {file.name for file in tmp_path.iterdir()} <= left


class FullDisk:
    """A file that takes so many bytes and no more."""

    def __init__(self, handle: Any, room: int) -> None:
        self.handle, self.room = handle, room

    def write(self, data: Any) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.handle.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handle, name)


@pytest.mark.parametrize("name", ["a.parquet", "out"])
@pytest.mark.parametrize("room", [0, 4, 20_000])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, monkeypatch, name, room):
    write_parquet(notes(3), tmp_path / name)
    before = sorted(tmp_path.iterdir())
    real = atomic.FS.open
    fails = re.compile(r"part-.*|data|rows-.*")

    def open_(path: Path) -> Any:
        return FullDisk(real(path), room) if fails.fullmatch(path.name) else real(path)

    monkeypatch.setattr(atomic.FS, "open", open_)
    with pytest.raises(OSError, match=r"not saved .* bytes are free there"):
        write_parquet(notes(5000), tmp_path / name, overwrite=True, compression="none")
    monkeypatch.undo()
    if room == 4:
        gc.collect()  # a writer that is dropped must not try to write its footer
    assert list(read_parquet(tmp_path / name)) == notes(3)
    assert sorted(tmp_path.iterdir()) == before
