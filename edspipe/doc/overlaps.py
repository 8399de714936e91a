"""Spans that overlap: which ones stay."""

from __future__ import annotations

from collections.abc import Iterable

from spacy.tokens import Span

Bounds = tuple[int, int, int]
"""First word, word behind the last, place among the spans given."""


def keep_longest(spans: Iterable[Span]) -> list[Span]:
    """Return non-overlapping spans: the longest win, then the leftmost, then the first given.

    Args:
        spans: Any spans of one Doc.

    Returns:
        The spans that stay, in text order.
    """
    spans = list(spans)
    bounds = sorted([(span.start, span.end, place) for place, span in enumerate(spans)])
    if not _are_disjoint(bounds):
        bounds = sorted(_longest(bounds))
    return [spans[place] for _, _, place in bounds]


def _are_disjoint(bounds: list[Bounds]) -> bool:
    """Whether spans, in text order, have a word each, and none in common."""
    last_end = 0
    for start, end, _ in bounds:
        if not last_end <= start < end:
            return False
        last_end = end
    return True


def _longest(bounds: list[Bounds]) -> list[Bounds]:
    taken: set[int] = set()
    kept = []
    for start, end, place in sorted(bounds, key=lambda one: (one[0] - one[1], one[0])):
        words = range(start, end)
        if words and taken.isdisjoint(words):
            taken.update(words)
            kept.append((start, end, place))
    return kept
