"""quantities.yml: words around numbers; units.yml: units and measurements."""

from __future__ import annotations

from typing import Literal

from edspipe.lang.schemas.base import Words


class UnitEntry(Words):
    """A unit.

    Attributes:
        of: Its dimension.
        factor: Its size in base units.
        offset: Where its zero is, in base units.
        prefixes: The prefixes that it takes.
        also: Other ways to write it.
        denominators: Ways to write it that count behind a slash only.
        cased: Ways to write it that count in capitals only, before a slash.
        compound_only: Whether it is a unit only together with others.
        time: Whether it measures time: then numbers with it are durations, and not quantities,
            unless a measurement is named.
    """

    of: str
    factor: float
    offset: float = 0.0
    prefixes: list[str] = []
    also: list[str] = []
    denominators: list[str] = []
    cased: list[str] = []
    compound_only: bool = False
    time: bool = False


class Bare(Words):
    """Which numbers count without a unit.

    Attributes:
        min: The least one.
        max: The largest one.
        unit: The unit that is meant, if any.
    """

    min: float
    max: float
    unit: str | None = None


class MeasureEntry(Words):
    """Something that is measured.

    Attributes:
        of: Dimensions that its values have; empty for any.
        bare: The numbers that count without a unit; empty for any, None for none.
        molar_mass: Grams a mole.
        ratios: What it is given out of: "4/5" is one of strength by itself.
    """

    of: list[str] = []
    bare: list[Bare] | None = None
    molar_mass: float | None = None
    ratios: list[int] = []


class UnitsFile(Words):
    """Units and measurements, the same in all languages.

    Attributes:
        prefixes: Prefixes of units and what they multiply by.
        dimensions: Named dimensions: powers of the base dimensions.
        units: Units by the way they are reported.
        measures: What is measured, by name.
    """

    prefixes: dict[str, float]
    dimensions: dict[str, dict[str, int]]
    units: dict[str, UnitEntry]
    measures: dict[str, MeasureEntry]


class QuantityWords(Words):
    """The words of quantities in a language.

    Attributes:
        decimal: The decimal sign; a group of three digits behind the other one is of thousands.
        decimals: All signs that may be a decimal one.
        units: Words for units, by the unit.
        counts: What is counted, before a denominator: "8000 cells/mm3", "80 beats per minute".
        per: Words for the slash in units.
        comparators: Words before a number, by what they mean.
        times: What stands between the lengths of a size: "3 by 4 cm".
        ranges: What stands between the ends of a range.
        between: What stands before a range whose ends are joined by `and`.
        and_: The word that joins its ends.
        links: Words that may stand between a measurement and its value.
        follows: Words that may stand between a value and what it measures: "90% of lymphocytes".
        ordinals: What makes a number an ordinal one: "1st".
        not_before: Words after which a number is no value: numbers of rooms, of phones ...
        measures: The names of measurements; those of `generic` measure something unnamed.
    """

    decimal: Literal[".", ","]
    decimals: list[str] = [".", ","]
    units: dict[str, list[str]] = {}
    counts: list[str] = []
    per: list[str] = []
    comparators: dict[Literal["<", "<=", ">", ">=", "~", "="], list[str]] = {}
    times: list[str] = []
    ranges: list[str] = []
    between: list[str] = []
    and_: list[str] = []
    links: list[str] = []
    follows: list[str] = []
    not_before: list[str] = []
    ordinals: list[str] = []
    measures: dict[str, list[str]]
