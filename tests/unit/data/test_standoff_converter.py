from __future__ import annotations

import pickle
import uuid
from dataclasses import dataclass

import pytest
import spacy
from hypothesis import given, settings
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab
from standoff_support import documents

from edspipe.data.standoff.docs import doc_to_record, record_to_doc
from edspipe.data.standoff.names import brat_name, is_free_name, python_name
from edspipe.data.standoff.parse import parse_annotations
from edspipe.data.standoff.record import build_record
from edspipe.data.standoff.render import render
from edspipe.data.standoff.report import ReadReport, WriteReport
from edspipe.doc.attributes import declare_span_attribute, keep_span_attribute
from edspipe.doc.tokenizer import EdsTokenizer
from edspipe.errors import ConfigError, DataError

TOKENIZER = EdsTokenizer(Vocab())
TEXT = "Fever, no cough; diabetes ZZCANARY"
LINES = [
    "T1\tDISO 0 5\tFever\n",
    "T2\tDISO 10 15\tcough\n",
    "A1\tNegation T2\n",
    "A2\tSide T2 left\n",
    "N1\tReference T2 MeSH:D1\tCough\n",
    "N2\tReference T2 UMLS:C1\n",
    "#1\tAnnotatorNotes T2\tsure\n",
    "T3\tDISO 0 5;17 20\tFever dia\n",
    "R1\tWith Arg1:T1 Arg2:T2\n",
    "*\tEquiv T1 T3\n",
    "#2\tAnnotatorNotes R1\tx\n",
    "odd line\n",
]


def read(text: str = TEXT, annotations: str = "".join(LINES)) -> dict:
    found = parse_annotations({"d.ann": annotations.encode()}, text)
    return build_record("d", text, found, {"d.ann": ".ann"})


def to_doc(record: dict | None = None, setter="gold", **options) -> Doc:
    return record_to_doc(read() if record is None else record, TOKENIZER, setter, **options)


def lines_of(doc: Doc, getter="gold", **options) -> list[str]:
    files, _ = render(doc_to_record(doc, getter, **options))
    return files[".ann"].splitlines(keepends=True)


def by_id(doc: Doc, group: str = "gold") -> dict[str, Span]:
    return {span.id_: span for span in doc.spans[group]}


@pytest.fixture
def name():
    """A new name of a span attribute, taken away from spaCy afterwards."""
    name = f"x{uuid.uuid4().hex}"
    yield name
    if Span.has_extension(name):
        Span.remove_extension(name)


# Reading


def test_an_entity_becomes_a_span_with_id_and_label():
    span = by_id(to_doc())["T2"]
    assert (span.text, span.label_, span.id_, span.kb_id_) == ("cough", "DISO", "T2", "D1")


def test_attributes_notes_and_normalisations_are_on_the_span():
    span = by_id(to_doc())["T2"]
    assert (span._.Negation, span._.Side) == (True, "left")
    assert span._.normalizations == [["MeSH", "D1", "Cough"], ["UMLS", "C1", ""]]
    assert span._.notes == [["AnnotatorNotes", "sure"]]
    assert span._.fragments == [[10, 15]]


def test_a_span_without_attributes_has_none():
    span = by_id(to_doc())["T1"]
    assert (span._.Negation, span._.normalizations, span._.notes) == (None, (), ())


def test_a_discontinuous_entity_is_one_span_with_its_fragments():
    span = by_id(to_doc())["T3"]
    assert span.text == "Fever, no cough; diabetes"
    assert span._.fragments == [[0, 5], [17, 20]]


def test_the_document_has_its_id_and_its_source():
    doc = to_doc()
    assert doc._.note_id == "d"
    assert doc._.standoff["source"] == {".ann": "".join(LINES)}
    assert doc._.standoff["relations"] == read()["relations"]


def test_bool_attributes_are_false_where_no_line_says_so():
    doc = to_doc(bool_attributes=["Negation"])
    assert [span._.Negation for span in by_id(doc).values()] == [False, True, False]
    assert lines_of(doc) == LINES


