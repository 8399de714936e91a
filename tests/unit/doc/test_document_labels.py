"""Labels of documents: where they are, and what says that nothing is known of them."""

from __future__ import annotations

from typing import Any

import pytest
from spacy.tokens import Doc

import edspipe
from edspipe.doc.document_labels import (
    check_label_attribute,
    declare_labels,
    gold_labels,
    named_labels,
)
from edspipe.errors import DataError

NLP = edspipe.blank("eds")
declare_labels("_.diagnosis_test")


def doc_with(value: Any, attribute: str = "_.diagnosis_test") -> Doc:
    doc = NLP.make_doc("Cough.")
    doc._.note_id = "note-7"
    if attribute == "cats":
        doc.cats = value
    else:
        doc._.set(attribute[2:], value)
    return doc


@pytest.mark.parametrize(
    ("cats", "expected"),
    [
        ({}, None),
        ({"A": 1.0, "B": 0.0, "C": 0.5, "D": 0.49}, {"A", "C"}),
        ({"A": 0.0}, set()),
        ({"A": True}, {"A"}),
    ],
)
def test_scores_from_one_half_on_say_that_a_label_is_there(cats, expected):
    assert gold_labels(doc_with(cats, "cats")) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ({}, None),
        ("flu", {"flu"}),
        ([], set()),
        (["flu", "cold", "flu"], {"flu", "cold"}),
        (("flu",), {"flu"}),
        ({"flu": 1.0, "cold": 0.0}, {"flu"}),
    ],
)
def test_attributes_hold_a_label_a_list_or_scores(value, expected):
    assert gold_labels(doc_with(value), "_.diagnosis_test") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"flu": 1.0, "cold": 0.0}, {"flu", "cold"}), (["flu"], {"flu"}), (None, set())],
)
def test_labels_that_are_known_to_be_absent_are_named(value, expected):
    assert named_labels(doc_with(value), "_.diagnosis_test") == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"note-7: doc\._\.diagnosis_test holds a int; labels are a string, a list"),
        ([3], r"note-7: .* holds a label that is no string, or an empty one \(int\)"),
        ([""], r"holds a label that is no string, or an empty one \(str\)"),
    ],
)
def test_other_values_are_refused(value, message):
    with pytest.raises(DataError, match=message):
        gold_labels(doc_with(value), "_.diagnosis_test")


def test_an_attribute_that_nobody_declared_is_refused():
    with pytest.raises(ValueError, match=r"no attribute doc\._\.nothing_test is declared: read"):
        gold_labels(doc_with({}, "cats"), "_.nothing_test")


@pytest.mark.parametrize("attribute", ["cat", "_.", "labels", "_.a b"])
def test_what_is_no_place_for_labels_is_refused(attribute):
    with pytest.raises(ValueError, match=r"expected 'cats' or '_\.<name>' .* got"):
        check_label_attribute(attribute)
