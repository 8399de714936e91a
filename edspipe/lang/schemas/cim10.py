"""cim10.yml: what stands before codes of ICD-10."""

from __future__ import annotations

from edspipe.lang.schemas.base import Words


class Cim10Words(Words):
    """What tells that codes follow.

    Attributes:
        cues: Patterns; behind one, codes count that have no point ("I10", "E119").
    """

    cues: list[str]
