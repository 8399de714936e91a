"""aids.yml, diabetes.yml, tobacco.yml, ...: a file for each disorder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edspipe.lang.choices import ChoiceTerm
from edspipe.lang.schemas.base import Words

NumWords = Annotated[int, Field(ge=1, le=100)]

DISORDERS = (
    "aids",
    "alcohol",
    "cerebrovascular_accident",
    "ckd",
    "congestive_heart_failure",
    "connective_tissue_disease",
    "copd",
    "dementia",
    "diabetes",
    "hemiplegia",
    "leukemia",
    "liver_disease",
    "lymphoma",
    "myocardial_infarction",
    "peptic_ulcer_disease",
    "peripheral_vascular_disease",
    "solid_tumor",
    "tobacco",
)
"""The disorders: a word file in each language, and a pipe, have each of these names."""


class Cues(Words):
    """Words around a term, one of which is enough. They stand in the term's own sentence.

    Attributes:
        before: Those before the term.
        after: Those behind it.
        around: Those on either side.
        but: Phrases that hold such words and do not count: "without complications".
        words: How many words and signs away from the term they may be.
    """

    before: list[ChoiceTerm] = []
    after: list[ChoiceTerm] = []
    around: list[ChoiceTerm] = []
    but: list[ChoiceTerm] = []
    words: NumWords = 8

    @model_validator(mode="after")
    def _has_something(self) -> Cues:
        if not (self.before or self.after or self.around):
            raise ValueError("expected before, after or around")
        return self


class Change(Cues):
    """Words around a term that change its status.

    Attributes:
        status: The status that it gets.
    """

    status: int


class Reading(Words):
    """A value that is read around a term.

    Attributes:
        name: Its name: `span._.<name>`, and the key in `span._.assigned`.
        regex: The pattern; the value is its first group. `_` stands for any blanks.
        side: Where it is looked for; where there are several, the nearest is taken.
        words: How many words and signs away.
        number: Whether the value is a number.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    regex: str
    side: Literal["before", "after", "around"] = "around"
    words: NumWords = 16
    number: bool = False


class Rule(Words):
    """Terms that mean the disorder.

    Attributes:
        terms: The terms; letter case and accents do not matter.
        regex: Regular expressions, for what is no row of words.
        status: The status of what they find.
        capitals: Whether they count only where they are written without small letters.
        include: Of each of these, some words must stand around.
        exclude: Of these, no words may.
    """

    terms: list[ChoiceTerm] = []
    regex: list[str] = []
    status: int = 1
    capitals: bool = False
    include: list[Cues] = []
    exclude: list[Cues] = []

    @model_validator(mode="after")
    def _has_something(self) -> Rule:
        if not (self.terms or self.regex):
            raise ValueError("expected terms or regex")
        return self


class DisorderWords(Words):
    """The words of a disorder.

    Attributes:
        statuses: What each status means.
        rules: Terms, by a name that is written to `span._.source`.
        pseudo: Phrases that hold a term and mean something else: "diabetes insipidus".
        exclude: Of these, no words may stand around a term of any rule.
        becomes: Words that change the status of terms whose own is 1; the first that fits counts.
        assign: Values that are read.
    """

    statuses: dict[int, str]
    rules: dict[str, Rule]
    pseudo: list[ChoiceTerm] = []
    exclude: list[Cues] = []
    becomes: list[Change] = []
    assign: list[Reading] = []

    @model_validator(mode="after")
    def _has_its_statuses(self) -> DisorderWords:
        used = {f"rules.{name}": rule.status for name, rule in self.rules.items()}
        used |= {f"becomes.{place}": one.status for place, one in enumerate(self.becomes)}
        for place, status in used.items():
            if status not in self.statuses:
                known = ", ".join(map(str, self.statuses))
                raise ValueError(f"{place}: the status {status} is none of statuses: {known}")
        return self
