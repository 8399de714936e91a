"""Reading the annotation files of a document: every line checked, every reference resolved.

Two passes, so that an attribute may come before its entity. A bad line is a `DataError` with file,
line and id; it goes to `on_problem`, which raises or collects. An id used twice, offsets out of
range, a mention that differs from the text and a reference to nowhere are bad lines, besides those
that are malformed. Messages give ids, offsets and lengths, never text.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

from edspipe.data.standoff.format import (
    Entity,
    Event,
    Item,
    Row,
    fragments_problem,
    guess_id,
    mention_of,
    parse_line,
    split_lines,
    split_rows,
    targets,
)
from edspipe.errors import DataError

OnProblem: TypeAlias = Callable[[DataError], None]


@dataclass
class Annotations:
    """What the annotation files of one document say.

    Attributes:
        texts: Each file as it was decoded; a line that cannot be is empty there.
        files: The good lines of each file, in order: number, counted from 1, to what the line
            says (None for a line of no brat kind, which is kept as it is).
        skipped: How many lines were left out because they are bad.
        orphans: How many more were left out because they point at a bad line.
    """

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[int, Item | None]] = field(default_factory=dict)
    skipped: int = 0
    orphans: int = 0

    def items(self) -> Iterator[Item]:
        """Yield what was understood, file by file, in order."""
        for lines in self.files.values():
            yield from [item for item in lines.values() if item is not None]

    @property
    def num_unknown(self) -> int:
        """How many lines are none of brat's kinds, and were kept."""
        return sum(list(lines.values()).count(None) for lines in self.files.values())

    def source(self, file: str) -> str:
        """Return the good lines of a file, byte for byte."""
        if not self.skipped and not self.orphans:
            return self.texts[file]
        raws = split_lines(self.texts[file])
        return "".join([raws[number - 1] for number in self.files[file]])


