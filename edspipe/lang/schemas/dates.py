"""dates.yml: the words of dates, times, durations and frequencies, and the forms they make."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edspipe.lang.schemas.base import Words

Unit = Literal["decade", "year", "month", "week", "day", "hour", "minute", "second"]
Anchor = Literal["note", "context"]


class Phrase(Words):
    """Fixed wordings that mean one moment.

    Attributes:
        terms: The wordings.
        value: Their TIMEX3 value, e.g. `PRESENT_REF`; or
        offset: how far from the anchor they are: a signed duration of one unit, `-P1D`.
        anchor: What they count from: the `note`'s date, or what the text spoke of before
            (`context`).
        part: Part of the day as in TIMEX3: MO, AF, EV, NI.
    """

    terms: list[str]
    value: str | None = None
    offset: Annotated[str, Field(pattern=r"^[+-]P\d+[YMWD]$")] | None = None
    anchor: Anchor = "note"
    part: Literal["MO", "AF", "EV", "NI"] | None = None


class Frequency(Words):
    """Words that mean a frequency: "monthly", "b.i.d.".

    Attributes:
        terms: The words.
        value: The period, e.g. `P1M`.
        times: How often in it.
    """

    terms: list[str]
    value: str
    times: int | None = None


class DateWords(Words):
    """The words of dates.

    A *form* is a row of words and of parts in braces. `(a | b)` is a choice and `?` makes what
    stands before it optional. `[` and `]` bound the span where the form needs context: one part
    before `[`, any after `]`. `!` before a part of the context says that it must not stand there.

    Attributes:
        day_first: Whether 03/04/2020 is the third of April.
        cardinals: Number words.
        ordinals: Ordinal words.
        months: Names of months, by number.
        weekdays: Names of days, by number; Monday is 1.
        units: Units of time.
        abbreviations: Short forms of units, read as such only behind digits.
        frequencies: Words that are a frequency by themselves.
        phrases: Fixed wordings that are a date by themselves.
        modifiers: Words before a value, by the TIMEX3 modifier that they mean (APPROX, ...).
        day_parts: Parts of the day, by TIMEX3 code.
        modes: What stands before a date where something begins (`from`) or ends (`until`).
        joins: What stands between the two dates of a period.
        clock_joins: What stands between a date and the time of day.
        persons: Words for people, before an age.
        person_gap: Words that may stand between a person and the age.
        parts: Further words that forms refer to.
        forms: The forms by what they mean, see `edspipe.pipes.rules.dates.builders`.
    """

    day_first: bool
    cardinals: dict[str, int]
    ordinals: dict[str, int]
    months: dict[int, list[str]]
    weekdays: dict[int, list[str]]
    units: dict[Unit, list[str]]
    abbreviations: dict[Unit, list[str]] = {}
    frequencies: list[Frequency] = []
    phrases: list[Phrase] = []
    modifiers: dict[str, list[str]] = {}
    day_parts: dict[str, list[str]] = {}
    modes: dict[Literal["from", "until"], list[str]] = {}
    joins: list[str] = []
    clock_joins: list[str] = []
    persons: list[str] = []
    person_gap: list[str] = []
    parts: dict[str, list[str]] = {}
    forms: dict[str, list[str]]
