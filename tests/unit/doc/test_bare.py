"""A bare copy: the same words, and nothing that could be gold."""

from __future__ import annotations

import pytest
from spacy.tokens import Doc, Span

import edspipe
from edspipe.doc.bare import bare_copy

NLP = edspipe.blank("eds")


@pytest.fixture
def _extensions() -> None:
    for owner, name in ((Doc, "ward"), (Span, "negated_here"), (Span, "other_here")):
        if not owner.has_extension(name):
            owner.set_extension(name, default=None)


@pytest.mark.parametrize(
    "text", ["", " ", "Pas de fièvre.", "a  b\n\n c ", "\n", "EVA 4/10).  ", "é́"]
)
def test_it_has_the_same_text_and_words(text: str) -> None:
    doc = NLP.make_doc(text)
    copy = bare_copy(doc)
    assert copy.text == doc.text
    assert [(t.text, t.idx, t.whitespace_) for t in copy] == [
        (t.text, t.idx, t.whitespace_) for t in doc
    ]
    assert copy is not doc
    assert copy.vocab is doc.vocab


@pytest.mark.usefixtures("_extensions")
def test_annotations_are_left_out_and_attributes_of_the_document_kept() -> None:
    doc = NLP.make_doc("Pas de fièvre.")
    doc._.note_id, doc._.ward = "n1", "A3"
    doc.spans["gold"] = [Span(doc, 0, 2, "A")]
    doc.ents = [Span(doc, 2, 3, "B")]
    doc.ents[0]._.negated_here = True
    doc.cats["c"] = 1.0
    doc[0].is_sent_start, doc[1].is_sent_start = True, True
    doc[0].lemma_, doc[0].tag_ = "pas", "ADV"
    copy = bare_copy(doc)
    assert (copy._.note_id, copy._.ward) == ("n1", "A3")
    assert not copy.spans
    assert not copy.ents
    assert not copy.cats
    assert copy[2:3]._.negated_here is None
    assert not copy.has_annotation("SENT_START")
    assert not copy.has_annotation("LEMMA")
    assert copy[0].tag_ == ""


@pytest.mark.usefixtures("_extensions")
def test_the_original_is_not_changed_through_the_copy() -> None:
    doc = NLP.make_doc("Pas de fièvre.")
    doc._.ward = "A3"
    copy = bare_copy(doc)
    copy._.ward = "B1"
    copy.spans["new"] = [Span(copy, 0, 1, "A")]
    assert doc._.ward == "A3"
    assert "new" not in doc.spans


@pytest.mark.usefixtures("_extensions")
def test_attributes_of_the_document_can_be_left_out_too() -> None:
    doc = NLP.make_doc("Pas de fièvre.")
    doc._.note_id, doc._.ward = "n1", "A3"
    copy = bare_copy(doc, {"ward"})
    assert (copy._.note_id, copy._.ward) == ("n1", None)
