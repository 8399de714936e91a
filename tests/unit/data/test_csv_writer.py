"""write_csv: records as rows, its sink, and what goes there and back."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sink_support import tree, write_all, write_broken

import edspipe
from edspipe.data import read_csv, write_csv
from edspipe.data.csv.format import Dialect
from edspipe.data.csv.sink import CsvSink
from edspipe.data.output.file_sinks import ENCODED
from edspipe.errors import DataError, PipeError
from edspipe.stream.stream import Stream

SECRET = "M. Dupont"
RECORDS = [
    {"note_id": "n0", "text": 'Toux, "sèche".\r\n', "n": None},
    {"note_id": "n1", "text": "", "n": "x"},
    {"note_id": "n2", "text": "\ufeff\0\u2028\r", "n": " "},
]


def make_sink(name: str = "a.csv") -> CsvSink:
    return CsvSink(name, Dialect())


# ---- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.csv.bz2", "a.tsv.xz"])
def test_what_is_written_is_read_back(tmp_path, name):
    write_csv(RECORDS, tmp_path / name)
    assert list(read_csv(tmp_path / name)) == RECORDS


CELLS = st.none() | st.text(st.characters(exclude_categories=["Cs"])) | st.text('",\r\n\0\ufeff')
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.text(
    '",\r\n', min_size=1
)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), names=st.lists(NAMES, min_size=2, max_size=4, unique=True))
def test_any_text_comes_back_as_it_was(tmp_path_factory, data, names):
    rows = st.lists(st.tuples(*[CELLS] * len(names)), max_size=4)
    records = [dict(zip(names, row, strict=True)) for row in data.draw(rows)]
    folder = tmp_path_factory.mktemp("csv") / "out"
    write_all(lambda: CsvSink("a.csv", Dialect(), tuple(names)), folder, records)
    path = (folder / "data").rename(folder / "a.csv")
    assert list(read_csv(path)) == records


def test_docs_with_labels_come_back_as_they_were(tmp_path):
    nlp = edspipe.blank("eds")
    options = {"labels_columns": ["flu", "cold"], "id_column": "id", "group_column": "patient"}
    (tmp_path / "a.csv").write_text(
        'id,patient,text,flu,cold\na,p1,"Toux,\nfièvre.",1,0\nb,,x,0,0\n'
    )
    docs = read_csv(tmp_path / "a.csv", converter="labels", tokenizer=nlp.tokenizer, **options)
    report = docs.write_csv(tmp_path / "b.csv", converter="labels", **options)
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    assert report == {"read": 2, "done": 2, "delivered": 2}


def test_python_reads_what_is_written(tmp_path):
    records = [{"note_id": "a", "t": 'x,\n"y"'}, {"note_id": "b", "t": "\r"}]
    write_csv(records, tmp_path / "a.csv")
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == records


def test_an_address_is_written_too():
    system = fsspec.filesystem("memory")
    try:
        for overwrite in (False, "append"):
            records = [
                {**record, "note_id": f"{overwrite} {i}"} for i, record in enumerate(RECORDS)
            ]
            write_csv(records, "memory://tables/a.csv.gz", overwrite=overwrite)
        assert len(list(read_csv("memory://tables/a.csv.gz"))) == 6
    finally:
        system.rm("/tables", recursive=True)


def test_plain_values_have_a_form(tmp_path):
    record = {"note_id": 7, "a": 0.5, "b": True, "c": False, "d": -1, "e": None, "f": ""}
    write_csv([record], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == 'note_id,a,b,c,d,e,f\n7,0.5,true,false,-1,,""\n'


def test_workers_change_nothing(tmp_path):
    for workers in (0, 2):
        stream = Stream.from_items(RECORDS * 1).map(dict)
        stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
        stream.write_csv(tmp_path / f"{workers}.csv")
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


# ---- columns -----------------------------------------------------------------------------------


def test_the_first_record_says_what_the_columns_are(tmp_path):
    write_csv([{"note_id": "1", "b": "x"}, {"b": "y", "note_id": "2"}], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "note_id,b\n1,x\n2,y\n"


def test_columns_say_the_order(tmp_path):
    write_csv([{"note_id": "1", "b": "x"}], tmp_path / "a.csv", columns=["b", "note_id"])
    assert (tmp_path / "a.csv").read_text() == "b,note_id\nx,1\n"


def test_without_a_column_for_the_id_rows_have_none(tmp_path):
    write_csv([{"b": "x"}, {"b": "x"}], tmp_path / "a.csv", columns=["b"])
    assert (tmp_path / "a.csv").read_text() == "b\nx\nx\n"


def test_records_without_id_get_one(tmp_path):
    write_csv([{"a": 1}, {"a": 2, "note_id": None}, {"note_id": "x", "a": 3}], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "a,note_id\n1,doc-000001\n2,doc-000002\n3,x\n"


@pytest.mark.parametrize(("columns", "text"), [(None, ""), (["a", "b"], "a,b\n")])
def test_without_records_there_is_a_header_where_it_is_known(tmp_path, columns, text):
    write_csv([], tmp_path / "a.csv", columns=columns)
    assert (tmp_path / "a.csv").read_text() == text
    assert list(read_csv(tmp_path / "a.csv")) == []


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"note_id": "n7", "b": 1}, "^n7: .* columns, which are note_id, a: missing a; .* b .cho"),
        ({"note_id": "n7"}, "^n7: the keys .*: missing a; without a column none"),
        ({"note_id": "n7", "a": 1, "b": 1}, "^n7: the keys .*: missing none; without a column b"),
    ],
)
def test_a_record_with_other_keys_is_an_error(tmp_path, record, message):
    with pytest.raises(DataError, match=message):
        write_csv([{"note_id": "n1", "a": SECRET}, record], tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


# ---- what is wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ([SECRET], "a list .TypeError."),
        ({"a": SECRET}, "a dict .TypeError."),
        (float("nan"), "a float .ValueError."),
        ("\ud800", "a str .UnicodeEncodeError."),
    ],
)
def test_a_value_without_a_cell_is_an_error(tmp_path, value, got):
    message = f"^n1: column 'b': expected text, a finite number, a truth value or None, got {got}"
    with pytest.raises(DataError, match=message) as caught:
        write_csv([{"note_id": "n1", "a": SECRET, "b": value}], tmp_path / "a.csv")
    assert SECRET not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [3, ""])
def test_a_column_must_have_a_name(tmp_path, name):
    with pytest.raises(DataError, match=r"^n1: a column is named by a text that is not empty"):
        write_csv([{"note_id": "n1", name: 1}], tmp_path / "a.csv")


def test_a_row_that_would_be_an_empty_line_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"a row whose only cell \(a\) is None would be an empty"):
        write_csv([{"a": None}], tmp_path / "a.csv", columns=["a"])


@pytest.mark.parametrize("item", [SECRET, edspipe.blank("eds")(SECRET)])
def test_what_is_no_record_is_an_error_that_names_the_cure(tmp_path, item):
    message = f"write_csv writes records .dicts., got a {type(item).__name__}; pass converter='lab"
    with pytest.raises(TypeError, match=message) as caught:
        write_csv([item], tmp_path / "a.csv")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["a.txt", "a.csv.zip", "a"])
def test_an_unknown_suffix_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"expected one of \.csv, \.tsv \(or \.csv\.gz\)"):
        write_csv([], tmp_path / name)


def test_two_records_with_one_id_are_an_error_and_nothing_is_seen(tmp_path):
    with pytest.raises(DataError, match=r"^x: two records have this id"):
        write_csv([{"note_id": "x"}, {"note_id": "x"}], tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_record_that_cannot_be_written_is_skipped_where_asked(tmp_path, workers):
    records = [{"note_id": "a", "x": 1}, {"note_id": "b", "x": []}, {"note_id": "c", "x": 3}]
    stream = Stream.from_items(records).set_processing(
        on_error="skip", num_cpu_workers=workers, process_start_method="fork"
    )
    report = stream.write_csv(tmp_path / "a.csv")
    assert (report.done, report.skipped) == (2, 1)
    assert (tmp_path / "a.csv").read_text() == "note_id,x\na,1\nc,3\n"


def test_an_error_of_the_stream_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old\n")
    with pytest.raises(PipeError):
        Stream.from_items(RECORDS).map(lambda record: 1 / 0).write_csv(path, overwrite=True)
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


# ---- overwrite and append ----------------------------------------------------------------------


def test_an_existing_file_is_not_replaced_unasked(tmp_path):
    (tmp_path / "a.csv").touch()
    with pytest.raises(FileExistsError, match=r"a\.csv exists; pass overwrite=True"):
        write_csv(RECORDS, tmp_path / "a.csv")


def test_overwrite_replaces(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    write_csv(RECORDS, tmp_path / "a.csv", overwrite=True)
    assert list(read_csv(tmp_path / "a.csv")) == RECORDS


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz"])
def test_append_adds(tmp_path, name):
    write_csv(RECORDS[:2], tmp_path / name, overwrite="append")
    write_csv(RECORDS[2:], tmp_path / name, overwrite="append")
    assert list(read_csv(tmp_path / name)) == RECORDS


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_append_keeps_the_bytes_and_the_columns_that_are_there(tmp_path, name):
    path, old = tmp_path / name, b'\xef\xbb\xbf"n",note_id\r\n\r\n"1", x\r\n2,y'
    path.write_bytes(gzip.compress(old) if name.endswith("gz") else old)
    write_csv([{"note_id": "z", "n": "3"}], path, overwrite="append")
    data = path.read_bytes()
    data = gzip.decompress(data) if name.endswith("gz") else data
    assert data == old + b"\n3,z\n"


def test_append_to_an_empty_file_is_a_new_file(tmp_path):
    (tmp_path / "a.csv").touch()
    write_csv(RECORDS, tmp_path / "a.csv", overwrite="append")
    assert list(read_csv(tmp_path / "a.csv")) == RECORDS


@pytest.mark.parametrize(
    ("old", "columns", "error"),
    [
        (b"note_id,b\n1,2\n", None, "x: the keys of the record are not the columns, which are"),
        (b"note_id,b\n1,2\n", ["note_id", "a"], "has the columns note_id, b, and columns= asks"),
        (b"note_id,a\nx,2\n", None, "x: two records have this id"),
        (b"note_id,a\n1\n", None, r"a\.csv:2: expected 2 cells, as there are columns, found 1"),
        (b"note_id,,a\n1\n", None, r"a\.csv:1: expected a header"),
    ],
)
def test_append_refuses_what_does_not_fit(tmp_path, old, columns, error):
    path = tmp_path / "a.csv"
    path.write_bytes(old)
    with pytest.raises(DataError, match=error):
        write_csv([{"note_id": "x", "a": 1}], path, columns=columns, overwrite="append")
    assert path.read_bytes() == old


# ---- the sink ----------------------------------------------------------------------------------


@pytest.mark.parametrize("commit_at", range(4))
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_broken_run_goes_on_from_any_commit(tmp_path, name, commit_at):
    for break_at in {commit_at, 3}:
        folder = tmp_path / str(break_at)
        write_broken(lambda: make_sink(name), folder, RECORDS, commit_at, break_at)
        assert list(read_csv((folder / "data").rename(folder / name))) == RECORDS


def test_a_broken_run_leaves_the_same_bytes(tmp_path):
    write_all(make_sink, tmp_path / "calm", RECORDS)
    write_broken(make_sink, tmp_path / "broken", RECORDS, 1, 3)
    assert tree(tmp_path / "calm") == tree(tmp_path / "broken")


def test_a_state_is_plain_data(tmp_path):
    sink = make_sink()
    sink.open(tmp_path, None, None)
    assert sink.commit() == {"size_bytes": 0, "columns": None}
    sink.write(RECORDS[0])
    state = sink.commit()
    assert state["columns"] == ("note_id", "text", "n")
    assert json.loads(json.dumps(state))["size_bytes"] == (tmp_path / "data").stat().st_size
    sink.abort()


def test_encoded_records_are_written_as_they_are(tmp_path):
    sink = make_sink()
    sink.open(tmp_path, None, None)
    sink.write({"note_id": "x", ENCODED: {"note_id": b"x", "a": b'"y"'}})
    sink.close()
    assert (tmp_path / "data").read_bytes() == b'note_id,a\nx,"y"\n'


def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("edspipe.data.output.writing.COMMIT_EVERY_S", 0.0)
    records = [{"note_id": f"n{i}", "t": "x" * i} for i in range(20)]

    seen = []

    def stop(record):
        seen.append(record["note_id"])
        if seen.count("n13") == 1 and record["note_id"] == "n13":
            raise KeyboardInterrupt
        return record

    stream = Stream.from_items(records).map(stop)
    with pytest.raises(KeyboardInterrupt):
        stream.write_csv(tmp_path / "a.csv", resume=True)
    assert stream.write_csv(tmp_path / "a.csv", resume=True).read == 20
    assert list(read_csv(tmp_path / "a.csv")) == records
    assert (seen.count("n0"), seen.count("n19")) == (1, 1)
