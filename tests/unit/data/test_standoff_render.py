from __future__ import annotations

import copy

import pytest

from edspipe.data.standoff.parse import parse_annotations
from edspipe.data.standoff.record import build_record
from edspipe.data.standoff.render import render
from edspipe.errors import DataError

TEXT = "fever and cough\nno rash ZZCANARY"
LINES = [
    "T1\tDISO 0 5\tfever\n",
    "A1\tNegation T1\n",
    "T2\tDISO 10 15\tcough\n",
    "A2\tSide T2 left\n",
    "A3\tSide T2 right\n",
    "N1\tReference T2 MeSH:D1\tCough\n",
    "#1\tAnnotatorNotes T2\tsure\n",
    "R1\tWith Arg1:T1 Arg2:T2\n",
    "E1\tSign:T1 Theme:T2\n",
    "A4\tNegation E1\n",
    "#2\tAnnotatorNotes A4\twhy\n",
    "*\tEquiv T1 T2\n",
    "// a line of no kind\n",
]


@pytest.fixture
def record() -> dict:
    found = parse_annotations({"d.ann": "".join(LINES).encode()}, TEXT)
    return build_record("d", TEXT, found, {"d.ann": ".ann"})


def lines_of(record: dict) -> list[str]:
    before = copy.deepcopy(record)
    files, _ = render(record)
    assert record == before
    return files[".ann"].splitlines(keepends=True)


def without(*starts: str) -> list[str]:
    return [line for line in LINES if not line.startswith(starts)]


def test_an_unchanged_record_gives_its_source_back(record):
    assert lines_of(record) == LINES


def test_a_removed_entity_takes_with_it_what_points_at_it(record):
    del record["entities"][0]
    assert lines_of(record) == without("T1", "A1", "R1", "E1", "A4", "#2", "*")


def test_an_event_loses_just_the_argument_that_was_removed(record):
    del record["entities"][1]
    expected = without("T2", "A2", "A3", "N1", "#1", "R1", "*")
    expected[expected.index("E1\tSign:T1 Theme:T2\n")] = "E1\tSign:T1\n"
    assert lines_of(record) == expected


def test_an_equivalence_shrinks_while_two_members_are_left(record):
    record["source"][".ann"] = (
        "T1\tDISO 0 5\tfever\nT2\tDISO 10 15\tcough\nT3\tX 6 9\tand\n*\tEquiv T1 T2 T3\n"
    )
    record["relations"] = record["events"] = None
    record["entities"][0].update(attributes={})
    record["entities"][1].update(attributes={}, normalizations=[], notes=[])
    assert lines_of(record)[-1] == "*\tEquiv T1 T2\n"


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        ({"label": "SIGN"}, "T2\t", "T2\tSIGN 10 15\tcough\n"),
        ({"fragments": [[10, 12], [13, 18]]}, "T2\t", "T2\tDISO 10 12;13 18\tco gh no\n"),
        ({"normalizations": [["U", "7", ""]]}, "N1", "N1\tReference T2 U:7\n"),
        ({"notes": [["Own", "x"]]}, "#1", "#1\tOwn T2\tx\n"),
        ({"attributes": {"Side": ["left", "both"]}}, "A3", "A3\tSide T2 both\n"),
        ({"attributes": {"Side": [0, "right"]}}, "A2", "A2\tSide T2 0\n"),
    ],
)
def test_a_change_changes_its_line_alone(record, change, old, new):
    record["entities"][1].update(change)
    assert lines_of(record) == [new if line.startswith(old) else line for line in LINES]


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"attributes": {"Side": "right"}}, ["A2"]),
        ({"attributes": {"Side": "left"}}, ["A3"]),
        ({"attributes": {"Side": None}}, ["A2", "A3"]),
        ({"attributes": {}}, ["A2", "A3"]),
        ({"normalizations": []}, ["N1"]),
        ({"notes": []}, ["#1"]),
    ],
)
def test_what_is_taken_away_takes_its_line(record, change, gone):
    record["entities"][1].update(change)
    assert lines_of(record) == without(*gone)


