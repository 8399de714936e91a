"""Tables of text: the first column to the left, the others to the right."""

from __future__ import annotations

from collections.abc import Sequence

GAP = 2
"""Blanks between columns."""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out; the first one holds the titles."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "\n".join(
        f"{row[0]:<{first}}"
        + "".join(f"{cell:>{width + GAP}}" for cell, width in zip(row[1:], others, strict=True))
        for row in rows
    )
