"""The format of CSV: rows of bytes, whatever stands in a cell."""

from __future__ import annotations

import csv
import io
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edspipe.data.raw as raw
from edspipe.data.csv.format import Dialect, cut_rows, render_cell
from edspipe.data.raw import split_lines

COMMA = Dialect()
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(alphabet='a",;\r\n\t \0é')


def rows_of(data: bytes, dialect: Dialect = COMMA) -> list:
    """The cells of each row; the problem of a bad one."""
    return [row.problem or row.cells for row in cut_rows(split_lines(io.BytesIO(data)), dialect)]


def lines_of(data: bytes) -> list[int]:
    return [row.line for row in cut_rows(split_lines(io.BytesIO(data)), COMMA)]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"", []),
        (b"a,b\n1,2\n", [[b"a", b"b"], [b"1", b"2"]]),
        (b"a,b", [[b"a", b"b"]]),
        (b"a\r\nb\rc\nd\r\r\n", [[b"a"], [b"b\rc"], [b"d\r"]]),
        (b"a\rb\r\rc\r", [[b"a"], [b"b"], [b"c"]]),
        (b"\n\na\n\r\n\n", [[b"a"]]),
        (b",\n", [[None, None]]),
        (b'"",""\n', [[b"", b""]]),
        (b'a,"b\n""c"", d",\n', [[b"a", b'b\n"c", d', None]]),
        (b'"\r\n\r"\r\n', [[b"\r\n\r"]]),
        (b'"""",""""""', [[b'"', b'""']]),
        (b'5" x,6""\n', [[b'5" x', b'6""']]),
        (b' "a",b\n', [[b' "a"', b"b"]]),
        (b"a\x00b,\x00\n", [[b"a\x00b", b"\x00"]]),
        (b"\xff,\xe2\x80\xa8,\xc2\x85\n", [[b"\xff", b"\xe2\x80\xa8", b"\xc2\x85"]]),
        (b"  ,\t\n", [[b"  ", b"\t"]]),
    ],
)
def test_rows_are_cut(data, rows):
    assert rows_of(data) == rows


def test_quotes_may_be_characters_like_others():
    data = b'"a\t""\nb\t"c\n'
    assert rows_of(data, Dialect("\t", None)) == [[b'"a', b'""'], [b"b", b'"c']]


def test_delimiter_and_quote_may_be_others():
    data = b"a.b;'c;''d\n'\n"
    assert rows_of(data, Dialect(";", "'")) == [[b"a.b", b"c;'d\n"]]
    assert rows_of(b"a|.b|\n", Dialect("|", ".")) == [
        "the quote that opens cell 2 is not closed: all that follows, 1 lines, was read as one cell"
    ]


def test_each_row_knows_the_line_where_it_begins():
    data = b'a,b\n\n"x\ny\r\nz",1\n2,3\r\n"\r",4\n5,6\n'
    assert lines_of(data) == [1, 3, 6, 7, 8]


def test_carriage_returns_end_the_lines_of_a_file_without_newlines():
    assert lines_of(b"a\rb\r\rc\r") == [1, 2, 4]


@pytest.mark.parametrize(
    ("data", "problem", "after"),
    [
        (b'a\n"b"c,d\ne\n', "cell 1 goes on behind its closing quote", [[b"e"]]),
        (b'a\nx,"b\n"c,d\ne\n', "cell 2 goes on behind its closing quote", [[b"e"]]),
        (b'a\nb,"c\nd\ne,f\n', "the quote that opens cell 2 is not closed: .* 3 lines", []),
        (b'a\nb,"c', "the quote that opens cell 2 is not closed: .* 1 lines", []),
    ],
)
def test_bad_quotes_are_a_problem_of_their_row(data, problem, after):
    first, bad, *others = cut_rows(split_lines(io.BytesIO(data)), COMMA)
    assert first == (1, [b"a"], None)
    assert (bad.line, bad.cells) == (2, [])
    assert re.match(problem, bad.problem)
    assert [row.cells for row in others] == after


