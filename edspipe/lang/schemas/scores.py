"""scores.yml: names of clinical scores, and what stands around their values."""

from __future__ import annotations

from edspipe.lang.schemas.base import Words


class ScoreWords(Words):
    """Words around scores; all are patterns in lower case, without accents.

    Attributes:
        names: The names of each score.
        leads: What may stand before a name and belongs to it: "score de".
        links: What stands between a name and its value: "est à".
        moments: When it was taken, between name and value: "J2", "24 h".
        heads: What stands before a value that stands before the name: "stade" (III NYHA).
        of: What stands between such a value and the name: "de la".
        to: What stands between the two ends of a range.
        out_of: What stands before the highest possible value: "sur" (15).
        not_values: What stands behind numbers that are no scores: units.
    """

    names: dict[str, list[str]]
    leads: list[str] = []
    links: list[str] = []
    moments: list[str] = []
    heads: list[str] = []
    of: list[str] = []
    to: list[str] = []
    out_of: list[str] = []
    not_values: list[str] = []