def test_an_attribute_that_is_gone_takes_its_note(record):
    record["source"][".ann"] += "#3\tAnnotatorNotes A1\tx\n"
    record["entities"][0]["attributes"] = {}
    assert lines_of(record) == without("A1")


def test_false_removes_the_line_of_a_binary_attribute(record):
    record["entities"][0]["attributes"] = {"Negation": False}
    assert lines_of(record) == without("A1")


def test_false_of_another_attribute_is_written(record):
    record["entities"][0]["attributes"]["Sure"] = False
    assert lines_of(record) == [*LINES, "A5\tSure T1 False\n"]


def test_false_of_a_declared_binary_attribute_is_no_line(record):
    record["entities"][0]["attributes"]["Sure"] = False
    assert lines_of(record | {"bool_attributes": ["Sure"]}) == LINES


@pytest.mark.parametrize(("said", "value"), [("True", True), ("false", False), ("0", 0)])
def test_a_value_that_says_the_same_keeps_its_line(record, said, value):
    record["source"][".ann"] += f"A9\tOdd T1 {said}\n"
    record["entities"][0]["attributes"]["Odd"] = value
    assert lines_of(record) == [*LINES, f"A9\tOdd T1 {said}\n"]


def test_new_entities_come_last_with_fresh_ids(record):
    new = {"label": "DISO", "fragments": [[19, 23]], "attributes": {"Negation": True, "n": 0}}
    new |= {"id": None, "normalizations": [["MeSH", "D2", "Rash"]], "notes": [["K", ""]]}
    record["entities"].insert(0, new)
    assert lines_of(record) == [
        *LINES,
        "T3\tDISO 19 23\trash\n",
        "A5\tNegation T3\n",
        "A6\tn T3 0\n",
        "N2\tReference T3 MeSH:D2\tRash\n",
        "#3\tK T3\t\n",
    ]


def test_an_id_that_was_removed_is_not_given_again(record):
    record["entities"][1] = {"id": None, "label": "X", "fragments": [[0, 1]]}
    assert "T3\tX 0 1\tf\n" in lines_of(record)


def test_relations_and_events_may_be_edited(record):
    record["relations"][0]["label"] = "Of"
    record["events"] = []
    record["relations"].append(
        {"id": None, "label": "With", "arguments": [["a", "T2"], ["b", "T1"]]}
    )
    expected = without("E1", "A4", "#2")
    expected[expected.index("R1\tWith Arg1:T1 Arg2:T2\n")] = "R1\tOf Arg1:T1 Arg2:T2\n"
    assert lines_of(record) == [*expected, "R2\tWith a:T2 b:T1\n"]


def test_an_event_may_be_added(record):
    record["events"].append({"label": "Sign", "trigger": "T2", "arguments": []})
    assert lines_of(record) == [*LINES, "E2\tSign:T2\n"]


def test_a_last_line_without_end_gets_one_before_new_lines(record):
    record["source"][".ann"] = record["source"][".ann"].rstrip("\n")
    assert lines_of(record)[-1] == LINES[-1].rstrip("\n")
    record["entities"].append({"id": "T9", "label": "X", "fragments": [[0, 1]]})
    assert lines_of(record) == [*LINES, "T9\tX 0 1\tf\n"]


def test_a_rewritten_last_line_without_end_stays_without(record):
    record["source"][".ann"] = "T1\tDISO 0 5\tfever\n"[:-1]
    record.update(entities=[{"id": "T1", "label": "X", "fragments": [[0, 5]]}])
    record["relations"] = record["events"] = []
    assert lines_of(record) == ["T1\tX 0 5\tfever"]


def test_new_lines_go_to_the_last_file(record):
    record["source"] = {".a1": record["source"][".ann"], ".a2": ""}
    record["entities"].append({"label": "X", "fragments": [[0, 1]]})
    files, counts = render(record)
    assert files == {".a1": "".join(LINES), ".a2": "T3\tX 0 1\tf\n"}
    assert (counts.kept, counts.added) == (len(LINES), 1)


