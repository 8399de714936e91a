"""One synthetic note: templates are filled with terms, then laid out as a hurried hand would.

The note is written piece by piece, so that a mention knows its offsets. All noise that comes after
(lost accents, broken lines) keeps every character in its place.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from edspipe.demo.french import article
from edspipe.demo.terms import LABELS, Term, read_words, surface_key

_SLOT = re.compile(r"\{(?:(?P<form>\w+):)?(?P<negated>!?)(?P<name>[\w.-]+)\}")
_DRAWN_ONCE = ("surname", "age")
_MAX_DRAWS = 8  # A small pool may be used up; then a term comes twice.


class Mention(NamedTuple):
    """An entity in a note: character offsets, end exclusive."""

    begin: int
    end: int
    label: str
    negated: bool


@dataclass(frozen=True)
class Note:
    """A text and its mentions, in the order of the text."""

    text: str
    mentions: tuple[Mention, ...]


class Piece(NamedTuple):
    """A run of text; an entity where it has a label."""

    text: str
    label: str | None = None
    negated: bool = False


class TermPicker:
    """Draws terms for one language, hardly ever the same one twice in a note.

    Known terms come the more often the earlier they stand in their pool, as words do in a hospital.
    Held-out terms come evenly, so that no score hangs on a few of them.

    Args:
        known: The terms that training may show, by label.
        held_out: The terms that it may not, by label.
        held_out_share: How often a held-out term is drawn, from 0 to 1.
    """

    def __init__(
        self,
        known: Mapping[str, Sequence[Term]],
        held_out: Mapping[str, Sequence[Term]],
        held_out_share: float = 0.0,
    ) -> None:
        self._known = known
        self._held_out = held_out
        self._weights = {label: _rank_weights(len(known[label])) for label in LABELS}
        self._held_out_share = held_out_share

    def pick(self, label: str, rng: random.Random, used: set[str]) -> Term:
        """Draw a term and add its key to `used`."""
        is_new = rng.random() < self._held_out_share
        for _ in range(_MAX_DRAWS):
            if is_new:
                term = rng.choice(self._held_out[label])
            else:
                term = rng.choices(self._known[label], cum_weights=self._weights[label])[0]
            if surface_key(term.text) not in used:
                break
        used.add(surface_key(term.text))
        return term


def _rank_weights(size: int) -> list[float]:
    """Return cumulated weights that fall with the square root of the rank: few terms dominate."""
    return list(accumulate((rank + 10) ** -0.5 for rank in range(size)))


@dataclass(frozen=True)
class Grammar:
    """How the notes of a language are written, as read from its word file."""

    patient: dict[str, dict[str, str]]
    fill: dict[str, list[str]]
    headers: list[str]
    closings: list[str]
    sections: list[dict[str, Any]]
    decimal_mark: str

    @classmethod
    def read(cls, language: str) -> Grammar:
        """Read the grammar of a language from the package."""
        return cls(**read_words(f"notes_{language}"))

    def running_texts(self) -> Iterator[str]:
        """Yield all that notes say around the entities, without the slots."""
        templates = [*self.headers, *self.closings]
        for section in self.sections:
            templates += section["headings"] + section["sentences"]
        for values in self.fill.values():
            templates += values
        for template in templates:
            yield from (part for part in _SLOT.sub("\0", template).split("\0") if part.strip())


class Filler:
    """Fills the templates of one note, so that its patient stays the same throughout.

    Args:
        grammar: The words and templates.
        picker: Where entities come from.
        rng: The note's own source of chance.
    """

    def __init__(self, grammar: Grammar, picker: TermPicker, rng: random.Random) -> None:
        self._grammar = grammar
        self._picker = picker
        self._rng = rng
        self._used: set[str] = set()
        self._patient = dict(grammar.patient[rng.choice(sorted(grammar.patient))])
        for name in _DRAWN_ONCE:
            self._patient[name] = self._plain(rng.choice(grammar.fill[name]))

    def fill(self, template: str) -> list[Piece]:
        """Return the pieces of a template, without empty ones."""
        pieces = list(self._pieces(template))
        return [piece for piece in pieces if piece.text]

    def _plain(self, template: str) -> str:
        return "".join(piece.text for piece in self._pieces(template))

    def _pieces(self, template: str) -> Iterator[Piece]:
        end = 0
        for slot in _SLOT.finditer(template):
            yield Piece(template[end : slot.start()])
            yield from self._slot(slot["form"], slot["name"], bool(slot["negated"]))
            end = slot.end()
        yield Piece(template[end:])

    def _slot(self, form: str | None, name: str, negated: bool) -> Iterator[Piece]:
        if name in LABELS:
            term = self._picker.pick(name, self._rng, self._used)
            if form:
                yield Piece(article(form, term))
            yield Piece(term.text, name, negated)
        elif form == "n":
            yield Piece(self._number(name))
        elif name in self._patient:
            yield Piece(self._patient[name])
        else:
            yield Piece(self._plain(self._rng.choice(self._grammar.fill[name])))

    def _number(self, bounds: str) -> str:
        low, high = bounds.split("-")
        if "." not in bounds:
            return str(self._rng.randint(int(low), int(high)))
        number = f"{self._rng.uniform(float(low), float(high)):.1f}"
        return number.replace(".", self._grammar.decimal_mark)


@dataclass(frozen=True)
class Style:
    """The habits of whoever typed the note."""

    upper_headings: bool
    colon: str
    heading_break: str
    bullet: str
    width: int | None
    lost_accents: float
    double_space: float
    capitals: float

    @classmethod
    def draw(cls, rng: random.Random) -> Style:
        """Draw a style."""
        return cls(
            upper_headings=rng.random() < 0.3,
            colon=rng.choice([":", ":", " :", ""]),
            heading_break=rng.choice(["\n", "\n", "\n", "\n\n"]),
            bullet=rng.choice(["- ", "- ", "* ", "• ", "  - ", ""]),
            width=rng.choice([None, None, 60, 72, 80]),
            lost_accents=rng.choice([0.0, 0.0, 0.02, 0.1, 1.0]),
            double_space=rng.choice([0.0, 0.0, 0.01, 0.04]),
            capitals=rng.choice([1.0, 1.0, 0.9, 0.5]),
        )


@dataclass
class NoteWriter:
    """Puts pieces one after the other and remembers where the mentions lie."""

    style: Style
    rng: random.Random
    mentions: list[Mention] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _length: int = 0

    def add(self, piece: Piece) -> None:
        """Append a piece; outside mentions a space may be typed twice."""
        text = piece.text
        if piece.label is None:
            share = self.style.double_space
            text = re.sub(" ", lambda _: "  " if self.rng.random() < share else " ", text)
        else:
            end = self._length + len(text)
            self.mentions.append(Mention(self._length, end, piece.label, piece.negated))
        self._parts.append(text)
        self._length += len(text)

    def add_sentence(self, pieces: Sequence[Piece], stop: str) -> None:
        """Append a sentence, mostly with a capital at its start."""
        first, *others = pieces
        if self.rng.random() < self.style.capitals:
            first = first._replace(text=first.text[0].upper() + first.text[1:])
        for piece in (first, *others, Piece(stop)):
            self.add(piece)

    def finish(self) -> Note:
        """Return the note, with its accents lost and its lines broken."""
        text = lose_accents("".join(self._parts), self.style.lost_accents, self.rng)
        if self.style.width is not None:
            text = break_lines(text, self.mentions, self.style.width)
        return Note(text, tuple(self.mentions))


def write_note(grammar: Grammar, picker: TermPicker, rng: random.Random) -> Note:
    """Write one note: a header, sections with headings, a signature.

    Args:
        grammar: The language's words and templates.
        picker: Where entities come from.
        rng: All chance of the note comes from here.
    """
    writer = NoteWriter(Style.draw(rng), rng)
    filler = Filler(grammar, picker, rng)
    for piece in filler.fill(rng.choice(grammar.headers).rstrip("\n")):
        writer.add(piece)
    for section in grammar.sections:
        if rng.random() < section["chance"]:
            writer.add(Piece("\n\n"))
            _write_section(section, writer, filler)
    writer.add(Piece("\n\n"))
    for piece in filler.fill(rng.choice(grammar.closings) + "\n"):
        writer.add(piece)
    return writer.finish()


def _write_section(section: Mapping[str, Any], writer: NoteWriter, filler: Filler) -> None:
    rng, style = writer.rng, writer.style
    heading = rng.choice(section["headings"])
    writer.add(Piece((heading.upper() if style.upper_headings else heading) + style.colon))
    bullets = rng.random() < section["bullets"]
    inline = style.colon and not bullets and rng.random() < 0.25
    writer.add(Piece(" " if inline else style.heading_break))
    size = min(rng.randint(*section["size"]), len(section["sentences"]))
    for index, template in enumerate(rng.sample(section["sentences"], size)):
        if index:
            writer.add(Piece("\n" if bullets else " "))
        if bullets and style.bullet:
            writer.add(Piece(style.bullet))
        writer.add_sentence(filler.fill(template), "" if bullets else ".")


def lose_accents(text: str, share: float, rng: random.Random) -> str:
    """Take the accents off a share of the words, one character for one character."""

    def bare(word: re.Match[str]) -> str:
        if rng.random() >= share:
            return word[0]
        return "".join(unicodedata.normalize("NFD", char)[0] for char in word[0])

    return re.sub(r"\w+", bare, text)


def break_lines(text: str, mentions: Sequence[Mention], width: int) -> str:
    """Turn spaces into line breaks so that lines keep to a width, never inside a mention.

    brat cannot write a mention with a line break as one range, hence the exception.
    """
    characters = list(text)
    inside = {i for mention in mentions for i in range(mention.begin, mention.end)}
    line_start, last_space = 0, None
    for i, char in enumerate(characters):
        if char == "\n":
            line_start, last_space = i + 1, None
        elif char == " " and i not in inside and i > line_start:
            last_space = i
        if i - line_start >= width and last_space is not None:
            characters[last_space] = "\n"
            line_start, last_space = last_space + 1, None
    return "".join(characters)
