"""eds.filter: which documents of a stream go on."""

from __future__ import annotations

import pytest
from spacy.tokens import Doc, Span

import edspipe
import edspipe.pipes as eds
from edspipe.doc.attributes import declare_doc_attribute, declare_span_attribute
from edspipe.errors import ConfigError
from edspipe.stream.stream import Stream

declare_span_attribute("negation")
declare_doc_attribute("ward")
NLP = edspipe.blank("eds")


def note(text: str, ward: str | None = None, negation: bool | None = None) -> Doc:
    """A note whose words "fever" are entities."""
    doc = NLP.make_doc(text)
    doc._.ward = ward
    doc.ents = [Span(doc, t.i, t.i + 1, label="symptom") for t in doc if t.text == "fever"]
    for ent in doc.ents:
        ent._.negation = negation
    return doc


def keeps(doc: Doc, **options) -> bool:
    return len(list(eds.filter(**options).build()(doc))) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [False, True, True]),
        ({"min_spans": 2}, [False, False, True]),
        ({"max_spans": 1}, [False, True, False]),
        ({"min_spans": 0, "max_spans": 0}, [True, False, False]),
    ],
)
def test_documents_stay_by_their_number_of_spans(options, expected):
    docs = [note("cough"), note("fever"), note("fever fever")]
    assert [keeps(doc, span_getter="ents", **options) for doc in docs] == expected


@pytest.mark.parametrize(
    ("getter", "expected"), [({"ents": "symptom"}, True), ({"ents": "drug"}, False), ("x", False)]
)
def test_a_getter_says_which_spans_count(getter, expected):
    assert keeps(note("fever"), span_getter=getter) is expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(False, [True, False, False]), (True, [False, True, False]), (None, [False, False, True])],
)
def test_spans_count_by_their_attributes(wanted, expected):
    docs = [note("fever", negation=value) for value in (False, True, None)]
    kept = [keeps(d, span_getter="ents", span_attributes={"negation": wanted}) for d in docs]
    assert kept == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"min_words": 2}, [False, True, True]),
        ({"max_words": 2}, [True, True, False]),
        ({"min_words": 2, "max_words": 2}, [False, True, False]),
    ],
)
def test_documents_stay_by_their_length_without_blanks(options, expected):
    docs = [note("a\n\n\n"), note("a  b"), note("a b c")]
    assert [keeps(doc, **options) for doc in docs] == expected


@pytest.mark.parametrize(("wanted", "expected"), [("A", True), ("B", False), (["B", "A"], True)])
def test_documents_stay_by_an_attribute(wanted, expected):
    assert keeps(note("x", ward="A"), doc_attributes={"ward": wanted}) is expected


def test_an_attribute_that_nobody_declared_is_none():
    assert keeps(note("x"), doc_attributes={"never_declared": None})
    assert not keeps(note("x"), doc_attributes={"never_declared": 1})


def test_a_function_decides():
    assert keeps(note("fever"), filter_expr=lambda doc: "fever" in doc.text)
    assert not keeps(note("fever"), filter_expr=lambda doc: None)


def test_every_condition_must_hold():
    options = {"span_getter": "ents", "max_words": 1, "doc_attributes": {"ward": "A"}}
    assert keeps(note("fever", ward="A"), **options)
    assert not keeps(note("fever", ward="B"), **options)
    assert not keeps(note("fever x", ward="A"), **options)


def test_a_stream_counts_the_others_as_filtered():
    stream = Stream.from_items([note("fever"), note("cough")]).map(eds.filter(span_getter="ents"))
    report = stream.execute()
    assert (report.read, report.filtered) == (2, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "filter: expected a condition: span_getter, min_words"),
        ({"max_spans": 1}, "filter: expected span_getter, which says what spans are counted"),
        ({"span_attributes": {"a": 1}}, "filter: expected span_getter"),
        ({"min_words": 3, "max_words": 2}, "0 <= min_words <= max_words, got min_words=3, max_w"),
        ({"span_getter": "ents", "min_spans": -1}, "0 <= min_spans <= max_spans, got min_spans=-1"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        eds.filter(**options).build()
