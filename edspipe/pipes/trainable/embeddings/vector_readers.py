"""Reading word vectors of other tools: text (word2vec, fastText, GloVe), and word2vec's binary."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from loguru import logger

from edspipe.errors import DataError

MAX_SIZE = 10_000
"""Numbers of a vector: what claims more is no file of word vectors."""
MAX_LINE_BYTES = 1 << 20
MAX_WORD_BYTES = 10_000
MAX_HEADER_BYTES = 64
BLOCK_BYTES = 1 << 22
BLOCK_ROWS = 4096
FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")
"""How a model of fastText begins, which ends with .bin too."""


@dataclass
class VectorTable:
    """Words and their vectors.

    Attributes:
        words: The words, each once.
        vectors: float32. *Shape* `(words, size)`
    """

    words: list[str]
    vectors: np.ndarray


@dataclass
class _Rows:
    """Vectors on their way in; of a word that stands twice, the first one counts."""

    words: dict[str, None] = field(default_factory=dict)
    blocks: list[np.ndarray] = field(default_factory=list)
    num_read: int = 0

    def add(self, words: list[str], vectors: np.ndarray) -> None:
        self.num_read += len(words)
        is_new = np.ones(len(words), dtype=bool)
        for row, word in enumerate(words):
            if word in self.words:
                is_new[row] = False
            self.words[word] = None
        self.blocks.append(vectors if is_new.all() else vectors[is_new])

    def table(self, file: Path) -> VectorTable:
        """Return all of them; log how many were left out."""
        if not self.words:
            raise DataError("expected word vectors, found none", file)
        num_doubles = self.num_read - len(self.words)
        if num_doubles:
            logger.warning("{}: {} words stand twice; the first vector counts", file, num_doubles)
        return VectorTable(list(self.words), np.concatenate(self.blocks))


@contextmanager
def open_vectors(file: Path) -> Iterator[BinaryIO]:
    """Open a file, unpacked if it ends with .gz.

    Raises:
        DataError: It does not exist, or it is not a whole gzip file.
    """
    if not file.is_file():
        raise DataError("expected a file of word vectors, and there is none", file)
    try:
        with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as handle:
            yield handle  # type: ignore[misc]
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError("not a whole gzip file", file) from None


# ---- text ----------------------------------------------------------------------------------


def read_text(file: Path, max_words: int | None = None) -> VectorTable:
    """Read a text file: a word and its numbers a line, with or without the line `count size` first.

    A word may hold blanks, as some of GloVe's do, if its last part is no number. Empty lines may
    stand at the end.

    Args:
        file: The file.
        max_words: Lines to read, of those with a vector.

    Raises:
        DataError: A line is malformed, or there are other vectors than the first line says; names
            file and line.
    """
    rows = _Rows()
    with open_vectors(file) as handle:
        first = _line(handle, file, 1)
        header = re.fullmatch(rb"(\d{1,12})[ \t]+(\d{1,9})\s*", first)
        number = 1 if header is None else 2
        line = first if header is None else _line_of_word(handle, file, 2)
        size = len(_fields(line)) - 1 if header is None else int(header[2])
        _check_size(size, file, 1)
        words: list[str] = []
        numbers: list[bytes] = []
        while line and rows.num_read + len(words) != max_words:
            word, values = _split(line, size, file, number)
            words.append(word)
            numbers.append(values)
            if len(words) == BLOCK_ROWS:
                rows.add(words, _block(numbers, size, file, number))
                words, numbers = [], []
            number += 1
            line = _line_of_word(handle, file, number)
        if words:
            rows.add(words, _block(numbers, size, file, number - 1))
        if header is not None and not line and rows.num_read != int(header[1]):
            _check_count(int(header[1]), rows.num_read, max_words, file)
    return rows.table(file)


def _check_count(promised: int, found: int, max_words: int | None, file: Path) -> None:
    if max_words is None or min(promised, max_words) != found:
        raise DataError(
            f"the first line promises {promised} vectors, and there are {found}: the file was cut "
            "short, or the line is wrong",
            file,
            1,
        )


def _line(handle: BinaryIO, file: Path, number: int) -> bytes:
    line = handle.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        raise DataError(
            f"expected a word and its numbers, and the line has more than {MAX_LINE_BYTES} bytes",
            file,
            number,
        )
    return line


def _line_of_word(handle: BinaryIO, file: Path, number: int) -> bytes:
    """Return the next line, and nothing where all that follows are line breaks."""
    line = rest = _line(handle, file, number)
    while rest and not rest.lstrip(b"\r\n"):
        number += 1
        rest = _line(handle, file, number)
    return line if rest else b""


def _fields(line: bytes) -> list[bytes]:
    return line.replace(b"\t", b" ").rstrip(b" \r\n").split(b" ")


def _split(line: bytes, size: int, file: Path, number: int) -> tuple[str, bytes]:
    """Return the word and the numbers of a line; its content stays out of messages."""
    text = line.replace(b"\t", b" ").rstrip(b" \r\n")
    head, _, numbers = text.partition(b" ")
    if not head or numbers.count(b" ") != size - 1:
        head, *values = text.rsplit(b" ", size)
        if not head or len(values) != size:
            count = len(_fields(line))
            raise DataError(f"expected a word and {size} numbers, got {count} fields", file, number)
        if _is_number(head.rpartition(b" ")[2]):
            raise DataError(f"expected {size} numbers after the word, got more", file, number)
        numbers = b" ".join(values)
    try:
        return head.decode("utf-8"), numbers
    except UnicodeDecodeError:
        raise DataError("the word is not UTF-8: convert the file to UTF-8", file, number) from None


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _block(numbers: list[bytes], size: int, file: Path, last_line: int) -> np.ndarray:
    """Turn the numbers of some lines into vectors. *Shape* `(lines, size)`"""
    first_line = last_line - len(numbers) + 1
    try:
        text = pa.array([b" ".join(numbers)], type=pa.large_string())
        values = pc.cast(pc.split_pattern(text, " ").values, pa.float32()).to_numpy()
    except pa.ArrowInvalid:
        values = _one_by_one(numbers, file, first_line)
    block = values.reshape(len(numbers), size)
    bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
    if len(bad):
        line = first_line + int(bad[0])
        raise DataError("a number of the vector is infinite, or not a number", file, line)
    return block


def _one_by_one(numbers: list[bytes], file: Path, first_line: int) -> np.ndarray:
    """Do as `_block`, more slowly, and name what is no number."""
    for line, fields in enumerate((row.split(b" ") for row in numbers), start=first_line):
        wrong = next((i for i, field in enumerate(fields, 1) if not _is_number(field)), None)
        if wrong is not None:
            raise DataError(f"field {wrong} of the {len(fields)} numbers is none", file, line)
    with np.errstate(over="ignore"):
        return np.array([float(x) for row in numbers for x in row.split(b" ")], dtype=np.float32)


def _check_size(size: int, file: Path, line: int | None = None) -> None:
    if not 1 <= size <= MAX_SIZE:
        raise DataError(f"expected vectors of 1 to {MAX_SIZE} numbers, got {size}", file, line)


# ---- word2vec's binary format --------------------------------------------------------------


def read_binary(file: Path, max_words: int | None = None) -> VectorTable:
    """Read word2vec's binary format: the line `count size`, then words and float32 numbers.

    Nothing is reserved for what the first line says: memory follows what is there. Words that are
    not UTF-8 (the original tool cuts long ones) are left out, as no text can hold them.

    Raises:
        DataError: The first line, or a vector, is malformed.
    """
    rows, num_left_out = _Rows(), 0
    with open_vectors(file) as handle:
        count, size = _binary_header(handle, file)
        wanted = count if max_words is None else min(count, max_words)
        for words, data in _records(handle, file, wanted, size, is_all=wanted == count):
            vectors = np.frombuffer(data, dtype="<f4").reshape(len(words), size)
            if not np.isfinite(vectors).all():
                raise DataError("a number of a vector is infinite, or not a number", file)
            decoded = [_decode(word) for word in words]
            known = np.array([word is not None for word in decoded])
            num_left_out += len(words) - int(known.sum())
            rows.add([word for word in decoded if word is not None], vectors[known])
    if num_left_out:
        logger.warning("{}: {} words are not UTF-8 and are left out", file, num_left_out)
    return rows.table(file)


def _binary_header(handle: BinaryIO, file: Path) -> tuple[int, int]:
    header = handle.readline(MAX_HEADER_BYTES)
    found = re.fullmatch(rb"(\d{1,12}) (\d{1,9})\s*\n", header)
    if found is None:
        said = "fastText's own format" if header.startswith(FASTTEXT_MAGIC) else "something else"
        raise DataError(
            f"expected word2vec's binary format, which begins with 'count size', got {said}; "
            "vectors of fastText are read from its .vec file",
            file,
        )
    count, size = int(found[1]), int(found[2])
    _check_size(size, file)
    if file.suffix != ".gz" and count * (2 + 4 * size) > file.stat().st_size:
        raise DataError(
            f"the first line promises {count} vectors of {size}, which do not fit "
            f"{file.stat().st_size} bytes: the file was cut short, or the line is wrong",
            file,
        )
    return count, size


def _records(
    handle: BinaryIO, file: Path, count: int, size: int, *, is_all: bool
) -> Iterator[tuple[list[bytes], bytes]]:
    """Yield words and the bytes of their numbers, some thousand at once."""
    buffer, at, words, numbers = b"", 0, [], []
    record = MAX_WORD_BYTES + 2 + 4 * size
    for number in range(count):
        if len(buffer) - at < record:
            buffer, at = buffer[at:] + handle.read(max(BLOCK_BYTES, record)), 0
        blank = buffer.find(b" ", at, at + MAX_WORD_BYTES + 2)
        end = blank + 1 + 4 * size
        word = buffer[at:blank].lstrip(b"\n") if blank >= 0 else b""
        if not word or end > len(buffer):
            raise DataError(
                f"vector {number + 1} of {count}: expected a word, a blank and {4 * size} bytes: "
                "the file was cut short, or is of another format",
                file,
            )
        words.append(word)
        numbers.append(buffer[blank + 1 : end])
        at = end
        if len(words) == BLOCK_ROWS:
            yield words, b"".join(numbers)
            words, numbers = [], []
    if words:
        yield words, b"".join(numbers)
    if is_all and (buffer[at:] + handle.read(1)).strip(b"\r\n"):
        raise DataError(f"there are more than the {count} vectors of the first line", file)


def _decode(word: bytes) -> str | None:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        return None
