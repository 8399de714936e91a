"""The fast way through annotation files finds what the exact way, line by line, finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standoff_support import documents

from edspipe.data.standoff import parse
from edspipe.data.standoff.format import Row, parse_line, split_lines, split_rows
from edspipe.data.standoff.parse import parse_annotations
from edspipe.errors import DataError

TEXT = "some text, and\nmore of it"
PIECES = [
    *("T1\tX 0 4\tsome", "T2\tX 5 9\ttext", "T3\tX 11 19\tand more", "T4\tX 0 4;5 9\tsome text"),
    *("T1\tX 0 4\tsome", "T1\tX 0 4\ttext", "T5\tX 4 0\tsome", "T6\tX 21 99\tof it", "T7\tX 3 3\t"),
    *("T8\tX -1 3\tsom", "T9\tX 0  4\tsome", "T10\tX 00 04\tsome", "T11\tX 0 4\tsome\r", "T12"),
    *("A1\tNeg T1", "A2\tNeg T5", "#1\tNote A2\tn", "E1\tX:T1 Of:T9", "R1\tX A:T1 B:T6", "* x"),
    *("", " ", "\ufeff", "\u2028", "T13\tX\n0 4\tsome", "<<<<<<<", "hello", "T14\tX 0 4\t"),
]
FILES = st.lists(st.sampled_from(PIECES), max_size=9).map("\n".join)
ENDS = st.sampled_from(["", "\n", "\n\n"])


def one_by_one(text: str) -> list[Row]:
    """Cut a file into lines alone."""
    return [("", "", "", "", "", line.removesuffix("\n")) for line in split_lines(text)]


def read(text: str, *files: bytes) -> tuple[Any, list[Any]]:
    """Read files as those of one document; return what was found, and what was wrong."""
    problems: list[DataError] = []
    contents = {f"d.a{number}": data for number, data in enumerate(files)}
    found = parse_annotations(contents, text, on_problem=problems.append)
    sources = [found.source(file) for file in contents]
    return (found, sources), [
        (error.message, error.file, error.line, error.id) for error in problems
    ]


def assert_same_both_ways(text: str, *files: bytes) -> None:
    fast = read(text, *files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "split_rows", one_by_one)
        assert fast == read(text, *files)


@given(documents())
def test_a_good_file_reads_alike_both_ways(document: tuple[str, str]) -> None:
    text, annotations = document
    assert_same_both_ways(text, annotations.encode())


@given(FILES, FILES, ENDS)
def test_bad_lines_are_bad_both_ways(first: str, second: str, end: str) -> None:
    assert_same_both_ways(TEXT, (first + end).encode(), (second + end).encode())


@given(FILES, st.integers(0, 200))
def test_lines_that_are_no_text_are_left_out_both_ways(annotations: str, place: int) -> None:
    data = annotations.encode()
    assert_same_both_ways(TEXT, data[:place] + b"\xff" + data[place:])


@given(FILES | st.text(st.sampled_from("T1\t 0\n\rX"), max_size=40), ENDS)
def test_rows_are_the_lines_of_a_file(annotations: str, end: str) -> None:
    rows = split_rows(annotations + end)
    lines = [line.removesuffix("\n") for line in split_lines(annotations + end)]
    assert len(rows) == len(lines)
    for (id_, label, begin, stop, mention, other), line in zip(rows, lines, strict=True):
        if id_:
            entity = (id_, label, ((int(begin), int(stop)),), mention)
            assert parse_line(line) == entity
        else:
            assert other == line
