"""eds.split: one document to several, with all that belongs to each part."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

import edspipe
import edspipe.pipes as eds
from edspipe.doc.attributes import declare_doc_attribute, declare_span_attribute
from edspipe.stream.stream import Stream

declare_span_attribute("negation")
declare_doc_attribute("ward")
NLP = edspipe.blank("eds")


def split(doc: Doc | str, **kwargs) -> list[Doc]:
    doc = NLP.make_doc(doc) if isinstance(doc, str) else doc
    return list(eds.split(**kwargs).build()(doc))


def texts(doc: Doc | str, **kwargs) -> list[str]:
    return [part.text for part in split(doc, **kwargs)]


def annotated() -> Doc:
    r"""A note with the id n1: "Pas de fièvre.\n\nToux depuis hier."."""
    doc = NLP.make_doc("Pas de fièvre.\n\nToux depuis hier.")
    doc._.note_id = "n1"
    doc._.ward = "B"
    fever = Span(doc, 2, 3, label="Symptom", kb_id="C1", span_id="T1")
    cough = Span(doc, 6, 7, label="Symptom", span_id="T2")
    twin = Span(doc, 6, 7, label="Symptom", span_id="T3")
    doc.ents = [fever, cough]
    doc.spans["all"] = [fever, cough, twin]
    doc.spans["none"] = []
    fever._.negation, twin._.negation = True, False
    return doc


# ---- where parts begin -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "regex", "expected"),
    [
        ("Un.\n\nDeux.", r"\n\n", ["Un.\n\n", "Deux."]),
        ("Un.\n\n\n\nDeux.\n\n", r"\n\n+", ["Un.\n\n\n\n", "Deux.\n\n"]),
        ("Un. Deux. Trois", r"\. ", ["Un. ", "Deux. ", "Trois"]),
        ("Un.   Deux", r"\.\s+", ["Un.   ", "Deux"]),
        ("a b c", " ", ["a ", "b ", "c"]),
        ("abcdef ghi", "c", ["abcdef ", "ghi"]),
        ("un deux", "x", ["un deux"]),
        ("un deux", "y", ["un deux"]),
        ("un deux", "", ["un deux"]),
        ("", "a", []),
    ],
)
def test_a_part_ends_after_each_match(text, regex, expected):
    assert texts(text, regex=regex) == expected


def test_parts_without_a_word_are_left_out():
    assert texts("Un.\n\n\t\n\nDeux.", regex=r"\n\n") == ["Un.\n\n", "Deux."]
    assert texts(" \n ", regex=r"\n") == []


def test_without_anything_to_do_the_document_is_one_part():
    assert texts("Un. Deux.") == ["Un. Deux."]


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("a b c d e", 2, ["a b ", "c d ", "e"]),
        ("a b c d", 9, ["a b c d"]),
        ("a b . d e f", 4, ["a b . ", "d e f"]),
        ("a b c\nd e f", 5, ["a b c\n", "d e f"]),
        ("a . b c d e", 5, ["a . b c d ", "e"]),
        ("a b", 1, ["a ", "b"]),
    ],
)
def test_long_parts_are_cut_at_the_end_of_a_sentence_or_line_if_one_is_near(text, length, expected):
    assert texts(text, max_length=length) == expected


def test_a_pattern_and_a_length_go_together():
    assert texts("a b c\n\nd e f g", regex=r"\n\n", max_length=3) == ["a b c", "d e f ", "g"]


def test_random_lengths_depend_on_the_generator():
    doc = NLP.make_doc("a " * 200)
    splitter = eds.split(max_length=20, randomize=0.5).build()
    lengths = [
        [len(part) for part in splitter(doc, rng=np.random.default_rng(seed))] for seed in (1, 1, 2)
    ]
    assert lengths[0] == lengths[1] != lengths[2]
    assert all(10 <= n <= 20 for n in lengths[0][:-1])
    assert len(set(lengths[0])) > 2


def test_in_a_stream_lengths_depend_on_the_seed_and_the_document():
    docs = [NLP.make_doc("a " * 100)] * 2
    stream = Stream.from_items(docs).map(eds.split(max_length=20, randomize=0.5))
    first, same, other = (
        [(part.text, part._.split_offset) for part in stream.set_processing(seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == same != other
    half = next(i for i, (_, offset) in enumerate(first) if i and offset == 0)
    assert first[:half] != first[half:]


@given(
    text=st.text(alphabet=st.sampled_from("ab .\n\té"), max_size=60),
    regex=st.sampled_from([None, r"\n", r"\.\s*", " ", "a", r"(?=b)"]),
    length=st.integers(0, 8),
    randomize=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_nothing_but_blanks_is_lost(text, regex, length, randomize):
    parts = split(text, regex=regex, max_length=length, randomize=randomize)
    ends = [0]
    for part in parts:
        start = part._.split_offset
        assert text[start : start + len(part.text)] == part.text
        assert text[ends[-1] : start].strip() == ""
        assert length == 0 or len(part) <= length
        ends.append(start + len(part.text))
    assert text[ends[-1] :].strip() == ""
    assert all(a <= b for a, b in itertools.pairwise(ends))


# ---- what a part carries -----------------------------------------------------------------------


def test_a_part_has_an_id_and_knows_where_it_comes_from():
    parts = split(annotated(), regex=r"\n\n")
    assert [part._.note_id for part in parts] == ["n1-0", "n1-1"]
    assert [part._.parent_id for part in parts] == ["n1", "n1"]
    assert [part._.split_offset for part in parts] == [0, 16]


def test_parts_of_a_document_without_id_have_none():
    assert [part._.note_id for part in split("a b", max_length=1)] == [None, None]


def test_a_part_of_a_part_knows_its_place_in_the_whole():
    second = split(annotated(), regex=r"\n\n")[1]
    parts = split(second, max_length=2)
    assert [part._.split_offset for part in parts] == [16, 28]
    assert parts[1]._.note_id == "n1-1-1"


def test_attributes_of_the_document_go_with_each_part():
    assert [part._.ward for part in split(annotated(), regex=r"\n\n")] == ["B", "B"]


def test_spans_move_with_their_text_labels_ids_and_attributes():
    first, second = split(annotated(), regex=r"\n\n")
    (fever,) = first.ents
    assert (fever.text, fever.label_, fever.kb_id_, fever.id_) == ("fièvre", "Symptom", "C1", "T1")
    assert fever._.negation is True
    assert [(s.text, s.id_, s._.negation) for s in second.spans["all"]] == [
        ("Toux", "T2", None),
        ("Toux", "T3", False),
    ]


def test_span_groups_exist_in_each_part():
    parts = split(annotated(), regex=r"\n\n")
    assert [sorted(part.spans) for part in parts] == [["all", "none"]] * 2


def test_the_document_stays_as_it_was():
    doc = annotated()
    split(doc, regex=r"\n\n")
    assert (doc._.note_id, len(doc.ents), doc.ents[0]._.negation) == ("n1", 2, True)


def test_a_span_that_is_cut_is_counted_where_it_begins():
    doc = NLP.make_doc("a b c d")
    doc.spans["x"] = [Span(doc, 1, 3, label="X"), Span(doc, 0, 2, label="Y")]
    first, second = split(doc, max_length=2)
    assert [span.label_ for span in first.spans["x"]] == ["Y"]
    assert list(second.spans["x"]) == []
    assert (first._.num_cut_spans, second._.num_cut_spans) == (1, 0)


def test_sentences_stay_and_each_part_begins_one():
    doc = NLP.make_doc("a b c d")
    for token in doc:
        token.is_sent_start = token.i in (0, 3)
    parts = split(doc, max_length=2)
    assert [[token.is_sent_start for token in part] for part in parts] == [
        [True, False],
        [True, True],
    ]


# ---- which parts are kept ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter_expr", "expected"),
    [
        ("ents", ["n1-0", "n1-1"]),
        ("all", ["n1-0", "n1-1"]),
        ("none", []),
        ("missing", []),
        (lambda part: "Toux" in part.text, ["n1-1"]),
    ],
)
def test_parts_are_kept_by_their_spans_or_a_function(filter_expr, expected):
    parts = split(annotated(), regex=r"\n\n", filter_expr=filter_expr)
    assert [part._.note_id for part in parts] == expected


# ---- arguments ---------------------------------------------------------------------------------


def test_a_pattern_that_is_not_valid_is_refused():
    with pytest.raises(
        ValueError, match=r"regex: missing .*, unterminated subpattern at position 0"
    ):
        split("a", regex="(")


@pytest.mark.parametrize(("length", "randomize"), [(-1, 0.0), (3, -0.1), (3, 1.5)])
def test_numbers_out_of_range_are_refused(length, randomize):
    message = f"expected max_length >= 0 and 0 <= randomize <= 1, got {length}, {randomize}"
    with pytest.raises(ValueError, match=message):
        split("a", max_length=length, randomize=randomize)
