"""Values of what forms found: one function a kind of form.

A kind says what a form means:

| kind | means | example |
|---|---|---|
| `date`, `next_date` | a calendar date; the second only right behind another date | 12 March 2020 |
| `decade` | ten years | the 1980s |
| `season` | a season, of a year or of the last one | summer 2019 |
| `period` | two dates that bound one time | 3 to 5 March 2020 |
| `ago`, `ahead` | counted from the note | 3 days ago |
| `earlier`, `later` | counted from what the text spoke of | 3 days later |
| `last`, `next`, `this` | one unit beside the note's own | last week |
| `weekday` | the last such day, the note's own included | Monday |
| `last_weekday`, `next_weekday` | the one before the note's day, or behind it | next Monday |
| `ordinal` | the third day of something | day 3 |
| `lasting` | a duration that its context tells from a time of day | 1h30 after |
| `duration`, `vague` | how long; the second without a number | 3 days, for months |
| `every`, `times`, `rate`, `frequency` | how often | every 8 hours |
| `clock` | a time of day | 8.30 am |
| `phrase` | a fixed wording | yesterday |
| `age` | an age | 65-year-old |
| `skip` | nothing: it hides a shorter form | beats per minute |
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from edspipe.pipes.rules.dates.lexicon import FRACTION_UNITS
from edspipe.pipes.rules.dates.meanings import UNKNOWN, Meanings, Number, halved, key
from edspipe.pipes.rules.dates.value import (
    CLOCK_LETTERS,
    LETTERS,
    DateValue,
    Precision,
    duration,
    full_year,
)

UNRESOLVED: dict[str, str] = {
    "year": "XXXX",
    "month": "XXXX-XX",
    "week": "XXXX-WXX",
    "day": "XXXX-XX-XX",
    "hour": "XXXX-XX-XXTXX",
    "minute": "XXXX-XX-XXTXX:XX",
    "second": "XXXX-XX-XXTXX:XX:XX",
}

JOINED_UNITS = {
    ("year", "month"): 12,
    ("year", "week"): 53,
    ("month", "week"): 5,
    ("month", "day"): 32,
    ("week", "day"): 7,
    ("day", "hour"): 24,
    ("hour", "minute"): 60,
    ("minute", "second"): 60,
}
"""Units that follow each other in one duration ("2 years and 3 months"), and below which number."""


_BELOW = {"hour": "minute", "minute": "second"}
"""What a number without a unit counts behind another: the 30 of "1h30"."""

DAY_PARTS = ("day_number", "day_word", "spoken_day", "ordinal_day")


@dataclass(frozen=True)
class Found:
    """What a form matched: the words of each captured part, in order."""

    parts: tuple[tuple[str, tuple[str, ...]], ...]
    meanings: Meanings

    def words(self, *names: str) -> tuple[str, ...] | None:
        """Return the words of the first part of these names."""
        return next((words for name, words in self.parts if name in names), None)

    def key(self, *names: str) -> str | None:
        """Return the same, as it is looked up."""
        words = self.words(*names)
        return None if words is None else key(words)

    def integer(self, *names: str) -> int | None:
        """Return the number that a part of digits says."""
        words = self.words(*names)
        return int(words[0]) if words and words[0].isdigit() else None


@dataclass
class Amount:
    """A number of units; `vague` where none is said and the unit is plural."""

    number: Number
    unit: str
    half: bool = False
    vague: bool = False

    @property
    def value(self) -> str:
        return self._value(self.number.low)

    @property
    def max_value(self) -> str | None:
        return None if self.number.high is None else self._value(self.number.high)

    def _value(self, number: str) -> str:
        if not self.half or not number.isdigit():
            return duration(number, self.unit)
        extra = halved(number, self.unit)
        if extra is None:
            return duration(f"{number}.5", self.unit)
        if number == "0":
            return duration(*extra)
        return _added(duration(number, self.unit), duration(*extra))


def _added(first: str, second: str) -> str:
    """Return two durations as one: P1Y and P6M are P1Y6M, PT1H and PT30M are PT1H30M."""
    both_clock = first.startswith("PT") and second.startswith("PT")
    return first + second[2 if both_clock else 1 :]


def amounts(found: Found) -> list[Amount]:
    """Return the numbers of units that a form holds, in order."""
    listed: list[Amount] = []
    numbers: list[Number] = []
    half = False
    for name, words in found.parts:
        if name in ("number", "figures", "minute"):
            number = found.meanings.number(words)
            if number is None:
                return []  # Words that are not one number: no value rather than a wrong one.
            numbers.append(number)
        elif name == "fixed":
            amount, unit = found.meanings.fixed[key(words)]
            listed.append(Amount(Number(amount), unit))
        elif name == "denominator" and numbers:
            listed.append(Amount(_joined(numbers, False), FRACTION_UNITS[int(words[0])]))
            numbers = []
        elif name == "half_before" or (name == "half" and numbers):
            half = True
        elif name in ("unit", "abbreviation"):
            vague = not numbers and key(words) in found.meanings.plurals
            listed.append(
                Amount(_joined(numbers, half), found.meanings.units[key(words)], half, vague)
            )
            numbers, half = [], False
        elif name == "half" and listed:
            listed[-1].half = True
    if numbers and listed and listed[-1].unit in _BELOW:
        listed.append(Amount(_joined(numbers, half), _BELOW[listed[-1].unit]))
    return listed


def _joined(numbers: Sequence[Number], half: bool) -> Number:
    if not numbers:
        return Number("0" if half else "1")
    return numbers[0] if len(numbers) == 1 else Number(numbers[0].low, numbers[-1].low)


def _date(found: Found) -> DateValue | None:
    meanings = found.meanings
    month_word = found.key("month") or ""
    month = found.integer("month_number") or meanings.months.get(month_word)
    day = found.integer("day_number") or (1 if found.words("day_word") else None)
    if (spoken := found.words("spoken_day", "ordinal_day")) is not None:
        if month_word in meanings.cardinals:
            return None  # "vingt sept" is 27, and no day of September.
        day = meanings.ordinal(spoken)
    year = _year(found)
    if day and month and day > monthrange(int(year) if year.isdigit() else 2000, month)[1]:
        return None
    precision: Precision = "day" if day else "month" if month else "year"
    value = "-".join([year, *(f"{number:02d}" for number in (month, day) if number)])
    mod = meanings.modifiers.get(found.key("modifier") or "")
    short = found.words("short_year", "padded_year") is not None and found.words("year") is None
    return DateValue("DATE", value, precision, mod=mod, short_year=short)


def _year(found: Found) -> str:
    if (year := found.integer("year")) is not None:
        return f"{year:04d}"
    if (short := found.integer("short_year", "padded_year")) is not None:
        return str(full_year(short))
    return "XXXX"


def _decade(found: Found) -> DateValue | None:
    words = found.words("decade_year", "decade_short", "decade_word") or ()
    number = found.meanings.number(words)
    if number is None or number.high is not None or not number.low.isdigit():
        return None
    year = int(number.low)
    year = full_year(year) if year < 100 else year
    return DateValue("DATE", f"{year // 10}X", "decade")


def _season(found: Found) -> DateValue | None:
    season = found.meanings.seasons[found.key("season") or ""]
    return DateValue("DATE", f"{_year(found)}-{season}")


def _period(found: Found) -> DateValue | None:
    """Read two days of one month, or two years, as a period."""
    years = [words for name, words in found.parts if name == "year"]
    days = [(name, words) for name, words in found.parts if name in DAY_PARTS]
    if len(days) < 2:
        if len(years) != 2 or int(years[0][0]) >= int(years[1][0]):
            return None
        return DateValue("PERIOD", f"{years[0][0]}/{years[1][0]}", "year")
    rest = tuple(part for part in found.parts if part[0] not in DAY_PARTS)
    ends = []
    for day in days:
        end = _date(Found((*rest, day), found.meanings))
        if end is None:
            return None
        ends.append(end.value)
    return DateValue("PERIOD", "/".join(ends), "day") if ends[0] < ends[1] else None


def _relative(sign: str, anchor: Any) -> Callable[[Found], DateValue | None]:
    def build(found: Found) -> DateValue | None:
        listed = amounts(found)
        if not listed:
            return None
        amount = listed[0]
        unit: Any = "year" if amount.unit == "decade" else amount.unit
        known = amount.number.low != UNKNOWN and not amount.vague
        offset = f"{sign}{amount.value}" if known else None
        return DateValue("DATE", UNRESOLVED[unit], unit, offset=offset, anchor=anchor)

    return build


def _beside(steps: int) -> Callable[[Found], DateValue | None]:
    """Make the builder of "last week", "this month", "next year"."""

    def build(found: Found) -> DateValue | None:
        listed = amounts(found)
        if not listed or listed[0].unit not in LETTERS:
            return None
        unit: Any = listed[0].unit
        offset = f"{'-' if steps < 0 else '+'}{duration(str(abs(steps)), unit)}"
        return DateValue("DATE", UNRESOLVED[unit], unit, offset=offset, anchor="note")

    return build


def _ordinal(found: Found) -> DateValue | None:
    words = found.words("ordinal", "ordinal_day", "number", "glued_number")
    place = found.meanings.ordinal(words) if words else None
    listed = amounts(Found(tuple(p for p in found.parts if p[0] == "unit"), found.meanings))
    marked = [name.removeprefix("mark_") for name, _ in found.parts if name.startswith("mark_")]
    unit: Any = listed[0].unit if listed else marked[0] if marked else "day"
    if place is None or unit not in UNRESOLVED:
        return None
    return DateValue("DATE", UNRESOLVED[unit], unit, anchor="context", ordinal=place)


def _duration(found: Found) -> DateValue | None:
    listed = amounts(found)
    if not listed:
        return None
    if listed[0].vague:
        listed[0].number = Number(UNKNOWN)
    value = listed[0].value
    for before, amount in pairwise(listed):
        number = amount.number.low
        bound = JOINED_UNITS.get((before.unit, amount.unit), 0)
        if not number.isdigit() or int(number) >= bound or not _goes_below(value, amount.unit):
            return None
        value = _added(value, amount.value)
    if (extra := found.words("extra_days")) is not None and value.endswith("W"):
        value = f"{value}{extra[0]}D"
    max_value = listed[0].max_value if len(listed) == 1 else None
    return DateValue("DURATION", value, _smallest_unit(value), max_value=max_value)


def _goes_below(value: str, unit: str) -> bool:
    """Tell whether a unit is smaller than all of a duration: after half an hour, no minutes."""
    units = [*LETTERS, *CLOCK_LETTERS]
    return unit in units[units.index(_smallest_unit(value)) + 1 :]


def _smallest_unit(value: str) -> Any:
    """Return the last unit of a duration: of `P1Y6M` the month."""
    letters = CLOCK_LETTERS if "T" in value else LETTERS
    return next((unit for unit, letter in letters.items() if letter == value[-1]), None)


def _vague(found: Found) -> DateValue | None:
    listed = amounts(found)
    if not listed:
        return None
    value = duration(UNKNOWN, listed[0].unit)
    return DateValue("DURATION", value, _smallest_unit(value))


def _age(found: Found) -> DateValue | None:
    value = _duration(found)
    if value is not None:
        return replace(value, age=True)
    words = found.words("number", "figures")
    number = found.meanings.number(words) if words else None
    if number is None:
        return None
    return DateValue("DURATION", duration(number.low, "year"), "year", age=True)


def _every(found: Found) -> DateValue | None:
    if (weekday := found.meanings.weekdays.get(found.key("weekday") or "")) is not None:
        return DateValue("SET", f"XXXX-WXX-{weekday}", "day", quant="EVERY")
    listed = amounts(found)
    if not listed:
        return None
    amount = listed[0]
    place = found.words("ordinal_word", "every_of")
    if found.words("every_other"):
        amount = Amount(Number("2"), amount.unit)
    elif place is not None and found.words("number") is None:
        amount = Amount(Number(str(found.meanings.ordinal(place))), amount.unit)
    return DateValue(
        "SET", amount.value, _smallest_unit(amount.value), max_value=amount.max_value, quant="EVERY"
    )


def _times(found: Found) -> DateValue | None:
    """Read "3 times a day": the first number counts, the unit is the period."""
    words = found.words("times")
    number = found.meanings.number(words) if words else None
    if number is None:
        fixed = found.meanings.times.get(found.key("times_word") or "")
        number = Number(str(fixed)) if fixed else None
    rest = Found(tuple(part for part in found.parts if part[0] != "times"), found.meanings)
    if (word := found.key("frequency")) is not None:
        period = found.meanings.frequencies[word].value
        precision = _smallest_unit(period)
    else:
        listed = amounts(rest)
        period = listed[0].value if listed else "P1D"
        precision = _smallest_unit(period)
    times = float(number.low) if number and number.low != UNKNOWN else None
    times = int(times) if times is not None and times.is_integer() else times
    return DateValue("SET", period, precision, times=times)


def _frequency(found: Found) -> DateValue | None:
    word = found.key("frequency")
    if word is None:
        return None
    entry = found.meanings.frequencies[word]
    unit = _smallest_unit(entry.value)
    quant = None if entry.times else "EVERY"
    return DateValue("SET", entry.value, unit, times=entry.times, quant=quant)


def _clock(found: Found) -> DateValue | None:
    hour = found.integer("hour", "long_hour")
    if (military := found.words("military")) is not None:
        return DateValue("TIME", f"T{military[0][:2]}:{military[0][2:]}", "minute")
    if hour is None:
        return None
    minutes = [int(words[0]) for name, words in found.parts if name == "minute"]
    if hour == 24 and any(minutes):
        return None
    half = found.key("meridiem") or ""
    if half in found.meanings.afternoon and hour < 12:
        hour += 12
    elif half in found.meanings.morning and hour == 12:
        hour = 0
    value = "".join(f":{minute:02d}" for minute in minutes)
    precision: Any = ("hour", "minute", "second")[min(len(minutes), 2)]
    return DateValue("TIME", f"T{hour:02d}{value}", precision)


def _phrase(found: Found) -> DateValue | None:
    phrase = found.meanings.phrases[found.key("phrase") or ""]
    if phrase.offset is None:
        value = phrase.value or UNRESOLVED["day"]
        kind: Any = "TIME" if value.startswith("T") else "DATE"
        anchor: Any = phrase.anchor if phrase.anchor == "context" else None
        return DateValue(kind, value, "hour" if kind == "TIME" else None, anchor=anchor)
    unit = next(unit for unit, letter in LETTERS.items() if letter == phrase.offset[-1])
    value = UNRESOLVED[unit] + (f"T{phrase.part}" if phrase.part else "")
    return DateValue("DATE", value, unit, offset=phrase.offset, anchor=phrase.anchor)  # type: ignore[arg-type]


def _weekday(offset: str | None = None) -> Callable[[Found], DateValue | None]:
    """Make the builder of "Monday", "last Monday", "next Monday"."""

    def build(found: Found) -> DateValue | None:
        number = found.meanings.weekdays.get(found.key("weekday") or "")
        return DateValue("DATE", f"XXXX-WXX-{number}", "day", offset=offset, anchor="note")

    return build


BUILDERS: dict[str, Callable[[Found], DateValue | None]] = {
    "date": _date,
    "next_date": _date,
    "decade": _decade,
    "season": _season,
    "period": _period,
    "ago": _relative("-", "note"),
    "ahead": _relative("+", "note"),
    "earlier": _relative("-", "context"),
    "later": _relative("+", "context"),
    "last": _beside(-1),
    "next": _beside(1),
    "this": _beside(0),
    "weekday": _weekday(),
    "last_weekday": _weekday("-P1W"),
    "next_weekday": _weekday("+P1W"),
    "ordinal": _ordinal,
    "lasting": _duration,
    "duration": _duration,
    "vague": _vague,
    "every": _every,
    "times": _times,
    "rate": _every,
    "frequency": _frequency,
    "clock": _clock,
    "phrase": _phrase,
    "age": _age,
    "skip": lambda found: None,
}
"""What makes the value of each kind of form."""
