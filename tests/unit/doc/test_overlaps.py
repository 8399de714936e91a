"""Which spans stay where spans overlap."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from edspipe.doc.overlaps import keep_longest

DOC = Doc(Vocab(), words=list("abcdefgh"))
BOUNDS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted), max_size=7)
CUTS = st.lists(st.integers(0, 8), min_size=2, max_size=8, unique=True).map(sorted)


def make_spans(bounds: list[list[int]]) -> list[Span]:
    return [Span(DOC, start, end, label=f"L{i}") for i, (start, end) in enumerate(bounds)]


def one_after_the_other(spans: list[Span]) -> list[Span]:
    """Take the best span that fits, until none does."""
    kept: list[Span] = []
    ranked = sorted(enumerate(spans), key=lambda one: (-len(one[1]), one[1].start, one[0]))
    for _, span in ranked:
        if len(span) and all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)


@given(BOUNDS)
def test_the_longest_stay_then_the_leftmost_then_the_first(bounds: list[list[int]]) -> None:
    spans = make_spans(bounds)
    kept = keep_longest(iter(spans))
    assert [span.label_ for span in kept] == [span.label_ for span in one_after_the_other(spans)]


@given(CUTS, st.randoms())
def test_spans_that_do_not_overlap_all_stay_in_text_order(cuts: list[int], random: Random) -> None:
    spans = make_spans([[start, end] for start, end in pairwise(cuts)])
    shuffled = random.sample(spans, len(spans))
    assert keep_longest(shuffled) == spans
