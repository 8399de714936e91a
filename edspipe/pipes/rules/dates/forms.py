"""Forms of the language's file, compiled to patterns over the characters of a lexicon.

A form is a tree of choices and optional parts without any repetition, so a pattern reads a bounded
number of tokens, and time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import NoReturn

from edspipe.errors import ConfigError

_PIECE = re.compile(r"\s*(?:\{(\w+)\}|([()|?\[\]!])|([^\s(){}|?\[\]!]+))")

Codes = Sequence[str]
"""Alternatives, each a row of characters."""


@dataclass(frozen=True)
class Part:
    """What a name in braces stands for.

    Attributes:
        options: Alternatives, each a row of characters; or
        form: a form of its own.
        captured: Whether builders want to see what it matched.
    """

    options: Codes = ()
    form: str | None = None
    captured: bool = False


@dataclass(frozen=True)
class Starts:
    """What a pattern may begin with.

    Attributes:
        empty: Whether it may match nothing.
        alone: The characters that may be all that it matches.
        pairs: First characters, and which may follow them.
    """

    empty: bool = False
    alone: frozenset[str] = frozenset()
    pairs: tuple[tuple[frozenset[str], frozenset[str]], ...] = ()

    @property
    def firsts(self) -> frozenset[str]:
        return self.alone.union(*(first for first, _ in self.pairs))

    def __or__(self, other: Starts) -> Starts:
        return Starts(self.empty or other.empty, self.alone | other.alone, self.pairs + other.pairs)

    def __add__(self, other: Starts) -> Starts:
        pairs = self.pairs + ((self.alone, other.firsts),)
        alone: frozenset[str] = self.alone if other.empty else frozenset()
        if self.empty:
            pairs, alone = pairs + other.pairs, alone | other.alone
        return Starts(self.empty and other.empty, alone, pairs)

    def allow(self, two: str) -> bool:
        """Tell whether it may begin with two characters, the second of which may be missing."""
        first, second = two[0], two[1:]
        return first in self.alone or any(first in a and second in b for a, b in self.pairs)

    @classmethod
    def of(cls, options: Codes) -> Starts:
        """Return what the options begin with."""
        alone = frozenset(option for option in options if len(option) == 1)
        longer = [option for option in options if len(option) > 1]
        return cls("" in options, alone, tuple((frozenset(o[0]), frozenset(o[1])) for o in longer))


@dataclass(frozen=True)
class Form:
    """A compiled form.

    Attributes:
        kind: What it means.
        source: The form as written.
        match: Matches at a place of the characters.
        slots: The name of the part of each group.
        starts: What it may begin with.
    """

    kind: str
    source: str
    match: Callable[[str, int], re.Match[str] | None]
    slots: tuple[str, ...]
    starts: Starts


@dataclass
class _Piece:
    """A piece of a pattern: its source, and what it begins with."""

    source: str
    starts: Starts


_NOTHING = _Piece("", Starts(empty=True))


def compile_form(
    kind: str, form: str, parts: Mapping[str, Part], encode: Callable[[str], str]
) -> Form:
    """Compile one form.

    Args:
        kind: What the form means.
        form: The form.
        parts: What the names in braces stand for.
        encode: Returns the characters of plain words.

    Raises:
        ConfigError: The form is not well formed, or names a part that is not there.
    """
    compiler = _Compiler(kind, form, parts, encode)
    piece = compiler.whole()
    if piece.starts.empty:
        compiler.fail("it matches nothing at all: make a part of it not optional")
    pattern = re.compile(piece.source)
    return Form(kind, form, pattern.match, tuple(compiler.slots), piece.starts)


class _Compiler:
    """Reads a form from left to right."""

    def __init__(
        self, kind: str, form: str, parts: Mapping[str, Part], encode: Callable[[str], str]
    ) -> None:
        self.kind, self.form, self.parts, self.encode = kind, form, parts, encode
        self.pieces = self.split(form)
        self.at = 0
        self.slots: list[str] = []

    def split(self, form: str) -> list[tuple[str, str, str]]:
        pieces, at = [], 0
        form = form.rstrip()
        while at < len(form):
            match = _PIECE.match(form, at)
            if match is None:
                self.fail(f"expected a word, a part in braces or a sign at character {at}")
            pieces.append((match[1] or "", match[2] or "", match[3] or ""))
            at = match.end()
        return pieces

    def fail(self, problem: str) -> NoReturn:
        raise ConfigError(f"dates.yml: forms.{self.kind}: {self.form!r}: {problem}")

    def sign(self) -> str:
        """Return the sign that comes next, if it is one."""
        return self.pieces[self.at][1] if self.at < len(self.pieces) else ""

    def whole(self) -> _Piece:
        """Read all: the context before, the span, the context after."""
        before = after = ""
        if any(piece[1] == "[" for piece in self.pieces):
            before = "" if self.sign() == "[" else self.context(ahead=False)
            self.expect("[")
            span = self.choice()
            self.expect("]")
            while self.at < len(self.pieces):
                after += self.context(ahead=True)
        else:
            span = self.choice()
            if self.at < len(self.pieces):
                self.fail(f"a {self.sign()!r} stands where none can")
        return _Piece(f"{before}(?:{span.source}){after}", span.starts)

    def expect(self, sign: str) -> None:
        if self.sign() != sign:
            self.fail(f"expected {sign!r}")
        self.at += 1

    def context(self, ahead: bool) -> str:
        """Read one part that must stand, or must not stand, beside the span."""
        negated = self.sign() == "!"
        self.at += negated
        if self.at >= len(self.pieces) or self.sign():
            self.fail("expected one part or word beside the brackets")
        options = self.options()
        if ahead:
            return f"(?{'!' if negated else '='}{_alternatives(options)})"
        looks = [f"(?<{'!' if negated else '='}{re.escape(option)})" for option in options]
        return "".join(looks) if negated else f"(?:{'|'.join(looks)})"

    def options(self) -> Codes:
        name, _, word = self.pieces[self.at]
        self.at += 1
        if not name:
            return [self.encode(word)]
        if not self.part(name).options:
            self.fail(f"the part {name!r} cannot stand beside the brackets")
        return self.part(name).options

    def part(self, name: str) -> Part:
        if name not in self.parts:
            self.fail(f"there is no part {name!r}; there are {', '.join(sorted(self.parts))}")
        return self.parts[name]

    def choice(self) -> _Piece:
        """Read alternatives."""
        options = [self.row()]
        while self.sign() == "|":
            self.at += 1
            options.append(self.row())
        if len(options) == 1:
            return options[0]
        starts = reduce(or_, (option.starts for option in options))
        return _Piece("(?:" + "|".join(option.source for option in options) + ")", starts)

    def row(self) -> _Piece:
        """Read what stands in a row."""
        row = _NOTHING
        while self.at < len(self.pieces) and self.sign() not in ("|", ")", "]"):
            item = self.item()
            if self.sign() == "?":
                self.at += 1
                item = _Piece(f"(?:{item.source})?", item.starts | Starts(empty=True))
            row = _Piece(row.source + item.source, row.starts + item.starts)
        return row

    def item(self) -> _Piece:
        name, sign, word = self.pieces[self.at]
        if sign and sign != "(":
            self.fail(f"a {sign!r} stands where a word or part was expected")
        self.at += 1
        if sign:
            inner = self.choice()
            self.expect(")")
            return inner
        if word:
            code = self.encode(word)
            return _Piece(re.escape(code), Starts.of([code]))
        return self.named(name)

    def named(self, name: str) -> _Piece:
        part = self.part(name)
        if part.captured:
            self.slots.append("unit" if name.startswith("unit_") else name)
        if part.form is None:
            piece = _Piece(_alternatives(part.options), Starts.of(part.options))
        else:
            inner = _Compiler(self.kind, part.form, self.parts, self.encode)
            piece = inner.choice()
            self.slots += inner.slots
        if part.captured:
            return _Piece(f"({piece.source})", piece.starts)
        return piece


def _alternatives(options: Codes) -> str:
    """Return a pattern for any of the options, the longest first."""
    single = "".join(sorted({option for option in options if len(option) == 1}))
    longer = sorted({option for option in options if len(option) > 1}, key=len, reverse=True)
    sources = [re.escape(option) for option in longer] + ([f"[{single}]"] if single else [])
    if not sources:
        return "(?!)"
    return f"(?:{'|'.join(sources)})"
