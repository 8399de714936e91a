"""Units: their dimensions, and conversion between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydantic import ValidationError

from edspipe.errors import ConfigError, did_you_mean
from edspipe.lang.schemas.quantities import UnitEntry, UnitsFile
from edspipe.lang.words import FOLDER, read_words_file
from edspipe.matching.folding import fold

Dims = tuple[tuple[str, int], ...]
"""Powers of the base dimensions, sorted: `(("length", -3), ("mass", 1))` of g/L."""

COUNTED_IN = frozenset(("l", "mm3", "μl", "ul"))
"""Denominators of numbers of cells."""

MASS, BODY_WEIGHT = (("mass", 1),), (("bodyweight", 1),)

MAX_UNIT = 40
"""Characters of a unit."""

_DENOMINATOR = re.compile(r"(\d{1,3}(?:[.,]\d{1,2})?)? ?(.+)", flags=re.DOTALL)


@dataclass(frozen=True)
class Unit:
    """A unit.

    Attributes:
        symbol: How it is reported, e.g. `mg/L`.
        dims: Its dimension.
        factor: Its size in base units.
        offset: Where its zero lies, in base units: only temperatures have one.
        is_time: Whether it is a unit of time alone.
        partial: Whether it counts only with a denominator.
    """

    symbol: str
    dims: Dims
    factor: float
    offset: float = 0.0
    is_time: bool = False
    partial: bool = False

    def over(self, other: Unit, amount: float, written: str) -> Unit:
        """Return this unit divided by an amount of another."""
        powers = dict(self.dims)
        # A dose by the weight of the patient: milligrams and kilograms do not cancel out. In the
        # milligrams per gram of creatinine, they do.
        is_dose = powers.get("mass") and other.dims == MASS and other.symbol == "kg"
        divisor = BODY_WEIGHT if is_dose else other.dims
        for base, power in divisor:
            powers[base] = powers.get(base, 0) - power
        dims = tuple(sorted((base, power) for base, power in powers.items() if power))
        symbol = f"{self.symbol}/{written}{' ' if written else ''}{other.symbol}"
        factor = self.factor / (other.factor * amount)
        return Unit(symbol, dims, factor, is_time=self.is_time)


ONE = Unit("", (), 1.0)


class UnitTable:
    """All units, and the ways to write them.

    Args:
        file: Units and dimensions.
        words: Further words for units, by the unit; e.g. those of a language.
        per: Words for the slash.
        counts: Words for what is counted.

    Raises:
        ConfigError: Words are for a unit that is none.
    """

    def __init__(
        self,
        file: UnitsFile,
        words: Mapping[str, list[str]] | None = None,
        per: list[str] | None = None,
        counts: list[str] | None = None,
    ) -> None:
        self.dimensions = {name: _dims(powers) for name, powers in file.dimensions.items()}
        self.names = {dims: name for name, dims in self.dimensions.items()}
        self.exact: dict[str, Unit] = {}
        self.folded: dict[str, Unit] = {}
        self.denominators: dict[str, Unit] = {}
        self.cased: dict[str, Unit] = {}
        self.ways: set[str] = set()
        for symbol, entry in file.units.items():
            self._add(symbol, entry, file.prefixes)
        for symbol, listed in (words or {}).items():
            unit = self._known(symbol)
            for word in listed:
                self._write(word, unit)
        self.count_ways = frozenset(fold(word, "NORM") for word in counts or ())
        self.counts = frozenset(map(_key, self.count_ways))
        # A plain "a" is a word far more often than a slash, so words are tried behind it.
        self.per = sorted((fold(word, "NORM") for word in per or ()), key=len, reverse=True)
        self.slash = "|".join(["/", *(rf"\b{re.escape(word)}\b" for word in self.per)])
        self._slash = re.compile(rf"\s*(?:{self.slash})\s*")
        self._cache: dict[str, Unit | None] = {}

    def _add(self, symbol: str, entry: UnitEntry, prefixes: Mapping[str, float]) -> None:
        if entry.of not in self.dimensions:
            raise ConfigError(
                f"units.yml: units.{symbol}.of: unknown dimension {entry.of!r}."
                f"{did_you_mean(entry.of, self.dimensions)}"
            )
        dims = self.dimensions[entry.of]
        for prefix, size in [("", 1.0), *((p, prefixes[p]) for p in entry.prefixes)]:
            shown = "µ" if prefix == "mc" else prefix
            partial = entry.compound_only and not prefix
            unit = Unit(
                shown + symbol, dims, entry.factor * size, entry.offset, entry.time, partial
            )
            ways = [symbol, *entry.also] if not prefix else [symbol, *_plain_letters(entry.also)]
            self.exact.setdefault(unit.symbol, unit)
            for way in ways:
                self._write(prefix + way, unit)
                if prefix == "µ":
                    self._write("u" + way, unit)
        for way in entry.denominators:
            self.denominators[way] = self.exact[symbol]
        for way in entry.cased:
            self.cased[fold(way, "NORM")] = self.exact[symbol]

    def _write(self, way: str, unit: Unit) -> None:
        self.ways.add(fold(way, "NORM"))
        self.folded.setdefault(_key(way), unit)

    def _known(self, symbol: str) -> Unit:
        unit = self.exact.get(symbol)
        if unit is None:
            raise ConfigError(
                f"quantities.yml: units.{symbol}: unknown unit.{did_you_mean(symbol, self.exact)}"
            )
        return unit

    def parse(self, written: str) -> Unit | None:
        """Return the unit that a text says, or None: `mg/l`, `cells/mm3`, `beats per min`."""
        written = written.strip()
        if written in self._cache:
            return self._cache[written]
        unit = self._parse(written) if len(written) <= MAX_UNIT * 2 else None
        if len(self._cache) < 10_000:
            self._cache[written] = unit
        return unit

    def _parse(self, written: str) -> Unit | None:
        whole = self.exact.get(written) or self.folded.get(_key(written))
        if whole is not None:
            return whole
        numerator, *denominators = self._slash.split(written)
        unit = self._numerator(numerator, denominators)
        for part in denominators:
            match = _DENOMINATOR.fullmatch(part)
            if match is None or unit is None:
                return None
            key = _key(match[2])
            other = self.folded.get(key)
            if other is None:
                return None
            if match[1] and other.dims not in self.shared and other.symbol != "kg":
                return None
            amount = float((match[1] or "1").replace(",", "."))
            unit = unit.over(other, amount or 1.0, match[1] or "")
        return unit

    def _numerator(self, written: str, denominators: list[str]) -> Unit | None:
        if written in self.exact:
            return self.exact[written]
        key = _key(written)
        if not key or key in self.counts:
            return ONE
        if key in self.cased and (key != written or key not in self.folded):
            # G/L are 10^9 a litre, G/DL are grams in a text in capitals.
            under = {_key(part) for part in denominators}
            if under <= COUNTED_IN or key not in self.folded:
                return self.cased[key]
        return self.folded.get(key)

    def name_of(self, dims: Dims) -> str:
        """Return the name of a dimension; without one, its powers, as `length2·time-1`."""
        return self.names.get(dims) or "·".join(
            f"{base}{power}" if power != 1 else base for base, power in dims
        )

    @property
    def shared(self) -> frozenset[Dims]:
        """Dimensions whose units take a number under a slash: `/24 h`, `/100 mL`, `/10 fields`."""
        return frozenset(self.dimensions[name] for name in ("time", "volume", "area", "count"))

    def terms(self, dims: frozenset[Dims] | None = None) -> list[str]:
        """Return all ways to write a unit, normalised.

        Args:
            dims: Those that may stand under a number; None for those behind one.
        """
        if dims is None:
            return list(self.ways)
        return [
            way for way in (*self.ways, *self.denominators) if self.folded[_key(way)].dims in dims
        ]


@cache
def units_file() -> UnitsFile:
    """Return units and measurements as they stand in `edspipe/lang/units.yml`.

    Raises:
        ConfigError: The file does not fit its schema.
    """
    path = FOLDER / "units.yml"
    try:
        return UnitsFile.model_validate(read_words_file(path))
    except ValidationError as error:
        raise ConfigError(f"{path}: {error.errors(include_url=False)[0]['msg']}") from None


@cache
def unit_table() -> UnitTable:
    """Return the table of units without the words of a language."""
    return UnitTable(units_file())


def find_unit(written: str) -> Unit:
    """Return the unit of a symbol, e.g. `mg/L`.

    Raises:
        ConfigError: There is none.
    """
    unit = unit_table().parse(written)
    if unit is None:
        raise ConfigError(
            f"unit: expected a unit of edspipe/lang/units.yml such as kg, mmol/L or 10^9/L; got "
            f"{written!r}.{did_you_mean(written, unit_table().exact)}"
        )
    return unit


def _dims(powers: Mapping[str, int]) -> Dims:
    return tuple(sorted(powers.items()))


def _key(written: str) -> str:
    return fold(written, "NORM").replace(" ", "").replace("\n", "")


def _plain_letters(ways: list[str]) -> list[str]:
    """Return the ways to write a unit that take a prefix too."""
    return [way for way in ways if way in ("gr",)]
