"""The forms of a language, compiled, and what stands around them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import reduce

from edspipe.errors import ConfigError, did_you_mean
from edspipe.lang.schemas.dates import DateWords
from edspipe.pipes.rules.dates.builders import BUILDERS
from edspipe.pipes.rules.dates.forms import Form, Part, compile_form
from edspipe.pipes.rules.dates.lexicon import OTHER, Lexicon
from edspipe.pipes.rules.dates.meanings import FIXED, SEASONS, Meanings

MAX_NUMBER_WORDS = 8
"""Of one number: "quatre mille quatre cent quatre vingt dix neuf"."""

# Which rows of them are one number, their builder tells.
_WORDS = reduce(
    lambda rest, _: f"{{cardinal}} ({{number_join}}? {rest})?",
    range(MAX_NUMBER_WORDS - 1),
    "{cardinal}",
)
_RANGE = "{count} ({range} {count})?"
MACROS = {
    "count": f"{{digits}} ({{decimal}} {{glued}})? | {{indefinite}}? {_WORDS}",
    "number": "{vague} | " + _RANGE,
    "times": "{vague} | " + _RANGE,
    "figures": "{digits} ({decimal} {glued})? ({range} {digits})?",
    "ordinal": "({cardinal} {number_join}?)? {ordinal_word} | {digits} {ordinal_suffix}",
    "day": "{day_number} {ordinal_suffix}? | {day_word} | {spoken_day}",
    "decade": "{decade_year} | {decade_short} | {decade_word}",
    "extra_days": "{digits}",
    "every_of": "{digits} | {small}",
    "glued_number": "{glued}",
    "amount": "({half_before} {hyphen}? {unit} | {number} {half}? {more}? {hyphen}? {unit}"
    " | {figures} {hyphen}? {abbreviation} | {fixed}) {half}?",
}
"""Parts that are forms, the same in all languages."""

CAPTURED = frozenset(
    ("number", "glued_number", "times", "figures", "unit", "abbreviation", "half", "half_before")
    + (
        "month",
        "weekday",
        "day_number",
        "day_word",
        "month_number",
        "year",
        "short_year",
        "padded_year",
    )
    + ("hour", "long_hour", "minute", "military", "meridiem")
    + ("ordinal", "frequency", "phrase", "times_word", "modifier", "every_other")
    + (
        "ordinal_word",
        "spoken_day",
        "ordinal_day",
        "season",
        "denominator",
        "extra_days",
        "every_of",
    )
    + ("decade_year", "decade_short", "decade_word", "fixed")
)
"""Parts whose words builders see."""

OPTIONAL_PARTS = (
    "vague",
    "more",
    "half",
    "half_before",
    "ordinal_suffix",
    "day_word",
    "spoken_day",
    "decade_word",
    "number_join",
) + ("hyphen", "decimal", "range", "article", "indefinite")
"""Parts that a language may lack: they match nothing then."""

SEPARATORS = ("/", "-", ".")
SIGNS = (*SEPARATORS, ",")
"""Signs of the forms that all languages share."""
EDGES = frozenset(("START", "MID", "END"))
"""Modifiers that say which part: "late in May"."""

MAX_PERSON_GAP = 3
_WORD = re.compile(r"\{\w+\}|[()|?\[\]!]|([^\s(){}|?\[\]!]+)")


def numeric_forms(day_first: bool) -> Iterator[str]:
    """Yield the forms of dates in digits; the second order is read where the first cannot be."""
    orders = ["{{day_number}} {0} {{month_number}} {0}", "{{month_number}} {0} {{day_number}} {0}"]
    for separator in SEPARATORS:
        yield f"{{year}} {separator} {{month_number}} {separator} {{day_number}}"
        for order in orders if day_first else reversed(orders):
            for year in ("{year}", "{short_year}"):
                yield f"({{weekday}} ,?)? {order.format(separator)} {year}"
    yield "{month_number} / {year}"


class Grammar:
    """All that is compiled from a language's file.

    Args:
        words: The file.

    Raises:
        ConfigError: A form is of an unknown kind, or not well formed.
    """

    def __init__(self, words: DateWords) -> None:
        self.meanings = Meanings(words)
        terms = _word_parts(words)
        self.lexicon = Lexicon(_all_terms(words, terms))
        self.parts = self._compile_parts(terms)
        self.forms = FormsByStart(self._forms(words))
        encode = self.lexicon.encode_term
        articles = words.parts.get("article", [])
        # Before a definite article, only edges are modifiers: "over the past 3 days" is none.
        self.articles = frozenset(map(encode, words.parts.get("definite", [])))
        self.modes = {
            mode: tuple(encode(term) for base in bases for term in _with_articles(base, articles))
            for mode, bases in words.modes.items()
        }
        self.modifiers = {
            encode(term): modifier for modifier, ts in words.modifiers.items() for term in ts
        }
        self.modifier_endings = tuple(sorted(self.modifiers, key=len, reverse=True))
        self.edge_endings = tuple(
            term for term in self.modifier_endings if self.modifiers[term] in EDGES
        )
        self.joins = frozenset(map(encode, words.joins))
        self.born = tuple(map(encode, words.parts.get("born", [])))
        articles_too = frozenset(map(encode, words.cardinals))
        self.number_articles = frozenset(map(encode, words.parts.get("indefinite", [])))
        self.number_words = articles_too - self.number_articles
        self.round_before = frozenset(map(encode, words.parts.get("round_before", [])))
        self.period_starts = tuple(map(encode, words.parts.get("period_start", [])))
        self.hyphen = encode("-")
        self.and_joins = frozenset(map(encode, words.parts.get("and_join", [])))
        self.clock_joins = frozenset(["", *map(encode, words.clock_joins)])
        self.person_before = self._person_pattern(words)

    def _compile_parts(self, terms: dict[str, list[str]]) -> dict[str, Part]:
        encode, of_role = self.lexicon.encode_term, self.lexicon.of_role
        parts = {
            name: Part(tuple(map(encode, listed)), captured=_is_captured(name))
            for name, listed in terms.items()
        }
        parts |= {role: Part(tuple(of_role[role]), captured=role in CAPTURED) for role in of_role}
        parts |= {name: Part(form=form, captured=name in CAPTURED) for name, form in MACROS.items()}
        return parts

    def _forms(self, words: DateWords) -> Iterator[Form]:
        listed = [("date", form) for form in numeric_forms(words.day_first)]
        listed += [(kind, form) for kind, forms in words.forms.items() for form in forms]
        for kind, form in listed:
            if kind not in BUILDERS:
                raise ConfigError(
                    f"dates.yml: forms: expected one of {', '.join(BUILDERS)}; got {kind!r}."
                    f"{did_you_mean(kind, BUILDERS)}"
                )
            yield compile_form(kind, form, self.parts, self.lexicon.encode_term)

    def _person_pattern(self, words: DateWords) -> re.Pattern[str] | None:
        """Return what ends right before an age: a person, some words, what links the age."""
        if not words.persons:
            return None
        encode = self.lexicon.encode_term
        person, gap, link = (
            "".join(re.escape(encode(term)) for term in terms if len(encode(term)) == 1)
            for terms in (words.persons, words.person_gap, words.parts.get("age_link", []))
        )
        other = re.escape(OTHER)
        near, far = f"[{gap}{person}]{{0,{MAX_PERSON_GAP}}}", f"[{other}{gap}{person}]{{0,2}}"
        return re.compile(f"[{person}](?:(?:{near}|{far})[{link}])?\\Z")


class FormsByStart(dict[str, tuple[Form, ...]]):
    """The forms that may match where two characters stand; it learns which.

    Args:
        forms: All forms.
    """

    def __init__(self, forms: Iterable[Form]) -> None:
        super().__init__()
        self.forms = tuple(forms)
        firsts = sorted(frozenset().union(*(form.starts.firsts for form in self.forms)))
        self.candidates = re.compile(f"[{''.join(firsts)}]")

    def __missing__(self, two: str) -> tuple[Form, ...]:
        chosen = self[two] = tuple(form for form in self.forms if form.starts.allow(two))
        return chosen


def _is_captured(name: str) -> bool:
    return name in CAPTURED or name.startswith(("unit_", "mark_"))


def _word_parts(words: DateWords) -> dict[str, list[str]]:
    """Return the terms of each part that is made of words."""
    parts: dict[str, list[str]] = {name: [] for name in OPTIONAL_PARTS}
    parts |= words.parts
    parts["cardinal"] = list(words.cardinals)
    parts["small"] = [term for term, value in words.cardinals.items() if value < 20]
    parts["ordinal_word"] = list(words.ordinals)
    parts["month"] = _flat(words.months.values())
    parts["weekday"] = _flat(words.weekdays.values())
    parts["unit"] = _flat(words.units.values())
    parts["abbreviation"] = _flat(words.abbreviations.values())
    for unit, listed in words.units.items():
        parts[f"unit_{unit}"] = listed
    parts["frequency"] = _flat(entry.terms for entry in words.frequencies)
    parts["phrase"] = _flat(entry.terms for entry in words.phrases)
    parts["modifier"] = _flat(words.modifiers.values())
    parts["season"] = _flat(words.parts.get(name, []) for name in SEASONS)
    parts["fixed"] = _flat(terms for name, terms in words.parts.items() if name.startswith(FIXED))
    return parts


def _all_terms(words: DateWords, parts: dict[str, list[str]]) -> Iterator[str]:
    yield from _flat(parts.values())
    yield from SIGNS
    for listed in (words.modes.values(), [words.joins, words.clock_joins]):
        yield from _flat(listed)
    yield from [*words.persons, *words.person_gap]
    for forms in words.forms.values():
        yield from (word for form in forms for word in _WORD.findall(form) if word)


def _flat(lists: Iterable[Iterable[str]]) -> list[str]:
    return [term for listed in lists for term in listed]


def _with_articles(term: str, articles: Iterable[str]) -> Iterator[str]:
    yield term
    yield from (f"{term} {article}" for article in articles)
