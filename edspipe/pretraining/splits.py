"""Splits: the pieces that a large text is shuffled by, each of a bounded size.

FOLDER/train/*      any number of files, of any size; read piece by piece
FOLDER/valid.txt    for the choice of the model
FOLDER/test.txt     scored once, at the end
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from edspipe.errors import DataError

SPLIT_SIZE = 1_000_000
"""Characters (of files: bytes) of a split: a few MB of numbers while it is read."""
HELD_OUT = {"val": "valid.txt", "test": "test.txt"}
TRAIN = "train"
_LINE_SEARCH = 65_536
"""Bytes behind the place of a cut within which the end of a line is looked for."""


class FilePart(NamedTuple):
    """Bytes of a file.

    Attributes:
        file: The file.
        start: The first byte.
        end: The one behind the last.
        closes: Whether the file ends here.
    """

    file: Path
    start: int
    end: int
    closes: bool

    def read(self) -> str:
        """Read them; the end of a file gets a new line, unless it has one.

        Raises:
            DataError: They are not UTF-8.
        """
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            data = stream.read(self.end - self.start)
        try:
            text = data.decode("utf-8-sig" if self.start == 0 else "utf-8")
        except UnicodeDecodeError as error:
            place = self.start + error.start
            raise DataError(f"expected UTF-8, found another byte at {place}", self.file) from None
        text = text.replace("\r\n", "\n")
        return ended(text) if self.closes else text


@dataclass(frozen=True)
class TextSplit:
    """One split.

    Attributes:
        split_id: What messages call it.
        parts: Where its text is; it is read when it is needed.
        text: The text itself, where there are no files.
    """

    split_id: str
    parts: tuple[FilePart, ...] = ()
    text: str = field(default="", repr=False)

    def read(self) -> str:
        """Return the text; documents in it end with a new line each."""
        return self.text + "".join(part.read() for part in self.parts)


@dataclass(frozen=True)
class TextFolder:
    """The texts of a folder.

    Attributes:
        train: The splits, in the order of the names of the files.
        val: The text for the choice of the model.
        test: The text that is scored at the end.
    """

    train: list[TextSplit]
    val: str = field(repr=False)
    test: str = field(repr=False)


def read_text_folder(folder: str | Path, split_size: int = SPLIT_SIZE) -> TextFolder:
    """Find the files of a folder, and read those that are held out.

    Args:
        folder: Has `train/`, `valid.txt` and `test.txt`.
        split_size: The most bytes of a split.

    Raises:
        DataError: A part is missing or empty; the message names it.
    """
    folder = Path(folder)
    inside = folder / TRAIN
    files = sorted(p for p in inside.rglob("*") if p.is_file() and not p.name.startswith("."))
    missing = [f"{TRAIN}/ with files"] if not files else []
    missing += [name for name in HELD_OUT.values() if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"expected a folder with {TRAIN}/*, {' and '.join(HELD_OUT.values())}; it misses "
            f"{', '.join(missing)}",
            folder,
        )
    held_out = {}
    for role, name in HELD_OUT.items():
        file = folder / name
        held_out[role] = FilePart(file, 0, file.stat().st_size, True).read()
        if not held_out[role].strip():
            raise DataError("expected a text, found none in the file", file)
    splits = list(split_files(files, split_size, inside))
    if not splits:
        raise DataError(f"expected texts, found {len(files)} empty files", inside)
    return TextFolder(splits, **held_out)


def split_files(files: Iterable[Path], size: int, root: Path) -> Iterator[TextSplit]:
    """Yield splits of files: small files are joined, large ones cut, after a line if possible.

    Args:
        files: The files.
        size: The most bytes of a split.
        root: What the names of splits are relative to.
    """
    parts: list[FilePart] = []
    filled = 0
    for file in files:
        for part in _parts(file, size):
            if parts and filled + part.end - part.start > size:
                yield TextSplit(_name(parts, root), tuple(parts))
                parts, filled = [], 0
            parts.append(part)
            filled += part.end - part.start
    if parts:
        yield TextSplit(_name(parts, root), tuple(parts))


def _name(parts: list[FilePart], root: Path) -> str:
    first, last = parts[0], parts[-1]
    name = first.file.relative_to(root).as_posix()
    if len(parts) > 1:
        return f"{name}..{last.file.relative_to(root).as_posix()}"
    return name if first.start == 0 and first.closes else f"{name}[{first.start}:{first.end}]"


def _parts(file: Path, size: int) -> Iterator[FilePart]:
    """Yield parts of a file of at most so many bytes; none of an empty file."""
    total = file.stat().st_size
    if total <= size:
        if total:
            yield FilePart(file, 0, total, True)
        return
    with (
        file.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        start = 0
        while start < total:
            end = total if total - start <= size else _cut(data, start, start + size)
            yield FilePart(file, start, end, end == total)
            start = end


def _cut(data: mmap.mmap, start: int, latest: int) -> int:
    """Return where to cut, at the latest: behind a line, else between two characters."""
    line = data.rfind(b"\n", max(start, latest - _LINE_SEARCH), latest)
    if line >= 0:
        return line + 1
    end = latest
    while end > start + 1 and data[end] & 0xC0 == 0x80:  # within a character of UTF-8
        end -= 1
    return end


@dataclass(frozen=True)
class SplitTexts:
    """Joins texts to splits, as often as they are asked for; a long text is cut.

    Attributes:
        texts: A list or a stream of texts or Docs, or a function that returns a fresh iterator.
        size: The most characters of a split.
    """

    texts: Iterable[Any] | Callable[[], Iterable[Any]]
    size: int = SPLIT_SIZE

    def __call__(self) -> Iterator[TextSplit]:
        """Yield the splits."""
        parts: list[str] = []
        number = filled = 0
        for text in plain_texts(self.texts):
            for piece in pieces(ended(text), self.size):
                if parts and filled + len(piece) > self.size:
                    yield TextSplit(f"split-{number}", text="".join(parts))
                    number, parts, filled = number + 1, [], 0
                parts.append(piece)
                filled += len(piece)
        if parts:
            yield TextSplit(f"split-{number}", text="".join(parts))


def plain_texts(texts: Any) -> Iterator[str]:
    """Yield texts of texts or Docs; empty ones are left out."""
    for item in texts() if callable(texts) else texts:
        text = item if isinstance(item, str) else item.text
        if text:
            yield text


def ended(text: str) -> str:
    """Return a text that ends with a new line."""
    return text if text.endswith("\n") else text + "\n"


def pieces(text: str, size: int) -> Iterator[str]:
    """Yield a text in pieces of at most so many characters, cut behind lines if possible."""
    start = 0
    while start < len(text):
        end = start + size
        if end < len(text):
            line = text.rfind("\n", start, end)
            end = line + 1 if line >= 0 else end
        yield text[start:end]
        start = end
