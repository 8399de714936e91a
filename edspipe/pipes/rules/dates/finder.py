"""Finding dates in a normalised text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from edspipe.pipes.rules.dates.builders import BUILDERS, Found
from edspipe.pipes.rules.dates.forms import Form
from edspipe.pipes.rules.dates.grammar import Grammar
from edspipe.pipes.rules.dates.lexicon import token_starts, tokenize
from edspipe.pipes.rules.dates.meanings import PLAIN
from edspipe.pipes.rules.dates.value import DateValue

LOOK_BACK = 8
"""Tokens before a date that tell a mode, a modifier or a person."""

MAX_CLOCK_GAP = 3

NOT_BEHIND_SLASH = frozenset(("duration", "ordinal", "frequency", "later", "earlier", "vague"))


@dataclass(frozen=True)
class Match:
    """A date in a text.

    Attributes:
        start: Its first token.
        end: The token behind the last.
        value: What it says.
        kind: The kind of its form.
        ends: Of a period of two dates, these.
        born: Whether someone was born then.
    """

    start: int
    end: int
    value: DateValue
    kind: str
    ends: tuple[DateValue, DateValue] | None = None
    born: bool = False


@dataclass(frozen=True)
class Text:
    """A text, cut and encoded.

    Attributes:
        tokens: Its tokens, each with the blanks before.
        codes: One character a token.
        starts: Where the tokens begin, with their blanks.
    """

    tokens: list[str]
    codes: str
    starts: list[int]

    def chars(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of tokens, without the blanks before."""
        token = self.tokens[start]
        return self.starts[start] + len(token) - len(token.lstrip()), self.starts[end]


