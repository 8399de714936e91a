"""Putting spans into `doc.ents`: as spaCy's own setter would, word by word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from edspipe.doc.overlaps import keep_longest
from edspipe.doc.span_access import get_spans, set_spans, without_layout

VOCAB = Vocab()
ENTITY: list[int | str] = ["ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "ENT_ID"]
BOUNDS = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted)
NAMES = st.sampled_from(["", "a", "b"])
SPANS = st.lists(st.tuples(BOUNDS, NAMES, NAMES, NAMES), max_size=4)
WORDS = list("abcdefgh")


def make_doc(words: list[str] = WORDS) -> Doc:
    return Doc(VOCAB, words=words)


def make_spans(doc: Doc, given_: list) -> list[Span]:
    return keep_longest(
        Span(doc, start, end, label=label, kb_id=kb_id, span_id=id_)
        for (start, end), label, kb_id, id_ in given_
    )


@given(SPANS, SPANS)
def test_words_get_what_the_setter_of_spacy_gives_them(before: list, after: list) -> None:
    ours, theirs = make_doc(), make_doc()
    for doc in (ours, theirs):
        doc.ents = make_spans(doc, before)
    set_spans(ours, make_spans(ours, after), "ents")
    theirs.ents = keep_longest([*theirs.ents, *make_spans(theirs, after)])
    assert_array_equal(ours.to_array(ENTITY), theirs.to_array(ENTITY))


def test_words_that_were_left_open_are_outside_afterwards() -> None:
    doc = make_doc()
    doc.set_ents([], blocked=[doc[0:2]], missing=[doc[2:4]])
    set_spans(doc, [Span(doc, 1, 3, label="X")], "ents")
    assert [token.ent_iob_ for token in doc] == ["O", "B", "I", *"OOOOO"]


def test_a_doc_without_words_takes_no_spans() -> None:
    doc = make_doc([])
    assert set_spans(doc, [], "ents") == 0
    assert doc.ents == ()


def test_a_span_of_another_doc_is_taken_by_its_words() -> None:
    doc = make_doc()
    set_spans(doc, [Span(make_doc(), 1, 3, label="X")], "ents")
    assert [(ent.doc, ent.start, ent.end) for ent in doc.ents] == [(doc, 1, 3)]


def test_a_span_beyond_the_end_is_refused() -> None:
    doc = make_doc(["a", "b"])
    with pytest.raises(IndexError, match="E035"):
        set_spans(doc, [Span(make_doc(), 1, 8, label="X")], "ents")


def test_a_span_that_outlived_its_words_is_refused() -> None:
    doc = make_doc()
    span = Span(doc, 6, 8, label="X")
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:4])
    with pytest.raises(IndexError, match="E035"):
        set_spans(doc, [span], "ents")


def test_spans_that_overlap_are_counted_and_the_same_span_twice_is_not() -> None:
    doc = make_doc()
    spans = [Span(doc, start, end, label="X") for start, end in ((0, 3), (0, 3), (2, 4), (5, 6))]
    assert set_spans(doc, spans, "ents") == 1
    assert [(ent.start, ent.end) for ent in doc.ents] == [(0, 3), (5, 6)]


def test_all_groups_but_some() -> None:
    doc = Doc(Vocab(), words=["a", "b", "c"])
    doc.spans["x"], doc.spans["y"] = [doc[0:1]], [doc[1:2]]
    assert [span.text for span in get_spans(doc, {"*": True, "x": False})] == ["b"]
    assert [span.text for span in get_spans(doc, {"x": True, "*": True, "y": False})] == ["a"]


@pytest.mark.parametrize(
    ("getter", "found"),
    [
        ("*", ["b"]),
        (["*", "sections"], ["a", "b"]),
        ({"*": True, "x": False}, []),
        ({"*": "X", "tables": "L"}, ["b", "c"]),
        ("sections", ["a"]),
    ],
)
def test_groups_of_the_layout_are_left_out_unless_they_are_named(getter, found) -> None:
    doc = Doc(Vocab(), words=["a", "b", "c"])
    doc.spans["sections"] = [Span(doc, 0, 1, label="L")]
    doc.spans["x"] = [Span(doc, 1, 2, label="X")]
    doc.spans["tables"] = [Span(doc, 2, 3, label="L")]
    assert [span.text for span in get_spans(doc, without_layout(getter))] == found


def test_a_function_gets_what_it_gets() -> None:
    def all_of(doc: Doc) -> list[Span]:
        return [doc[0:1]]

    assert without_layout(all_of) is all_of
