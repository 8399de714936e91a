"""What a date, a time, a duration or a frequency says, as plain data."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from edspipe.errors import DataError

Kind = Literal["DATE", "TIME", "DURATION", "SET", "PERIOD"]
Precision = Literal["decade", "year", "month", "week", "day", "hour", "minute", "second"]

LETTERS = {"year": "Y", "month": "M", "week": "W", "day": "D"}
CLOCK_LETTERS = {"hour": "H", "minute": "M", "second": "S"}
DAYS = {"year": 365.25, "month": 30.4375, "week": 7.0, "day": 1.0}
SECONDS = {"hour": 3600.0, "minute": 60.0, "second": 1.0}

FIRST_MONTHS = {"SP": 3, "SU": 6, "FA": 9, "WI": 12}
"""The month in which a season begins."""

CENTURY_TURN = 30
"""Years of two digits from here on belong to the last century where the note has no date: far more
patients were born in 1935 than notes speak of 2035."""

YEARS_AHEAD = 9
"""A year of two digits is the last one that lies at most so far behind the note."""

_SEASON = re.compile(r"(\d{4}|XXXX)-(SP|SU|FA|WI)")
_WEEKDAY = re.compile(r"XXXX-WXX-([1-7])")
_DURATION = re.compile(
    r"P(?:([\d.]+)Y)?(?:([\d.]+)M)?(?:([\d.]+)W)?(?:([\d.]+)D)?"
    r"(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?"
)
_DATE = re.compile(
    r"(\d{4}|\d{3}X|XXXX)(?:-(\d\d|XX)(?:-(\d\d|XX))?)?(?:T(\d\d)(?::(\d\d)(?::(\d\d))?)?)?"
)


@dataclass(frozen=True, slots=True)
class DateValue:
    """The value of a span of time.

    Attributes:
        type: DATE, TIME (a DATE with a time of day is a TIME), DURATION, SET or PERIOD.
        value: ISO 8601 as in TIMEX3: `2020-03-12`, `2020-03`, `2020-W11`, `XXXX-03-12` (no year),
            `198X` (a decade), `2019-SU` (a season: SP, SU, FA, WI), `T08:30`, `P3D`, `PT2H`, `PXM`
            (some months), `PRESENT_REF`; `a/b` for a period.
        precision: The smallest unit that is said.
        mode: `from` where something begins ("since 2005"), `until` where it ends.
        mod: TIMEX3 modifier: APPROX, START, MID, END, LESS_THAN, MORE_THAN.
        offset: Of relative dates, how far they are from the anchor: `-P3D`.
        anchor: What the offset counts from: `note` (its date) or `context` (what was said before).
        max_value: Upper end where a range is said: "2-3 days" is `P2D` to `P3D`.
        times: Of a SET, how often in the period.
        quant: Of a SET, EVERY or EACH.
        ordinal: Of "day 3 after surgery", the 3.
        age: Whether a duration is an age.
        short_year: Whether its year is written with two digits, so that the note tells its century.
    """

    type: Kind
    value: str
    precision: Precision | None = None
    mode: Literal["from", "until"] | None = None
    mod: str | None = None
    offset: str | None = None
    anchor: Literal["note", "context"] | None = None
    max_value: str | None = None
    times: float | None = None
    quant: str | None = None
    ordinal: int | None = None
    age: bool = False
    short_year: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what is not empty, as plain data."""
        values = ((key, getattr(self, key)) for key in self.__slots__)
        return {key: value for key, value in values if value is not None and value is not False}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DateValue:
        """Return the value of `to_dict`."""
        return cls(**values)

    def resolve(self, note: datetime | None) -> DateValue:
        """Return the value with what the note's date tells: its year, what "3 days ago" is."""
        if note is None or self.type not in ("DATE", "TIME"):
            return self
        if weekday := _WEEKDAY.fullmatch(self.value):
            return replace(self, value=_near_weekday(self, int(weekday[1]), note))
        if self.offset and self.anchor == "note":
            return replace(self, value=_moved_value(self, note))
        if self.short_year and self.value[:4].isdigit():
            year = full_year(int(self.value[2:4]), note.year + YEARS_AHEAD)
            return replace(self, value=f"{year:04d}{self.value[4:]}")
        if (season := _SEASON.fullmatch(self.value)) and season[1] == "XXXX":
            year = note.year - (note.month < FIRST_MONTHS[season[2]])
            return replace(self, value=f"{year:04d}-{season[2]}")
        match = _DATE.fullmatch(self.value)
        if match and match[1] == "XXXX" and match[2] not in (None, "XX"):
            return replace(self, value=_with_year(self.value, match, note))
        return self

    def datetime(self, note: datetime | None = None) -> datetime | None:
        """Return the first moment of a date, or None where it is not known.

        Args:
            note: The date of the note, for a value that was read without it.
        """
        value = self.resolve(note).value
        if re.fullmatch(r"\d{4}-W\d\d(?:-\d)?", value):
            return datetime.fromisoformat(value)
        if (season := _SEASON.fullmatch(value)) is not None:
            value = f"{season[1]}-{FIRST_MONTHS[season[2]]:02d}"
        match = _DATE.match(value)
        if self.type not in ("DATE", "TIME") or not match or not match[1].isdigit():
            return None
        numbers = [int(part) if part and part.isdigit() else None for part in match.groups()]
        year, month, day, hour, minute, second = numbers
        try:
            moment = datetime(
                year or 1, month or 1, day or 1, (hour or 0) % 24, minute or 0, second or 0
            )
            return moment + timedelta(days=1) if hour == 24 else moment
        except (OverflowError, ValueError):
            return None

    def timedelta(self) -> timedelta | None:
        """Return how long a duration, or the period of a frequency, is.

        A month counts 30.44 days, a year 365.25.
        """
        match = _DURATION.fullmatch(self.value) if self.type in ("DURATION", "SET") else None
        if match is None or not any(match.groups()):
            return None
        lengths = [*DAYS.values(), *(seconds / 86400 for seconds in SECONDS.values())]
        try:
            days = sum(
                float(n) * size for n, size in zip(match.groups(), lengths, strict=True) if n
            )
            return timedelta(days=days)
        except (OverflowError, ValueError):
            return None


