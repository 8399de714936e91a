"""Finding quantities in a normalised text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edspipe.pipes.rules.quantities.chains import LENGTH, MAX_GAP, PRESSURE, Chain, Chainer
from edspipe.pipes.rules.quantities.lexicon import GENERIC, WORDS, Lexicon, Measure
from edspipe.pipes.rules.quantities.readings import plausible, signed
from edspipe.pipes.rules.quantities.units import ONE
from edspipe.pipes.rules.quantities.value import Quantity

LOOK_BACK = 110
"""Characters before a number that tell what it measures."""

LOOK_AHEAD = 40
MAX_WORDS = 18
FRACTIONS = frozenset(((1.0, 2.0), (1.0, 3.0), (2.0, 3.0), (1.0, 4.0), (3.0, 4.0)))
FIRST_YEAR, LAST_YEAR = 1900, 2100

LAST_ORDINAL = 20
"""An angle is larger mostly."""

MANY_CELLS = 500
"""From so many on, "9100 leukocytes" are a count of cells in blood."""

HEIGHT, SIZE = "height", "size"
COUNTS = (("length", -3),)
RATIO = (("ratio", 1),)
TEMPERATURE = (("temperature", 1),)
DOSE_DIMS = frozenset(((("mass", 1),), (("activity", 1),), (("length", 3),)))
RIGHT_DIMS = frozenset((RATIO, LENGTH, COUNTS, (("mass", 1),)))
"""What is measured may stand behind: "90% of lymphocytes", "40 kg weight"."""

_STOP = re.compile(r"[.!?;](?=\s)|\n[ \t]*\n")
_TIMES = re.compile(r"[ ]?[x×*][ ]?(?=\d)")
_PART = re.compile(r"-[^\W\d_]{2}")
_S100 = re.compile(r"\b[^\W\d_]-\Z")
_NEXT_WORD = re.compile(r" ?([^\W\d_]{4,20})")
_CLAUSE_END = re.compile(r"[ ]?(?:[,;.)\n]|\Z)")
SIGNS = {"<": "<", ">": ">", "≤": "<=", "≥": ">=", "~": "~", "≈": "~", "±": "~"}


@dataclass(frozen=True)
class Match:
    """A quantity in a text.

    Attributes:
        start: Its first character.
        end: The character behind the last.
        value: What it says.
        named_behind: Whether it counts what is named right behind it.
    """

    start: int
    end: int
    value: Quantity
    named_behind: bool = False


@dataclass(frozen=True)
class Cell:
    """A number that stands alone in a cell of a table, and what its row says.

    Attributes:
        name: The first cell of the row, normalised.
        unit: The cell of the unit, as it is written, if any.
    """

    name: str
    unit: str


class Finder:
    """Finds quantities by the words of a language.

    Args:
        lexicon: The words.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.chainer = Chainer(lexicon)

    def find(
        self,
        text: str,
        raw: Callable[[int, int], str],
        cells: dict[int, Cell] | None = None,
        taken: Sequence[int] = (),
    ) -> list[Match]:
        """Return the quantities of a normalised text, in order.

        Args:
            text: The text.
            raw: Returns how characters are written in the raw text.
            cells: The numbers that stand in tables, by where they begin.
            taken: Where dates begin, in order.
        """
        matches: list[Match] = []
        end = 0
        atoms = self.chainer.atoms(text, raw, taken)
        for chain in self.chainer.chains(text, atoms):
            cell = cells.get(chain.start) if cells else None
            if cell is not None and (match := self._in_cell(text, chain, cell)) is not None:
                matches.append(match)
            else:
                last = matches[-1] if matches and matches[-1].end == end else None
                match = self._read(text, chain, end, last, raw)
                if match is not None:
                    matches.append(match)
            end = chain.end
        return matches

    def _in_cell(self, text: str, chain: Chain, cell: Cell) -> Match | None:
        """Read a number of a table by its row."""
        words = WORDS.findall(cell.name)
        measure = None
        for place in range(len(words)):
            named = self.lexicon.names.starting_at(words, place)
            if named is not None:
                measure = self.lexicon.measures[named[1]]
                break
        unit = chain.unit or (self.lexicon.units.parse(cell.unit) if cell.unit else None)
        if unit is None and measure is None:
            return None
        if measure is not None and unit is not None and not measure.fits(unit):
            measure = None
        start, comparator = self._comparator(text, chain, max(0, chain.start - 4))[:2]
        value = self._value(replace(chain, unit=unit), measure, comparator, 1.0)
        return None if value is None else Match(start, chain.end, value)

    def _read(
        self,
        text: str,
        chain: Chain,
        behind: int,
        last: Match | None,
        raw: Callable[[int, int], str],
    ) -> Match | None:
        """Return the quantity of a chain, or None where it is none."""
        low = max(behind, chain.start - LOOK_BACK)
        start, comparator, words = self._comparator(text, chain, low)
        start, sign = signed(text, chain, start, behind)
        spent = self._spent(words, last)
        words, last = (words[spent:], None) if spent else (words, last)
        borrowed = self._with_next_unit(text, chain)
        measure = self._measure(text, borrowed, words, last, low, raw)
        if borrowed is not chain:
            own = self._measure(text, chain, words, last, low, raw)
            if own is None or own.name == GENERIC or own.fits(borrowed.unit or ONE):
                chain = borrowed
            else:  # "8000 and 60%": the leukocytes before have not the unit of what follows.
                measure = own
        blocked = any(atom.blocked for atom in chain.atoms)
        if blocked and (measure is None or not measure.dims):
            return None
        if measure is None and self._is_ordinal(text, chain):
            return None
        if chain.unit is None and (measure is None or self._is_none(text, chain, words)):
            return None
        value = self._value(plausible(chain, measure), measure, comparator, sign)
        if value is None:
            return None
        counts = measure is not None and COUNTS in measure.dims
        behind_it = counts and measure is self._behind(text, chain)
        named_behind = behind_it and measure is not self._before(chain, words)
        return Match(start, chain.end, value, named_behind)

    def _spent(self, words: Sequence[str], last: Match | None) -> int:
        """Return how many words name what was counted before: "12000 leukocytes, 250000 ..."."""
        named = last is not None and last.named_behind
        found = self.lexicon.names.starting_at(words, 0) if named else None
        return found[0] if found and last and found[1] == last.value.what else 0

    def _is_ordinal(self, text: str, chain: Chain) -> bool:
        """Tell the º of "5º metacarpiano", which a word follows, from degrees."""
        atom = chain.atoms[-1]
        if not atom.value.is_integer() or atom.value > LAST_ORDINAL:
            return False
        if atom.unit is None or atom.unit.symbol != "°" or "°" not in self.lexicon.ordinals:
            return False
        behind = _NEXT_WORD.match(text, chain.end)
        return behind is not None and behind[1] not in self.lexicon.links

    def _with_next_unit(self, text: str, chain: Chain) -> Chain:
        """Take the unit of what follows: "66, then 88 IU/L"."""
        if chain.unit is not None or chain.kind != "single":
            return chain
        follower = self.lexicon.number.search(text, chain.end, chain.end + MAX_GAP)
        if follower is None:
            return chain
        gap = WORDS.findall(text[chain.end : follower.start()])
        if gap and gap[0] in self.lexicon.and_ and all(w in self.lexicon.links for w in gap[1:]):
            match = self.lexicon.unit.match(text, follower.end())
            unit = self.lexicon.units.parse(match[0]) if match else None
            if unit is not None and not unit.partial and not unit.is_time:
                return replace(chain, unit=unit)
        return chain

    def _comparator(self, text: str, chain: Chain, low: int) -> tuple[int, Any, list[str]]:
        """Return where the quantity begins, its comparator, and the words before it."""
        left = text[low : chain.start]
        stops = list(_STOP.finditer(left))
        if stops:
            low += stops[-1].end()
            left = text[low : chain.start]
        words = WORDS.findall(left)
        while words and words[-1] in "+-([":
            words.pop()
        ends = len(words)
        if words and words[-1] in ("=", "/") and len(words) > 1 and words[-2] in "<>":
            return low + left.rindex(words[-2]), words[-2] + "=", words[:-2]
        if words and words[-1] in SIGNS:
            return low + left.rindex(words[-1]), SIGNS[words[-1]], words[:-1]
        found = self.lexicon.comparators.ending_at(words, ends)
        if found is not None:
            size, meaning = found
            first = words[ends - size]
            return low + left.rindex(first), meaning, words[: ends - size]
        return chain.start, None, words

    def _measure(
        self,
        text: str,
        chain: Chain,
        words: list[str],
        last: Match | None,
        low: int,
        raw: Callable[[int, int], str],
    ) -> Measure | None:
        """Return what a chain measures: what is nearest before it, else behind it."""
        counted = self._counted(chain)
        if counted is not None:
            return counted
        unit = chain.unit
        if unit is not None and unit.dims == RATIO:
            behind = self._behind(text, chain)
            if behind is not None:
                return behind
        before = self._before(chain, words)
        if before is None and unit is None:
            before = self._alone(text, chain, words, raw)
        if before is not None and before.name != GENERIC:
            return before
        if unit is not None and unit.dims in RIGHT_DIMS and (after := self._behind(text, chain)):
            return after
        inherits = last is not None and low == last.end and unit is not None
        if inherits and last is not None and last.value.what and "." not in text[low : chain.start]:
            named = self.lexicon.measures.get(last.value.what)
            same = self.lexicon.units.name_of(unit.dims) == last.value.dimension if unit else False
            if named is not None and same and chain.start - low < 30:
                return named
        return before

    def _alone(
        self, text: str, chain: Chain, words: list[str], raw: Callable[[int, int], str]
    ) -> Measure | None:
        """Return what a number measures that has no name before: "4/5", "0.6 in the right eye"."""
        lexicon = self.lexicon
        if words and words[-1] == "=":
            return lexicon.measures.get(GENERIC)
        values = [atom.value for atom in chain.atoms]
        if chain.kind == "slash" and len(values) == 2:
            if values[1] == 5 and values[0] <= 5:
                return lexicon.ratios.get(5)
            if values[0] == 20 <= values[1]:
                return lexicon.ratios.get(20)
        whole = all(value.is_integer() for value in values)
        if words and chain.kind in ("single", "range"):
            linked = words[-1] in lexicon.links and (words[-1].isalpha() or words[-1] == ":")
            decimal = lexicon.words.decimal in text[chain.start : chain.end]
            if (linked and decimal and not whole) or self._behind_acronym(text, chain, words, raw):
                return lexicon.measures.get(GENERIC)
        many = chain.kind == "single" and values[0] >= MANY_CELLS
        after = self._behind(text, chain) if chain.kind == "slash" or not whole or many else None
        if after is None or (whole and many and COUNTS not in after.dims):
            return None
        return after if self._takes_bare(chain, after) else None

    def _behind_acronym(
        self, text: str, chain: Chain, words: list[str], raw: Callable[[int, int], str]
    ) -> bool:
        """Tell a result of something written in capitals, "LRINEC 7", which ends its clause."""
        if not _CLAUSE_END.match(text, chain.end):
            return False
        place = len(words) - 1
        while place > len(words) - 3 and place > 0 and words[place] in self.lexicon.links:
            place -= 1
        word = words[place]
        if not 3 <= len(word) <= 8 or not word.isalpha() or word in self.lexicon.links:
            return False
        if chain.atoms[0].value > FIRST_YEAR and chain.end - chain.start == 4:
            return False
        start = text.rfind(word, max(0, chain.start - LOOK_BACK), chain.start)
        glued = text[chain.start - 1] == "-"
        return not glued and raw(start, start + len(word)).isupper()

    def _counted(self, chain: Chain) -> Measure | None:
        """Return what "5000 leukocytes/mm3" counts."""
        written = chain.atoms[-1].counted
        words = WORDS.findall(written) if written else []
        found = self.lexicon.names.ending_at(words, len(words)) if words else None
        measure = self.lexicon.measures[found[1]] if found else None
        fits = measure is not None and chain.unit is not None and measure.fits(chain.unit)
        return measure if fits else None

    def _before(self, chain: Chain, words: list[str]) -> Measure | None:
        lexicon, unit = self.lexicon, chain.unit
        generic = None
        place, least = len(words), max(0, len(words) - MAX_WORDS)
        while place > least:
            word = words[place - 1]
            if word not in lexicon.names.by_last:
                if unit is None and word not in lexicon.links:
                    return generic
                place -= 1
                continue
            found = lexicon.names.ending_at(words, place)
            if found is not None:
                measure = lexicon.measures[found[1]]
                if measure.name == GENERIC:
                    generic = generic or measure
                elif measure.fits(unit) if unit is not None else self._takes_bare(chain, measure):
                    return measure
                elif unit is None and measure.bare is None:
                    return None
            if unit is None and found is None and word not in lexicon.links:
                return generic
            place -= found[0] if found is not None else 1
        return generic

    def _takes_bare(self, chain: Chain, measure: Measure) -> bool:
        if chain.kind == "product":
            return False
        first = chain.atoms[0].value
        if chain.kind == "slash" and measure.bare == ():
            return True
        if chain.kind == "slash" and any(m is measure for m in self.lexicon.ratios.values()):
            return True
        return measure.bare_unit(first)[0]

    def _behind(self, text: str, chain: Chain) -> Measure | None:
        words = WORDS.findall(text[chain.end : chain.end + LOOK_AHEAD])[:7]
        for skipped in (0, 1, 2):
            if skipped and tuple(words[:skipped]) not in self.lexicon.follows:
                continue
            found = self.lexicon.names.starting_at(words, skipped)
            if found is not None:
                measure = self.lexicon.measures[found[1]]
                if measure.dims and (chain.unit is None or measure.fits(chain.unit)):
                    return measure
        return None

    def _is_none(self, text: str, chain: Chain, words: list[str]) -> bool:
        """Tell the number of a room, the first of some, a part of a name ("CA 19-9", "8-OHdG")."""
        lexicon = self.lexicon
        if words and words[-1] in lexicon.not_before:
            return True
        behind = WORDS.findall(text[chain.end : chain.end + 6])
        if behind and behind[0] in lexicon.ordinals:
            return True
        if _S100.search(text, max(0, chain.start - 3), chain.start) or self._times(text, chain):
            return True
        if chain.atoms[-1].value.is_integer() and _PART.match(text, chain.end):
            return True
        named = [*words[-6:], *WORDS.findall(text[chain.start : chain.atoms[0].end])]
        found = lexicon.names.ending_at(named, len(named))
        return found is not None and found[0] > 1

    def _times(self, text: str, chain: Chain) -> bool:
        """Tell the 1 of "1 x 10 mg": how often, and no value of what stands before."""
        times = _TIMES.match(text, chain.end)
        number = self.lexicon.number.match(text, times.end()) if times else None
        match = self.lexicon.unit.match(text, number.end()) if number else None
        unit = self.lexicon.units.parse(match[0]) if match else None
        return unit is not None and unit.dims in DOSE_DIMS

    def _value(
        self, chain: Chain, measure: Measure | None, comparator: Any, sign: float
    ) -> Quantity | None:
        values = tuple(atom.value for atom in chain.atoms)
        values = (values[0] * sign, *values[1:])
        if measure is not None and measure.name == HEIGHT and not chain.may_be_height:
            measure = self.lexicon.measures.get(SIZE, measure)
        unit, kind, value = chain.unit, chain.kind, values[0]
        if unit is None and measure is not None and kind != "slash":
            if len(values) > 1 and kind == "product":
                return None
            symbol = measure.bare_unit(abs(value))[1]
            return self._make(value, symbol, kind, values, comparator, measure, bare=True)
        if kind == "slash":
            return self._slashed(chain, values, measure, comparator)
        symbol = unit.symbol if unit is not None else None
        if symbol == "°" and measure is not None and TEMPERATURE in measure.dims:
            symbol = measure.bare_unit(value)[1] or symbol
        return self._make(value, symbol, kind, values, comparator, measure)

    def _slashed(
        self, chain: Chain, values: tuple[float, ...], measure: Measure | None, comparator: Any
    ) -> Quantity | None:
        """Read numbers with slashes: a blood pressure, a size or a ratio."""
        unit = chain.unit
        symbol = unit.symbol if unit is not None else None
        dims = unit.dims if unit is not None else ()
        fraction = values in FRACTIONS and chain.atoms[0].unit is None
        if dims == LENGTH and not fraction:
            return self._make(values[0], symbol, "product", values, comparator, measure)
        if len(values) > 2 and measure is not None and measure.name == "blood_pressure":
            values = values[:2]
        if len(values) > 2 or FIRST_YEAR <= values[1] <= LAST_YEAR or not values[1]:
            return None
        pressed = measure is not None and PRESSURE in measure.dims
        if dims == PRESSURE or (pressed and unit is None and measure is not None):
            if symbol is None and measure is not None:
                symbol = measure.bare_unit(values[0])[1]
            return self._make(
                values[0], symbol, "pair", values, comparator, measure, bare=unit is None
            )
        quotient = values[0] / values[1]
        if unit is not None and values[0] < values[1] <= 10:
            return self._make(quotient, symbol, "single", (quotient,), comparator, measure)
        return self._make(quotient, symbol, "ratio", values, comparator, measure)

    def _make(
        self,
        value: float,
        symbol: str | None,
        kind: Any,
        values: tuple[float, ...],
        comparator: Any,
        measure: Measure | None,
        bare: bool = False,
    ) -> Quantity:
        unit = self.lexicon.units.parse(symbol) if symbol else ONE
        dims = unit.dims if unit is not None else ()
        what = measure.name if measure is not None and measure.name != GENERIC else None
        return Quantity(
            value=value,
            unit=symbol or None,
            kind=kind,
            values=values,
            comparator=None if comparator == "=" else comparator,
            dimension=self.lexicon.units.name_of(dims),
            what=what,
            bare=bare,
        )
