"""read_parquet: rows of files, and files that do not go together."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edspipe.data import read_parquet, write_parquet
from edspipe.data.parquet import files as parquet_files
from edspipe.data.parquet.files import list_row_groups
from edspipe.errors import DataError, PipeError
from edspipe.stream.hooks import identity_of, sha256_of

SECRET = "M. Dupont"


def notes(count: int, start: int = 0) -> list[dict]:
    return [{"note_id": f"n{i}", "note_text": f"Toux {i}."} for i in range(start, start + count)]


def write(path: Path, records: list[dict], schema: pa.Schema | None = None, group: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records, schema=schema), path, row_group_size=group)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten notes in three groups of rows."""
    return write(tmp_path / "a.parquet", notes(10))


# ---- where rows come from ----------------------------------------------------------------------


def test_rows_are_records(path):
    assert list(read_parquet(path)) == notes(10)


def test_a_folder_is_all_its_files_in_order(tmp_path):
    for i, name in enumerate(("a.parquet", "b.pq", "c/d.parquet", ".e.parquet", ".f/g.parquet")):
        write(tmp_path / "in" / name, notes(2, start=2 * i))
    (tmp_path / "in" / "edspipe.receipt").write_text("{}")
    assert list(read_parquet(tmp_path / "in")) == notes(6)


def test_several_paths_and_patterns_are_read_in_their_order(tmp_path):
    for i in range(4):
        write(tmp_path / f"x{i}.parquet", notes(1, start=i))
    found = list(read_parquet([tmp_path / "x3.parquet", str(tmp_path / "x[01].parquet")]))
    assert [record["note_id"] for record in found] == ["n3", "n0", "n1"]


def test_an_address_is_read(path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    with memory.open("/parquet-test/a.parquet", "wb") as handle:
        handle.write(path.read_bytes())
    assert list(read_parquet("memory://parquet-test")) == notes(10)
    memory.rm("/parquet-test", recursive=True)


def test_a_path_may_look_like_an_address(tmp_path):
    path = write(tmp_path / "a::b" / "c%20d=1.parquet", notes(2))
    assert list(read_parquet(path)) == notes(2)


def test_columns_can_be_chosen(path):
    assert list(read_parquet(path, columns=["note_id"]).take(1)) == [{"note_id": "n0"}]


def test_nested_values_nulls_and_maps_become_plain_data(tmp_path):
    schema = pa.schema(
        [
            ("ents", pa.list_(pa.struct([("start", pa.int64()), ("tags", pa.list_(pa.string()))]))),
            ("map", pa.map_(pa.string(), pa.int64())),
            ("word", pa.dictionary(pa.int32(), pa.string())),
        ]
    )
    rows = [
        {"ents": [{"start": 1, "tags": ["a"]}, {"start": None, "tags": []}], "map": {"x": 1}},
        {"ents": [], "map": None},
        {"ents": None, "map": {}},
    ]
    rows = [{**row, "word": word} for row, word in zip(rows, ("a", None, "b"), strict=True)]
    path = write(tmp_path / "a.parquet", rows, schema)
    assert list(read_parquet(path)) == rows


def test_a_map_with_a_key_twice_is_an_error(tmp_path):
    schema = pa.schema([("x", pa.map_(pa.string(), pa.int64()))])
    path = write(tmp_path / "a.parquet", [{"x": [("a", 1), ("a", 2)]}], schema)
    with pytest.raises(DataError, match=r"a.parquet: a map has a key twice; choose other columns"):
        list(read_parquet(path))


def test_an_empty_file_has_no_rows(tmp_path):
    path = write(tmp_path / "a.parquet", [], pa.schema([("x", pa.int64())]))
    assert list(read_parquet(path)) == []
    assert read_parquet(path).source.num_items() == 0


# ---- fragments ---------------------------------------------------------------------------------


def test_groups_of_rows_are_fragments_that_know_their_length(path):
    groups = list_row_groups(path, None)
    assert [group.name for group in groups] == [f"{path}#{i}" for i in range(3)]
    assert [group.num_items() for group in groups] == [4, 4, 2]
    assert read_parquet(path).source.num_items() == 10


@pytest.mark.parametrize("start", range(5))
def test_a_fragment_is_read_from_any_row(path, start):
    rows = list(list_row_groups(path, None)[1].read(start))
    assert [row.record for row in rows] == notes(4 - start, start=4 + start)
    assert [row.number for row in rows] == list(range(5 + start, 9))


@pytest.mark.parametrize("start", [999, 1000, 1001, 2500])
def test_skipping_passes_whole_batches(tmp_path, start):
    path = write(tmp_path / "a.parquet", notes(2501), group=5000)
    (group,) = list_row_groups(path, None)
    assert [row.record for row in group.read(start)] == notes(2501 - start, start=start)


def test_long_rows_are_decoded_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "BATCH_BYTES", 4_000)
    path = write(tmp_path / "a.parquet", [{"x": f"{i:01000}"} for i in range(12)], group=12)
    (group,) = list_row_groups(path, None)
    assert max(batch.num_rows for batch in group.batches()) <= 4


