"""Terms with choices in them: `tumeur(s) (primitive|secondaire) du (colon|rectum)`.

`(a|b)` is one of its parts, `(s)` is there or not, and so is `(a|b|)`. A choice may hold others.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

MAX_TERMS = 5_000
"""Terms that one may stand for: more are a mistake of counting."""

_PIECE = re.compile(r"[()|]|[^()|]+")


def expand_choices(term: str) -> list[str]:
    """Return the terms that a term with choices stands for, each once.

    Raises:
        ValueError: A parenthesis is not closed, a bar stands outside, or there are too many terms.
    """
    if not any(char in term for char in "()|"):
        return [term]
    pieces = _PIECE.findall(term)
    if "|" in _outside(term, pieces):
        raise ValueError(f"{term!r}: a bar stands within parentheses, as in (a|b)")
    pieces.reverse()
    return list(dict.fromkeys(_alternatives(term, pieces)))


def _outside(term: str, pieces: list[str]) -> list[str]:
    """Return the pieces that stand in no parentheses."""
    depth, outside = 0, []
    for piece in pieces:
        depth += (piece == "(") - (piece == ")")
        if depth < 0:
            break
        if depth == 0:
            outside.append(piece)
    if depth:
        raise ValueError(f"{term!r}: expected choices as (a|b), with both parentheses")
    return outside


def _alternatives(term: str, pieces: list[str]) -> list[str]:
    """Read alternatives up to the parenthesis that closes them; what is read is taken away."""
    found: list[str] = []
    row: list[list[str]] = []
    while pieces:
        piece = pieces.pop()
        if piece == ")":
            break
        if piece == "|":
            found += _rows(term, row)
            row = []
        elif piece == "(":
            has_bar = _has_bar(pieces)
            inner = _alternatives(term, pieces)
            row.append(inner if has_bar else [*inner, ""])
        else:
            row.append([piece])
    return found + _rows(term, row)


def _has_bar(pieces: list[str]) -> bool:
    """Tell whether the choice that begins here has a bar of its own."""
    depth = 0
    for piece in reversed(pieces):
        depth += (piece == "(") - (piece == ")")
        if depth < 0:
            return False
        if depth == 0 and piece == "|":
            return True
    return False


def _rows(term: str, row: list[list[str]]) -> list[str]:
    count = 1
    for options in row:
        count *= len(options)
    if count > MAX_TERMS:
        raise ValueError(f"{term!r}: stands for {count} terms; at most {MAX_TERMS} are allowed")
    return ["".join(parts) for parts in product(*row)]


def _checked(term: str) -> str:
    if not all(one.strip() for one in expand_choices(term)):
        raise ValueError(f"{term!r}: one of its choices leaves nothing")
    return term


ChoiceTerm = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_checked)
]
"""A term, in which `(a|b)` is a choice and `(s)` is optional."""
