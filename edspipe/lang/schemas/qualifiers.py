"""negation.yml, hypothesis.yml, family.yml, history.yml, reported_speech.yml and clauses.yml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from edspipe.lang.schemas.base import Words

Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
NumWords = Annotated[int, Field(ge=1)]


class CueGroup(Words):
    """Cues that reach alike.

    Attributes:
        direction: Where the words stand that a cue qualifies: `before` a cue stands before them,
            `after` behind them, `both` around; `between` qualifies what stands between a cue and
            the next of its group (quotation marks); `inside` counts only within the span itself,
            where the pipe is told to look there.
        scope: How far a cue reaches at most: its `sentence`, or, for a heading, its `section`: up
            to the next heading.
        max_words: How many words a cue reaches at most; null sets no bound.
        comma: What a joint (see `Clauses`) does to a cue's reach: `list` goes on as long as what
            follows reads like a further item of a list, `stop` ends it, `pass` never ends it.
        verbs: What a verb (see `Clauses`) does to it: `stop` ends it, but for verbs right behind
            the cue ("without being able"); `passive` ends it too, but behind a verb of `turning`
            ("no mass was seen"); `pass` does not end it.
        turns: Whether a cue that stands before a verb of `turning` also reaches to the words
            before it, its subject: "the mass was not seen".
        closes: Whether a cue counts only where its clause ends behind it: "cough: no".
        spares: Single words that the cues do not qualify: a culture that is negative took place.
        terms: The cues.
    """

    direction: Literal["before", "after", "both", "between", "inside"]
    scope: Literal["sentence", "section"] = "sentence"
    max_words: NumWords | None = None
    comma: Literal["list", "stop", "pass"] = "list"
    verbs: Literal["stop", "passive", "pass"] = "pass"
    turns: bool = False
    closes: bool = False
    spares: list[Term] = []
    terms: list[Term]


class CuePair(Words):
    """Cues in two parts, with words between them: "ne ... pas". They reach like `before`.

    Attributes:
        first: First parts. Alone, they are no cue.
        second: Second parts.
        max_words: How many words may stand between them.
        turns: As of a group.
    """

    first: list[Term]
    second: list[Term]
    max_words: NumWords = 6
    turns: bool = False


class QualifierWords(Words):
    """The words of one qualifier.

    Attributes:
        groups: Cues, by the name of their group.
        pairs: Cues in two parts, by name.
        pseudo: Phrases that hold a cue and mean something else: they qualify nothing.
        terminations: Words and phrases that end every reach, beside those of `Clauses`.
        turning: Single words, mostly passive participles, before which a cue that `turns` reaches
            back, if one of `Clauses.copulas` goes with them.
    """

    groups: dict[str, CueGroup]
    pairs: dict[str, CuePair] = {}
    pseudo: list[Term] = []
    terminations: list[Term] = []
    turning: list[Term] = []

    @model_validator(mode="after")
    def _one_place_a_term(self) -> QualifierWords:
        lists = {f"groups.{name}.terms": group.terms for name, group in self.groups.items()}
        lists |= {f"pairs.{name}.first": pair.first for name, pair in self.pairs.items()}
        lists["pseudo"] = self.pseudo
        seen: dict[str, str] = {}
        for place, terms in lists.items():
            for term in terms:
                if seen.setdefault(term, place) != place:
                    raise ValueError(f"the term {term!r} stands in {seen[term]} and in {place}")
        return self


class Clauses(Words):
    """How sentences of a language are joined; all qualifiers share it.

    Attributes:
        stops: Signs and words that end a reach wherever they stand.
        joints: Signs and words that join either two items of a list or two clauses.
        openers: Single words that, right behind a joint, begin a new clause.
        verbs: Single words that show, anywhere behind a joint, that it begins a new clause.
        auxiliaries: Single words that may stand between a subject and what is said of it.
        copulas: Those auxiliaries that make a passive: "was", but not "has".
        alternatives: Single words that join only items of a list: "or".
        adjuncts: Single words that end the reach of a cue that verbs end as well: "with".
        fronting: Single words that begin what stands in front of a clause: "on examination, ...".
    """

    stops: list[Term]
    joints: list[Term]
    openers: list[Term] = []
    verbs: list[Term] = []
    auxiliaries: list[Term] = []
    copulas: list[Term] = []
    alternatives: list[Term] = []
    adjuncts: list[Term] = []
    fronting: list[Term] = []
