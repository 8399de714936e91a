"""Snapping characters to words, against a search over all words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab

from edspipe.doc.alignment import TokenOffsets, snap_to_tokens

VOCAB = Vocab()
PATIENT = settings(deadline=None)  # the machine may be busy


def make_doc() -> Doc:
    """`ab cd. ef`: words at 0-2, 3-5, 5-6, 7-9."""
    return Doc(VOCAB, words=["ab", "cd", ".", "ef"], spaces=[True, False, True, False])


def snap_by_search(doc: Doc, start: int, end: int) -> tuple[int, int, bool] | None:
    touched = [t for t in doc if t.idx < end and t.idx + len(t) > start and start < end]
    if not touched:
        return None
    last = touched[-1]
    return touched[0].i, last.i + 1, touched[0].idx < start or last.idx + len(last) > end


@st.composite
def docs(draw: st.DrawFn) -> Doc:
    words = draw(st.lists(st.sampled_from(["a", "bcd", ".", "\n", "  ", "é"]), max_size=12))
    spaces = draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    return Doc(VOCAB, words=words, spaces=spaces)


def test_offsets_are_those_of_the_tokens() -> None:
    offsets = TokenOffsets(make_doc())
    assert offsets.starts.tolist() == [0, 3, 5, 7]
    assert offsets.ends.tolist() == [2, 5, 6, 9]
    assert offsets.num_chars == 9


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(0, 2, (0, 1, False), id="one word"),
        pytest.param(3, 6, (1, 3, False), id="two words"),
        pytest.param(1, 4, (0, 2, True), id="inside two words"),
        pytest.param(2, 6, (1, 3, False), id="leading blank"),
        pytest.param(3, 7, (1, 3, False), id="trailing blank"),
        pytest.param(2, 3, None, id="only a blank"),
        pytest.param(4, 4, None, id="no character"),
        pytest.param(0, 9, (0, 4, False), id="the whole text"),
    ],
)
def test_snaps_to_the_words_that_are_touched(
    start: int, end: int, expected: tuple[int, int, bool] | None
) -> None:
    assert snap_to_tokens(make_doc(), start, end) == expected


@PATIENT
@given(docs())
def test_snap_agrees_with_a_search_for_every_span(doc: Doc) -> None:
    offsets, size = TokenOffsets(doc), len(doc.text)
    for start in range(size + 1):
        for end in range(start, size + 1):
            assert offsets.snap(start, end) == snap_by_search(doc, start, end)


@PATIENT
@given(docs())
def test_snap_many_agrees_with_snap(doc: Doc) -> None:
    offsets, size = TokenOffsets(doc), len(doc.text)
    spans = [(start, end) for start in range(size + 1) for end in range(start, size + 1)]
    first, end, widened = offsets.snap_many([s for s, _ in spans], [e for _, e in spans])
    expected = [offsets.snap(*span) or (-1, -1, False) for span in spans]
    assert list(zip(first.tolist(), end.tolist(), widened.tolist(), strict=True)) == expected


def test_snap_many_takes_no_spans() -> None:
    first, end, widened = TokenOffsets(make_doc()).snap_many([], [])
    assert (first.tolist(), end.tolist(), widened.tolist()) == ([], [], [])


def test_a_doc_without_words_has_nothing_to_snap_to() -> None:
    offsets = TokenOffsets(Doc(VOCAB))
    assert offsets.snap(0, 0) is None
    assert offsets.snap_many([0], [0])[0].tolist() == [-1]


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, 10)])
def test_offsets_outside_of_the_text_are_refused(start: int, end: int) -> None:
    message = rf"characters {start} to {end} are no stretch of a text of 9 characters"
    with pytest.raises(ValueError, match=message):
        snap_to_tokens(make_doc(), start, end)
    with pytest.raises(ValueError, match=message):
        TokenOffsets(make_doc()).snap_many(np.array([0, start]), np.array([1, end]))


def test_starts_without_ends_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 starts and 1 ends"):
        TokenOffsets(make_doc()).snap_many([0, 1], [2])
