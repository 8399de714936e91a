"""Which label was found in place of which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from edspipe.metrics.errors_by_type import Pair


class Confusion:
    """A confusion matrix over pairs of gold and found spans.

    Rows are gold, columns found; the last of each stands for no span. The diagonal holds all pairs
    of one label, those with a wrong boundary too. The row of a label sums to its gold spans, its
    column to the spans found.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str | None, str | None]] = Counter()

    def add(self, pairs: Iterable[Pair]) -> None:
        """Add the pairs of one document."""
        self.counts.update((_label(pair.gold), _label(pair.found)) for pair in pairs)

    def to_dict(self) -> dict[str, Any]:
        """Return the labels, sorted, and the matrix.

        Returns:
            `{"labels": [...], "matrix": [[...], ...]}`. *Shape:* (labels + 1, labels + 1)
        """
        labels = sorted({label for pair in self.counts for label in pair if label is not None})
        ends: list[str | None] = [*labels, None]
        matrix = [[self.counts[gold, found] for found in ends] for gold in ends]
        return {"labels": labels, "matrix": matrix}


def _label(identity: tuple[int, int, str] | None) -> str | None:
    return None if identity is None else identity[2]
