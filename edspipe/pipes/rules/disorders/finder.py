"""Finding several disorders in one pass over a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc

from edspipe.lang.choices import expand_choices
from edspipe.lang.schemas.disorders import DisorderWords, Reading, Rule
from edspipe.matching.phrases import PhraseMatcher, keep_longest
from edspipe.matching.regex import compile_pattern
from edspipe.pipes.rules.disorders.surroundings import Around, Place, Surroundings
from edspipe.pipes.rules.matcher import Finder

CHANGEABLE = 1
"""The status that words around a term may change."""

_BLANKS = r"[ \t\n]{0,3}"

Tokens = tuple[int, int]
"""The first token, and the one behind the last."""


@dataclass
class Found:
    """A mention of a disorder.

    Attributes:
        disorder: The disorder.
        source: The rule that found it.
        tokens: Its tokens.
        status: Its status.
        detailed_status: What that means.
        values: Values that were read around it, by name.
        read_tokens: The tokens of what each of them was read from.
    """

    disorder: str
    source: str
    tokens: Tokens
    status: int
    detailed_status: str
    values: dict[str, Any] = field(default_factory=dict)
    read_tokens: list[Tokens] = field(default_factory=list)


class DisorderFinder:
    """Finds disorders: all terms of all of them in one pass, then what stands around each.

    Args:
        disorders: The words of each.

    Raises:
        ValueError: A regular expression is not valid.
    """

    def __init__(self, disorders: Mapping[str, DisorderWords]) -> None:
        self.disorders = {name: _Disorder(words) for name, words in disorders.items()}
        self._owners = [
            (name, rule) for name, words in disorders.items() for rule in (None, *words.rules)
        ]
        keys = {owner: str(number) for number, owner in enumerate(self._owners)}
        phrases = PhraseMatcher.from_pairs(_pairs(disorders, keys), overlaps=True)
        patterns = {
            keys[name, source]: rule.regex
            for name, words in disorders.items()
            for source, rule in words.rules.items()
            if rule.regex
        }
        self._finder = Finder(phrases, patterns)

    def find(self, doc: Doc) -> list[Found]:
        """Return the mentions of a Doc, by disorder and in text order."""
        by_disorder: dict[str, dict[Tokens, list[str | None]]] = {}
        for key, first, end in self._finder.find(doc):
            name, source = self._owners[int(key)]
            by_disorder.setdefault(name, {}).setdefault((first, end), []).append(source)
        if not by_disorder:
            return []
        text = Surroundings(doc)
        return [
            found
            for name, disorder in self.disorders.items()
            if name in by_disorder
            for found in disorder.find(name, text, by_disorder[name])
        ]


def _pairs(
    disorders: Mapping[str, DisorderWords], keys: Mapping[tuple[str, str | None], str]
) -> Iterator[tuple[str, str]]:
    for name, words in disorders.items():
        listed: Iterable[tuple[str | None, list[str]]] = [
            (None, words.pseudo),
            *((source, rule.terms) for source, rule in words.rules.items()),
        ]
        for source, terms in listed:
            for term in terms:
                yield from ((keys[name, source], one) for one in expand_choices(term))


class _Rule:
    """A rule, ready to be looked for."""

    def __init__(self, rule: Rule) -> None:
        self.status = rule.status
        self.capitals = rule.capitals
        self.include = [Around(one) for one in rule.include]
        self.exclude = [Around(one) for one in rule.exclude]

    def fits(self, text: Surroundings, place: Place) -> bool:
        return all(one.holds(text, place) for one in self.include) and not any(
            one.holds(text, place) for one in self.exclude
        )


class _Disorder:
    """The rules of a disorder, ready to be looked for."""

    def __init__(self, words: DisorderWords) -> None:
        self.statuses = words.statuses
        self.rules = {name: _Rule(rule) for name, rule in words.rules.items()}
        self.exclude = [Around(one) for one in words.exclude]
        self.becomes = [(one.status, Around(one)) for one in words.becomes]
        self.assign = [_Reading(one) for one in words.assign]

    def find(
        self, name: str, text: Surroundings, sources: dict[Tokens, list[str | None]]
    ) -> Iterator[Found]:
        written = {
            tokens: kept
            for tokens, of_tokens in sources.items()
            if (kept := [one for one in of_tokens if self._is_written(text, tokens, one)])
        }
        judged = (
            self._judge(name, text, tokens, written[tokens]) for tokens in keep_longest(written)
        )
        yield from _without_values([found for found in judged if found is not None])

    def _is_written(self, text: Surroundings, tokens: Tokens, source: str | None) -> bool:
        """Tell whether a term stands in capitals if it has to."""
        if source is None or not self.rules[source].capitals:
            return True
        start, end = _chars(text, tokens)
        raw = text.view.raw_text[start:end]
        return not any(char.islower() for char in raw)

    def _judge(
        self, name: str, text: Surroundings, tokens: Tokens, sources: list[str | None]
    ) -> Found | None:
        if None in sources:
            return None
        place = text.place_of(*_chars(text, tokens))
        if any(one.holds(text, place) for one in self.exclude):
            return None
        for source in sources:
            assert source is not None
            rule = self.rules[source]
            if rule.fits(text, place):
                status = self._status(rule, text, place)
                found = Found(name, source, tokens, status, self.statuses[status])
                self._read(text, place, found)
                return found
        return None

    def _status(self, rule: _Rule, text: Surroundings, place: Place) -> int:
        if rule.status == CHANGEABLE:
            for status, cues in self.becomes:
                if cues.holds(text, place):
                    return status
        return rule.status

    def _read(self, text: Surroundings, place: Place, found: Found) -> None:
        for reading in self.assign:
            match = reading.nearest(text, place)
            if match is not None:
                found.values[reading.name] = reading.value(text, match)
                tokens = text.view.tokens(*match.span())
                found.read_tokens += [tokens] if tokens is not None else []


class _Reading:
    """A value around a term, ready to be looked for."""

    def __init__(self, reading: Reading) -> None:
        self.name = reading.name
        self.side = reading.side
        self.num_words = reading.words
        self.number = reading.number
        self.pattern = compile_pattern(reading.regex.replace("_", _BLANKS), key=reading.name)

    def nearest(self, text: Surroundings, place: Place) -> re.Match[str] | None:
        """Return the match that stands nearest; it may reach into the term."""
        first = place[0] if self.side == "after" else text.before(place, self.num_words)[0]
        behind = place[1] if self.side == "before" else text.after(place, self.num_words)[1]
        start, end = text.chars(place)
        matches = self.pattern.finditer(text.view.text, *text.chars((first, behind)))
        return min(matches, key=lambda m: max(start - m.end(), m.start() - end, 0), default=None)

    def value(self, text: Surroundings, match: re.Match[str]) -> Any:
        """Return what a match says: a number, or the words as they are written."""
        if self.number:
            return float(match[1].replace(",", "."))
        start, end = text.view.raw(*match.span(1))
        return text.view.raw_text[start:end]


def _without_values(mentions: list[Found]) -> list[Found]:
    """Drop mentions that are only the value of another one: of "smoker, 20 pack-years" the last."""
    kept: list[Found] = []
    read: set[int] = set()
    # Last those that are their own value: what else has it comes first.
    for found in sorted(mentions, key=lambda found: _stands_in(found, _read_by(found))):
        if not _stands_in(found, read):
            kept.append(found)
            read |= _read_by(found)
    return sorted(kept, key=lambda found: found.tokens)


def _stands_in(found: Found, read: set[int]) -> bool:
    return read.issuperset(range(*found.tokens))


def _read_by(found: Found) -> set[int]:
    return {token for tokens in found.read_tokens for token in range(*tokens)}


def _chars(text: Surroundings, tokens: Tokens) -> tuple[int, int]:
    offsets = text.view.offsets
    return int(offsets.starts[tokens[0]]), int(offsets.ends[tokens[1] - 1])