@pytest.mark.parametrize(
    "row",
    [b"%b,b\n", b"b,%b\n", b'"%b",b\n', b'b,"%b",c\n'],
    ids=["plain", "plain last", "quoted", "quoted last"],
)
def test_a_cell_over_the_limit_is_a_problem_of_its_row(row):
    dialect = Dialect(max_cell_bytes=10)
    good, bad = row % (b"x" * 10), row % (b"x" * 11)
    rows = rows_of(good + bad + good, dialect)
    assert len(rows) == 3
    assert rows[0] == rows[2]
    number = 2 if row.startswith(b"b") else 1
    assert rows[1] == (
        f"cell {number} is longer than 10 bytes (max_cell_bytes): is a quote left open?"
    )


def test_a_quoted_cell_over_the_limit_is_not_kept():
    data = b'a,"' + b"0123456789\n" * 100 + b'"\nc,d\n'
    rows = rows_of(data, Dialect(max_cell_bytes=50))
    assert rows[0].startswith("cell 2 is longer than 50 bytes")
    assert rows[1] == [b"c", b"d"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((",,",), "delimiter is one ASCII character, no line end; got ',,'"),
        (("é",), "delimiter is one ASCII character"),
        (("\n",), "delimiter is one ASCII character"),
        ((",", ""), "quote is one ASCII character, no line end; got ''"),
        ((",", ","), "delimiter and quote are both ','"),
    ],
)
def test_marks_that_cannot_be_told_apart_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Dialect(*arguments)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, b""),
        ("", b'""'),
        ("é", "é".encode()),
        (" a ", b" a "),
        ("a,b", b'"a,b"'),
        ('"', b'""""'),
        ("a\rb", b'"a\rb"'),
        ("a\u2028b", "a\u2028b".encode()),
        ("\ufeffa", '"\ufeffa"'.encode()),
        ("\0", b"\0"),
        (True, b"true"),
        (False, b"false"),
        (-3, b"-3"),
        (0.1, b"0.1"),
    ],
)
def test_values_become_cells(value, cell):
    assert render_cell(value, COMMA) == cell


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        ("\ud800", UnicodeEncodeError),
        ([], TypeError),
        (b"a", TypeError),
    ],
)
def test_other_values_have_no_cell(value, error):
    with pytest.raises(error):
        render_cell(value, COMMA)


@pytest.mark.parametrize("dialect", [COMMA, Dialect("\t"), Dialect(";", "'")])
def test_any_text_comes_back_from_its_row(dialect):
    @settings(max_examples=80)
    @given(st.lists(st.lists(st.none() | TEXTS, min_size=2, max_size=4), max_size=4))
    def check(rows):
        delimiter = dialect.delimiter.encode()
        lines = [delimiter.join(render_cell(cell, dialect) for cell in row) for row in rows]
        data = b"".join(line + b"\n" for line in lines)
        expected = [[None if cell is None else cell.encode() for cell in row] for row in rows]
        assert rows_of(data, dialect) == expected

    check()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_python_writes_is_read(line_end):
    cells = TEXTS.filter(lambda text: not text.endswith("\r"))  # Python does not quote a lone \r

    @settings(max_examples=60)
    @given(st.lists(st.lists(cells, min_size=2), min_size=1))
    def check(rows):
        file = io.StringIO(newline="")
        csv.writer(file, lineterminator=line_end).writerows(rows)
        found = rows_of(file.getvalue().encode())
        assert [[(cell or b"").decode() for cell in row] for row in found] == rows

    check()


@settings(max_examples=300)
@given(st.text(alphabet='ab",\r\n').map(str.encode), st.integers(1, 4))
def test_any_bytes_are_cut_without_an_error_wherever_blocks_end(data, block_bytes):
    expected = list(cut_rows(io.BytesIO(b"\n" + data), COMMA))
    before = raw.BLOCK_BYTES
    raw.BLOCK_BYTES = block_bytes
    try:
        assert list(cut_rows(split_lines(io.BytesIO(b"\n" + data)), COMMA)) == expected
    finally:
        raw.BLOCK_BYTES = before


@pytest.mark.parametrize(
    "cell", [b"\n" * 10, b'""' * 10, b"x" * 20, b'""\n' * 6, b",\r" * 10], ids=repr
)
def test_time_grows_with_the_length_of_a_cell_only(cell):
    def seconds(times: int) -> float:
        data = b'\na,"' + cell * times + b'",b\n'
        start = time.process_time()
        assert len(rows_of(data, Dialect(max_cell_bytes=1 << 30))[0]) == 3
        return time.process_time() - start

    seconds(100)
    assert seconds(20_000) < 150 * max(seconds(1000), 0.001)
