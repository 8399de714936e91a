"""sections.yml and reason.yml: headings of sections, and wordings of the reason of a stay."""

from __future__ import annotations

from edspipe.lang.choices import ChoiceTerm
from edspipe.lang.schemas.base import Words


class SectionWords(Words):
    """The headings of a language.

    Attributes:
        headings: By kind of section, how its heading begins.
        fillers: Words that may stand between the words of a heading.
        not_headings: How lines begin that look like headings and are none.
        letters: Headings of one letter, by kind of section ("S:", "O:", "A:", "P:"); they count
            where a note has three kinds of them.
    """

    headings: dict[str, list[ChoiceTerm]]
    fillers: list[str] = []
    not_headings: list[ChoiceTerm] = []
    letters: dict[str, list[str]] = {}


class ReasonWords(Words):
    """The wordings that tell why a patient came.

    Attributes:
        headings: What stands before the reason, with a colon or at the end of its line.
        wordings: What stands before the reason in a sentence.
        ends: What ends the reason inside a sentence.
        never_first: What the reason does not begin with: durations and places that may follow a
            wording.
    """

    headings: list[ChoiceTerm]
    wordings: list[str] = []
    ends: list[str] = []
    never_first: list[str] = []
