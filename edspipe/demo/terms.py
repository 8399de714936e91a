"""The entities that the demo notes talk about, put together from lists of words.

A pattern such as `"{pace} {itis}"` is filled with every combination of its lists, of which a seeded
sample is kept. A share of the forms of each label and language is *held out*: those are written
into the notes of the `dev` split only, so that a score there means more than a good memory.
"""

from __future__ import annotations

import itertools
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

LANGUAGES = ("en", "fr")
LABELS = ("disorder", "symptom", "drug", "procedure", "date")
HELD_OUT_SHARE = 0.18

_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"\w+(?:[-/.]\w+)*")


@dataclass(frozen=True)
class Term:
    """One surface form of an entity.

    Args:
        text: The form as a dictionary would print it.
        gender: In French `"m"`, `"f"`, `"mp"` or `"fp"`, elsewhere empty.
    """

    text: str
    gender: str = ""


Pools = Mapping[str, Mapping[str, tuple[Term, ...]]]
"""Language -> label -> terms, the most frequent first."""


@dataclass(frozen=True)
class Vocabulary:
    """All terms, and which of them training notes must not show.

    Args:
        pools: Every term, by language and label.
        held_out: The surface keys of the terms that are kept for the `dev` notes.
    """

    pools: Pools
    held_out: frozenset[str]

    def split(self, language: str, label: str) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
        """Return the terms for training and the held-out ones, both in order of frequency."""
        terms = self.pools[language][label]
        known = tuple(t for t in terms if surface_key(t.text) not in self.held_out)
        held_out = tuple(t for t in terms if surface_key(t.text) in self.held_out)
        return known, held_out


def surface_key(text: str) -> str:
    """Return the words of a text without case, accents, punctuation and spacing.

    Two mentions with the same key are the same surface form: `"Fièvre"` and `"FIEVRE"` are.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(_WORD.findall(bare))


def read_words(name: str) -> dict[str, Any]:
    """Read one of the word files that lie in the package, e.g. `"terms_en"`."""
    file = resources.files("edspipe.demo") / "words" / f"{name}.yml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def build_vocabulary(seed: int, running_texts: Iterable[str]) -> Vocabulary:
    """Put the terms of all languages together and choose the held-out ones.

    Args:
        seed: Chooses the combinations that are kept and the held-out share.
        running_texts: What the notes say around entities: a term that stands there too would be
            seen in training whatever its label, so it is never held out.
    """
    pools = {language: _build_pools(language, seed) for language in LANGUAGES}
    taken = _inner_phrases(pools)
    for text in running_texts:
        taken.update(_phrases(surface_key(text).split()))
    held_out: set[str] = set()
    for label in LABELS:
        held_out.update(_hold_out(pools, label, taken, random.Random(f"{seed}-held-out-{label}")))
    return Vocabulary(pools, frozenset(held_out))


def _build_pools(language: str, seed: int) -> dict[str, tuple[Term, ...]]:
    words = read_words(f"terms_{language}")
    pools = {}
    for label in LABELS:
        rng = random.Random(f"{seed}-terms-{language}-{label}")
        by_key: dict[str, Term] = {}
        for pattern, count in words[label]["patterns"]:
            for term in _expand(pattern, words[label]["lists"], count, rng):
                by_key.setdefault(surface_key(term.text), term)
        pools[label] = tuple(by_key.values())
    return pools


def _expand(
    pattern: str, lists: Mapping[str, Any], count: int | None, rng: random.Random
) -> list[Term]:
    """Fill a pattern with combinations of its lists: `count` of them, or all where None."""
    names = _SLOT.findall(pattern)
    combinations = list(itertools.product(*(_options(lists[name]) for name in names)))
    if count is not None and count < len(combinations):
        combinations = rng.sample(combinations, count)
    return [_compose(pattern, names, combination) for combination in combinations]


def _options(words: list[str] | dict[str, list[str]]) -> list[Term]:
    if isinstance(words, list):
        return [Term(word) for word in words]
    return [Term(word, gender) for gender, group in words.items() for word in group]


def _compose(pattern: str, names: list[str], combination: tuple[Term, ...]) -> Term:
    gender = next((part.gender for part in combination if part.gender), "")
    filled = pattern
    for name, part in zip(names, combination, strict=True):
        filled = filled.replace(f"{{{name}}}", _agree(part.text, gender), 1)
    return Term(filled, gender)


def _agree(word: str, gender: str) -> str:
    masculine, _, feminine = word.partition("/")
    return feminine if feminine and gender.startswith("f") else masculine


def _phrases(words: list[str]) -> Iterator[str]:
    """Yield every run of one to six words: no term is longer."""
    for begin in range(len(words)):
        for end in range(begin + 1, min(begin + 6, len(words)) + 1):
            yield " ".join(words[begin:end])


def _inner_phrases(pools: Pools) -> set[str]:
    """Return the phrases that stand inside a longer term, which would show them in training."""
    inner: set[str] = set()
    for by_label in pools.values():
        for term in itertools.chain.from_iterable(by_label.values()):
            key = surface_key(term.text)
            inner.update(phrase for phrase in _phrases(key.split()) if phrase != key)
    return inner


def _hold_out(pools: Pools, label: str, taken: set[str], rng: random.Random) -> list[str]:
    """Choose the held-out keys of a label. A form that two languages share is held in both."""
    languages_of: dict[str, list[str]] = {}
    for language, by_label in pools.items():
        for term in by_label[label]:
            languages_of.setdefault(surface_key(term.text), []).append(language)
    left = {lang: round(HELD_OUT_SHARE * len(pools[lang][label])) for lang in pools}
    candidates = [key for key in languages_of if key not in taken]
    rng.shuffle(candidates)
    chosen = []
    for key in candidates:
        if all(left[language] > 0 for language in languages_of[key]):
            chosen.append(key)
            for language in languages_of[key]:
                left[language] -= 1
    return chosen
