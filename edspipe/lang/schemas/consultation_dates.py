"""consultation_dates.yml: what stands before the date of a consultation."""

from __future__ import annotations

from edspipe.lang.schemas.base import Words


class ConsultationWords(Words):
    """Words before the date of a consultation.

    Attributes:
        cues: Wordings and headings that announce it.
        between: Words and signs that may stand between a cue and the date.
    """

    cues: list[str]
    between: list[str]
