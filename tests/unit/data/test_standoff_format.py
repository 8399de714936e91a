from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standoff_support import documents

from edspipe.data.standoff.format import (
    Attribute,
    Entity,
    Equivalence,
    Event,
    Normalization,
    Note,
    Relation,
    format_item,
    mention_of,
    parse_line,
    split_lines,
    targets,
)
from edspipe.data.standoff.parse import parse_annotations
from edspipe.data.standoff.record import build_record
from edspipe.data.standoff.render import render
from edspipe.errors import DataError

NUMBERS = ["-1", "Arg1:T1", "9" * 14]
ITEMS = [
    ("T1\tDISO 0 5\tfever", Entity("T1", "DISO", ((0, 5),), "fever")),
    ("T2\tDISO 0 5;7 9\ta\tb", Entity("T2", "DISO", ((0, 5), (7, 9)), "a\tb")),
    ("T3\tX 0 1\t\u2028", Entity("T3", "X", ((0, 1),), "\u2028")),
    ("A1\tNegation T1", Attribute("A1", "Negation", "T1", None)),
    ("A2\tSide E1 upper left", Attribute("A2", "Side", "E1", "upper left")),
    ("M1\tNegation E1", Attribute("M1", "Negation", "E1", None)),
    ("N1\tReference T1 MeSH:D1", Normalization("N1", "Reference", "T1", "MeSH", "D1", "")),
    ("N2\tReference T1 U:a:b\tN m", Normalization("N2", "Reference", "T1", "U", "a:b", "N m")),
    ("#1\tAnnotatorNotes A1\ta\tb\r", Note("#1", "AnnotatorNotes", "A1", "a\tb\r")),
    ("R1\tOf Arg1:T1 Arg2:T2", Relation("R1", "Of", (("Arg1", "T1"), ("Arg2", "T2")))),
    ("E1\tDose:T1", Event("E1", "Dose", "T1", ())),
    ("E2\tDose:T1 Drug:T2 By:E1", Event("E2", "Dose", "T1", (("Drug", "T2"), ("By", "E1")))),
    ("*\tEquiv T1 T2 T3", Equivalence("*", "Equiv", ("T1", "T2", "T3"))),
]


@pytest.mark.parametrize(("line", "item"), ITEMS)
def test_a_line_becomes_an_item(line, item):
    assert parse_line(line) == item


@pytest.mark.parametrize(("line", "item"), ITEMS)
def test_an_item_is_written_as_its_line(line, item):
    assert format_item(item) == line


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        ("T1\tX 0 1\tx", ()),
        ("A1\tX T1", ("T1",)),
        ("#1\tX R1\t", ("R1",)),
        ("R1\tOf Arg1:T1 Arg2:T2", ("T1", "T2")),
        ("E2\tDose:T1 Drug:T2", ("T1", "T2")),
        ("*\tEquiv T1 T2 T3", ("T1", "T2", "T3")),
    ],
)
def test_an_item_knows_what_it_points_at(line, ids):
    assert targets(parse_line(line)) == ids


@pytest.mark.parametrize(
    "line", ["R1\tOf Arg1:T1 Arg2:T2\t", "E1\tDose:T1 Drug:T2 ", "*\tEquiv T1 T2 ", "A1\tNeg T1 "]
)
def test_blanks_that_other_tools_leave_at_the_end_are_accepted(line):
    assert parse_line(line) is not None


@pytest.mark.parametrize("line", ["", " ", "hello", " T1\tX 0 1\tx", "X1\tX T1", "t1\tX 0 1\tx"])
def test_a_line_of_another_kind_is_no_item(line):
    assert parse_line(line) is None


@pytest.mark.parametrize("kind", "TAMNRE*#")
def test_a_malformed_line_says_what_was_expected(kind):
    said = f"malformed {kind} line of 5 characters: expected {kind}"
    with pytest.raises(DataError, match=re.escape(said)):
        parse_line(f"{kind}1 xy")


def test_an_id_is_named_only_if_it_can_be_nothing_else():
    with pytest.raises(DataError) as sure:
        parse_line("T12 x")
    with pytest.raises(DataError) as unsure:
        parse_line("T1-hypersignal x")
    assert (sure.value.id, unsure.value.id) == ("T12", None)


