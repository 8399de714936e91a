"""Spans survive the way through tags, and any tags can be read as spans."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edspipe.pipes.trainable.layers.tagging import (
    NUM_TAGS,
    OUTSIDE,
    batch_to_spans,
    spans_to_tags,
    tags_to_spans,
)


@st.composite
def span_sets(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    """Spans that don't overlap within a label: pieces between random cuts, some of them kept."""
    num_words, num_labels = draw(st.integers(0, 12)), draw(st.integers(1, 3))
    spans = []
    for label in range(num_labels):
        cuts = [0, *sorted(draw(st.sets(st.integers(0, num_words)))), num_words]
        pieces = [(label, a, b) for a, b in itertools.pairwise(cuts) if a < b]
        spans += [piece for piece in pieces if draw(st.booleans())]
    spans.sort(key=lambda span: (span[1], span[2], span[0]))
    return np.array(spans, dtype=np.int64).reshape(-1, 3), num_words, num_labels


@given(span_sets())
def test_spans_survive_the_way_through_tags(case: tuple[np.ndarray, int, int]) -> None:
    spans, num_words, num_labels = case
    shuffled = spans[np.random.default_rng(len(spans)).permutation(len(spans))]
    tags = spans_to_tags(shuffled, num_words, num_labels)
    assert tags.dtype == np.int8
    assert tags.shape == (num_words, num_labels)
    np.testing.assert_array_equal(tags_to_spans(tags), spans)


ANY_TAGS = hnp.arrays(
    np.int8,
    st.tuples(st.integers(0, 12), st.integers(1, 3)),
    elements=st.integers(0, NUM_TAGS - 1),
)


@given(ANY_TAGS)
def test_any_tags_give_spans_that_cover_each_tagged_word_once(tags: np.ndarray) -> None:
    spans = tags_to_spans(tags)
    covered = np.zeros(tags.shape, dtype=int)
    for label, start, end in spans:
        assert 0 <= start < end <= len(tags)
        covered[start:end, label] += 1
    np.testing.assert_array_equal(covered, (tags != OUTSIDE).astype(int))
    assert spans.tolist() == sorted(spans.tolist(), key=lambda span: (span[1], span[2], span[0]))


@given(ANY_TAGS)
def test_spans_read_from_any_tags_can_be_written_and_read_again(tags: np.ndarray) -> None:
    spans = tags_to_spans(tags)
    again = tags_to_spans(spans_to_tags(spans, *tags.shape))
    np.testing.assert_array_equal(again, spans)


@pytest.mark.parametrize(
    ("path", "spans"),
    [
        ("OBILO", [(1, 4)]),
        ("UBLU", [(0, 1), (1, 3), (3, 4)]),
        ("IIL", [(0, 3)]),
        ("BIO", [(0, 2)]),
        ("BBL", [(0, 1), (1, 3)]),
        ("BLL", [(0, 2), (2, 3)]),
        ("UI", [(0, 1), (1, 2)]),
        ("IUI", [(0, 1), (1, 2), (2, 3)]),
        ("OOO", []),
        ("", []),
    ],
)
def test_runs_that_belong_together_become_spans(path: str, spans: list[tuple[int, int]]) -> None:
    tags = np.array(["OBILU".index(tag) for tag in path], dtype=np.int8)[:, None]
    assert [(start, end) for _, start, end in tags_to_spans(tags)] == spans


def test_tags_of_overlapping_labels_stand_side_by_side() -> None:
    spans = np.array([[1, 0, 3], [0, 1, 2], [0, 2, 4]])
    columns = spans_to_tags(spans, 5, 2).T.tolist()
    assert columns == [[0, 4, 1, 3, 0], [1, 2, 3, 0, 0]]


@pytest.mark.parametrize(
    "span", [(0, 3, 3), (0, 3, 2), (0, -1, 2), (0, 4, 6), (2, 0, 1), (-1, 0, 1)]
)
def test_spans_outside_the_text_are_refused(span: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"within 5 words and 2 labels, got .* in row 1: clip"):
        spans_to_tags(np.array([(0, 0, 1), span]), 5, 2)


def test_overlapping_spans_of_one_label_are_refused() -> None:
    with pytest.raises(ValueError, match=r"overlap within a label, got 5 words .* 4 distinct"):
        spans_to_tags(np.array([(0, 0, 3), (0, 2, 4)]), 5, 1)


@given(
    hnp.arrays(
        np.int64,
        st.tuples(st.integers(1, 4), st.integers(0, 6), st.integers(1, 2)),
        elements=st.integers(0, NUM_TAGS - 1),
    )
)
def test_a_batch_is_read_as_its_sequences_one_by_one(tags: np.ndarray) -> None:
    found = batch_to_spans(tags)
    assert len(found) == len(tags)
    for spans, sequence in zip(found, tags, strict=True):
        assert spans.tolist() == tags_to_spans(sequence).tolist()
