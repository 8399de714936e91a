"""A text as one character a token, so that patterns see words and not letters.

Each word that the language's file knows has a character of its own, each kind of number too, and
all other words share one. A pattern over these characters is short, and what it cannot begin with
is skipped at the speed of a character class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import accumulate

from edspipe.matching.folding import fold

OTHER = "."
"""Stands for a token that no form knows."""

FIRST_CODE = 0xE000
"""Where the characters begin: Unicode's private area, which no pattern gives a meaning."""

MAX_REMEMBERED = 1 << 16
"""Tokens that are remembered before they are forgotten: about 10 MB."""

_TOKEN = re.compile(r"\s*+(?:[^\W\d_]++|[0-9]++|\S)|\s++")

NUMBER_ROLES = (
    "digits",
    "glued",
    "day_number",
    "month_number",
    "year",
    "short_year",
    "padded_year",
    "hour",
    "long_hour",
    "minute",
    "military",
    "decade_year",
    "decade_short",
    "denominator",
)
"""What a run of digits may be: `glued` has no blank before it."""

FRACTION_UNITS = {7: "day", 52: "week", 12: "month"}
"""Units by what they are written over: "3/7" is three days, "2/52" two weeks."""


def tokenize(text: str) -> list[str]:
    """Cut a normalised text into words, runs of digits and signs, each with the blanks before."""
    return _TOKEN.findall(text)


def token_starts(tokens: Iterable[str]) -> list[int]:
    """Return where tokens begin (with their blanks), and where the last ends."""
    return list(accumulate(map(len, tokens), initial=0))


def number_roles(token: str) -> frozenset[str]:
    """Return what a token of digits may be."""
    digits = token.lstrip()
    value, length = int(digits[:6]), len(digits)
    checks = {
        "digits": length <= 6,
        "glued": digits == token and length <= 6,
        "day_number": length <= 2 and 1 <= value <= 31,
        "month_number": length <= 2 and 1 <= value <= 12,
        "year": length == 4 and 1900 <= value <= 2099,
        "short_year": length == 2,
        "padded_year": length == 2 and value < 10,
        "hour": length <= 2 and value <= 23,
        "long_hour": length == 2 and value <= 24,
        "minute": length == 2 and value <= 59,
        "military": length == 4 and value <= 2400 and value % 100 <= 59,
        "decade_year": length == 4 and 1900 <= value <= 2099 and value % 10 == 0,
        "decade_short": length == 2 and value >= 10 and value % 10 == 0,
        "denominator": length <= 2 and value in FRACTION_UNITS,
    }
    return frozenset(role for role, fits in checks.items() if fits)


class Lexicon(dict[str, str]):
    """The character of each token; it learns what it meets.

    Args:
        terms: The words of all forms.
    """

    def __init__(self, terms: Iterable[str]) -> None:
        super().__init__()
        words = sorted({word for term in terms for word in split_term(term)})
        self.codes = {word: chr(FIRST_CODE + i) for i, word in enumerate(words)}
        self.numbers = _number_codes(FIRST_CODE + len(words))
        self.of_role = {
            role: "".join(code for roles, code in self.numbers.items() if role in roles)
            for role in NUMBER_ROLES
        }

    def __missing__(self, token: str) -> str:
        word = token.strip()
        if word.isascii() and word.isdigit():
            code = self.numbers[number_roles(token)]
        else:
            code = self.codes.get(word, OTHER)
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        self[token] = code
        return code

    def encode(self, tokens: Iterable[str]) -> str:
        """Return the characters of tokens."""
        return "".join(map(self.__getitem__, tokens))

    def encode_term(self, term: str) -> str:
        """Return the characters of a term of the language's file."""
        return "".join(self.codes[word] for word in split_term(term))


def split_term(term: str) -> list[str]:
    """Return the words of a term as the text has them."""
    return [token.strip() for token in tokenize(fold(term, "NORM"))]


def _number_codes(first: int) -> dict[frozenset[str], str]:
    written = [*map(str, range(2500)), *(f"{n:02d}" for n in range(100))]
    written += [*(f"{n:04d}" for n in range(1000)), "9999", "10000", "1000000"]
    kinds = {number_roles(blank + digits) for digits in written for blank in ("", " ")}
    ordered = sorted(kinds, key=sorted)
    return {roles: chr(first + place) for place, roles in enumerate(ordered)}
