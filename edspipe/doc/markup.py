r"""Marked-up text: text with spans written into it, as people write examples and tests.

Two ways to write the same span, and what must be escaped in each:

- `xml`: `<ent label=disease negated=true>fracture</ent>`. In text, `&lt;`, `&gt;`, `&amp;` and
  `&quot;` are `<`, `>`, `&` and `"`. A `<` before anything but a letter or `/`, and an `&` that
  begins none of these, stand for themselves: `T < 38 & stable` needs no escaping.
- `md`: `[fracture](disease negated=true)`. In text, `\[`, `\]` and `\\` are `[`, `]` and `\`; any
  other backslash stands for itself.

A value is `true`, `false`, `none`, a number as Python writes it, a word, or a string in double
quotes; within them, a quotation mark is `&quot;` or `\"`. A name without a value is true. Spans may
be nested. Spans that cross have no such form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

from edspipe.errors import DataError

LABEL = "label"
_NAME = re.compile(r"[A-Za-z_][\w.:-]*+")
_BARE = r"[^\s\"'<>=&()\[\]\\]++"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,999})")
_FLOAT = re.compile(
    r"-?(?:(?:0|[1-9][0-9]*)\.[0-9]+(?:e[+-][0-9]+)?|[1-9]e[+-][0-9]+|inf)|nan"  # as repr()
)
_WORDS = {"true": True, "false": False, "none": None}
_PLAIN_WORD = re.compile(r"[^\W\d][\w.:/+-]*")


@dataclass
class MarkedSpan:
    """A span in a text.

    Attributes:
        start: Offset of its first character.
        end: Offset behind its last character.
        label: The label; may be empty.
        attributes: Values by name: booleans, numbers, strings or None.
    """

    start: int
    end: int
    label: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


def parse_markup(marked: str, preset: str = "xml") -> tuple[str, list[MarkedSpan]]:
    """Return the text without its markup, and the spans, in the order in which they begin.

    Args:
        marked: The text with markup.
        preset: `"xml"` or `"md"`.

    Raises:
        DataError: The markup is malformed; names the offset in the marked-up text.
        ValueError: The preset is not known.
    """
    return _grammar(preset)(marked).parse()


def render_markup(text: str, spans: Iterable[MarkedSpan], preset: str = "xml") -> str:
    """Write spans into a text.

    Args:
        text: The text.
        spans: The spans; one may lie within another.
        preset: `"xml"` or `"md"`.

    Raises:
        DataError: Spans cross, are empty or lie outside the text; or a name or a value cannot be
            written.
        ValueError: The preset is not known.
    """
    grammar = _grammar(preset)
    pieces: list[str] = []
    at = 0
    for offset, is_end, span in _edges(list(spans), len(text)):
        pieces.append(grammar.escape(text[at:offset]))
        pieces.append(grammar.end(span) if is_end else grammar.begin(span))
        at = offset
    return "".join([*pieces, grammar.escape(text[at:])])


def _edges(spans: list[MarkedSpan], length: int) -> Iterator[tuple[int, bool, MarkedSpan]]:
    """Yield where spans begin and end, in the order in which they are written."""
    opened: list[MarkedSpan] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not 0 <= span.start < span.end <= length:
            raise DataError(
                f"expected spans with 0 <= start < end <= {length} characters, got {span.start} "
                f"to {span.end}"
            )
        while opened and opened[-1].end <= span.start:
            last = opened.pop()
            yield last.end, True, last
        if opened and opened[-1].end < span.end:
            raise DataError(
                f"the spans of characters {opened[-1].start} to {opened[-1].end} and {span.start} "
                f"to {span.end} cross, and markup can only nest spans: pass another span_getter"
            )
        opened.append(span)
        yield span.start, False, span
    for last in reversed(opened):
        yield last.end, True, last


@dataclass
class _Item:
    """A name, a value or both, in the head of a span; a value in quotes is a string."""

    at: int
    name: str | None
    value: Any
    written: str | None


class _Grammar:
    """Reads a marked-up text from left to right.

    Args:
        marked: The text with markup.
    """

    special: ClassVar[re.Pattern[str]]
    item: ClassVar[re.Pattern[str]]
    close_head: ClassVar[str]

    def __init__(self, marked: str) -> None:
        self.marked = marked
        self.pieces: list[str] = []
        self.length = 0
        self.spans: list[MarkedSpan] = []
        self.opened: list[tuple[int, MarkedSpan]] = []

    def parse(self) -> tuple[str, list[MarkedSpan]]:
        """Read all."""
        at = 0
        while (found := self.special.search(self.marked, at)) is not None:
            self.add(self.marked[at : found.start()])
            at = self.read(found.start())
        self.add(self.marked[at:])
        if self.opened:
            self.fail("a span begins here and does not end", self.opened[-1][0])
        return "".join(self.pieces), self.spans

    def read(self, at: int) -> int:
        """Read what begins at a special character; return the offset behind it."""
        raise AssertionError

    def add(self, text: str) -> None:
        """Append to the text."""
        self.pieces.append(text)
        self.length += len(text)

    def open(self, at: int) -> MarkedSpan:
        """Begin a span at the end of the text so far."""
        span = MarkedSpan(self.length, self.length)
        self.spans.append(span)
        self.opened.append((at, span))
        return span

    def close(self, at: int) -> MarkedSpan:
        """End the span that was begun last."""
        if not self.opened:
            self.fail("nothing is open that could end here", at)
        begin, span = self.opened.pop()
        span.end = self.length
        if span.end == span.start:
            self.fail("a span covers no text", begin)
        return span

    def read_head(self, at: int) -> tuple[list[_Item], int]:
        """Read names and values up to the end of a head; return them and the offset behind it."""
        items = []
        while not self.marked.startswith(self.close_head, at := _skip_blanks(self.marked, at)):
            found = self.item.match(self.marked, at)
            if found is None:
                self.fail("expected a name, name=value, or the end of the span's head", at)
            name, written = found[1], found[2]
            quoted = written.startswith('"')
            value = self.unescape(written[1:-1]) if quoted else _plain_value(written)
            items.append(_Item(at, name, value, None if quoted else written))
            at = found.end()
        return items, at + len(self.close_head)

    def unescape(self, written: str) -> str:
        """Return what stands in quotes."""
        raise AssertionError

    def set_attributes(self, span: MarkedSpan, items: Iterable[_Item]) -> None:
        """Give a span its attributes; a name alone is true."""
        for item in items:
            name, value = (item.name, item.value) if item.name else (item.written, True)
            if name is None or not _NAME.fullmatch(name):
                self.fail("expected the name of an attribute", item.at)
            if name in span.attributes:
                self.fail("an attribute stands twice", item.at)
            span.attributes[name] = value

    def fail(self, message: str, at: int) -> NoReturn:
        """Refuse the markup."""
        raise DataError(f"malformed markup at character {at}: {message}")

    # ---- writing -------------------------------------------------------------------------------

    @staticmethod
    def escape(text: str) -> str:
        """Return a piece of text as it is written."""
        raise AssertionError

    @classmethod
    def begin(cls, span: MarkedSpan) -> str:
        """Return what stands before a span."""
        raise AssertionError

    @classmethod
    def end(cls, span: MarkedSpan) -> str:
        """Return what stands behind a span."""
        raise AssertionError

    @classmethod
    def head(cls, span: MarkedSpan) -> list[str]:
        """Return the attributes of a span."""
        for name in span.attributes:
            if not _NAME.fullmatch(name):
                raise DataError(
                    "the name of an attribute begins with a letter, and has letters, digits, '_', "
                    f"'.', ':' and '-' behind it; got one of {len(name)} characters"
                )
        return [f"{name}={cls.show(name, value)}" for name, value in span.attributes.items()]

    @classmethod
    def show(cls, name: str, value: Any) -> str:
        """Return a value as it is written."""
        if value is None or isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (int, float)):
            return repr(int(value) if isinstance(value, int) else float(value))
        if not isinstance(value, str):
            raise DataError(
                f"the attribute '{name}' holds a {type(value).__name__}: markup has booleans, "
                "numbers, strings and None"
            )
        if _PLAIN_WORD.fullmatch(value) and _plain_value(value) is value:
            return value
        return cls.quote(value)

    @classmethod
    def quote(cls, value: str) -> str:
        """Return a string in quotes."""
        raise AssertionError


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _plain_value(written: str) -> Any:
    """Return what a value without quotes stands for."""
    if written.lower() in _WORDS:
        return _WORDS[written.lower()]
    if _INTEGER.fullmatch(written):
        return int(written)
    return float(written) if _FLOAT.fullmatch(written) else written


class _Xml(_Grammar):
    special = re.compile(r"[<&]")
    item = re.compile(rf'(?:([A-Za-z_][\w.:-]*+)\s*+=\s*+)?("[^"]*"|{_BARE})')
    close_head = ">"
    entity = re.compile(r"&(lt|gt|amp|quot);")
    chars: ClassVar[Mapping[str, str]] = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
    begin_tag, end_tag = "<ent", "</ent>"

    def read(self, at: int) -> int:
        marked, following = self.marked, self.marked[at + 1 : at + 2]
        if entity := self.entity.match(marked, at):
            self.add(self.chars[entity[1]])
            return entity.end()
        if marked[at] == "&" or not (following.isalpha() or following == "/"):
            self.add(marked[at])
            return at + 1
        if marked.startswith(self.end_tag, at):
            self.close(at)
            return at + len(self.end_tag)
        head = at + len(self.begin_tag)
        if not marked.startswith(self.begin_tag, at) or not re.match(
            r"[\s>]", marked[head : head + 1]
        ):
            self.fail("expected <ent label=... name=value> or </ent>; a '<' is &lt;", at)
        span = self.open(at)
        items, end = self.read_head(head)
        self.set_attributes(span, items)
        if LABEL in span.attributes:
            label = next(item for item in items if (item.name or item.written) == LABEL)
            span.label = label.written if label.written is not None else str(label.value)
            del span.attributes[LABEL]
        return end

    def unescape(self, written: str) -> str:
        return self.entity.sub(lambda match: self.chars[match[1]], written)

    @staticmethod
    def escape(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    @classmethod
    def begin(cls, span: MarkedSpan) -> str:
        if LABEL in span.attributes:
            raise DataError(f"an attribute cannot be named '{LABEL}': that is the span's own label")
        label = [f"{LABEL}={cls.show(LABEL, span.label)}"] if span.label else []
        return f"{' '.join([cls.begin_tag, *label, *cls.head(span)])}>"

    @classmethod
    def end(cls, span: MarkedSpan) -> str:
        return cls.end_tag

    @classmethod
    def quote(cls, value: str) -> str:
        escaped = cls.escape(value).replace('"', "&quot;")
        return f'"{escaped}"'


class _Md(_Grammar):
    special = re.compile(r"[\[\]\\]")
    item = re.compile(rf'(?:([A-Za-z_][\w.:-]*+)\s*+=\s*+)?("(?:[^"\\]|\\.)*+"|{_BARE})', re.DOTALL)
    close_head = ")"

    def read(self, at: int) -> int:
        char, following = self.marked[at], self.marked[at + 1 : at + 2]
        if char == "\\":
            escapes = following in ("[", "]", "\\")
            self.add(following if escapes else char)
            return at + 1 + escapes
        if char == "[":
            self.open(at)
            return at + 1
        span = self.close(at)
        if following != "(":
            self.fail("expected ](label name=value); a bracket of the text is \\[ or \\]", at)
        items, end = self.read_head(at + 2)
        if items and items[0].name is None:
            label = items.pop(0)
            span.label = label.written if label.written is not None else label.value
        self.set_attributes(span, items)
        return end

    def unescape(self, written: str) -> str:
        return re.sub(r'\\(["\\])', r"\1", written)

    @staticmethod
    def escape(text: str) -> str:
        return re.sub(r"([\[\]\\])", r"\\\1", text)

    @classmethod
    def begin(cls, span: MarkedSpan) -> str:
        return "["

    @classmethod
    def end(cls, span: MarkedSpan) -> str:
        label = [cls.show(LABEL, span.label)] if span.label else []
        return f"]({' '.join([*label, *cls.head(span)])})"

    @classmethod
    def quote(cls, value: str) -> str:
        escaped = re.sub(r'(["\\])', r"\\\1", value)
        return f'"{escaped}"'


_PRESETS: dict[str, type[_Grammar]] = {"xml": _Xml, "md": _Md}
PRESETS = tuple(_PRESETS)


def _grammar(preset: str) -> type[_Grammar]:
    if preset not in _PRESETS:
        raise ValueError(f"a preset of markup is one of {', '.join(PRESETS)}; got {preset!r}")
    return _PRESETS[preset]
