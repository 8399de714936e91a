"""Reading numbers with their units, and which of them belong together."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edspipe.pipes.rules.quantities.lexicon import WORDS, Lexicon
from edspipe.pipes.rules.quantities.numbers import (
    OF_TEN,
    POWER,
    SCIENTIFIC,
    decimal_reading,
    read_number,
    read_power,
)
from edspipe.pipes.rules.quantities.units import Unit

MAX_GAP = 14
"""Characters between two numbers that belong together."""

MAX_PARTS = 3

MIN_UNIT_WORD = 2
"""Letters of a unit behind a number in words: "six g" is no mass."""

LEAST_HEIGHT_M, LARGEST_HEIGHT_M = 0.3, 2.5
MAX_FEET, MAX_POUNDS = 8, 30
"""Heights of people, weights of the newborn."""

FIRST_OF_TWO = frozenset(" 'flp-")

MAX_NAME = 12
"""Letters of a name that a number is glued to."""

LENGTH, PRESSURE = (("length", 1),), (("pressure", 1),)

_LETTERS = re.compile(r"(?<![^\W_])[^\W\d_]{2,}\Z")
_HEIGHT = re.compile(r" ?m ?(\d{2})(?!\d|[.,]\d|[ ]?(?:cm|mm|m\b))")
_KILOS = re.compile(r" ?kg ?(\d{3})(?: ?g(?:r|rs)?)?(?![\d/]|[.,]\d| ?[^\W\d_])")
_DEGREES = re.compile(r"°(\d)(?! ?\d|[.,]\d)(?: ?°? ?c\b)?")
_CLOCK = re.compile(r"[:h]\d|[ ]?h[ ]?\d\d(?!\d)")


@dataclass(frozen=True)
class Atom:
    """A number with its unit.

    Attributes:
        start: Its first character.
        end: The character behind its unit.
        value: The number.
        unit: The unit, if any.
        blocked: Whether the unit is one of time, or none by itself.
        counted: What is counted, as it is written before the slash: "leukocytes/mm3".
        other: The number with a decimal sign where `value` takes it for one of thousands.
    """

    start: int
    end: int
    value: float
    unit: Unit | None = None
    blocked: bool = False
    counted: str = ""
    other: float | None = None


@dataclass(frozen=True)
class Chain:
    """Numbers that belong together.

    Attributes:
        atoms: The numbers.
        kind: How they are joined: `single`, `range`, `product` or `slash`.
        unit: Their unit.
    """

    atoms: tuple[Atom, ...]
    kind: str
    unit: Unit | None

    @property
    def start(self) -> int:
        """The first character."""
        return self.atoms[0].start

    @property
    def end(self) -> int:
        """The character behind the last."""
        return self.atoms[-1].end

    @property
    def may_be_height(self) -> bool:
        """Whether people may have this height; what "measures 4 cm" is something else."""
        if self.kind in ("product", "slash"):
            return False
        size = self.atoms[0].value * (self.unit.factor if self.unit is not None else 1.0)
        return self.unit is None or LEAST_HEIGHT_M <= size <= LARGEST_HEIGHT_M


class Chainer:
    """Reads the numbers of a normalised text, and joins those that belong together.

    Args:
        lexicon: The words of a language.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    def atoms(
        self, text: str, raw: Callable[[int, int], str], taken: Sequence[int] = ()
    ) -> list[Atom]:
        """Return the numbers of a text, with their units.

        Args:
            text: The text, normalised.
            raw: Returns how characters are written in the raw text.
            taken: Where dates begin, in order: no unit goes over them.
        """
        atoms = list(self._in_digits(text, raw, taken))
        spoken = list(self._in_words(text, raw, taken))
        if spoken:
            atoms = sorted([*atoms, *spoken], key=lambda atom: atom.start)
        return atoms

    def _in_words(
        self, text: str, raw: Callable[[int, int], str], taken: Sequence[int]
    ) -> Iterator[Atom]:
        """Yield numbers in words, which count where a unit follows: "two tablets"."""
        lexicon = self.lexicon
        if lexicon.number_words is None or lexicon.spoken is None:
            return
        for match in lexicon.number_words.finditer(text):
            end = match.end()
            unit = lexicon.unit.match(text, end, _limit(text, end, taken))
            if unit is None or not text[end].isspace() or match[0] in lexicon.spoken.articles:
                continue
            if len(unit[0].strip()) < MIN_UNIT_WORD:
                continue
            before = WORDS.findall(text[max(0, match.start() - MAX_GAP) : match.start()])
            if lexicon.spoken.goes_on(before):
                continue
            for start, stop, value in self._numbers_of(match, before):
                if stop < end:
                    yield Atom(start, stop, value)
                    continue
                atom = self._with_unit(text, start, end, value, None, raw, taken)
                if atom is not None and atom.unit is not None and not atom.blocked:
                    yield atom

    def _numbers_of(
        self, match: re.Match[str], before: Sequence[str]
    ) -> list[tuple[int, int, float]]:
        """Return the number that a run of number words is, or the two of a range, if any.

        A run that is neither ("two fifty") has none: nothing tells which of its words count.
        """
        written, start, end = match[0], match.start(), match.end()
        if (value := self._one_number(written)) is not None:
            return [(end - len(value[0]), end, value[1])]
        for split in self.lexicon.splits.finditer(written):
            sign = split[0].strip(" ")
            between = bool(before) and before[-1] in self.lexicon.between
            if sign not in self.lexicon.ranges and not (between and sign in self.lexicon.and_):
                continue
            low = self._one_number(written[: split.start()])
            high = self._one_number(written[split.end() :])
            if low is not None and high is not None and low[1] < high[1]:
                left, right = start + split.start(), start + split.end()
                return [(start, left, low[1]), (right, end, high[1])]
        return []

    def _one_number(self, written: str) -> tuple[str, float] | None:
        """Return what is one number, without an article before it, and its value."""
        spoken = self.lexicon.spoken
        if spoken is None:
            return None
        if (value := spoken.read(_parts(written))) is not None:
            return written, float(value)
        article, _, rest = written.partition(" ")
        value = spoken.read(_parts(rest)) if article in spoken.articles else None
        return None if value is None else (rest, float(value))

    def _in_digits(
        self, text: str, raw: Callable[[int, int], str], taken: Sequence[int]
    ) -> Iterator[Atom]:
        decimal, behind = self.lexicon.words.decimal, 0
        for found in self.lexicon.number.finditer(text):
            match = found if found.start() >= behind else None
            glued = match is not None and found.start() > 0 and _in_word(text, found.start())
            if glued:
                match, glued = self._in_word_after_all(text, found)
            value = read_number(match[0], decimal) if match is not None else None
            if match is None or value is None:
                continue
            start, end = match.span()
            if _is_bullet(text, start, end) or _CLOCK.match(text, end):
                continue
            parted = _in_parts(text, end, value) or self._in_two_units(text, start, end, value)
            if parted is not None:
                behind, whole, symbol = parted
                yield Atom(start, behind, whole, self.lexicon.units.exact[symbol])
                continue
            atom = self._with_unit(text, start, *self._scaled(text, end, value), raw, taken)
            if atom is not None and (not glued or (atom.unit is not None and not atom.blocked)):
                behind = atom.end
                other = decimal_reading(match[0]) if atom.value == value else None
                yield atom if other in (None, value) else replace(atom, other=other)

    def _in_word_after_all(
        self, text: str, found: re.Match[str]
    ) -> tuple[re.Match[str] | None, bool]:
        """Return the number that digits in a word hold, and whether only a unit makes it one.

        The 2 of "PO2 105 mmHg" is none of thousands; "Hb15,6 g/dL" is a name with its value.
        """
        start = found.start()
        if " " in found[0]:
            behind = text.index(" ", start) + 1
            return self.lexicon.number.match(text, behind, found.end()), False
        name = _LETTERS.search(text, max(0, start - MAX_NAME), start)
        named = name is not None and name[0] in self.lexicon.short_names
        return (found if named else None), True

    def _in_two_units(
        self, text: str, start: int, end: int, value: float
    ) -> tuple[int, float, str] | None:
        """Read "5 ft 10 in", "5'10\"" and "7 lb 3 oz", in the smaller unit."""
        lexicon = self.lexicon
        if value > MAX_POUNDS or text[end : end + 1] not in FIRST_OF_TWO or not value.is_integer():
            return None
        feet = lexicon.feet.match(text, end) if value <= MAX_FEET else None
        # Without the last sign, "5'10" may be minutes.
        signs = feet is not None and feet[1] == "'"
        certain = feet is not None and (
            not signs or (feet[3] is not None and lexicon.measures_in_feet)
        )
        if (
            feet is not None
            and float(feet[2]) < 12
            and (certain or self._behind_height(text, start))
        ):
            return feet.end(), value * 12 + float(feet[2]), "inch"
        pounds = lexicon.pounds.match(text, end)
        if pounds is not None and pounds[3] and float(pounds[2]) < 16:
            return pounds.end(), value * 16 + float(pounds[2]), "oz"
        return None

    def _behind_height(self, text: str, start: int) -> bool:
        words = WORDS.findall(text[max(0, start - 20) : start])
        named = (self.lexicon.names.ending_at(words, end) for end in range(len(words), 0, -1))
        return any(found is not None and found[1] == "height" for found in named)

    def _scaled(self, text: str, end: int, value: float) -> tuple[int, float, int | None]:
        """Return where a number ends, its value, and the power of ten that may be its unit's."""
        near = text[end : end + 5]
        if value == 10.0 and (power := OF_TEN.match(text, end)):
            return power.end(), 10.0 ** read_power(power), None
        if "10" in near and (power := POWER.match(text, end)):
            return power.end(), value, read_power(power)
        if "e" in near[:2] and (scientific := SCIENTIFIC.match(text, end)):
            return scientific.end(), value * 10.0 ** int(scientific[1]), None
        return end, value, None

    def _with_unit(
        self,
        text: str,
        start: int,
        end: int,
        value: float,
        power: int | None,
        raw: Callable[[int, int], str],
        taken: Sequence[int],
    ) -> Atom | None:
        match = self.lexicon.unit.match(text, end, _limit(text, end, taken))
        units = self.lexicon.units
        unit: Unit | None = None
        counted = ""
        if match is not None:
            written = raw(*match.span()).strip(" \t\n|").lstrip("-")
            unit = units.parse(f"10^{power}{written}") if power and written[:1] == "/" else None
            if unit is not None:
                power = None
            else:
                unit = units.parse(written)
                counted = match[0].split("/")[0].strip()
        if power is not None:
            value *= 10.0**power
        if unit is None:
            if text[end : end + 1].isalpha() and text[end] not in "x×":
                return None
            return Atom(start, end, value)
        assert match is not None
        if unit.partial or unit.is_time:
            return Atom(start, match.end(), value, unit, blocked=True)
        return Atom(start, match.end(), value, unit, counted=counted)

    def chains(self, text: str, atoms: list[Atom]) -> Iterator[Chain]:
        """Yield the numbers that belong together."""
        place = 0
        while place < len(atoms):
            size, kind = self._joined(text, atoms, place)
            chosen = tuple(atoms[place : place + size])
            unit = next((atom.unit for atom in reversed(chosen) if atom.unit is not None), None)
            yield Chain(chosen, kind, unit)
            place += size

    def _joined(self, text: str, atoms: list[Atom], place: int) -> tuple[int, str]:
        """Return how many numbers from a place on belong together, and how."""
        kind, size = "single", 1
        while place + size < len(atoms) and size < MAX_PARTS:
            joint = self._joint(text, atoms[place + size - 1], atoms[place + size], atoms[place])
            if joint is None or kind not in ("single", joint) or (joint == "range" and size == 2):
                break
            kind, size = joint, size + 1
        return size, kind

    def _joint(self, text: str, left: Atom, right: Atom, first: Atom) -> str | None:
        length = right.start - left.end
        if length > MAX_GAP or left.blocked or right.blocked:
            return None
        if left.unit is not None and (right.unit is None or left.unit.dims != right.unit.dims):
            shared = right.unit is None and left.unit.dims in (LENGTH, PRESSURE)
            if not shared or text[left.end : right.start].strip() not in ("/", "x", "×"):
                return None
        gap = text[left.end : right.start]
        sign = " ".join(gap.split())
        if "\n" in gap and "\n\n" in gap:
            return None
        lexicon = self.lexicon
        if sign in ("/", "\\"):
            return "slash"
        if sign in lexicon.times:
            return (
                "product" if length and (right.unit is None or right.unit.dims == LENGTH) else None
            )
        if sign in lexicon.ranges:
            rises = left.value < right.value
            return "range" if rises or (sign.isalpha() and right.unit is not None) else None
        if sign in lexicon.and_:
            before = WORDS.findall(text[max(0, first.start - 12) : first.start])
            return "range" if before and before[-1] in lexicon.between else None
        return None