def test_a_shuffle_by_fragments_reads_groups_in_another_order(path):
    stream = read_parquet(path, shuffle="fragment", seed=3, loop=True)
    ids = [record["note_id"] for record in stream.take(20)]
    assert sorted(ids[:10]) == sorted(ids[10:]) == sorted(record["note_id"] for record in notes(10))
    assert ids[:10] != ids[10:]


def test_an_iterator_goes_on_from_any_row(path):
    for number in range(10):
        with iter(read_parquet(path)) as iterator:
            for _ in range(number):
                next(iterator)
            state = json.loads(json.dumps(iterator.get_state()))
        with iter(read_parquet(path)) as iterator:
            iterator.set_state(state)
            assert list(iterator) == notes(10 - number, start=number)


@pytest.mark.parametrize("key", ["note_text", "text", "words"])
def test_the_books_know_file_row_and_digest(tmp_path, key):
    path = write(tmp_path / "a.parquet", [{"note_id": "n0", key: SECRET}])
    (row,) = list_row_groups(path, None)[0].read()
    digest = sha256_of(SECRET if key != "words" else json.dumps({"note_id": "n0", key: SECRET}))
    assert identity_of(row) == ("n0", f"{path}:1", digest)


# ---- rows that are bad -------------------------------------------------------------------------


@pytest.fixture
def with_null(tmp_path: Path) -> Path:
    records = notes(10)
    records[6]["note_text"] = None
    return write(tmp_path / "null.parquet", records)


@pytest.mark.parametrize("converter", ["omop", "text"])
def test_a_null_text_is_an_error_with_file_row_and_id(with_null, converter):
    message = f"^{re.escape(str(with_null))}:7:n6: expected a text under note_text.*a null note_te"
    with pytest.raises(DataError, match=message):
        list(read_parquet(with_null, converter=converter))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_null_text_is_left_out_where_asked(with_null, workers):
    stream = read_parquet(with_null, converter="text", on_error="skip")
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    with iter(stream) as iterator:
        ids = [doc._.note_id for doc in iterator]
        assert len(ids) == 9
        assert "n6" not in ids
        assert (iterator.report.read, iterator.report.done, iterator.report.skipped) == (10, 9, 1)


def test_an_error_of_a_function_hides_its_message(path):
    def convert(record):
        raise ValueError(SECRET)

    with pytest.raises(PipeError, match=r"read_parquet failed on .*n0.* with ValueError") as caught:
        list(read_parquet(path, converter=convert))
    assert SECRET not in str(caught.value)


def test_an_unknown_policy_is_refused(path):
    with pytest.raises(ValueError, match="on_error"):
        read_parquet(path, on_error="ignore")


# ---- files that are bad ------------------------------------------------------------------------

