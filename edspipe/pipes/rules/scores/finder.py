"""Finding a score's name and the value behind or before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from edspipe.lang.schemas.scores import ScoreWords
from edspipe.matching.regex import compile_pattern
from edspipe.pipes.rules.scores.kind import ROMAN, ScoreKind

MAX_PIECES = 16
"""Words and signs between a name and its value."""
MAX_BEFORE = 60
"""Characters before a name in which a value is looked for."""

_DATE = r"\d{1,2}[/.-]\d{1,2}[/.-](?:\d{4}|\d\d)(?!\w)"
_CLOCK = r"\d{1,2} ?[h:] ?[0-5]\d(?!\w)"
_SIGNS = r"[ \t:=()'\"*_-]{1,8}|\r?\n(?![ \t]*\r?\n)"
_NEVER = r"(?!)"


class Found(NamedTuple):
    """A score with its value: characters of the folded text."""

    start: int
    end: int
    value: float | str
    value_max: float | None


class ScoreFinder:
    """Finds one score.

    Args:
        kind: Its values.
        names: Patterns of its names.
        words: The words around values.

    Raises:
        ValueError: A pattern is not valid.
    """

    def __init__(self, kind: ScoreKind, names: Iterable[str], words: ScoreWords) -> None:
        self.kind = kind
        key = kind.name
        leads = f"(?:(?:{_either(words.leads)}) ?)?"
        self.name = compile_pattern(rf"(?<!\w){leads}(?:{_either(names)})(?!\w)", key=key)
        value = _value_pattern(kind, words)
        self.value = compile_pattern(value, key=key)
        moments = rf"(?:{_either(words.moments)})(?!\w)|{_DATE}|{_CLOCK}"
        links = rf"(?:{_either(words.links)})(?:(?<=')|(?!\w))"
        self.piece = compile_pattern(rf"{_SIGNS}|{moments}|{links}", key=key)
        of = rf"(?:(?:{_either(words.of)})(?:(?<=')|(?!\w)) ?)?"
        self.before = compile_pattern(
            rf"(?<![\w/.,])(?P<head>(?:{_either(words.heads)})[ :]{{1,3}})?(?:{value})"
            rf"[ ,(/-]{{0,3}}{of}{of}[(\"]?\Z",
            key=key,
        )

    def find(self, text: str) -> Iterator[Found]:
        """Yield what stands in a folded text, in order."""
        done = 0
        for name in self.name.finditer(text):
            if name.start() < done:
                continue
            found = self._before(text, name, done) or self._behind(text, name)
            if found is not None:
                done = found.end
                yield found

    def _behind(self, text: str, name: re.Match[str]) -> Found | None:
        place = name.end()
        for _ in range(MAX_PIECES):
            value = self.value.match(text, place)
            if value is not None and place > name.end():
                read = self._read(value)
                if read is None:
                    return None
                between = text[name.end() : place]
                opened = between.count("(") > between.count(")")
                closed = opened and text.startswith(")", value.end())
                return Found(name.start(), value.end() + closed, *read)
            piece = self.piece.match(text, place)
            if piece is None:
                return None
            place = piece.end()
        return None

    def _before(self, text: str, name: re.Match[str], done: int) -> Found | None:
        begin = max(done, name.start() - MAX_BEFORE)
        value = self.before.search(text, begin, name.start())
        if value is None or (value["head"] is None and value["out_of"] is None):
            return None
        read = self._read(value)
        if read is None:
            return None
        bracketed = text[name.start() - 1] == "(" and text.startswith(")", name.end())
        return Found(value.start(), name.end() + bracketed, *read)

    def _read(self, match: re.Match[str]) -> tuple[float | str, float | None] | None:
        """Return the value and, of a range, its upper end; None where there is no such value."""
        if match["letter"] is not None:
            return self.kind.letters[match["letter"]], None
        if match["parts"] is not None:
            value: float | None = sum(int(digit) for digit in re.findall(r"\d", match["parts"]))
        else:
            value = _number(match["number"]) if match["number"] else ROMAN[match["roman"]]
        if match["out_of"] is not None and int(match["out_of"]) != self.kind.highest:
            return None
        if value is None or not self.kind.holds(value):
            return None
        upper = _number(match["upper"]) or ROMAN.get(match["roman_upper"] or "")
        is_range = upper is not None and self.kind.holds(upper) and upper > value
        return value, upper if is_range else None


def _either(patterns: Iterable[str]) -> str:
    """Return one pattern of several, the longest first."""
    return "|".join(sorted(patterns, key=len, reverse=True)) or _NEVER


def _number(written: str | None) -> float | None:
    if not written:
        return None
    return float(written.replace(",", ".")) if re.search("[.,]", written) else int(written)


def _value_pattern(kind: ScoreKind, words: ScoreWords) -> str:
    number = r"\d{1,3}(?:[.,]\d{1,2})?" if kind.decimals else r"\d{1,3}"
    roman = "|".join(sorted(ROMAN, key=len, reverse=True)) if kind.roman else _NEVER
    to = rf" ?(?:-|(?:{_either(words.to)})(?!\w)) ?"
    out_of = rf" ?(?:/|(?:{_either(words.out_of)})(?!\w)) ?"
    highest = rf"{kind.highest:g}(?!\d)"
    end = rf"{kind.suffix}(?!\w)(?![.,/-]\d)(?! ?(?:[%°]|(?:{_either(words.not_values)})(?!\w)))"
    letters = _either(map(re.escape, kind.letters))
    return (
        rf"(?:(?P<number>{number})"
        rf"(?:{out_of}(?P<out_of>{highest})|{to}(?P<upper>{number})(?={end}))?"
        rf"|(?P<roman>{roman})(?:{to}(?P<roman_upper>{roman}))?"
        rf"|(?P<letter>{letters})"
        rf"|(?P<parts>{kind.parts or _NEVER})){end}"
    )
