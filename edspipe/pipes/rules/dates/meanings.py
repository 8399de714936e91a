"""What the words of the language's file mean, and the numbers that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edspipe.lang.schemas.dates import DateWords, Frequency, Phrase
from edspipe.pipes.rules.dates.lexicon import split_term
from edspipe.pipes.rules.dates.spoken import SpokenNumbers
from edspipe.pipes.rules.dates.value import duration_units

PLAIN = "PLAIN"
"""Key of the modifiers that change nothing: "a period of 3 days"."""

UNKNOWN = "X"
"""The number that "some" means."""

SEASONS = {"spring": "SP", "summer": "SU", "autumn": "FA", "winter": "WI"}
"""TIMEX3 codes of the seasons, by the part of the file that names them."""

FIXED = "lasts_"
"""Begins the names of parts whose words are a duration by themselves: `lasts_pt15m`."""

_HALVES = {
    "year": ("month", 6),
    "day": ("hour", 12),
    "hour": ("minute", 30),
    "minute": ("second", 30),
}


@dataclass(frozen=True)
class Number:
    """A number or a range, as written in values: `3`, `2.5`, `X`."""

    low: str
    high: str | None = None


def key(words: Iterable[str]) -> str:
    """Return how words are looked up."""
    return " ".join(words)


def term_key(term: str) -> str:
    """Return how a term of the file is looked up."""
    return key(split_term(term))


class Meanings:
    """The meaning of each word, by its normalised form.

    Args:
        words: The language's file.
    """

    def __init__(self, words: DateWords) -> None:
        self.spoken = SpokenNumbers(words)
        self.cardinals = self.spoken.cardinals
        self.ordinals = _numbers(words.ordinals)
        self.months = _inverse(words.months)
        self.weekdays = _inverse(words.weekdays)
        self.units = _inverse(words.abbreviations) | _inverse(words.units)
        self.modifiers = _inverse({k: v for k, v in words.modifiers.items() if k != PLAIN})
        self.day_parts = _inverse(words.day_parts)
        self.vague = {term_key(term) for term in words.parts.get("vague", [])}
        self.plurals = {term_key(term) for term in words.parts.get("unit_plural", [])}
        self.indefinite = {term_key(term) for term in words.parts.get("indefinite", [])}
        self.ranges = {term_key(term) for term in words.parts.get("range", [])}
        self.halves = {term_key(term) for term in words.parts.get("half", [])}
        self.afternoon = {term_key(term) for term in words.parts.get("afternoon", [])}
        self.morning = {term_key(term) for term in words.parts.get("morning", [])}
        self.seasons = _inverse({c: words.parts.get(name, []) for name, c in SEASONS.items()})
        self.fixed: dict[str, tuple[str, str]] = {
            term_key(term): duration_units(name.removeprefix(FIXED).upper())
            for name, terms in words.parts.items()
            if name.startswith(FIXED)
            for term in terms
        }
        self.times = _numbers({t: n for n, ts in _times(words).items() for t in ts})
        self.frequencies: dict[str, Frequency] = {
            term_key(term): entry for entry in words.frequencies for term in entry.terms
        }
        self.phrases: dict[str, Phrase] = {
            term_key(term): phrase for phrase in words.phrases for term in phrase.terms
        }

    def number(self, words: Sequence[str]) -> Number | None:
        """Return the number or range that words say."""
        if key(words) in self.vague:
            return Number(UNKNOWN)
        if words and words[0].isdigit() and not self.ranges.intersection(words[1:]):
            return Number(_decimal(words))
        if (spoken := self.spoken.read(words)) is not None:
            return Number(str(spoken))
        for place in range(1, len(words) - 1):
            if words[place] in self.ranges:
                low, high = self.number(words[:place]), self.number(words[place + 1 :])
                if low and high:
                    return Number(low.low, high.low)
        if len(words) > 1 and words[0] in self.indefinite:
            return self.number(words[1:])
        return None

    def ordinal(self, words: Sequence[str]) -> int | None:
        """Return the place that ordinal words say."""
        if words[0].isdigit():
            return int(words[0])
        values = [self.ordinals.get(word, self.cardinals.get(word, 0)) for word in words]
        return sum(values) or None


def halved(number: str, unit: str) -> tuple[str, str] | None:
    """Return what a half adds, as a number and unit of its own, or None to add 0.5."""
    if unit not in _HALVES:
        return None
    smaller, amount = _HALVES[unit]
    return str(amount), smaller


def _times(words: DateWords) -> dict[int, list[str]]:
    return {n: words.parts.get(name, []) for n, name in ((1, "once"), (2, "twice"), (3, "thrice"))}


def _decimal(words: Sequence[str]) -> str:
    whole = str(int(words[0]))
    return f"{whole}.{words[2]}" if len(words) > 2 else whole


def _numbers(values: Mapping[str, int]) -> dict[str, int]:
    return {term_key(term): value for term, value in values.items()}


def _inverse(terms: Mapping[Any, Iterable[str]]) -> dict[str, Any]:
    return {term_key(term): meaning for meaning, listed in terms.items() for term in listed}
