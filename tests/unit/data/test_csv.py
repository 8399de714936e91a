"""read_csv: files of rows as records."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from pathlib import Path

import fsspec
import pytest

from edspipe.data import read_csv
from edspipe.data.csv.files import CsvFile, CsvRow
from edspipe.data.csv.format import Dialect
from edspipe.errors import DataError, PipeError
from edspipe.stream.hooks import describe, identity_of, plain

SECRET = "M. Dupont"
BOM = b"\xef\xbb\xbf"
NOTES = b"note_id,note_text\nn1,Toux.\nn2,Pas de toux.\n"


def put(path: Path, data: bytes = NOTES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def records_of(count: int, first: int = 0) -> bytes:
    lines = [f"n{i},Toux {i}." for i in range(first, first + count)]
    return "\n".join(["note_id,note_text", *lines, ""]).encode()


# ---- what is read ------------------------------------------------------------------------------


def test_rows_are_records_of_texts(tmp_path):
    path = put(tmp_path / "a.csv", b'id,text,n\n1,"a\n""b"", c",0\n2, x ,1.0\n')
    assert list(read_csv(path)) == [
        {"id": "1", "text": 'a\n"b", c', "n": "0"},
        {"id": "2", "text": " x ", "n": "1.0"},
    ]


def test_an_empty_cell_is_none_and_a_quoted_one_an_empty_text(tmp_path):
    path = put(tmp_path / "a.csv", b'a,b,c\n,"",x\n')
    assert list(read_csv(path)) == [{"a": None, "b": "", "c": "x"}]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_mark_windows_line_ends_and_empty_lines_do_not_matter(tmp_path, name):
    path = put(tmp_path / name, BOM + b'\r\n"a",b\r\n\r\n1,2\r\n\r\n')
    assert list(read_csv(path)) == [{"a": "1", "b": "2"}]


def test_texts_stay_as_they_are(tmp_path):
    text = "a\r\nb\rc\n\ufeff\u2028\x85\0\te\u0301😀"
    path = put(tmp_path / "a.csv", f'a,b\n"{text}",1\n'.encode())
    assert list(read_csv(path)) == [{"a": text, "b": "1"}]


def test_the_suffix_says_what_stands_between_cells(tmp_path):
    put(tmp_path / "a.csv", b"a,b\n1,x\ty\n")
    put(tmp_path / "b.tsv", b"a\tb\n2\tx,y\n")
    assert list(read_csv(tmp_path)) == [{"a": "1", "b": "x\ty"}, {"a": "2", "b": "x,y"}]


def test_delimiter_and_quote_can_be_given(tmp_path):
    path = put(tmp_path / "a.txt", b"a;b\n1;'x;y'\n")
    assert list(read_csv(path, delimiter=";", quote="'")) == [{"a": "1", "b": "x;y"}]
    path = put(tmp_path / "a.tsv", b'a\tb\n5"\t"x\n')
    assert list(read_csv(path, quote=None)) == [{"a": '5"', "b": '"x'}]


def test_columns_can_be_given_for_files_without_header(tmp_path):
    put(tmp_path / "a.csv", b"1,x\n")
    put(tmp_path / "b.csv", b"2,y\n")
    records = [{"n": "1", "t": "x"}, {"n": "2", "t": "y"}]
    assert list(read_csv(tmp_path, columns=["n", "t"])) == records


@pytest.mark.parametrize("data", [b"", BOM, b"\n\n", b"a,b\n", b"a,b"])
def test_a_file_without_rows_has_no_records(tmp_path, data):
    assert list(read_csv(put(tmp_path / "a.csv", data))) == []


def test_a_folder_is_all_its_files_in_order(tmp_path):
    for i, name in enumerate(["a.csv", "sub/b.csv.gz", "z.csv"]):
        put(tmp_path / "in" / name, records_of(2, 2 * i))
    put(tmp_path / "in/.hidden.csv")
    put(tmp_path / "in/notes.txt")
    ids = [record["note_id"] for record in read_csv(tmp_path / "in")]
    assert ids == [f"n{i}" for i in range(6)]


def test_patterns_and_addresses_are_read(tmp_path):
    put(tmp_path / "a.csv")
    put(tmp_path / "b.csv.gz")
    assert len(list(read_csv(tmp_path / "*.csv.gz"))) == 2
    system = fsspec.filesystem("memory")
    system.pipe("/tables/a.csv", NOTES)
    try:
        assert list(read_csv("memory://tables/a.csv")) == list(read_csv(tmp_path / "a.csv"))
    finally:
        system.rm("/tables", recursive=True)


def test_columns_may_stand_in_another_order(tmp_path):
    put(tmp_path / "a.csv", b"a,b\n1,2\n")
    put(tmp_path / "b.csv", b"b,a\n4,3\n")
    assert list(read_csv(tmp_path)) == [{"a": "1", "b": "2"}, {"b": "4", "a": "3"}]


def test_rows_become_docs(tmp_path):
    docs = list(read_csv(put(tmp_path / "a.csv"), converter="text"))
    assert [(doc._.note_id, doc.text) for doc in docs] == [("n1", "Toux."), ("n2", "Pas de toux.")]


def test_a_function_serves_as_converter(tmp_path):
    assert list(read_csv(put(tmp_path / "a.csv"), converter=len)) == [2, 2]


def test_long_notes_are_no_problem(tmp_path):
    text = "Toux.\n" * 200_000  # longer than the limit of Python's own reader
    path = put(tmp_path / "a.csv", f'a,b\n"{text}",1\n'.encode())
    assert list(read_csv(path)) == [{"a": text, "b": "1"}]


def test_a_file_is_never_held_whole(tmp_path):
    row = b'"' + b"Toux. " * 200 + b'",1\n'
    path = put(tmp_path / "a.csv", b"a,b\n" + row * 8000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_csv(path)) == 8000
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3_000_000 < path.stat().st_size / 3


# ---- positions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stream_goes_on_from_every_position(tmp_path, workers):
    put(tmp_path / "a.csv", records_of(4))
    put(tmp_path / "b.csv", b'note_id,note_text\nn4,"a\nb"\n\nn5,\n')
    stream = read_csv(tmp_path).set_processing(num_cpu_workers=workers, process_start_method="fork")
    whole = list(stream)
    assert len(whole) == 6
    for number in range(6):
        with iter(stream) as first:
            for _ in range(number):
                next(first)
            state = json.loads(json.dumps(first.get_state()))
        with iter(stream) as second:
            second.set_state(state)
            assert list(second) == whole[number:]


def test_reading_can_loop_and_shuffle(tmp_path):
    path = put(tmp_path / "a.csv", records_of(9))
    stream = read_csv(path, shuffle=True, loop=True, seed=1).take(18)
    ids = [record["note_id"] for record in stream]
    assert sorted(ids[:9]) == sorted(ids[9:]) == [f"n{i}" for i in range(9)]
    assert ids[:9] != ids[9:]


def test_files_can_be_read_in_another_order(tmp_path):
    for i in range(9):
        put(tmp_path / f"{i}.csv", records_of(2, 2 * i))
    ids = [record["note_id"] for record in read_csv(tmp_path, shuffle="fragment", seed=1)]
    assert sorted(ids) == sorted(f"n{i}" for i in range(18))
    assert ids != [f"n{i}" for i in range(18)]


def test_a_row_has_an_identity_without_text(tmp_path):
    path = put(tmp_path / "a.csv")
    first, second = CsvFile(str(path), Dialect()).read()
    identity = identity_of(first)
    assert (identity.id, identity.source) == ("n1", f"{path}:2")
    assert re.fullmatch("[0-9a-f]{64}", identity.sha256)
    assert identity.sha256 != identity_of(second).sha256
    assert describe(second, 1) == "document 'n2'"
    assert plain(first) == {"note_id": "n1", "note_text": "Toux."}


def test_cells_cannot_be_confused_in_the_sha256():
    cells = [[b"a", b"b"], [b"ab", b""], [b"ab", None], [b"a,b", None]]
    rows = [CsvRow("a.csv", 2, row, ("a", "b")) for row in cells]
    assert len({identity_of(row).sha256 for row in rows}) == 4


# ---- what is wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "line", "message"),
    [
        (b"1", 702, "expected 2 cells, as there are columns, found 1"),
        (b"1,M. Dupont,3", 702, "expected 2 cells, as there are columns, found 3"),
        (b"1,Dupont\xe9", 702, "not UTF-8 at byte 6 of cell 2"),
        (b'1,"M. Dupont\nx\n\xe9"', 704, "not UTF-8 at byte 12 of cell 2"),
        (b'"a\nb","\n\xe9"', 704, "not UTF-8 at byte 1 of cell 2"),
        (b'"M. Dupont"s,2', 702, "cell 1 goes on behind its closing quote; a quote inside a"),
        (b'1,"' + b"Dupont" * 200 + b'"', 702, r"cell 2 is longer than 1,000 bytes \(max_cell"),
        (b"1," + b"Dupont" * 200, 702, r"cell 2 is longer than 1,000 bytes \(max_cell"),
    ],
)
def test_one_bad_row_of_a_thousand_is_named(tmp_path, row, line, message):
    rows = [b"a,b", *[b"1,2"] * 700, row, *[b"3,4"] * 299]
    path = put(tmp_path / "a.csv", b"\n".join(rows))
    stream = read_csv(path, max_cell_bytes=1000)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}:{line}: {message}") as caught:
        list(stream)
    assert "Dupont" not in str(caught.value)
    iterator = iter(read_csv(path, max_cell_bytes=1000, on_error="skip"))
    assert sum(1 for _ in iterator) == 999
    assert (iterator.report.read, iterator.report.skipped) == (1000, 1)


def test_a_quote_that_is_not_closed_is_named_where_it_opens(tmp_path):
    path = put(tmp_path / "a.csv", b'a,b\n1,2\n3,"M. Dupont\n5,6\n7,8\n')
    message = "a.csv:3: the quote that opens cell 2 is not closed: all that follows, 3 lines, was"
    with pytest.raises(DataError, match=message):
        list(read_csv(path))
    assert list(read_csv(path, on_error="skip")) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_rows_are_skipped_and_counted_where_asked(tmp_path, workers):
    path = put(tmp_path / "a.csv", b"a,b\n1\n2,3\n\xff,4\n5,6,7\n")
    stream = read_csv(path, on_error="skip")
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    iterator = iter(stream)
    assert list(iterator) == [{"a": "2", "b": "3"}]
    assert iterator.counts == {"read": 4, "done": 1, "skipped": 3, "delivered": 1}


def test_bad_rows_go_to_a_quarantine_as_they_are(tmp_path):
    path = put(tmp_path / "a.csv", b"note_id,b\nn1,\xe9\nn2,x\n")
    stream = read_csv(path).set_processing(on_error=f"quarantine:{tmp_path / 'bad.jsonl'}")
    assert len(list(stream)) == 1
    kept = json.loads((tmp_path / "bad.jsonl").read_text())
    assert (kept["id"], kept["source"]) == ("n1", f"{path}:2")
    assert kept["document"] == {"note_id": "n1", "b": "\ufffd"}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"a,,b", "1: expected a header, with a name of its own for each column; these .*: 2 "),
        (b"a,b,c,b", "1: expected a header, .*: 2, 4 .a file without header is read with columns="),
        (b'\n\na,"",b', "3: expected a header, .*: 2 "),
        (b"a,\xe9", "1: not UTF-8 at byte 0 of cell 2"),
        (b'a,"b"c', "1: cell 2 goes on behind its closing quote"),
        (b'"M. Dupont\na', "1: the quote that opens cell 1 is not closed"),
    ],
)
def test_a_bad_header_is_named(tmp_path, header, message):
    path = put(tmp_path / "a.csv", header + b"\n1,2,3,4\n")
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}:{message}") as caught:
        list(read_csv(path))
    assert "Dupont" not in str(caught.value)


def test_a_file_with_other_columns_is_named_with_them(tmp_path):
    put(tmp_path / "a.csv", b"note_id,note_text\nn1,x\n")
    put(tmp_path / "b.csv", b"n2,M. Dupont tousse\nn3,y\n")
    put(tmp_path / "c.csv", b"note_text,note_id\nz,n4\n")
    message = (
        "b.csv:1: the columns differ from those of .*a.csv .note_id, note_text.: "
        "missing note_id, note_text; 2 others$"
    )
    with pytest.raises(DataError, match=message) as caught:
        list(read_csv(tmp_path))
    assert "Dupont" not in str(caught.value)
    iterator = iter(read_csv(tmp_path, on_error="skip"))
    assert [record["note_id"] for record in iterator] == ["n1", "n4"]
    assert iterator.report.skipped == 1


def test_a_further_column_is_a_difference(tmp_path):
    put(tmp_path / "a.csv", b"a,b\n1,2\n")
    put(tmp_path / "b.csv", b"a,b,c\n1,2,3\n")
    with pytest.raises(DataError, match=r"b\.csv:1: the columns differ .* \(a, b\): 1 others$"):
        list(read_csv(tmp_path))


def test_given_columns_and_a_header_are_an_error(tmp_path):
    path = put(tmp_path / "a.csv", b"a,b\n1,2\n")
    message = "a.csv:1: this row is the names given as columns=, so the file has a header: leave"
    with pytest.raises(DataError, match=message):
        list(read_csv(path, columns=["a", "b"]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], r"columns is a list of names, got \[\]"),
        (["a", ""], r"columns is a list of names, got \['a', ''\]"),
        (["a", "b", "a"], "columns has a name twice: a, b, a"),
    ],
)
def test_columns_must_be_names(tmp_path, columns, message):
    with pytest.raises(ValueError, match=message):
        read_csv(put(tmp_path / "a.csv"), columns=columns)


def test_an_unknown_suffix_needs_a_delimiter(tmp_path):
    path = put(tmp_path / "a.txt")
    message = r"a\.txt: the suffix does not say what stands between cells; pass delimiter="
    with pytest.raises(ValueError, match=message):
        read_csv(path)


def test_a_damaged_packed_file_is_named(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(records_of(1000))[:-20])
    with pytest.raises(DataError, match=r"a\.csv\.gz: not a whole gzip file"):
        list(read_csv(path))


def test_a_file_that_is_not_there_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: expected a file, a folder or"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match=r"expected \.csv, \.tsv files, found none"):
        read_csv(tmp_path)


def test_an_error_of_a_converter_is_named_by_its_line(tmp_path):
    path = put(tmp_path / "a.csv", b"note_id,text\nn1,x\nn2,\n")
    message = f"^{re.escape(str(path))}:3:n2: expected a text under note_text or text; the record"
    with pytest.raises(DataError, match=message):
        list(read_csv(path, converter="text"))


def test_an_error_of_a_function_hides_its_message(tmp_path):
    def convert(record):
        raise ValueError(SECRET)

    with pytest.raises(PipeError, match="read_csv failed on document 'n1' with Value") as caught:
        list(read_csv(put(tmp_path / "a.csv"), converter=convert))
    assert "Dupont" not in str(caught.value)
