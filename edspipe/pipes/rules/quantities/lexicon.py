"""The words of quantities in a language, compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edspipe.lang.schemas.quantities import Bare, MeasureEntry, QuantityWords, UnitsFile
from edspipe.matching.folding import fold
from edspipe.pipes.rules.dates.spoken import SpokenNumbers
from edspipe.pipes.rules.quantities.numbers import number_pattern, words_pattern
from edspipe.pipes.rules.quantities.units import Dims, Unit, UnitTable

WORDS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
"""Runs of letters, runs of digits, signs."""

GENERIC = "generic"

OF_NORMAL = "ULN"
"""Times the upper limit of normal: whatever is measured."""

BLANKS = r"[ \t\n]{0,2}"


@dataclass(frozen=True)
class Measure:
    """Something that is measured.

    Attributes:
        name: Its name.
        dims: The dimensions of its values; empty for any.
        bare: The numbers that count without a unit; empty for any, None for none.
    """

    name: str
    dims: frozenset[Dims]
    bare: tuple[Bare, ...] | None

    def fits(self, unit: Unit) -> bool:
        """Tell whether values of this may have a unit."""
        return not self.dims or unit.dims in self.dims or unit.symbol == OF_NORMAL

    def bare_unit(self, value: float) -> tuple[bool, str | None]:
        """Return whether a number without a unit counts, and the unit that is meant."""
        if self.bare is None:
            return False, None
        if not self.bare:
            return True, None
        for entry in self.bare:
            if entry.min <= value <= entry.max:
                return True, entry.unit
        return False, None


class Terms:
    """Terms of several words, looked up by where they end or begin.

    Args:
        terms: What each term means.
    """

    def __init__(self, terms: Iterable[tuple[str, str]]) -> None:
        self.by_last: dict[str, list[tuple[list[str], str]]] = {}
        self.by_first: dict[str, list[tuple[list[str], str]]] = {}
        for term, meaning in terms:
            words = WORDS.findall(fold(term, "NORM"))
            self.by_last.setdefault(words[-1], []).append((words, meaning))
            self.by_first.setdefault(words[0], []).append((words, meaning))
        for entries in (*self.by_last.values(), *self.by_first.values()):
            entries.sort(key=lambda entry: -len(entry[0]))

    def ending_at(self, words: Sequence[str], end: int) -> tuple[int, str] | None:
        """Return how many words the longest term has that ends before a place, and its meaning."""
        for term, meaning in self.by_last.get(words[end - 1], ()) if end else ():
            if words[max(0, end - len(term)) : end] == term:
                return len(term), meaning
        return None

    def starting_at(self, words: Sequence[str], start: int) -> tuple[int, str] | None:
        """Return the same for a term that starts at a place."""
        for term, meaning in self.by_first.get(words[start], ()) if start < len(words) else ():
            if words[start : start + len(term)] == term:
                return len(term), meaning
        return None


class Lexicon:
    """All that is compiled from a language's words.

    Args:
        words: The words.
        file: Units and measurements.
        chosen: The measurements by name; None takes all.
        spoken: The numbers in words; None reads none.
    """

    def __init__(
        self,
        words: QuantityWords,
        file: UnitsFile,
        chosen: Mapping[str, tuple[MeasureEntry, list[str]]] | None = None,
        spoken: SpokenNumbers | None = None,
    ) -> None:
        self.words = words
        self.times, self.ranges = folded(words.times), folded(words.ranges)
        self.between, self.and_ = folded(words.between), folded(words.and_)
        self.units = UnitTable(file, words.units, words.per, words.counts)
        self.spoken = spoken
        joins = self.and_ | self.ranges | (spoken.run_joins if spoken else frozenset())
        self.splits = re.compile(rf"[ -](?:{'|'.join(map(re.escape, sorted(joins)))})?[ -]?")
        self.number_words = words_pattern(spoken.cardinals, joins) if spoken else None
        self.number = number_pattern(words.decimals)
        self.unit = self._unit_pattern()
        # Where nobody measures so, 4'10" are minutes and seconds.
        self.measures_in_feet = "ft" in words.units
        self.feet = self._two_units("ft", "inch", "'", ("in", "in.", '"', "''", "\u2033"))
        self.pounds = self._two_units("lb", "oz")
        named = {
            name: (file.measures.get(name, MeasureEntry()), terms)
            for name, terms in words.measures.items()
        }
        # What is not asked for is known still, so that its values are not taken for others'.
        named = {**named, **(chosen or {})}
        self.measures = {
            name: Measure(
                name,
                frozenset(self.units.dimensions[dimension] for dimension in entry.of),
                None if entry.bare is None else tuple(entry.bare),
            )
            for name, (entry, _) in named.items()
        }
        self.names = Terms((term, name) for name in named for term in named[name][1])
        self.short_names = frozenset(
            terms[0]
            for entries in self.names.by_last.values()
            for terms, _ in entries
            if len(terms) == 1
        )
        self.comparators = Terms(
            (term, sign) for sign, terms in words.comparators.items() for term in terms
        )
        self.ordinals = folded(words.ordinals)
        self.ratios = {
            total: self.measures[name]
            for name, (entry, _) in named.items()
            for total in entry.ratios
        }
        self.links = folded(words.links)
        self.follows = {tuple(WORDS.findall(fold(term, "NORM"))) for term in words.follows}
        self.not_before = folded(words.not_before)

    def _unit_pattern(self) -> re.Pattern[str]:
        """Compile what matches a unit behind a number."""
        units, slash = self.units, rf"{BLANKS}(?:{self.units.slash})"
        # The "y" of "7,4 y 8" is a word of Spanish, and no year.
        taken = self.and_ | self.ranges
        term = alternatives(way for way in units.terms() if way not in taken)
        under = alternatives([*units.terms(), *units.denominators])
        shared = alternatives([*units.terms(units.shared), "kg"])
        cased = "".join(units.cased)
        counted = alternatives(units.count_ways)
        amount = r"\d{1,3}(?:[.,]\d{1,2})?\s?"
        tail = rf"(?:{slash}{BLANKS}(?:{under}|{amount}{shared})){{1,2}}+"
        return re.compile(
            rf"(?:{BLANKS}|-(?=[^\W\d]))(?:\|\s{{0,3}})?(?:{term}(?:{tail})?|(?:{counted}|[{cased}])?{tail})"
        )

    def _two_units(
        self, large: str, small: str, mark: str = "", marks: Sequence[str] = ()
    ) -> re.Pattern[str]:
        """Compile what goes on a number in two units: of "5 ft 10 in" what is behind the 5.

        Its groups are the first unit, the second number and the second unit, which a number that
        ends its phrase may lack.

        Args:
            large: The first unit.
            small: The second unit.
            mark: A sign for the first.
            marks: Further ways to write the second.
        """
        ways = [way for way, unit in self.units.folded.items() if unit.symbol == large]
        smaller = [way for way, unit in self.units.folded.items() if unit.symbol == small]
        first = alternatives([*ways, mark])
        second = alternatives([*smaller, *marks])
        return re.compile(
            rf" ?({first})\.?[ -]?(\d{{1,2}}(?:\.\d)?)(?: ?({second})|(?![ -]?[\w%/']|[.,]\d))"
        )


def alternatives(terms: Iterable[str]) -> str:
    """Return a pattern of any of some terms, the longest first, as whole words."""
    ordered = sorted({term for term in terms if term}, key=lambda term: (-len(term), term))
    return "(?:" + "|".join(map(_spaced, ordered)) + ")"


def _spaced(term: str) -> str:
    """Return the pattern of a term, whatever blanks stand between its words."""
    blanks = r"[ \n]{0,2}".join(map(re.escape, term.split(" ")))
    return blanks + (r"(?![^\W_])" if term[-1].isalnum() else "")


def folded(words: Iterable[str]) -> frozenset[str]:
    """Return normalised words."""
    return frozenset(fold(word, "NORM") for word in words)
