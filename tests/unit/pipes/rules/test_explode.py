"""eds.explode: a document for each span, with all but the other spans."""

from __future__ import annotations

import pytest
from spacy.tokens import Doc, Span

import edspipe
import edspipe.pipes as eds
from edspipe.doc.attributes import SPAN_TABLE, declare_doc_attribute, declare_span_attribute
from edspipe.stream.stream import Stream

declare_span_attribute("negation")
declare_doc_attribute("ward")
NLP = edspipe.blank("eds")


def annotated() -> Doc:
    doc = NLP.make_doc("No fever. Cough since May.")
    doc._.note_id, doc._.ward = "n1", "B"
    for token in doc:
        token.is_sent_start = token.i in (0, 3)
    fever = Span(doc, 1, 2, label="symptom", kb_id="C1", span_id="T1")
    cough = Span(doc, 3, 4, label="symptom", span_id="T2")
    doc.ents = [fever, cough]
    doc.spans["symptoms"] = [fever, cough]
    doc.spans["dates"] = [Span(doc, 5, 6, label="date")]
    doc.spans["none"] = []
    fever._.negation, cough._.negation = True, False
    return doc


def explode(doc: Doc, **options) -> list[Doc]:
    return list(eds.explode(**options).build()(doc))


def test_each_span_gets_a_document_with_the_whole_text():
    parts = explode(annotated())
    assert [part.text for part in parts] == ["No fever. Cough since May."] * 2
    assert [[ent.text for ent in part.ents] for part in parts] == [["fever"], ["Cough"]]


def test_a_span_keeps_its_label_ids_and_attributes():
    (fever,), (cough,) = (part.ents for part in explode(annotated()))
    assert (fever.label_, fever.kb_id_, fever.id_, fever._.negation) == (
        "symptom",
        "C1",
        "T1",
        True,
    )
    assert (cough.id_, cough._.negation) == ("T2", False)


def test_the_other_spans_that_were_asked_for_leave_all_their_groups():
    parts = explode(annotated())
    assert [[s.text for s in part.spans["symptoms"]] for part in parts] == [["fever"], ["Cough"]]


def test_attributes_of_spans_that_left_are_gone():
    first = explode(annotated())[0]
    assert list(first.user_data[SPAN_TABLE]) == ["3:8:symptom:T1"]


def test_what_was_not_asked_for_stays():
    for part in explode(annotated()):
        assert [span.text for span in part.spans["dates"]] == ["May"]
        assert list(part.spans["none"]) == []
        assert [sent.text for sent in part.sents] == ["No fever.", "Cough since May."]
        assert part._.ward == "B"


def test_ids_are_those_of_parts():
    parts = explode(annotated())
    assert [part._.note_id for part in parts] == ["n1-0", "n1-1"]
    assert [part._.parent_id for part in parts] == ["n1", "n1"]


def test_a_document_without_id_gives_parts_without():
    doc = annotated()
    doc._.note_id = None
    assert [part._.note_id for part in explode(doc)] == [None, None]


def test_the_document_stays_as_it_was():
    doc = annotated()
    explode(doc)
    assert [(ent.text, ent._.negation) for ent in doc.ents] == [("fever", True), ("Cough", False)]
    assert doc._.note_id == "n1"


@pytest.mark.parametrize(
    ("getter", "expected"),
    [
        ("dates", [["fever", "Cough", "May"]]),
        (["ents", "dates"], [["fever"], ["Cough"], ["May"]]),
        ({"ents": "symptom"}, [["fever", "May"], ["Cough", "May"]]),
        ({"ents": "drug"}, []),
        ("none", []),
        ("missing", []),
    ],
)
def test_a_getter_says_which_spans(getter, expected):
    parts = explode(annotated(), span_getter=getter)
    assert [[s.text for s in [*part.ents, *part.spans["dates"]]] for part in parts] == expected


def test_a_span_of_a_function_that_is_in_no_group_gets_one():
    parts = explode(annotated(), span_getter=lambda doc: doc.sents)
    assert [[s.text for s in part.spans["exploded"]] for part in parts] == [
        ["No fever."],
        ["Cough since May."],
    ]
    assert all(len(part.ents) == 2 for part in parts)


def test_two_spans_on_the_same_words_are_two_documents():
    doc = NLP.make_doc("fever")
    doc.spans["x"] = [Span(doc, 0, 1, label="A"), Span(doc, 0, 1, label="B")]
    assert [[s.label_ for s in part.spans["x"]] for part in explode(doc, span_getter="x")] == [
        ["A"],
        ["B"],
    ]


def test_a_function_says_which_documents_are_kept():
    parts = explode(annotated(), filter_expr=lambda doc: not doc.ents[0]._.negation)
    assert [part._.note_id for part in parts] == ["n1-1"]


def test_a_stream_goes_on_with_the_parts():
    stream = Stream.from_items([annotated()]).map(eds.explode(span_getter="ents"))
    assert [doc._.note_id for doc in stream] == ["n1-0", "n1-1"]