def test_the_words_true_and_false_become_flags():
    doc = to_doc(read("x", "T1\tX 0 1\tx\nA1\tNegation T1 False\nA2\tSure T1 true\n"))
    span = by_id(doc)["T1"]
    assert (span._.Negation, span._.Sure) == (False, True)
    assert lines_of(doc)[1:] == ["A1\tNegation T1 False\n", "A2\tSure T1 true\n"]


def test_an_attribute_named_twice_is_a_list():
    doc = to_doc(read("x", "T1\tX 0 1\tx\nA1\tSide T1 a\nA2\tSide T1 b\n"))
    assert by_id(doc)["T1"]._.Side == ["a", "b"]


def test_only_the_chosen_attributes_are_read_and_all_are_written():
    doc = to_doc(span_attributes=["Side"])
    span = by_id(doc)["T2"]
    assert (span._.Side, span._.Negation) == ("left", None)
    assert lines_of(doc) == LINES


def test_attributes_may_be_renamed(name):
    doc = to_doc(span_attributes={"Side": name})
    assert getattr(by_id(doc)["T2"]._, name) == "left"
    setattr(by_id(doc)["T2"]._, name, "right")
    assert lines_of(doc) == [line.replace("left", "right") for line in LINES]


@pytest.mark.parametrize("given", [{"Side": "get"}, {"Side": "a b"}, {"A": "s", "B": "s"}])
def test_a_name_that_no_span_attribute_can_have_is_refused(given):
    with pytest.raises(ConfigError, match="cannot be the name of a span attribute, or is there"):
        to_doc(span_attributes=given)


def test_one_name_is_no_list_of_names():
    with pytest.raises(ConfigError, match="got the text 'Side'; write \\['Side'\\]"):
        to_doc(span_attributes="Side")


def test_a_record_is_not_tied_to_its_doc():
    record = read()
    doc = to_doc(record)
    by_id(doc)["T2"]._.normalizations.append(["X", "1", ""])
    doc._.standoff["relations"].clear()
    assert record == read()


# Words and places


def test_offsets_inside_a_word_are_widened_counted_and_written_back():
    report = ReadReport()
    annotations = "T1\tX 19 22\tabe\n"
    doc = to_doc(read(annotations=annotations), report=report)
    assert by_id(doc)["T1"].text == "diabetes"
    assert (report.snapped, doc._.standoff["snapped"]) == (1, ["T1"])
    assert lines_of(doc) == [annotations]


def test_a_span_that_was_moved_has_new_offsets():
    doc = to_doc(read(annotations="T1\tX 19 22\tabe\n"))
    doc.spans["gold"] = [Span(doc, 0, 1, label="X", span_id="T1")]
    assert lines_of(doc) == ["T1\tX 0 5\tFever\n"]


def test_an_entity_on_blanks_alone_is_kept_without_a_span():
    report = ReadReport()
    doc = to_doc(read("a b", "T1\tX 1 2\t \nT2\tX 0 2\ta \n"), report=report)
    assert [*by_id(doc)] == ["T2"]
    assert report.unplaced == 1
    assert lines_of(doc) == ["T1\tX 1 2\t \n", "T2\tX 0 2\ta \n"]


def test_entities_that_overlap_stay_in_the_file_though_not_in_ents():
    report = ReadReport()
    doc = to_doc(setter="ents", report=report)
    assert [span.id_ for span in doc.ents] == ["T3"]
    assert report.unplaced == 2
    assert lines_of(doc, "ents") == LINES


def test_labels_that_the_setter_leaves_out_stay_in_the_file():
    annotations = "T1\tX 0 1\tF\nT2\tY 0 1\tF\n"
    doc = to_doc(read(annotations=annotations), {"gold": ["Y"]})
    assert [*by_id(doc)] == ["T2"]
    assert "".join(lines_of(doc)) == annotations


def test_a_setter_may_be_a_function():
    doc = to_doc(setter=lambda doc, spans: doc.spans.__setitem__("mine", spans))
    assert lines_of(doc, "mine") == LINES


def test_a_span_in_two_groups_is_written_once():
    doc = to_doc(setter=["ents", "gold", "more"])
    assert lines_of(doc, ["ents", "gold", "more"]) == LINES


