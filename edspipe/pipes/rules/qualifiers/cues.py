"""The words of a qualifier, made ready: which cue reaches how, and what ends its reach."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edspipe.lang.schemas.qualifiers import Clauses, CueGroup, QualifierWords
from edspipe.pipes.rules.qualifiers.frame import cut_term
from edspipe.pipes.rules.qualifiers.terms import Terms


class Sign(Enum):
    """What a word or a phrase does to a reach that meets it."""

    STOP = "ends it"
    JOINT = "ends it where a new clause begins"
    OPEN = "opens a bracket"
    CLOSE = "closes a bracket; ends the reach of a cue within"


@dataclass(frozen=True)
class Role:
    """What a term is, which may be several things at once.

    Attributes:
        group: The group of cues that it belongs to.
        spares: Words that the group does not qualify.
        first: The pair whose first part it is.
        second: The pairs whose second part it is.
    """

    group: CueGroup | None = None
    spares: frozenset[str] = frozenset()
    first: int | None = None
    second: frozenset[int] = frozenset()


class Cues:
    """The cues of one qualifier in one language.

    Args:
        words: Its words.
        clauses: How sentences of the language are joined.

    Attributes:
        cues: All cues, parts of cues and pseudo-cues.
        pairs: The pairs, by number.
        signs: What ends or may end a reach.
        openers, verbs, auxiliaries, copulas, alternatives, adjuncts, fronting: As of `Clauses`.
        turning: As of `QualifierWords`.
    """

    def __init__(self, words: QualifierWords, clauses: Clauses) -> None:
        self.pairs = tuple(words.pairs.values())
        self.cues = Terms(_roles(words).items())
        joints = [(term, Sign.JOINT) for term in clauses.joints]
        stops = [(term, Sign.STOP) for term in (*clauses.stops, *words.terminations)]
        brackets = [(term, Sign.OPEN) for term in "(["] + [(term, Sign.CLOSE) for term in ")]"]
        self.signs = Terms([*joints, *stops, *brackets])
        self.openers = _single(clauses.openers)
        self.verbs = _single(clauses.verbs)
        self.auxiliaries = _single(clauses.auxiliaries)
        self.copulas = _single(clauses.copulas)
        self.alternatives = _single(clauses.alternatives)
        self.adjuncts = _single(clauses.adjuncts)
        self.fronting = _single(clauses.fronting)
        self.turning = _single(words.turning)


def _roles(words: QualifierWords) -> dict[str, Role]:
    seconds: dict[str, set[int]] = {}
    for number, pair in enumerate(words.pairs.values()):
        for term in pair.second:
            seconds.setdefault(term, set()).add(number)
    roles = {term: Role(second=frozenset(numbers)) for term, numbers in seconds.items()}
    for group in words.groups.values():
        spares = _single(group.spares)
        for term in group.terms:
            roles[term] = Role(group, spares, second=frozenset(seconds.get(term, ())))
    for number, pair in enumerate(words.pairs.values()):
        for term in pair.first:
            roles[term] = Role(first=number, second=frozenset(seconds.get(term, ())))
    roles.update({term: Role() for term in words.pseudo})
    return roles


def _single(terms: list[str]) -> frozenset[str]:
    return frozenset(word for term in terms for word in cut_term(term))
