"""Finding headings in a normalised text: by a lexicon, and by how they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from edspipe.matching.folding import fold

MAX_HEADING = 70
"""Characters of a heading."""

MAX_FURTHER = 5
"""Words that may stand behind the known ones, before a colon."""

MAX_CAPITALS = 7
"""Words of an unknown heading in capitals."""

MIN_LETTERS = 5
OTHER = "other"

WORDS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
_LINE = re.compile(
    r"^[ \t]*+(?:[-*•#>=·–]{1,4}[ \t]*+)?(?:(?:\d{1,2}|[ivx]{1,4}|[a-h])[.)°-]{1,2}[ \t]*+)?"
    rf"(?P<head>[^\W\d_][^\n:]{{1,{MAX_HEADING}}}+)(?:(?P<colon>:)|$)",
    flags=re.MULTILINE,
)
_INLINE = re.compile(rf"(?<=[.;])[ \t]+(?P<head>[^\W\d_][^\n:.;]{{1,{MAX_HEADING}}}+)(?P<colon>:)")


@dataclass(frozen=True)
class Heading:
    """A heading.

    Attributes:
        label: The kind of its section.
        start: Its first character.
        end: The character behind its last word.
        body: The character behind the colon, if there is one.
        begin: Where its line begins, with a number or a bullet.
    """

    label: str
    start: int
    end: int
    body: int
    begin: int


class Headings:
    """Finds headings.

    Args:
        terms: How headings begin, by kind.
        fillers: Words that do not change what a heading is.
        not_headings: What looks like an unknown heading and is none.
        unknown: Whether lines in capitals that are not in the lexicon are headings, of kind
            `other`.
    """

    def __init__(
        self,
        terms: Mapping[str, Iterable[str]],
        fillers: Iterable[str] = (),
        not_headings: Iterable[str] = (),
        unknown: bool = True,
    ) -> None:
        self.by_first: dict[str, list[tuple[list[str], str]]] = {}
        for label, listed in terms.items():
            for term in listed:
                words = WORDS.findall(fold(term, "NORM"))
                self.by_first.setdefault(words[0], []).append((words, label))
        for entries in self.by_first.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        self.fillers = frozenset(fold(word, "NORM") for word in fillers)
        self.not_headings = frozenset(fold(word, "NORM") for word in not_headings)
        self.unknown = unknown

    def find(self, text: str, raw: Callable[[int, int], str]) -> list[Heading]:
        """Return the headings of a normalised text, in order.

        Args:
            text: The text.
            raw: Returns how characters are written in the raw text.
        """
        found = [*self._on_lines(text, raw), *self._inline(text, raw)]
        found.sort(key=lambda heading: heading.start)
        kept: list[Heading] = []
        for heading in found:
            if not kept or heading.start >= kept[-1].body:
                kept.append(heading)
        return kept

    def _on_lines(self, text: str, raw: Callable[[int, int], str]) -> Iterator[Heading]:
        for match in _LINE.finditer(text):
            words = WORDS.findall(match["head"])
            known = self._known(words)
            if known is None and not self.unknown:
                continue
            start, end = _stripped(match)
            written = raw(start, end)
            capitals = written.isupper()
            label = self._label(words, known, match["colon"] is not None, written, capitals)
            if label is not None:
                begin = match.start() + len(match[0]) - len(match[0].lstrip())
                yield Heading(label, start, end, match.end(), begin)

    def _label(
        self,
        words: list[str],
        known: tuple[str, int] | None,
        colon: bool,
        written: str,
        capitals: bool,
    ) -> str | None:
        if known is not None:
            label, size = known
            further = [word for word in words[size:] if word not in self.fillers]
            if not further:
                # A line that was wrapped goes on in lower case.
                return label if colon or not written[0].islower() else None
            if len(further) <= MAX_FURTHER and ((colon and _is_plain(further)) or capitals):
                return label
            return None
        if not capitals or len(words) > MAX_CAPITALS or words[0] in self.not_headings:
            return None
        plain = all(word.isalpha() or word in "-/&'," for word in words)
        letters = sum(len(word) for word in words if word.isalpha())
        return OTHER if plain and letters >= MIN_LETTERS and self.unknown else None

    def _inline(self, text: str, raw: Callable[[int, int], str]) -> Iterator[Heading]:
        """Yield the headings inside of lines: only known ones, behind a full stop."""
        for match in _INLINE.finditer(text):
            words = WORDS.findall(match["head"])
            known = self._known(words)
            if known is None or any(word not in self.fillers for word in words[known[1] :]):
                continue
            start, end = _stripped(match)
            if raw(start, start + 1).isupper():
                yield Heading(known[0], start, end, match.end(), start)

    def _known(self, words: list[str]) -> tuple[str, int] | None:
        """Return the kind and the length of the longest term that words begin with."""
        for term, label in self.by_first.get(words[0], ()) if words else ():
            if words[: len(term)] == term:
                return label, len(term)
        return None


def _is_plain(words: list[str]) -> bool:
    """Tell words from the values that may stand behind a heading."""
    return all(word.isalpha() for word in words)


def _stripped(match: re.Match[str]) -> tuple[int, int]:
    head = match["head"]
    start = match.start("head")
    return start, start + len(head.rstrip())