def test_a_tokenizer_that_changes_the_text_is_refused():
    blank = spacy.blank("en")
    with pytest.raises(DataError, match="document d: the tokenizer changed the text: 34 char") as e:
        record_to_doc(read(), lambda text: blank.make_doc(text.lower()))
    assert "canary" not in str(e.value).lower()


# Writing: the Doc wins


def test_an_unchanged_doc_gives_its_lines_back():
    report = WriteReport()
    assert lines_of(to_doc(), report=report) == LINES
    assert not report.unwritten


def test_a_removed_span_takes_with_it_what_points_at_it():
    doc = to_doc()
    doc.spans["gold"] = [span for span in doc.spans["gold"] if span.id_ != "T1"]
    gone = ("T1", "R1", "#2", "*")
    assert lines_of(doc) == [line for line in LINES if not line.startswith(gone)]


def test_a_new_span_gets_a_fresh_id(name):
    doc = to_doc()
    declare_span_attribute(name)
    span = Span(doc, 5, 6, label="X", kb_id="MeSH:D9")
    span._.set(name, 0)
    span._.notes = [["AnnotatorNotes", "new"]]
    doc.spans["gold"] = [*doc.spans["gold"], span]
    assert lines_of(doc) == [
        *LINES,
        f"T4\tX {span.start_char} {span.end_char}\t{span.text}\n",
        f"A3\t{name} T4 0\n",
        "N3\tReference T4 MeSH:D9\n",
        "#3\tAnnotatorNotes T4\tnew\n",
    ]


def test_a_kb_id_of_no_known_source_is_written_too():
    doc = TOKENIZER("a b")
    doc.ents = [Span(doc, 0, 1, label="X", kb_id="Q1")]
    assert lines_of(doc, "ents") == ["T1\tX 0 1\ta\n", "N1\tReference T1 KB:Q1\n"]


def test_a_changed_attribute_changes_its_line_alone():
    doc = to_doc()
    by_id(doc)["T2"]._.Side = "right"
    assert lines_of(doc) == [line.replace("left", "right") for line in LINES]


def test_an_attribute_set_to_none_loses_its_line():
    doc = to_doc()
    by_id(doc)["T2"]._.Negation = None
    assert lines_of(doc) == [line for line in LINES if not line.startswith("A1")]


def test_a_new_label_keeps_the_rest_of_the_annotation():
    doc = to_doc(read(annotations="T1\tX 19 22\tabe\nA1\tSide T1 a\n"))
    old = by_id(doc)["T1"]
    doc.spans["gold"] = [Span(doc, old.start, old.end, label="Y", span_id="T1")]
    assert lines_of(doc) == ["T1\tY 19 22\tabe\n", "A1\tSide T1 a\n"]


def test_of_two_spans_with_one_id_the_untouched_keeps_it():
    doc = to_doc(read(annotations="T1\tX 0 5\tFever\n"))
    (old,) = doc.spans["gold"]
    doc.spans["gold"] = [Span(doc, 0, 3, label="Y", span_id="T1"), old]
    doc.spans["gold"] = [*doc.spans["gold"], Span(doc, 0, 1, label="A", span_id="T1")]
    assert lines_of(doc)[0] == "T1\tX 0 5\tFever\n"
    assert [line.split("\t")[0] for line in lines_of(doc)] == ["T1", "T2", "T3"]


def test_the_id_of_another_tool_is_no_brat_id():
    doc = TOKENIZER("a b")
    doc.ents = [Span(doc, 0, 1, label="X", span_id="rule-7")]
    assert lines_of(doc, "ents") == ["T1\tX 0 1\ta\n"]


def test_relations_of_the_doc_may_be_edited():
    doc = to_doc()
    doc._.standoff["relations"] = []
    assert lines_of(doc) == [line for line in LINES if not line.startswith(("R1", "#2"))]


def test_without_its_source_a_doc_is_written_afresh():
    doc = to_doc(read(annotations="T7\tX 0 5\tFever\nR1\tOf a:T7 b:T7\nodd\n"))
    assert lines_of(doc, keep_source=False) == ["T7\tX 0 5\tFever\n"]


def test_lines_of_another_text_are_not_written():
    doc = to_doc()
    part = TOKENIZER("Fever")
    part._.standoff = doc._.standoff
    part.spans["gold"] = [Span(part, 0, 1, label="DISO", span_id="T1")]
    report = WriteReport()
    assert lines_of(part, report=report) == ["T1\tDISO 0 5\tFever\n"]
    assert report.foreign_source == 1


