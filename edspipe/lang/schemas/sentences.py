"""sentences.yml: what tells where sentences and lines end."""

from __future__ import annotations

from edspipe.lang.schemas.base import Words


class SentenceWords(Words):
    """Words around sentence ends, without their full stop.

    Attributes:
        titles: Abbreviations before a name: their stop ends no sentence.
        inner: Abbreviations that stand within a sentence, whatever follows.
        before_numbers: Abbreviations whose stop ends no sentence where a number follows.
        starters: Words that begin sentences, and no name: behind a single letter ("hepatitis B. The
            patient") they tell a sentence end from an initial.
        never_last: Words that cannot be the last of a line of meaning: a line break behind them is
            a wrapped line.
    """

    titles: list[str]
    inner: list[str] = []
    before_numbers: list[str] = []
    starters: list[str] = []
    never_last: list[str] = []