def decode_utf8(data: bytes, file: str) -> str:
    """Decode a file; no newline is translated, a byte-order mark stays as U+FEFF.

    Raises:
        DataError: The bytes are not UTF-8; names the byte offset and the line.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start
    line = data.count(b"\n", 0, offset) + 1
    raise DataError(_not_utf8(data, offset), file=file, line=line)


def _not_utf8(data: bytes, offset: int) -> str:
    hint = "; it looks like UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
    return f"not UTF-8 at byte {offset} of {len(data)}{hint}: convert the file to UTF-8"


def _mention_problem(entity: Entity, text: str) -> str | None:
    covered = mention_of(text, entity.fragments)
    if covered == entity.mention:
        return None
    begin, end = entity.fragments[0][0], entity.fragments[-1][1]
    said = (
        f"the mention differs from the text at {begin}-{end}: it has {len(entity.mention)} "
        f"characters, the text {len(covered)} there"
    )
    if entity.mention == covered + "\r":
        return f"{said}; the line ends in a carriage return: lines of .ann files end at \\n alone"
    at = text.find(entity.mention) if entity.mention else -1
    if at >= 0 and at != begin and text.find(entity.mention, at + 1) < 0:
        return (
            f"{said}; it stands once in the text, {at - begin:+d} characters away (were line ends "
            "or encoding changed?)"
        )
    return said


class _Reader:
    """Reads the files of one document in two passes: lines, then what points where."""

    def __init__(self, text: str, on_problem: OnProblem) -> None:
        self.text = text
        self.on_problem = on_problem
        self.found = Annotations()
        self.places: dict[str, tuple[str, int]] = {}
        self.bad: set[str] = set()
        self.links: list[tuple[str, int, Item]] = []

    def problem(self, message: str, file: str, line: int, id_: str | None) -> None:
        """Count a bad line, and tell the caller, who may raise."""
        self.found.skipped += 1
        if id_ is not None:
            self.bad.add(id_)
        self.on_problem(DataError(message, file=file, line=line, id=id_))

    def read(self, file: str, data: bytes) -> None:
        """First pass: the lines of one file."""
        unread: list[int] = []
        try:
            text = decode_utf8(data, file)
        except DataError:
            text, unread = self._decode_each(data, file)
        self.found.texts[file] = text
        lines = self.found.files[file] = self._read_rows(file, split_rows(text))
        for number in unread:
            lines.pop(number, None)

    def _read_rows(self, file: str, rows: list[Row]) -> dict[int, Item | None]:
        lines: dict[int, Item | None] = {}
        text, length, places = self.text, len(self.text), self.places
        for number, (id_, label, begin, end, mention, line) in enumerate(rows, 1):
            if id_ and id_ not in places:
                start, stop = int(begin), int(end)
                if text[start:stop] == mention and stop <= length:
                    places[id_] = file, number
                    lines[number] = Entity(id_, label, ((start, stop),), mention)
                    continue
            # All that is not plainly good: another kind, a mention of two lines, a bad line.
            line = f"{id_}\t{label} {begin} {end}\t{mention}" if id_ else line
            self._read_line(file, number, line, lines)
        return lines

    def _read_line(self, file: str, number: int, line: str, lines: dict[int, Item | None]) -> None:
        try:
            item = parse_line(line)
        except DataError as error:
            self.problem(error.message, file, number, error.id)
            return
        if self._good(item, line, file, number):
            lines[number] = item
            if item is not None and not isinstance(item, Entity):
                self.links.append((file, number, item))

    def _good(self, item: Item | None, line: str, file: str, number: int) -> bool:
        if item is None:
            if number > 1 or line[:1] != "\ufeff":
                return True
            message = "the file starts with a byte-order mark: save it as UTF-8 without one"
            self.problem(message, file, number, None)
            return False
        if item.id != "*":
            first = self.places.setdefault(item.id, (file, number))
            if first != (file, number):
                # The first line stays good, so the id is not marked as bad.
                self._twice(item.id, first, file, number)
                return False
        if isinstance(item, Entity):
            problem = fragments_problem(item.fragments, len(self.text))
            problem = problem or _mention_problem(item, self.text)
            if problem is not None:
                self.problem(problem, file, number, item.id)
                return False
        return True

    def _twice(self, id_: str, first: tuple[str, int], file: str, number: int) -> None:
        where = f"line {first[1]}" if first[0] == file else f"{first[0]}, line {first[1]},"
        message = f"the id is used twice: on {where} and on line {number}"
        self.found.skipped += 1
        self.on_problem(DataError(message, file=file, line=number, id=id_))

    def _decode_each(self, data: bytes, file: str) -> tuple[str, list[int]]:
        """Decode line by line; return the text, and the numbers of the lines that are left out."""
        raws, unread = [], []
        offset = 0
        for number, line in enumerate(io.BytesIO(data), 1):
            try:
                raws.append(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                message = _not_utf8(data, offset + error.start)
                self.problem(message, file, number, guess_id(line.decode("utf-8", "replace")))
                raws.append("\n")
                unread.append(number)
            offset += len(line)
        return "".join(raws), unread

    def link(self) -> None:
        """Second pass: every id that is pointed at must exist; orphans of bad lines go."""
        for file, number, item in self.links:
            if not self._linked(file, number, item):
                del self.found.files[file][number]
        while self.bad and self._drop_orphans():
            pass

    def _linked(self, file: str, number: int, item: Item) -> bool:
        for target in targets(item):
            if target not in self.places and target not in self.bad:
                named = target if guess_id(target) == target else "something that is no id"
                message = f"points at {named}, which no line of this document defines"
                self.problem(message, file, number, item.id)
                return False
        if isinstance(item, Event) and item.trigger[0] != "T":
            message = "the trigger of an event is the id of an entity (T), not of another kind"
            self.problem(message, file, number, item.id)
            return False
        return True

    def _drop_orphans(self) -> int:
        dropped = 0
        for file, number, item in self.links:
            lines = self.found.files[file]
            if number in lines and not self.bad.isdisjoint(targets(item)):
                self.bad.add(item.id)
                del lines[number]
                dropped += 1
        self.found.orphans += dropped
        return dropped


def raise_problem(problem: DataError) -> NoReturn:
    """The strictest `on_problem`: the first bad line ends the reading."""
    raise problem


def parse_annotations(
    files: Mapping[str, bytes],
    text: str,
    *,
    on_problem: OnProblem = raise_problem,
) -> Annotations:
    """Read the annotation files of one document.

    Args:
        files: Name (for messages) to content: one `.ann`, or `.a1` and `.a2`, which share ids.
        text: The text of the document, as in its `.txt`.
        on_problem: Called with each bad line. Where it returns, the line is left out, and so is
            what points at it.

    Returns:
        The good lines.

    Raises:
        DataError: Whatever `on_problem` raises; by default, the first bad line.
    """
    reader = _Reader(text, on_problem)
    for file, data in files.items():
        reader.read(file, data)
    reader.link()
    return reader.found
