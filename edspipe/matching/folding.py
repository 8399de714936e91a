"""Folding characters: what a text is compared as.

`NORM` is `oedeme - l'ete` for `Œdème – l’été`. It has four parts, and `attr` may name fewer of
them, joined by `+`, e.g. `"lowercase+quotes"`:

- `lowercase`, by itself called `LOWER`;
- `accents`: no accents, and letters written plainly: `œ` as `oe`, `ł` as `l`, `º` as `°`
  (not `Ø`, by which notes say "none");
- `quotes`: quotes and dashes written plainly;
- `spaces`: no-break, thin and such spaces as blanks, and none that have no width.

Digits, `²`, line breaks and tabs stay as they are. Nearly all characters are folded to one; `œ`
becomes two, and a combining accent or a soft hyphen none. `TEXT` is the text as it is.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Attr = str
"""`"TEXT"`, `"LOWER"`, `"NORM"`, or parts joined by `+`."""
Codes = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]

PARTS = ("lowercase", "accents", "quotes", "spaces")
_NAMED = {"TEXT": (), "LOWER": ("lowercase",), "NORM": PARTS}

NUM_TABLED = 0x3000
"""Characters below are folded by a table, and those above, rare in our languages, one by one."""
SPECIAL = 0xFFFFFFFF
"""Stands in the table for what folds to more or less than one character."""

NO_WIDTH = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""Soft hyphens, joiners and the like: spaces of no width."""

_QUOTES = {
    "-": "‐‑‒–—―−﹘﹣－",
    "'": "‘’‚‛′´`ʼʹ＇",
    '"': "“”„‟«»″＂",
}
_SPACES = {
    " ": "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f"
    "\u205f",
    "": NO_WIDTH,
}
_LETTERS = {
    "oe": "œ",
    "OE": "Œ",
    "ae": "æ",
    "AE": "Æ",
    "ss": "ßẞ",
    "ff": "ﬀ",
    "fi": "ﬁ",
    "fl": "ﬂ",
    "ffi": "ﬃ",
    "ffl": "ﬄ",
    "st": "ﬅﬆ",
    "l": "ł",
    "L": "Ł",
    "d": "đ",
    "D": "Đ",
    "h": "ħ",
    "H": "Ħ",
    "i": "ı",
    "I": "İ",
    "μ": "µ",
    "°": "º˚",
    "σ": "ς",
}
_PLAIN = {"accents": _LETTERS, "quotes": _QUOTES, "spaces": _SPACES}
_PLAIN_OF = {
    part: {char: plain for plain, chars in table.items() for char in chars}
    for part, table in _PLAIN.items()
}
_ACCENTS = ((0x300, 0x36F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE00, 0xFE2F))


@cache
def parts_of(attr: Attr) -> tuple[str, ...]:
    """Return the parts that an attr names, in the order of `PARTS`.

    Raises:
        ValueError: There is no such attr.
    """
    parts = _NAMED[attr] if attr in _NAMED else tuple(str(attr).split("+"))
    if not set(parts) <= set(PARTS):
        raise ValueError(
            f"attr: expected one of {', '.join(_NAMED)}, or some of {', '.join(PARTS)} joined "
            f"by '+'; got {attr!r}"
        )
    return tuple(part for part in PARTS if part in parts)


def fold_char(char: str, attr: Attr) -> str:
    """Return what one character is compared as."""
    parts = parts_of(attr)
    folded = char
    for part in parts:
        if part in _PLAIN_OF and char in _PLAIN_OF[part]:
            folded = _PLAIN_OF[part][char]
            break
    else:
        if "accents" in parts:
            folded = _without_accents(char)
    return "".join(map(_lower, folded)) if "lowercase" in parts else folded


def _lower(char: str) -> str:
    """Return the lower case of a character, which is one character."""
    return char.lower()[0]


def _without_accents(char: str) -> str:
    if any(first <= ord(char) <= last for first, last in _ACCENTS):
        return ""
    base = [c for c in unicodedata.normalize("NFD", char) if unicodedata.category(c) != "Mn"]
    return base[0] if len(base) == 1 else char


class _Folds(dict[str, str]):
    """What characters fold to, for each that was met."""

    def __init__(self, attr: Attr) -> None:
        self.attr: Attr = attr

    def __missing__(self, char: str) -> str:
        folded = self[char] = fold_char(char, self.attr)
        return folded


_FOLDS: dict[str, _Folds] = {}


def _folds_of(attr: Attr) -> _Folds:
    return _FOLDS.get(attr) or _FOLDS.setdefault(attr, _Folds(attr))


def fold(text: str, attr: Attr) -> str:
    """Return what a short text is compared as; `fold_text` is for long ones."""
    if text.isascii():
        return _fold_ascii(text, parts_of(attr))
    return "".join(map(_folds_of(attr).__getitem__, text))


def _fold_ascii(text: str, parts: tuple[str, ...]) -> str:
    if "lowercase" in parts:
        text = text.lower()
    return text.replace("`", "'") if "quotes" in parts else text


@cache
def _table(attr: Attr) -> Codes:
    """Return the code that each code below `NUM_TABLED` folds to, and `SPECIAL` at the end."""
    folded = [fold_char(chr(code), attr) for code in range(NUM_TABLED)]
    codes = [ord(chars) if len(chars) == 1 else SPECIAL for chars in folded]
    return np.array([*codes, SPECIAL], dtype=np.uint32)


def fold_text(text: str, attr: Attr) -> tuple[str, Offsets | None]:
    """Return what a text is compared as, and how many characters each of its characters became.

    Returns:
        The folded text, and the counts, or None where each became one. *Shape:* (characters,)
    """
    parts = parts_of(attr)
    if not parts or text.isascii():
        return (_fold_ascii(text, parts) if parts else text), None
    codes: Codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    folded = _table(attr)[np.minimum(codes, NUM_TABLED)]
    special = np.flatnonzero(folded == SPECIAL)
    if not len(special):
        return _decode(folded), None
    return _fold_special(text, folded, special, attr)


def _fold_special(text: str, folded: Codes, special: Any, attr: Attr) -> tuple[str, Offsets | None]:
    folds = _folds_of(attr)
    places: list[int] = special.tolist()
    became = [folds[text[place]] for place in places]
    counts = np.ones(len(text), dtype=np.int64)
    counts[special] = [len(chars) for chars in became]
    if (counts == 1).all():
        folded[special] = [ord(char) for char in became]
        return _decode(folded), None
    spread = np.repeat(folded, counts)
    spread[spread == SPECIAL] = [ord(char) for chars in became for char in chars]
    return _decode(spread), counts


def _decode(codes: Codes) -> str:
    return codes.tobytes().decode("utf-32-le", "surrogatepass")