def test_attributes_that_brat_cannot_hold_are_counted(name):
    doc = to_doc()
    declare_span_attribute(name)
    by_id(doc)["T1"]._.set(name, [["a"]])
    report = WriteReport()
    assert lines_of(doc, report=report) == LINES
    assert report.unwritten == {name: 1}


def test_each_key_of_a_dict_is_an_attribute(name):
    doc = to_doc()
    declare_span_attribute(name)
    by_id(doc)["T1"]._.set(name, {"value": "2020-03", "mode": None, "in": {"day": 1}, "x": [[1]]})
    report = WriteReport()
    added = set(lines_of(doc, report=report)) - set(LINES)
    assert {line.split("\t")[1].strip() for line in added} == {
        f"{name}_value T1 2020-03",
        f"{name}_in_day T1 1",
    }
    assert report.unwritten == {f"{name}_x": 1}


@pytest.mark.parametrize("value", ["two\nlines", ""])
def test_attributes_that_were_asked_for_must_be_writable(name, value):
    doc = to_doc()
    declare_span_attribute(name)
    by_id(doc)["T1"]._.set(name, value)
    with pytest.raises(DataError, match=f"the value of the attribute '{name}' is a flag, a number"):
        lines_of(doc, span_attributes=[name])


def test_a_record_that_is_asked_for_is_an_attribute_for_each_of_its_fields(name):
    doc = to_doc()
    declare_span_attribute(name)
    by_id(doc)["T1"]._.set(name, {"value": "2020-03", "mode": None, "in": {"day": 1}, "x": [[1]]})
    added = set(lines_of(doc, span_attributes={name: "When"})) - set(LINES)
    assert {line.split("\t")[1].strip() for line in added} == {
        "When_value T1 2020-03",
        "When_in_day T1 1",
        "When_x T1 [[1]]",
    }


@pytest.mark.parametrize(("field", "line"), [("value", "2020-03"), ("in_day", "1")])
def test_a_field_of_a_record_may_be_asked_for_by_itself(name, field, line):
    doc = to_doc()
    declare_span_attribute(name)
    by_id(doc)["T1"]._.set(name, {"value": "2020-03", "in": {"day": 1}})
    added = set(lines_of(doc, span_attributes=[f"{name}_{field}"])) - set(LINES)
    assert [added_line.split("\t")[1] for added_line in added] == [f"{name}_{field} T1 {line}\n"]


@dataclass
class When:
    value: str
    mode: str | None = None
    more: dict[str, int] | None = None


def with_when(name: str) -> Doc:
    doc = TOKENIZER("a b")
    kept: dict[str, object] = {"value": "2020", "more": {"day": 1}}
    doc.ents = [Span(doc, 0, 1, label="X"), Span(doc, 1, 2, label="Y")]
    Span.set_extension(name, getter=lambda span: When(**kept) if span.label_ == "X" else None)
    keep_span_attribute(doc.ents[0], name, kept)
    return doc


@pytest.mark.parametrize(
    ("field", "lines"),
    [("value", ["2020"]), ("mode", []), ("more_day", ["1"]), ("more_hour", [])],
)
def test_a_field_that_a_record_may_have_is_written_where_it_is_set(name, field, lines):
    found = lines_of(with_when(name), "ents", span_attributes=[f"{name}_{field}"])
    assert [line for line in found if line.startswith("A")] == [
        f"A1\t{name}_{field} T1 {line}\n" for line in lines
    ]


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("valeu", "'{0}' has the fields {0}_value, {0}_mode, {0}_more$"),
        ("value_x", "'{0}_value' has no fields$"),
    ],
)
def test_a_field_that_no_record_can_have_is_refused(name, field, why):
    with pytest.raises(ConfigError, match=why.format(name)):
        lines_of(with_when(name), "ents", span_attributes=[f"{name}_{field}"])