class Finder:
    """Finds dates by the forms of a grammar: of those that match at a place, the longest.

    Args:
        grammar: The forms of a language.
    """

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar

    def find(self, text: str) -> tuple[Text, list[Match]]:
        """Return the dates of a normalised text, in order."""
        tokens = tokenize(text)
        codes = self.grammar.lexicon.encode(tokens)
        if self.grammar.forms.candidates.search(codes) is None:
            return Text(tokens, codes, []), []
        cut = Text(tokens, codes, token_starts(tokens))
        return cut, list(self._with_clocks(cut, self._matches(cut)))

    def _matches(self, text: Text) -> Iterator[Match]:
        end = 0
        last_date = -1
        for candidate in self.grammar.forms.candidates.finditer(text.codes):
            start = candidate.start()
            if start < end or _stands_in_a_word(text, start):
                continue
            if self._is_cut_off(text, start):
                continue
            for stop, form, found in self._candidates(text, start, last_date):
                if form.kind == "skip":
                    end = stop
                    break
                if form.kind == "duration" and self._is_round(text, start, stop):
                    end = stop
                    break
                value = BUILDERS[form.kind](self._parts(text, form, found))
                if value is None and form.kind == "date":
                    # There is no such day: a part of it, as 29 February without its year, is wrong.
                    end = stop
                    break
                if value is None or _holds_blank_line(text, start, stop):
                    continue
                if form.kind in NOT_BEHIND_SLASH and _behind_slash(text, start):
                    continue
                end = stop
                last_date = end if value.type == "DATE" else -1
                yield self._in_context(text, Match(start, end, value, form.kind))
                break

    def _is_round(self, text: Text, start: int, end: int) -> bool:
        """Tell "in the 120s", about so many, from seconds."""
        before = text.codes[start - 1 : start]
        return text.tokens[end - 1] == "s" and before in self.grammar.round_before

    def _is_cut_off(self, text: Text, start: int) -> bool:
        """Tell a number in words that goes on one before it, as of "zero point five hours"."""
        if not start or text.codes[start] not in self.grammar.number_words:
            again = text.codes[start - 1 : start] == text.codes[start]
            return again and text.codes[start] in self.grammar.number_articles
        before = [token.strip() for token in text.tokens[max(0, start - 3) : start]]
        return not before[-1].isdigit() and self.grammar.meanings.spoken.goes_on(before)

    def _candidates(
        self, text: Text, start: int, last_date: int
    ) -> list[tuple[int, Form, re.Match[str]]]:
        """Return the forms that match at a place, the longest first."""
        found = []
        for form in self.grammar.forms[text.codes[start : start + 2]]:
            if form.kind == "next_date" and start != last_date + 1:
                continue
            match = form.match(text.codes, start)
            if match is not None:
                found.append((match.end(), form, match))
        if len(found) > 1:
            found.sort(key=lambda entry: -entry[0])
        return found

    def _parts(self, text: Text, form: Form, match: re.Match[str]) -> Found:
        parts = []
        for place, name in enumerate(form.slots, 1):
            first, end = match.span(place)
            if first >= 0:
                words = tuple(token.strip() for token in text.tokens[first:end])
                parts.append((name, words))
        return Found(tuple(parts), self.grammar.meanings)

    def _in_context(self, text: Text, match: Match) -> Match:
        """Add what stands before: "about", "since", "a man of"."""
        codes, start, value = text.codes, match.start, match.value
        grammar, before = self.grammar, max(0, match.start - LOOK_BACK)
        endings, edge = grammar.modifier_endings, start
        if codes[start] in grammar.articles:
            endings = grammar.edge_endings
        elif codes[start - 1 : start] in grammar.articles:
            endings, edge = grammar.edge_endings, start - 1
        if endings and codes.endswith(endings, before, edge):
            ending = next(e for e in endings if codes.endswith(e, before, edge))
            if grammar.modifiers[ending] != PLAIN:
                value = replace(value, mod=grammar.modifiers[ending])
            start = edge - len(ending)
        for mode, words in grammar.modes.items():
            if words and codes.endswith(words, max(0, start - LOOK_BACK), start):
                value = replace(value, mode=mode)
        if self._is_age(codes, match.start, value):
            value = replace(value, age=True)
        born = value.short_year and codes.endswith(grammar.born, before, match.start)
        return Match(start, match.end, value, match.kind, born=born)

    def _is_age(self, codes: str, start: int, value: DateValue) -> bool:
        pattern = self.grammar.person_before
        if pattern is None or value.type != "DURATION" or value.mode or value.precision == "hour":
            return False
        found = pattern.search(codes[max(0, start - LOOK_BACK) : start])
        return found is not None and (value.precision == "year" or found.end() - found.start() > 1)

    def _with_clocks(self, text: Text, matches: Iterator[Match]) -> Iterator[Match]:
        """Join a date with the time of day that follows."""
        held: Match | None = None
        for match in matches:
            if held is not None and match.kind == "clock" and self._joins_clock(text, held, match):
                value = held.value.value + match.value.value
                joined = replace(held.value, value=value, precision=match.value.precision)
                held = Match(held.start, match.end, joined, "date", born=held.born)
                continue
            if held is not None:
                yield held
            held = match
        if held is not None:
            yield held

    def _joins_clock(self, text: Text, date: Match, clock: Match) -> bool:
        if date.value.type != "DATE" or date.value.precision != "day":
            return False
        gap = clock.start - date.end
        return (
            gap <= MAX_CLOCK_GAP and text.codes[date.end : clock.start] in self.grammar.clock_joins
        )


def _holds_blank_line(text: Text, start: int, end: int) -> bool:
    """Tell whether a blank line stands inside: then it is no one phrase."""
    return any(token.count("\n") > 1 for token in text.tokens[start + 1 : end] if "\n" in token)


def _stands_in_a_word(text: Text, start: int) -> bool:
    """Tell digits that go on a word, as in W221 or m2."""
    token = text.tokens[start]
    return start > 0 and token[0].isdigit() and text.tokens[start - 1][-1].isalpha()


def _behind_slash(text: Text, start: int) -> bool:
    """Tell a denominator, as the hour of mm/1st hour."""
    return start > 0 and text.tokens[start - 1].strip() == "/"
