"""The text of brat's standoff files: lines to items, with every rule checked.

A line is one of

    T1<TAB>Label 0 5;8 12<TAB>mention        entity, with its fragments (characters)
    A1<TAB>Name T1 value                     attribute, binary without a value; `M1` likewise
    N1<TAB>Reference T1 Source:id<TAB>text   normalisation
    #1<TAB>AnnotatorNotes T1<TAB>text        note, on any id
    R1<TAB>Label Arg1:T1 Arg2:T2             relation
    E1<TAB>Label:T1 Theme:T2                 event: its trigger, then its arguments
    *<TAB>Equiv T1 T2                        equivalence

Lines end at `\\n` and nowhere else. A line that starts like one of these but is malformed is an
error, and so is the mark of a git conflict; any other line is kept as it is. Messages give ids,
offsets and lengths, never text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from edspipe.errors import DataError

Fragments: TypeAlias = tuple[tuple[int, int], ...]
Arguments: TypeAlias = tuple[tuple[str, str], ...]


class Entity(NamedTuple):
    """A `T` line: fragments are (begin, end) in characters of the text."""

    id: str
    label: str
    fragments: Fragments
    mention: str


class Attribute(NamedTuple):
    """An `A` or `M` line: `value` is None where the attribute is binary."""

    id: str
    name: str
    target: str
    value: str | None


class Normalization(NamedTuple):
    """An `N` line: an entry of a knowledge base; `text` is the entry's name, often empty."""

    id: str
    kind: str
    target: str
    resource: str
    entry: str
    text: str


class Note(NamedTuple):
    """A `#` line: free text on any other annotation."""

    id: str
    kind: str
    target: str
    text: str


class Relation(NamedTuple):
    """An `R` line: arguments are (role, id)."""

    id: str
    label: str
    arguments: Arguments


class Event(NamedTuple):
    """An `E` line: the id of its trigger entity, and its arguments."""

    id: str
    label: str
    trigger: str
    arguments: Arguments


class Equivalence(NamedTuple):
    """A `*` line: ids that mean the same; it has no id of its own."""

    id: str
    label: str
    targets: tuple[str, ...]


Item: TypeAlias = Entity | Attribute | Normalization | Note | Relation | Event | Equivalence


Row: TypeAlias = tuple[str, str, str, str, str, str]
"""A line, cut: id, label, begin, end and mention of an entity of one fragment, else the line."""

_WORD = r"[^ \t\r]+"
# What follows the letter of an id. Bounded, as an id may stand in a message and text may not.
_REST = r"[0-9][0-9A-Za-z_.-]{0,30}"
# Twelve digits at most: a longer number is no offset, and `int` refuses very long ones.
_PAIR = r"-?[0-9]{1,12} -?[0-9]{1,12}"
ID_PATTERN = rf"[TAMNRE#]{_REST}"
_SURE_ID = re.compile(r"([TAMNRE#][0-9]{1,9})(?![^ \t\r])")
_ARGUMENT = rf"[^ \t\r:]+:{_WORD}"
_ENTITY = re.compile(rf"(T{_REST})\t({_WORD}) ({_PAIR}(?:;{_PAIR})*)\t(.*)")
_ATTRIBUTE = re.compile(
    rf"([AM]{_REST})\t({_WORD}) ({_WORD})(?: +([^ \t\r](?:[^\t\r]*[^ \t\r])?))? *"
)
_NORMALIZATION = re.compile(rf"(N{_REST})\t({_WORD}) ({_WORD}) ([^ \t\r:]+):([^\t\r]+)(?:\t(.*))?")
_NOTE = re.compile(rf"(#{_REST})\t({_WORD}) ({_WORD})(?:\t(.*))?")
_RELATION = re.compile(rf"(R{_REST})\t({_WORD})((?: {_ARGUMENT}){{2,}}) *\t?")
_EVENT = re.compile(rf"(E{_REST})\t([^ \t\r:]+):({_WORD})((?: {_ARGUMENT})*) *\t?")
_EQUIVALENCE = re.compile(rf"(\*)\t({_WORD})((?: {_WORD}){{2,}}) *")
_ROW = re.compile(
    rf"^(?:(T{_REST})\t([^ \t\r\n]+) ([0-9]{{1,12}}) ([0-9]{{1,12}})\t(.+)|(.*))$", re.MULTILINE
)
_CONFLICT = re.compile(r"(?:<{7}|={7}|>{7}|\|{7})(?: .*|\r)?")

_SHAPES = {
    "T": "T1<TAB>Label begin end<TAB>mention",
    "A": "A1<TAB>Name T1 value",
    "M": "M1<TAB>Name T1 value",
    "N": "N1<TAB>Reference T1 Source:id<TAB>text",
    "#": "#1<TAB>AnnotatorNotes T1<TAB>text",
    "R": "R1<TAB>Label Arg1:T1 Arg2:T2",
    "E": "E1<TAB>Label:T1 Role:T2",
    "*": "*<TAB>Equiv T1 T2",
}


class _Malformed(Exception):
    pass


def _match(pattern: re.Pattern[str], line: str) -> tuple[str, ...]:
    match = pattern.fullmatch(line)
    if match is None:
        raise _Malformed
    return match.groups()


def _parse_entity(line: str) -> Entity:
    id_, label, spans, mention = _match(_ENTITY, line)
    if ";" in spans:
        pairs = [pair.split(" ") for pair in spans.split(";")]
        return Entity(id_, label, tuple((int(b), int(e)) for b, e in pairs), mention)
    begin, end = spans.split(" ")
    return Entity(id_, label, ((int(begin), int(end)),), mention)