@pytest.mark.parametrize("value", [True, "x", 1, ["x"]])
def test_a_field_of_what_is_no_record_is_refused(name, value):
    doc = TOKENIZER("a b")
    declare_span_attribute(name)
    doc.ents = [Span(doc, 0, 1, label="X")]
    doc.ents[0]._.set(name, value)
    with pytest.raises(ConfigError, match=f"attribute '{name}_foo': '{name}' has no fields"):
        lines_of(doc, "ents", span_attributes=[f"{name}_foo"])


def test_a_span_that_is_asked_for_is_one_line(name):
    doc = TOKENIZER("No\nsigns of flu")
    Span.set_extension(name, getter=lambda span: span.doc[0:3])
    doc.ents = [Span(doc, 4, 5, label="X")]
    assert lines_of(doc, "ents", span_attributes=[name])[1:] == [f"A1\t{name} T1 No signs\n"]


def test_written_attributes_may_be_chosen_and_renamed(name):
    doc = TOKENIZER("a b")
    declare_span_attribute(name)
    declare_span_attribute(f"{name}_2")
    doc.ents = [Span(doc, 0, 1, label="X")]
    doc.ents[0]._.set(name, True)
    doc.ents[0]._.set(f"{name}_2", True)
    assert lines_of(doc, "ents", span_attributes={name: "Odd"})[1:] == ["A1\tOdd T1\n"]
    Span.remove_extension(f"{name}_2")


def test_an_unknown_attribute_is_refused():
    with pytest.raises(ConfigError, match="no span has an attribute 'nowhere'"):
        lines_of(to_doc(), span_attributes=["nowhere"])


def test_numpy_values_are_plain_values(name):
    import numpy as np

    doc = TOKENIZER("a b")
    declare_span_attribute(name)
    doc.ents = [Span(doc, 0, 1, label="X")]
    doc.ents[0]._.set(name, np.bool_(True))
    assert lines_of(doc, "ents")[1:] == [f"A1\t{name} T1\n"]


def test_attributes_that_somebody_else_declared_are_used(name):
    Span.set_extension(name, default=None)
    doc = to_doc(read("x", f"T1\tX 0 1\tx\nA1\t{name} T1 a\n"))
    span = by_id(doc)["T1"]
    assert span._.get(name) == "a"
    span._.set(name, "b")
    assert lines_of(doc)[1:] == [f"A1\t{name} T1 b\n"]


def test_a_name_that_is_taken_is_read_under_another(name):
    Span.set_extension(name, getter=lambda span: 1)
    doc = to_doc(read("x", f"T1\tX 0 1\tx\nA1\t{name} T1 a\n"))
    assert by_id(doc)["T1"]._.get(f"brat_{name}") == "a"
    assert lines_of(doc)[1:] == [f"A1\t{name} T1 a\n"]
    Span.remove_extension(f"brat_{name}")


# Names


@pytest.mark.parametrize(
    "name", ["Doc-Time", "get", "set", "has", "notes", "_x", "brat_x", "µ", "1"]
)
def test_a_name_that_a_span_cannot_have_is_encoded_and_decoded(name):
    encoded = python_name(name)
    assert encoded != name
    assert is_free_name(encoded)
    assert brat_name(encoded) == name


@pytest.mark.parametrize("name", ["Polarity", "class", "Négation", "x_1"])
def test_a_plain_name_stays(name):
    assert python_name(name) == brat_name(name) == name


# Round trips


def assert_conserved(text: str, annotations: str) -> None:
    record = read(text, annotations)
    doc = pickle.loads(pickle.dumps(Doc(TOKENIZER.vocab).from_bytes(to_doc(record).to_bytes())))  # noqa: S301
    back = doc_to_record(doc, "gold")
    assert back.pop("bool_attributes") == []
    for entity in [*record["entities"], *back["entities"]]:
        for name, value in entity["attributes"].items():
            entity["attributes"][name] = str(value)
    assert back == record


@given(documents())
def test_record_to_doc_to_record_is_the_identity(document):
    assert_conserved(*document)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(documents())
def test_record_to_doc_to_record_is_the_identity_at_length(document):
    assert_conserved(*document)


@given(documents())
def test_a_doc_in_ents_alone_gives_every_line_back(document):
    doc = to_doc(read(*document), "ents")
    assert render(doc_to_record(doc, "ents"))[0] == {".ann": document[1]}
