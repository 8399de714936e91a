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
    Line,
    fragments_problem,
    guess_id,
    mention_of,
    parse_line,
    split_lines,
    targets,
)
from edspipe.errors import DataError

OnProblem: TypeAlias = Callable[[DataError], None]


@dataclass
class Annotations:
    """What the annotation files of one document say.

    Attributes:
        files: The good lines of each file, in order.
        skipped: How many lines were left out because they are bad.
        orphans: How many more were left out because they point at a bad line.
    """

    files: dict[str, list[Line]] = field(default_factory=dict)
    skipped: int = 0
    orphans: int = 0

    def items(self) -> Iterator[Item]:
        """Yield what was understood, file by file, in order."""
        for lines in self.files.values():
            for line in lines:
                if line.item is not None:
                    yield line.item

    @property
    def num_unknown(self) -> int:
        """How many lines are none of brat's kinds, and were kept."""
        return sum(line.item is None for lines in self.files.values() for line in lines)

    def source(self, file: str) -> str:
        """Return the good lines of a file, byte for byte."""
        return "".join([line.raw for line in self.files[file]])


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

    def problem(self, message: str, file: str, line: int, id_: str | None) -> None:
        """Count a bad line, and tell the caller, who may raise."""
        self.found.skipped += 1
        if id_ is not None:
            self.bad.add(id_)
        self.on_problem(DataError(message, file=file, line=line, id=id_))

    def read(self, file: str, data: bytes) -> None:
        """First pass: the lines of one file."""
        try:
            raws: list[str | None] = [*split_lines(decode_utf8(data, file))]
        except DataError:
            raws = self._decode_each(data, file)
        lines = self.found.files.setdefault(file, [])
        for number, raw in enumerate(raws, 1):
            if raw is None:
                continue
            try:
                item = parse_line(raw[:-1] if raw.endswith("\n") else raw)
            except DataError as error:
                self.problem(error.message, file, number, error.id)
                continue
            if self._good(item, raw, file, number):
                lines.append(Line(raw, number, item))

    def _good(self, item: Item | None, raw: str, file: str, number: int) -> bool:
        if item is None:
            if number > 1 or raw[0] != "\ufeff":
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

    def _decode_each(self, data: bytes, file: str) -> list[str | None]:
        raws: list[str | None] = []
        offset = 0
        for number, line in enumerate(io.BytesIO(data), 1):
            try:
                raws.append(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                message = _not_utf8(data, offset + error.start)
                self.problem(message, file, number, guess_id(line.decode("utf-8", "replace")))
                raws.append(None)
            offset += len(line)
        return raws

    def link(self) -> None:
        """Second pass: every id that is pointed at must exist; orphans of bad lines go."""
        for file, lines in self.found.files.items():
            self.found.files[file] = [line for line in lines if self._linked(line, file)]
        while self.bad and self._drop_orphans():
            pass

    def _linked(self, line: Line, file: str) -> bool:
        if line.item is None or isinstance(line.item, Entity):
            return True
        for target in targets(line.item):
            if target not in self.places and target not in self.bad:
                number = target if guess_id(target) == target else "something that is no id"
                message = f"points at {number}, which no line of this document defines"
                self.problem(message, file, line.number, line.item.id)
                return False
        if isinstance(line.item, Event) and line.item.trigger[0] != "T":
            message = "the trigger of an event is the id of an entity (T), not of another kind"
            self.problem(message, file, line.number, line.item.id)
            return False
        return True

    def _drop_orphans(self) -> int:
        dropped = 0
        for file, lines in self.found.files.items():
            kept = []
            for line in lines:
                if line.item is not None and not self.bad.isdisjoint(targets(line.item)):
                    self.bad.add(line.item.id)
                    dropped += 1
                else:
                    kept.append(line)
            self.found.files[file] = kept
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
