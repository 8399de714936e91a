"""What values a score has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6}


@dataclass(frozen=True)
class ScoreKind:
    """The values of a score.

    Attributes:
        name: Its name, which is the label of its spans.
        lowest: The lowest value.
        highest: The highest one, which may stand behind a value: `12/15`.
        decimals: Whether values have decimals.
        roman: Whether values are written in Roman numerals too.
        letters: Values that are letters or words, in lower case: what is written -> the value.
        parts: Pattern of values that are written in parts, whose sum counts: `E4V5M6`.
        suffix: Pattern of what may stand directly behind a value: the `T` of `10T`.
    """

    name: str
    lowest: float
    highest: float
    decimals: bool = False
    roman: bool = False
    letters: Mapping[str, str | float] = field(default_factory=dict)
    parts: str | None = None
    suffix: str = ""

    def holds(self, value: float) -> bool:
        """Tell whether a number is one of the values."""
        return self.lowest <= value <= self.highest