def _parse_attribute(line: str) -> Attribute:
    return Attribute(*_match(_ATTRIBUTE, line))


def _parse_normalization(line: str) -> Normalization:
    id_, kind, target, resource, entry, text = _match(_NORMALIZATION, line)
    return Normalization(id_, kind, target, resource, entry, text or "")


def _parse_note(line: str) -> Note:
    id_, kind, target, text = _match(_NOTE, line)
    return Note(id_, kind, target, text or "")


def _arguments(text: str) -> Arguments:
    pairs = (argument.split(":", 1) for argument in text.split(" ") if argument)
    return tuple((role, target) for role, target in pairs)


def _parse_relation(line: str) -> Relation:
    id_, label, arguments = _match(_RELATION, line)
    return Relation(id_, label, _arguments(arguments))


def _parse_event(line: str) -> Event:
    id_, label, trigger, arguments = _match(_EVENT, line)
    return Event(id_, label, trigger, _arguments(arguments))


def _parse_equivalence(line: str) -> Equivalence:
    star, label, targets = _match(_EQUIVALENCE, line)
    return Equivalence(star, label, tuple(targets.split()))


_PARSERS: dict[str, Callable[[str], Item]] = {
    "T": _parse_entity,
    "A": _parse_attribute,
    "M": _parse_attribute,
    "N": _parse_normalization,
    "#": _parse_note,
    "R": _parse_relation,
    "E": _parse_event,
    "*": _parse_equivalence,
}


def targets(item: Item) -> tuple[str, ...]:
    """Return the ids that an item points at."""
    if isinstance(item, (Attribute, Normalization, Note)):
        return (item.target,)
    if isinstance(item, Relation):
        return tuple(target for _, target in item.arguments)
    if isinstance(item, Event):
        return (item.trigger, *(target for _, target in item.arguments))
    return item.targets if isinstance(item, Equivalence) else ()


def mention_of(text: str, fragments: Fragments) -> str:
    """Return the mention as brat writes it: fragments joined by a blank, `\\n` as a blank."""
    if len(fragments) == 1:
        ((begin, end),) = fragments
        return text[begin:end].replace("\n", " ")
    return " ".join([text[begin:end] for begin, end in fragments]).replace("\n", " ")


def fragments_problem(fragments: Fragments, length: int) -> str | None:
    """Say what is wrong with the fragments of an entity in a text of `length` characters."""
    for begin, end in fragments:
        if begin < 0 or end > length or begin > length:
            return f"offsets {begin}-{end} are out of range: the text has {length} characters"
        if begin > end:
            return f"offsets {begin}-{end} are inverted: the begin comes after the end"
        if begin == end:
            return f"offsets {begin}-{end} cover nothing: a mention has at least one character"
    if len(fragments) > 1:
        ordered = sorted(fragments)
        for (_, end), (begin, _) in pairwise(ordered):
            if begin < end:
                return f"fragments overlap: one ends at {end}, another begins at {begin}"
    return None


def _malformed(line: str) -> str:
    ending = "; it ends in a carriage return: lines of .ann files end at \\n alone"
    return (
        f"malformed {line[0]} line of {len(line)} characters: expected {_SHAPES[line[0]]}"
        f"{ending if line.endswith(chr(13)) else ''}"
    )


def parse_line(line: str) -> Item | None:
    """Parse a line without its `\\n`; None where it is none of brat's kinds.

    Raises:
        DataError: The line is malformed, or the mark of a git conflict.
    """
    parser = _PARSERS.get(line[:1])
    if parser is None:
        if _CONFLICT.fullmatch(line):
            raise DataError("mark of a git conflict: merge the versions of this file first")
        return None
    try:
        return parser(line)
    except _Malformed:
        raise DataError(_malformed(line), id=guess_id(line)) from None


def guess_id(line: str) -> str | None:
    """Return the id at the start of a broken line, if that can be nothing but an id."""
    # A letter and digits only: the first field of a broken line may be clinical text.
    match = _SURE_ID.match(line)
    return match.group(1) if match else None


def split_lines(text: str) -> list[str]:
    """Cut a text behind each `\\n`; the lines joined give the text back."""
    lines = text.split("\n")
    last = lines.pop()
    lines = [line + "\n" for line in lines]
    return [*lines, last] if last else lines


def split_rows(text: str) -> list[Row]:
    """Cut a file into its lines, and the plainest and most frequent of them into their parts.

    One pass over a file is several times as fast as one line at a time. What it cuts, `parse_line`
    cuts alike.
    """
    rows = _ROW.findall(text)
    if not text or text.endswith("\n"):
        rows.pop()  # no line begins behind the last line end
    return rows


def format_item(item: Item) -> str:
    """Write an item as the line that brat would write, without the `\\n`."""
    if isinstance(item, Entity):
        spans = ";".join(f"{begin} {end}" for begin, end in item.fragments)
        return f"{item.id}\t{item.label} {spans}\t{item.mention}"
    if isinstance(item, Attribute):
        value = "" if item.value is None else f" {item.value}"
        return f"{item.id}\t{item.name} {item.target}{value}"
    if isinstance(item, Normalization):
        text = f"\t{item.text}" if item.text else ""
        return f"{item.id}\t{item.kind} {item.target} {item.resource}:{item.entry}{text}"
    if isinstance(item, Note):
        return f"{item.id}\t{item.kind} {item.target}\t{item.text}"
    if isinstance(item, Equivalence):
        return f"{item.id}\t{' '.join((item.label, *item.targets))}"
    head = f"{item.label}:{item.trigger}" if isinstance(item, Event) else item.label
    return f"{item.id}\t{' '.join([head, *(f'{role}:{to}' for role, to in item.arguments)])}"
