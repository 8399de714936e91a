"""The chapters of ICD-10, and how its codes are written."""

from __future__ import annotations

import re

CHAPTERS: tuple[tuple[str, str, str], ...] = (
    ("I", "A00", "B99"),
    ("II", "C00", "D49"),
    ("III", "D50", "D89"),
    ("IV", "E00", "E90"),
    ("V", "F00", "F99"),
    ("VI", "G00", "G99"),
    ("VII", "H00", "H59"),
    ("VIII", "H60", "H95"),
    ("IX", "I00", "I99"),
    ("X", "J00", "J99"),
    ("XI", "K00", "K95"),
    ("XII", "L00", "L99"),
    ("XIII", "M00", "M99"),
    ("XIV", "N00", "N99"),
    ("XV", "O00", "O99"),
    ("XVI", "P00", "P96"),
    ("XVII", "Q00", "Q99"),
    ("XVIII", "R00", "R99"),
    ("XIX", "S00", "T98"),
    ("XX", "V00", "Y99"),
    ("XXI", "Z00", "Z99"),
    ("XXII", "U00", "U99"),
)
"""Chapter, first and last category: those of the WHO (2019), and the few that ICD-10-CM adds."""

_CODE = re.compile(r"([A-Z]\d[0-9AB])\.?([0-9A-Z]{0,4})(\+\d{1,2})?")


def chapter_of(code: str) -> str | None:
    """Return the chapter of a code, e.g. `"IX"` of `"I50.0"`, or None if it lies in none."""
    # "C7A" and "M1B" of ICD-10-CM stand at the end of their ten.
    category = re.sub("[AB]$", "9", code[:3])
    for chapter, first, last in CHAPTERS:
        if first <= category <= last:
            return chapter
    return None


def write_code(code: str) -> str:
    """Return a code as it is written officially: `I50.0` for `I500`; what is none stays."""
    match = _CODE.fullmatch(code.strip().upper())
    if match is None:
        return code
    body, rest, extension = match.groups()
    return body + (f".{rest}" if rest else "") + (extension or "")
