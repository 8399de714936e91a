"""The format of CSV (RFC 4180): lines to rows of cells, and cells to lines.

Python's own reader cannot tell an empty cell from an empty string, and has one limit of a cell's
length for the whole process. Here `,,` is nothing (None) and `,"",` is an empty string, as in
PostgreSQL. A quote is one only where it opens a cell; inside, it is doubled; between quotes every
character stands for itself, also line ends. Cells are bytes here, so nothing has to be decoded to
find the rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

Cell = bytes | None


@dataclass(frozen=True)
class Dialect:
    """How cells are told apart.

    Attributes:
        delimiter: Stands between cells.
        quote: Stands around cells; None where quotes are characters like others.
        max_cell_bytes: A longer cell is an error.
    """

    delimiter: str = ","
    quote: str | None = '"'
    max_cell_bytes: int = 1 << 24

    def __post_init__(self) -> None:
        for name, mark in (("delimiter", self.delimiter), ("quote", self.quote)):
            if mark is not None and (len(mark) != 1 or not mark.isascii() or mark in "\r\n"):
                raise ValueError(f"{name} is one ASCII character, no line end; got {mark!r}")
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.quote!r}")


class Cut(NamedTuple):
    """A row.

    Attributes:
        line: The line of the file where it begins, from 1.
        cells: Its cells.
        problem: What is wrong with it; None for a good one.
    """

    line: int
    cells: list[Cell]
    problem: str | None = None


def cut_rows(lines: Iterable[bytes], dialect: Dialect) -> Iterator[Cut]:
    """Yield the rows of a file; empty lines are none.

    Args:
        lines: The lines, with their ends.
        dialect: How cells are told apart.
    """
    cutter = _Cutter(dialect)
    for line in lines:
        row = cutter.feed(line)
        if row is not None:
            yield row
    last = cutter.end()
    if last is not None:
        yield last


class _Cutter:
    """Takes lines one by one; each byte is looked at once or twice, however long a row is."""

    def __init__(self, dialect: Dialect) -> None:
        self._delimiter = dialect.delimiter.encode()
        # a mark that no line holds, where quotes are characters like others
        self._quote = b"\n\n" if dialect.quote is None else dialect.quote.encode()
        quote = re.escape(self._quote)
        self._inside = re.compile(b"(?:[^%b]++|%b%b)*+" % (quote, quote, quote))
        self._max = dialect.max_cell_bytes
        self._line = 0  # the number of the line that came last
        self._start = 1
        self._cells: list[Cell] = []
        self._open: list[bytes] | None = None  # pieces of a cell whose quote is not closed yet
        self._size = 0
        self._problem: str | None = None

    def feed(self, line: bytes) -> Cut | None:
        """Return the row that ends with this line, if one does."""
        self._line += 1
        if self._open is None:
            end = _end_of(line)
            if self._quote not in line or not end:
                plain = line[:end].split(self._delimiter)
                row = Cut(self._line, [cell or None for cell in plain])
                return self._checked(row, end) if end else None
            self._start, self._cells, self._problem = self._line, [], None
        elif self._quote not in line:
            self._keep(line)
            return None
        if self._scan(line):
            return None
        return self._checked(Cut(self._start, self._cells, self._problem), self._max + 1)

    def end(self) -> Cut | None:
        """Return the row that the end of the file cuts off, if it does."""
        if self._open is None:
            return None
        num_lines = self._line - self._start + 1
        problem = (
            f"the quote that opens cell {len(self._cells) + 1} is not closed: all that follows, "
            f"{num_lines} lines, was read as one cell"
        )
        return Cut(self._start, [], problem)

    def _scan(self, line: bytes) -> bool:
        """Take the cells of a line; return whether a quote is left open."""
        end = _end_of(line)
        pos = 0
        while True:
            if self._open is None and line.startswith(self._quote, pos, end):
                self._open, self._size = [], 0
                pos += 1
            if self._open is None:
                stop = line.find(self._delimiter, pos, end)
                stop = end if stop < 0 else stop
                self._cells.append(line[pos:stop] or None)
            else:
                stop = self._inside.match(line, pos).end()  # type: ignore[union-attr]
                self._keep(line[pos:stop])
                if stop == len(line):
                    return True
                self._close()
                stop += 1
            if stop >= end:
                return False
            if not line.startswith(self._delimiter, stop):
                self._problem = self._problem or (
                    f"cell {len(self._cells)} goes on behind its closing quote; a quote inside "
                    "a cell must be doubled"
                )
                return False
            pos = stop + 1

    def _keep(self, piece: bytes) -> None:
        assert self._open is not None
        self._size += len(piece)
        if self._size <= self._max:
            self._open.append(piece)
        else:
            self._problem = self._problem or self._too_long(len(self._cells))
            self._open.clear()

    def _close(self) -> None:
        assert self._open is not None
        self._cells.append(b"".join(self._open).replace(self._quote * 2, self._quote))
        self._open = None

    def _checked(self, row: Cut, size: int) -> Cut:
        if size > self._max and row.problem is None:
            long = [i for i, cell in enumerate(row.cells) if cell and len(cell) > self._max]
            row = row._replace(problem=self._too_long(long[0])) if long else row
        return row if row.problem is None else row._replace(cells=[])

    def _too_long(self, index: int) -> str:
        return (
            f"cell {index + 1} is longer than {self._max:,} bytes (max_cell_bytes): "
            "is a quote left open?"
        )


def _end_of(line: bytes) -> int:
    """Return the length of a line without its end."""
    return len(line.removesuffix(b"\n").removesuffix(b"\r"))


def render_cell(value: Any, dialect: Dialect) -> bytes:
    """Turn a value into a cell: text, number, True (`true`), False, or None (nothing).

    Raises:
        TypeError: The value is something else.
        ValueError: It is NaN, infinite, or a text that UTF-8 cannot hold.
    """
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and infinity have no cell")
    if not isinstance(value, (str, int, float)):
        raise TypeError(f"a {type(value).__name__} has no cell")
    data = str(value).encode("utf-8")
    assert dialect.quote is not None
    quote = dialect.quote.encode()
    marks = (quote, dialect.delimiter.encode(), b"\n", b"\r", b"\xef\xbb\xbf")
    if data and not any(mark in data for mark in marks):
        return data
    return quote + data.replace(quote, quote * 2) + quote