def full_year(short: int, last: int = 2000 + CENTURY_TURN - 1) -> int:
    """Return the last year, up to `last`, that ends with two digits."""
    return last - (last - short) % 100


def duration_units(value: str) -> tuple[str, str]:
    """Return the number and the unit of a duration of one unit: of `PT15M` 15 minutes."""
    letters = CLOCK_LETTERS if "T" in value else LETTERS
    unit = next(unit for unit, letter in letters.items() if letter == value[-1])
    return value.strip("PTYMWDHS"), unit


def duration(number: str, unit: str) -> str:
    """Return a duration as ISO 8601: `duration("3", "day")` is `P3D`; `X` is an unknown number."""
    if unit == "decade":
        number = str(int(number) * 10) if number.isdigit() else f"{number}0"
        unit = "year"
    if unit in LETTERS:
        return f"P{number}{LETTERS[unit]}"
    return f"PT{number}{CLOCK_LETTERS[unit]}"


def parse_note_datetime(value: Any, note_id: Any) -> datetime | None:
    """Return the date of a note: a datetime, a date or an ISO 8601 text.

    Raises:
        DataError: The value is none of these.
    """
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip()).replace(tzinfo=None)
        except ValueError:
            pass
    raise DataError(
        "doc._.note_datetime: expected a datetime, a date or a text in ISO 8601 such as "
        f"2020-03-12T14:30; got a {type(value).__name__} that is none",
        id=note_id,
    )


def _moved_value(value: DateValue, note: datetime) -> str:
    offset = value.offset or ""
    match = _DURATION.fullmatch(offset[1:])
    if match is None or not any(match.groups()):
        return value.value
    sign = -1 if offset[0] == "-" else 1
    moment = note
    try:
        for number, unit in zip(match.groups(), (*DAYS, *SECONDS), strict=True):
            moment = _move(moment, sign * float(number), unit) if number else moment
    except (OverflowError, ValueError):
        return value.value
    part = re.search(r"T[A-Z]{2}$", value.value)
    return format_moment(moment, value.precision or "day") + (part[0] if part else "")


def _near_weekday(value: DateValue, weekday: int, note: datetime) -> str:
    """Return the last such day; with an offset, the one before the note's day or behind it."""
    back_days = (note.isoweekday() - weekday) % 7
    if value.offset:
        back_days = back_days - 7 if value.offset[0] == "+" else back_days or 7
    try:
        moment = note - timedelta(days=back_days)
    except OverflowError:
        return value.value
    return format_moment(moment, "day")


def _move(moment: datetime, amount: float, unit: str) -> datetime:
    if unit in ("year", "month") and amount == int(amount):
        months = moment.month - 1 + int(amount) * (12 if unit == "year" else 1)
        year, month = moment.year + months // 12, months % 12 + 1
        day = min(moment.day, calendar.monthrange(year, month)[1])
        return moment.replace(year=year, month=month, day=day)
    if unit in DAYS:
        return moment + timedelta(days=amount * DAYS[unit])
    return moment + timedelta(seconds=amount * SECONDS[unit])


def format_moment(moment: datetime, precision: str) -> str:
    """Return a moment as ISO 8601, as precisely as is said."""
    if precision == "week":
        year, week, _ = moment.isocalendar()
        return f"{year:04d}-W{week:02d}"
    lengths = {"year": 4, "month": 7, "day": 10, "hour": 13, "minute": 16, "second": 19}
    return moment.isoformat(timespec="seconds")[: lengths[precision]]


def _with_year(value: str, match: re.Match[str], note: datetime) -> str:
    """Return a date that lacks its year with the last year that puts it not after the note."""
    day = match[3] if match[3] and match[3].isdigit() else "01"
    for year in range(note.year, note.year - 9, -1):
        try:
            moment = datetime(year, int(match[2]), int(day))
        except ValueError:
            continue
        if moment <= note:
            return f"{year:04d}{value[4:]}"
    return value
