"""Spans that overlap: which ones stay."""

from __future__ import annotations

from collections.abc import Iterable

from spacy.tokens import Span


def keep_longest(spans: Iterable[Span]) -> list[Span]:
    """Return non-overlapping spans: the longest win, then the leftmost, then the first given.

    Args:
        spans: Any spans of one Doc.

    Returns:
        The spans that stay, in text order.
    """
    taken: set[int] = set()
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        words = range(span.start, span.end)
        if span.end > span.start and taken.isdisjoint(words):
            taken.update(words)
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)