def _parts(written: str) -> list[str]:
    """Return the words of a number."""
    return written.replace("-", " ").split()


def _in_parts(text: str, end: int, value: float) -> tuple[int, float, str] | None:
    """Read a number with its unit inside: where it ends, its value, its unit.

    "1m75" is 1.75 m, "37°5" 37.5 °C, "3 kg 250" 3.25 kg.
    """
    if value in (1.0, 2.0) and (height := _HEIGHT.match(text, end)):
        return height.end(), value + int(height[1]) / 100, "m"
    if value < MAX_POUNDS and value.is_integer() and (kilos := _KILOS.match(text, end)):
        return kilos.end(), value + int(kilos[1]) / 1000, "kg"
    if 30.0 <= value <= 45.0 and value.is_integer() and (degrees := _DEGREES.match(text, end)):
        return degrees.end(), value + int(degrees[1]) / 10, "°C"
    return None


def _limit(text: str, end: int, taken: Sequence[int]) -> int:
    """Return where a unit must end: where the next date begins."""
    if not taken:
        return len(text)
    place = bisect_left(taken, end)
    return taken[place] if place < len(taken) else len(text)


def _in_word(text: str, start: int) -> bool:
    """Tell the digits of a word, as in "b12"; the x of "3x4" is none."""
    before = text[start - 1]
    return before == "_" or (before.isalpha() and not _glued(text, start))


def _glued(text: str, start: int) -> bool:
    """Tell "3x4" from "cox2"."""
    return text[start - 1] in "x×" and (
        start < 2 or not text[start - 2].isalpha() or _unit_x(text, start)
    )


def _unit_x(text: str, start: int) -> bool:
    """Tell the x of "3cmx4cm"."""
    return text[max(0, start - 3) : start - 1] in ("cm", "mm")


def _is_bullet(text: str, start: int, end: int) -> bool:
    """Tell the number of a list: "1. Cough" at the beginning of a line."""
    if text[end : end + 1] not in (".", ")") or end - start > 2:
        return False
    return not text[text.rfind("\n", max(0, start - 8), start) + 1 : start].strip() and (
        start < 8 or "\n" in text[start - 8 : start]
    )