BASE = pa.schema([("note_id", pa.string()), ("note_text", pa.string())])


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (BASE.remove(1), "no column 'note_text', which the first file has"),
        (BASE.append(pa.field("x", pa.int64())), "column 'x', which the first file does not have"),
        (
            BASE.set(0, pa.field("note_id", pa.int64())),
            "column 'note_id' is int64, and string in the first file",
        ),
        (
            BASE.set(0, pa.field("note_id", pa.null())),
            "column 'note_id' is null, and string in the first file",
        ),
    ],
)
def test_a_file_with_other_columns_than_the_first_is_an_error(tmp_path, schema, message):
    write(tmp_path / "a.parquet", notes(2))
    path = write(tmp_path / "b.parquet", [{}], schema)
    cure = re.escape(f"columns that agree with {tmp_path / 'a.parquet'}: columns=[...]")
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {message}; .*{cure}$"):
        read_parquet(tmp_path)


def test_a_change_inside_a_nested_column_is_an_error(tmp_path):
    write(tmp_path / "a.parquet", [{"x": [{"a": 1}]}])
    write(tmp_path / "b.parquet", [{"x": [{"a": 1, "b": 2}]}])
    with pytest.raises(DataError, match=r"b.parquet: column 'x' is list<"):
        read_parquet(tmp_path)


def test_chosen_columns_are_all_that_must_agree(tmp_path):
    write(tmp_path / "a.parquet", notes(1))
    write(tmp_path / "b.parquet", [{"note_id": "n1", "x": 1}])
    found = list(read_parquet(tmp_path, columns=["note_id"]))
    assert found == [{"note_id": "n0"}, {"note_id": "n1"}]


def test_order_and_storage_of_columns_do_not_matter(tmp_path):
    write(tmp_path / "a.parquet", notes(1))
    other = pa.schema(
        [
            ("note_text", pa.large_string()),
            pa.field("note_id", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        ]
    )
    write(tmp_path / "b.parquet", notes(1, start=1), other)
    assert list(read_parquet(tmp_path)) == notes(2)


def test_a_column_that_is_not_there_is_an_error_with_its_nearest_name(path):
    message = r"a.parquet: no column 'note_txt' among note_id, note_text. Did you mean 'note_text'"
    with pytest.raises(DataError, match=message):
        read_parquet(path, columns=["note_txt"])


def test_two_columns_of_one_name_are_an_error(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="two columns are named 'x'; a record can hold one"):
        read_parquet(tmp_path)


def test_columns_in_names_of_folders_are_not_lost_unseen(tmp_path):
    write(tmp_path / "in" / "year=2020" / "a.parquet", notes(1))
    with pytest.raises(DataError, match="the folder 'year=2020' holds a column in its name"):
        read_parquet(tmp_path / "in")
    assert len(list(read_parquet(tmp_path / "in", columns=["note_id"]))) == 1
    assert list(read_parquet(tmp_path / "in" / "year=2020")) == notes(1)


@pytest.mark.parametrize("content", [b"", b"M. Dupont", b"PAR1M. DupontPAR1"])
def test_what_is_no_parquet_file_is_named(tmp_path, content):
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: not a whole parquet") as caught:
        read_parquet(path)
    assert "Dupont" not in str(caught.value)


def test_a_cut_file_is_named(path):
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"a.parquet: not a whole parquet file, or damaged"):
        read_parquet(path)


def test_damage_inside_a_file_is_named_when_it_is_read(tmp_path):
    path = write(tmp_path / "a.parquet", notes(1000), group=1000)
    raw = bytearray(path.read_bytes())
    raw[4:2000] = b"\xff" * 1996
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a.parquet: not a whole parquet file, or damaged"):
        list(read_parquet(path))


def test_a_changed_byte_is_noticed_in_a_file_of_ours(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(notes(100), path, compression="none")
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"Toux 42", b"Toux 43"))
    assert path.read_bytes() != raw
    with pytest.raises(DataError, match=r"a.parquet: not a whole parquet file, or damaged"):
        list(read_parquet(path))


@pytest.mark.parametrize("name", ["none.parquet", "", "x*.parquet"])
def test_what_is_not_there_is_an_error_at_once(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"expected .*found none"):
        read_parquet(tmp_path / name)


def test_an_empty_list_is_refused():
    with pytest.raises(FileNotFoundError, match="expected at least one parquet file"):
        read_parquet([])