def test_lines_end_at_newlines_alone():
    assert split_lines("a\r\nb\u2028c\x0bd\u0085e\rf") == ["a\r\n", "b\u2028c\x0bd\u0085e\rf"]


def test_a_mention_has_blanks_for_newlines_and_between_fragments():
    assert mention_of("a\nb\r\nc", ((0, 3), (4, 6))) == "a b  c"


def test_an_attribute_may_come_before_its_entity():
    found = parse_annotations({"d.ann": b"A1\tNeg T1\nT1\tX 0 1\tx\n"}, "x")
    assert [item.id for item in found.items()] == ["A1", "T1"]


def test_ids_are_shared_between_the_files_of_a_document():
    files = {"d.a1": b"T1\tX 0 1\tx\n", "d.a2": b"E1\tDose:T1\n"}
    assert [item.id for item in parse_annotations(files, "x").items()] == ["T1", "E1"]


def test_what_points_at_a_bad_line_is_left_out_with_it():
    problems = []
    data = b"T1\tX 0 9\tx\nA1\tNeg T1\n#1\tAnnotatorNotes A1\tn\nT2\tX 0 1\tx\n"
    found = parse_annotations({"d.ann": data}, "x", on_problem=problems.append)
    assert [item.id for item in found.items()] == ["T2"]
    assert (len(problems), found.skipped, found.orphans) == (1, 1, 2)


def test_the_first_line_with_an_id_stays_good():
    data = b"T1\tX 0 1\tx\nT1\tY 0 1\tx\nA1\tNeg T1\n"
    found = parse_annotations({"d.ann": data}, "x", on_problem=lambda problem: None)
    assert [getattr(item, "label", "") for item in found.items()] == ["X", ""]


def read(text: str, annotations: str) -> dict:
    found = parse_annotations({"d.ann": annotations.encode()}, text)
    return build_record("d", text, found, {"d.ann": ".ann"})


def assert_conserved(text: str, annotations: str) -> None:
    record = read(text, annotations)
    files, counts = render(record)
    assert files == {".ann": annotations}
    assert counts.changed == counts.removed == counts.added == 0
    for entity in record["entities"]:
        spans = tuple((begin, end) for begin, end in entity["fragments"])
        assert f"\t{mention_of(text, spans)}" in annotations


@given(documents())
def test_reading_and_writing_gives_the_same_bytes(document):
    assert_conserved(*document)


@pytest.mark.slow
@settings(max_examples=2000)
@given(documents())
def test_reading_and_writing_gives_the_same_bytes_at_length(document):
    assert_conserved(*document)


@given(documents())
def test_a_record_without_its_source_reads_back_equal(document):
    record = read(*document)
    record.pop("source")
    record = self_contained(record)
    files, _ = render(record)
    again = read(record["text"], files[".ann"])
    again.pop("source")
    assert again == record


def self_contained(record: dict) -> dict:
    """Leave out links to what only the source holds (attributes and notes as arguments)."""
    known = {one["id"] for kind in ("entities", "relations", "events") for one in record[kind]}
    while True:
        size = len(known)
        for kind in ("relations", "events"):
            record[kind] = [
                one for one in record[kind] if {to for _, to in one["arguments"]} <= known
            ]
        known = {one["id"] for kind in ("entities", "relations", "events") for one in record[kind]}
        if len(known) == size:
            return record


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8")))
def test_any_bytes_end_in_data_errors_alone(data):
    problems = []
    parse_annotations({"d.ann": data}, "some text", on_problem=problems.append)
    for problem in problems:
        assert problem.file == "d.ann"
        assert problem.line >= 1


@given(
    st.lists(
        st.sampled_from(
            [*("T1", "A1", "N1", "R1", "E1", "#1", "*", ":", ";", "0", "3", "9", "X"), *NUMBERS]
        )
        | st.sampled_from([" ", "\t", "\n"]),
        max_size=20,
    )
)
def test_near_misses_end_in_data_errors_alone(parts):
    data = "".join(parts).encode()
    found = parse_annotations({"d.ann": data}, "some text", on_problem=lambda problem: None)
    again = parse_annotations({"d.ann": found.source("d.ann").encode()}, "some text")
    assert again.source("d.ann") == found.source("d.ann")


def test_a_very_long_number_is_no_offset():
    with pytest.raises(DataError, match="malformed T line"):
        parse_line(f"T1\tX 0 {'9' * 5000}\tx")
