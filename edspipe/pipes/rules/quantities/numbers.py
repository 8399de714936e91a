"""Reading numbers as they are written in notes."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_DIGITS = 15
"""Longer ones are codes."""

FRACTIONS = {"½": 0.5, "¼": 0.25, "¾": 0.75, "⅓": 1 / 3, "⅔": 2 / 3}

EXPONENTS = "3|6|9|12"
"""Powers of ten that are written without a sign: `x 109/L`."""

MAX_WORDS = 16
"""Of a number in words, behind the first."""

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

POWER = re.compile(
    r"\s?[x×*·.]?\s?10\s?(?:(?:\^|\*\*?|e)\s?\(?([+-]?\d{1,2})\)?|\((-?\d{1,2})\)|([⁻⁰-⁹¹²³]{1,3}))"
    rf"|\s?[x×*·]\s?10\s?({EXPONENTS})(?=\s?/|\s?[lμu]\b)"
    rf"|\s10\s({EXPONENTS})(?=\s?/)"
)
"""Ten to a power, behind a number."""

OF_TEN = re.compile(r" ?(?:\^|\*\*) ?\(?([+-]?\d{1,2})\)?|([⁻⁰-⁹¹²³]{1,3})")
"""The power of a ten that stands alone: `10^5/mL`."""

_AMBIGUOUS = re.compile(r"\d{1,3}[.,]\d{3}")

SCIENTIFIC = re.compile(r"\s?e\s?([+-]?\d{1,2})(?!\w)")


def number_pattern(decimals: list[str]) -> re.Pattern[str]:
    """Compile what finds numbers.

    Args:
        decimals: The signs that may stand inside.
    """
    signs = re.escape("".join(decimals))
    fractions = "".join(FRACTIONS)
    # It begins with a set of characters: that is what makes the search fast.
    return re.compile(
        rf"[0-9{fractions}](?:[0-9]{{0,2}}(?: [0-9]{{3}})++(?![{signs}]?[0-9])"
        rf"|[0-9]*+(?:[{signs}][0-9]++)*+)[{fractions}]?"
    )


def read_number(written: str, decimal: str) -> float | None:
    """Return the value of a number, or None where it is none, as `12.03.2020`.

    Args:
        written: Digits and the signs inside; blanks stand between groups of three.
        decimal: The decimal sign of the language: three digits behind another sign are thousands.
    """
    if written[-1] in FRACTIONS:
        whole = read_number(written[:-1], decimal) if written[:-1] else 0.0
        return None if whole is None else whole + FRACTIONS[written[-1]]
    if written.isdigit():
        return float(written) if len(written) <= MAX_DIGITS else None
    digits = written.replace(" ", "")
    if len(digits) > MAX_DIGITS + 5:
        return None
    groups = re.split(r"\D", digits)
    signs = re.sub(r"\d", "", digits)
    if not signs:
        return float(digits)
    thousands = all(len(group) == 3 for group in groups[1:]) and len(groups[0]) <= 3
    if len(signs) == 1:
        if thousands and signs != decimal and groups[0] != "0":
            return float("".join(groups))
        return float(".".join(groups))
    inner = all(len(group) == 3 for group in groups[1:-1]) and len(groups[0]) <= 3
    if len(set(signs)) == 1:
        return float("".join(groups)) if thousands else None
    if inner and signs[-1] not in signs[:-1]:
        return float("".join(groups[:-1]) + "." + groups[-1])
    return None


def decimal_reading(written: str) -> float | None:
    """Return `3.250` and `3,250` as the decimal number; None where there is just one reading."""
    return float(written.replace(",", ".")) if _AMBIGUOUS.fullmatch(written) else None


def words_pattern(cardinals: Iterable[str], joins: Iterable[str]) -> re.Pattern[str]:
    """Compile what finds runs of number words: "twenty-five", "soixante et onze", "two fifty".

    Args:
        cardinals: Number words, normalised.
        joins: What may stand between two of them, beside a blank and a hyphen.
    """
    tails: dict[str, list[str]] = {}
    for word in sorted(cardinals, key=len, reverse=True):
        tails.setdefault(word[0], []).append(re.escape(word[1:]))
    one = "|".join(f"(?<={first}){'(?:' + '|'.join(rest) + ')'}" for first, rest in tails.items())
    joint = "|".join(map(re.escape, sorted(joins))) or "(?!)"
    letters = "".join(map(re.escape, tails))
    # It begins with a set of characters, for the same reason.
    word = rf"(?:{one})(?![^\W_])"
    return re.compile(
        rf"[{letters}](?<![^\W_].){word}(?:[ -](?:(?:{joint})[ -])?[{letters}]{word})"
        rf"{{0,{MAX_WORDS}}}+"
    )


def read_power(match: re.Match[str]) -> int:
    """Return the exponent of a match of `POWER`."""
    written = next(group for group in match.groups() if group)
    return int(written.translate(_SUPERSCRIPTS))
