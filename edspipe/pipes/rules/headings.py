"""Finding headings in a normalised text: by a lexicon, and by how they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from edspipe.lang.choices import expand_choices
from edspipe.matching.folding import fold

MAX_HEADING = 70
"""Characters of a heading."""

MAX_FURTHER = 5
"""Words that may stand behind the known ones, before a colon."""

MAX_CAPITALS = 7
"""Words of an unknown heading in capitals."""

MIN_LETTERS = 5
OTHER = "other"

_NO_HEADING = ""

Raw: TypeAlias = "Callable[[int, int], str]"
"""Returns how characters of a normalised text are written."""

MIN_SINGLE = 3
"""Different headings of one letter that a note must have, that they count."""

WORDS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
# "1.", "2)", "(3)", "1.2", "II -", "A)"; no "x-" of "x-ray", and no "e." of "e.f."
_NUMBER = (
    r"(?:\(?(?:\d{1,2}(?:\.\d{1,2}){0,2}[.)°/-]{1,3}|(?:[ivx]{1,4}|[a-h])[.)°]{1,2}(?![a-z]\.))"
    r"|\d{1,2}(?:\.\d{1,2}){1,2}(?=[ \t])|(?:\d{1,2}|[ivx]{1,4}|[a-h])[ \t]?[/-]{1,2}(?=[ \t]))"
)
# Bullets; what Word's fonts of symbols have for them is in the area of private use.
_BULLETS = "•·‣⁃∙●○◦◆◇◊■□▪▫▶▷▸►▻➢➣➤➔→⇒✓✔❖\uf0a7\uf0b7\uf0d8\uf0fc"
_BEGIN = (
    rf"^[ \t]*+(?P<mark>[-*#>=_+~{_BULLETS}]{{1,6}})?[ \t]*+"
    rf"(?:{_NUMBER}[ \t]*+)?[*_]{{0,3}}"
)
_LINE = re.compile(
    rf"{_BEGIN}(?P<head>[^\W\d_][^\n:]{{1,{MAX_HEADING}}}+)(?:(?P<colon>:[*_]{{0,3}})|$)",
    flags=re.MULTILINE,
)
_DASHED = re.compile(
    rf"{_BEGIN}(?P<head>[^\W\d_](?:[^\n: ]|[ ](?!-[ \t])){{1,{MAX_HEADING}}}+)[ ]-[ \t]",
    flags=re.MULTILINE,
)
_INLINE = re.compile(rf"(?<=[.;])[ \t]+(?P<head>[^\W\d_][^\n:.;]{{1,{MAX_HEADING}}}+)(?P<colon>:)")
# "1.2", "< 140 mmol/l": what stands behind the name of a measure, not behind a heading
_MEASURE = (
    r"[ \t]*+[<>=≤≥~+-]{0,2}[ \t]*+\d++(?:[.,]\d++)?+[ \t]*+"
    r"(?:%|[a-zµμ]{1,5}+/[a-z0-9]{1,4}+|[a-zµμ]{1,2})?+[ \t]*+(?=$|[,;])"
)
_SINGLE = re.compile(
    r"^[ \t]*+(?P<mark>[*_]{2})?(?P<head>[a-z])[*_]{0,2}[ \t]?(?:[:/)]|-[ \t])[*_]{0,2}"
    rf"(?!{_MEASURE})",
    flags=re.MULTILINE,
)
_RULER = re.compile(r"\n[ \t]*+[=~_*-]{3,}+[ \t]*+(?=\n|\Z)")
_OTHER_BREAKS = "\r\v\f\x85\u2028\u2029"
_BEHIND = " \t*_=#~.,;-"
"""What may stand behind the words of a heading."""


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
        not_headings: How lines begin that look like headings and are none.
        unknown: Whether lines that are not in the lexicon are headings, of kind `other`, where they
            are written as such: in capitals, underlined, or emphasised.
        letters: Headings of one letter, by kind; in the order in which they follow each
            other; they count where three of them do.
    """

    def __init__(
        self,
        terms: Mapping[str, Iterable[str]],
        fillers: Iterable[str] = (),
        not_headings: Iterable[str] = (),
        unknown: bool = True,
        letters: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.by_first: dict[str, list[tuple[list[str], str]]] = {}
        for label, listed in {**terms, _NO_HEADING: not_headings}.items():
            for term in (one for choice in listed for one in expand_choices(choice)):
                words = WORDS.findall(fold(term, "NORM"))
                self.by_first.setdefault(words[0], []).append((words, label))
        for entries in self.by_first.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        self.fillers = frozenset(fold(word, "NORM") for word in fillers)
        self.unknown = unknown
        self.letters = {
            fold(one, "NORM"): label for label, listed in (letters or {}).items() for one in listed
        }
        self.ranks = {label: rank for rank, label in enumerate(letters or {})}

    def find(self, text: str, raw: Raw) -> list[Heading]:
        """Return the headings of a normalised text, in order.

        Args:
            text: The text.
            raw: Returns how characters are written in the raw text.
        """
        text = _with_plain_breaks(text)
        ways = (self._on_lines, self._dashed, self._inline, self._of_letters)
        found = [heading for way in ways for heading in way(text, raw)]
        found.sort(key=lambda heading: heading.start)
        kept: list[Heading] = []
        for heading in found:
            if not kept or heading.start >= kept[-1].body:
                kept.append(heading)
        return kept

    def _on_lines(self, text: str, raw: Raw) -> Iterator[Heading]:
        for match in _LINE.finditer(text):
            start, end = _stripped(match)
            words = WORDS.findall(text, start, end)
            known = self._known(words)
            if (known is None and not self.unknown) or _is_sentence(match, words):
                continue
            ruler = None if match["colon"] else _RULER.match(text, match.end())
            emphasised = ruler is not None or (match["mark"] or "").startswith(("#", "**", "__"))
            label = self._label(words, known, match, raw(start, end), emphasised)
            if label is not None:
                body = match.end() if ruler is None else ruler.end()
                yield Heading(label, start, end, body, _begin(match))

    def _label(
        self,
        words: list[str],
        known: tuple[str, int] | None,
        match: re.Match[str],
        written: str,
        emphasised: bool,
    ) -> str | None:
        capitals, colon = written.isupper(), match["colon"] is not None
        if known is not None:
            label, size = known
            further = [word for word in words[size:] if word not in self.fillers]
            if label == _NO_HEADING:
                return None
            if not further:
                # A line that was wrapped goes on in lower case.
                return label if colon or not written[0].islower() else None
            if len(further) <= MAX_FURTHER and ((colon and _is_plain(further)) or capitals):
                return label
            return None
        if not (capitals or (emphasised and written[0].isupper())) or len(words) > MAX_CAPITALS:
            return None
        plain = all(word.isalpha() or word in "-/&'," for word in words)
        letters = sum(len(word) for word in words if word.isalpha())
        return OTHER if plain and letters >= MIN_LETTERS and self.unknown else None

    def _dashed(self, text: str, raw: Raw) -> Iterator[Heading]:
        """Yield the known headings that a dash between blanks ends."""
        for match in _DASHED.finditer(text):
            heading = self._exactly(text, match, raw)
            if heading is not None:
                yield heading

    def _inline(self, text: str, raw: Raw) -> Iterator[Heading]:
        """Yield the headings inside of lines: only known ones, behind a full stop."""
        for match in _INLINE.finditer(text):
            heading = self._exactly(text, match, raw)
            if heading is not None:
                yield replace(heading, begin=heading.start)

    def _exactly(self, text: str, match: re.Match[str], raw: Raw) -> Heading | None:
        """Return a known heading that no further words follow and that a capital begins."""
        start, end = _stripped(match)
        words = WORDS.findall(text, start, end)
        known = self._known(words)
        if known is None or known[0] == _NO_HEADING:
            return None
        if any(word not in self.fillers for word in words[known[1] :]):
            return None
        if not raw(start, start + 1).isupper():
            return None
        return Heading(known[0], start, end, match.end(), _begin(match))

    def _of_letters(self, text: str, raw: Raw) -> list[Heading]:
        """Return the headings of one letter, where enough of them follow each other in order."""
        kept: list[Heading] = []
        run: list[Heading] = []
        for heading in self._single_letters(text, raw):
            if run and self.ranks[heading.label] < self.ranks[run[-1].label]:
                kept += _if_enough(run)
                run = []
            run.append(heading)
        return kept + _if_enough(run)

    def _single_letters(self, text: str, raw: Raw) -> Iterator[Heading]:
        for match in _SINGLE.finditer(text) if self.letters else ():
            start, end = match.span("head")
            label = self.letters.get(match["head"])
            if label is not None and raw(start, end).isupper():
                yield Heading(label, start, end, match.end(), _begin(match))

    def _known(self, words: list[str]) -> tuple[str, int] | None:
        """Return the kind and the length of the longest term that words begin with."""
        for term, label in self.by_first.get(words[0], ()) if words else ():
            if words[: len(term)] == term:
                return label, len(term)
        return None


def _with_plain_breaks(text: str) -> str:
    """Return a text of the same length whose lines all end with a line feed."""
    text = text.replace("\r\n", " \n")
    for sign in _OTHER_BREAKS:
        text = text.replace(sign, "\n")  # a sign that is not there costs next to nothing
    return text


def _if_enough(run: list[Heading]) -> list[Heading]:
    """Return headings of one letter if they are of enough kinds, and none otherwise."""
    return run if len({heading.label for heading in run}) >= MIN_SINGLE else []


def _is_plain(words: list[str]) -> bool:
    """Tell words from the values that may stand behind a heading."""
    return all(word.isalpha() for word in words)


def _is_sentence(match: re.Match[str], words: list[str]) -> bool:
    """Tell a sentence of one word ("Sortie.") from a heading."""
    return len(words) == 1 and match["colon"] is None and match["head"].rstrip().endswith(".")


def _begin(match: re.Match[str]) -> int:
    """Return where the line of a heading begins, with its bullet and number."""
    return match.start() + len(match[0]) - len(match[0].lstrip())


def _stripped(match: re.Match[str]) -> tuple[int, int]:
    """Return where the words of a heading stand, without the signs behind them."""
    start = match.start("head")
    return start, start + len(match["head"].rstrip(_BEHIND))