def test_a_document_that_had_no_annotation_file_gets_none():
    assert render({"note_id": "d", "text": "x", "entities": [], "source": {}})[0] == {}


def test_a_new_document_gets_an_annotation_file():
    assert render({"note_id": "d", "text": "x", "entities": []})[0] == {".ann": ""}


def test_counts_say_what_became_of_the_lines(record):
    del record["entities"][1]
    record["entities"][0]["label"] = "X"
    record["entities"].append({"label": "X", "fragments": [[0, 1]]})
    _, counts = render(record)
    assert (counts.kept, counts.changed, counts.removed, counts.added) == (4, 2, 7, 1)


def entity(**said) -> dict:
    return {"id": "T1", "label": "X", "fragments": [[0, 5]], **said}


def relation(**said) -> dict:
    return {"id": "R1", "label": "Of", "arguments": [["a", "T1"], ["b", "T1"]], **said}


BAD = [
    ({"entities": [entity(fragments=[[0, 99]])]}, "offsets 0-99 are out of range"),
    ({"entities": [entity(fragments=[[3, 2]])]}, "offsets 3-2 are inverted"),
    ({"entities": [entity(fragments=[[3, 3]])]}, "offsets 3-3 cover nothing"),
    ({"entities": [entity(fragments=[[0, 3], [2, 5]])]}, "fragments overlap"),
    ({"entities": [entity(fragments=[])]}, "at least one fragment"),
    ({"entities": [entity(label="a ZZCANARY")]}, "a label is one word.*10 characters"),
    ({"entities": [entity(label=None)]}, "a label is one word.*NoneType"),
    ({"entities": [entity(id="X1")]}, "an id of this kind is 'T' and a number"),
    ({"entities": [entity(), entity()]}, "two entities .* have the same id"),
    ({"entities": [entity(attributes={"a b": True})]}, "the name of an attribute is one word"),
    ({"entities": [entity(attributes={"a": "ZZCANARY\n"})]}, "the value of the attribute 'a'"),
    ({"entities": [entity(attributes={"a": ""})]}, "the value of the attribute 'a'"),
    ({"entities": [entity(attributes={"a": {}})]}, "the value of the attribute 'a'.*dict"),
    ({"entities": [entity(normalizations=[["a:b", "c", ""]])]}, "the resource of a normalisation"),
    ({"entities": [entity(normalizations=[["a", "", ""]])]}, "the entry of a normalisation"),
    ({"entities": [entity(normalizations=[["a", "b", "\n"]])]}, "the text of a normalisation"),
    ({"entities": [entity(notes=[["a b", "c"]])]}, "the kind of a note is one word"),
    ({"entities": [entity(notes=[["a", "ZZCANARY\n"]])]}, "a note is one line of text"),
    ({"relations": [relation(id="T1")]}, "an id of this kind is 'R'"),
    ({"relations": [relation(label="")]}, "a label is one word"),
    ({"relations": [relation(arguments=[["a", "T1"]])]}, "a relation has at least two arguments"),
    ({"relations": [relation(arguments=[["a:", "T1"]] * 2)]}, "the role of an argument"),
    ({"relations": [relation(arguments=[["a", "T 1"]] * 2)]}, "the target of an argument"),
    ({"relations": [relation(arguments=[["a", "T7"]] * 2)]}, "an id that this record does not"),
    ({"relations": [relation(), relation()]}, "two links .* have the same id"),
    (
        {"relations": [relation()], "events": [relation(id="E1", trigger="R1")]},
        "the trigger of an event is the id of an entity",
    ),
    ({"source": {".ann": "T1 ZZCANARY\n"}}, "'source' holds a bad line: malformed T line"),
]


@pytest.mark.parametrize(("said", "message"), BAD)
def test_what_brat_cannot_hold_is_refused(said, message):
    record = {"note_id": "d1", "text": TEXT, "entities": [entity()], **said}
    with pytest.raises(DataError, match=message) as caught:
        render(record)
    assert "document d1" in str(caught.value)
    assert "CANARY" not in str(caught.value)
