"""Reading CSV: a file is a fragment of a source, its rows are parsed by an op."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple

from edspipe.data.csv.format import Cell, Cut, Dialect, cut_rows
from edspipe.data.raw import BOM, convert, open_file, split_lines
from edspipe.errors import DataError
from edspipe.stream.hooks import Identity, register_describer, register_identity, register_plain

ID_COLUMNS = ("note_id", "doc_id", "id")
HAS_HEADER = "this row is the names given as columns=, so the file has a header: leave columns= out"


class CsvRow(NamedTuple):
    """A row that is not decoded yet.

    Attributes:
        file: Where it stands.
        line: The line of the file where it begins, from 1.
        cells: Its cells.
        columns: Their names.
        problem: What is wrong with it; None for a good one.
    """

    file: str
    line: int
    cells: list[Cell]
    columns: tuple[str, ...]
    problem: str | None = None


def _id_of(row: CsvRow) -> str | None:
    column = next((name for name in ID_COLUMNS if name in row.columns), None)
    if column is None or len(row.cells) != len(row.columns):
        return None
    cell = row.cells[row.columns.index(column)]
    return None if cell is None else cell.decode("utf-8", "replace")


def _identify(row: CsvRow) -> Identity:
    digest = hashlib.sha256()
    for cell in row.cells:
        digest.update(b"-" if cell is None else b"%d:%b" % (len(cell), cell))
    return Identity(_id_of(row), f"{row.file}:{row.line}", digest.hexdigest())


def _to_plain(row: CsvRow) -> dict[str, str | None]:
    cells = [None if cell is None else cell.decode("utf-8", "replace") for cell in row.cells]
    return dict(zip(row.columns, cells, strict=False))


register_identity(CsvRow, _identify)
register_describer(CsvRow, _id_of)
register_plain(CsvRow, _to_plain)


@dataclass
class CsvFile:
    """A file of rows.

    Attributes:
        name: Its path or address.
        dialect: How cells are told apart.
        columns: Names of the columns of a file without header; None reads them from the file.
        first: The file that must have the same columns.
    """

    name: str
    dialect: Dialect
    columns: tuple[str, ...] | None = None
    first: CsvFile | None = None

    def read(self, start: int = 0) -> Iterator[CsvRow]:
        """Yield its rows; a file with a bad header has one row, which says so."""
        with open_file(self.name) as handle:
            yield from islice(self.rows(handle), start, None)

    def num_items(self) -> None:
        """Return None: it takes reading the file."""

    def rows(self, handle: Any) -> Iterator[CsvRow]:
        """Yield the rows of the opened file."""
        cuts = cut_file(handle, self.dialect)
        try:
            columns = self._header(cuts) if self.columns is None else self.columns
        except DataError as error:
            yield CsvRow(self.name, error.line or 1, [], (), error.message)
            return
        given = [name.encode() for name in self.columns or ()]
        for line, cells, problem in cuts:
            is_header, given = bool(given) and cells == given, []
            yield CsvRow(self.name, line, cells, columns, HAS_HEADER if is_header else problem)

    def _header(self, cuts: Iterator[Cut]) -> tuple[str, ...]:
        """Return the names of the columns; none for an empty file.

        Raises:
            DataError: The first row is no header, or not that of the first file.
        """
        row = next(cuts, None)
        if row is None:
            return ()
        columns = header_of(row, self.name)
        if self.first is not None:
            self._compare(columns, row.line)
        return columns

    def _compare(self, columns: tuple[str, ...], line: int) -> None:
        assert self.first is not None
        with open_file(self.first.name) as handle:
            first = next(cut_file(handle, self.first.dialect), None)
        expected = () if first is None else header_of(first, self.first.name)
        if not expected or set(columns) == set(expected):
            return
        # what stands here may be a row of notes, where a header was left out: it is not quoted
        missing = [name for name in expected if name not in columns]
        others = len(set(columns) - set(expected))
        found = f"missing {', '.join(missing)}; " if missing else ""
        raise DataError(
            f"the columns differ from those of {self.first.name} ({', '.join(expected)}): "
            f"{found}{others} others",
            self.name,
            line,
        )


def cut_file(handle: Any, dialect: Dialect) -> Iterator[Cut]:
    """Yield the rows of an opened file, the header too; without its byte-order mark."""
    lines = split_lines(handle)
    first = (line.removeprefix(BOM) for line in islice(lines, 1))
    return cut_rows(chain(first, lines), dialect)


def header_of(row: Cut, file: str) -> tuple[str, ...]:
    """Return the names in a header.

    Raises:
        DataError: The row is not well formed, or a name is missing, double, or not UTF-8.
    """
    if row.problem is not None:
        raise DataError(row.problem, file, row.line)
    names = [decode_cell(cell, row, i, file) or "" for i, cell in enumerate(row.cells)]
    twice = {name for name, count in Counter(names).items() if count > 1}
    bad = [str(i + 1) for i, name in enumerate(names) if not name or name in twice]
    if bad:
        raise DataError(
            "expected a header, with a name of its own for each column; these have none, or the "
            f"same: {', '.join(bad)} (a file without header is read with columns=)",
            file,
            row.line,
        )
    return tuple(names)


def decode_cell(cell: Cell, row: Cut | CsvRow, index: int, file: str) -> str | None:
    """Return the text of a cell.

    Raises:
        DataError: It is not UTF-8; names the very line.
    """
    if cell is None:
        return None
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError as error:
        before: Sequence[Cell] = [*row.cells[:index], cell[: error.start]]
        line = row.line + sum(part.count(b"\n") for part in before if part)
        message = f"not UTF-8 at byte {error.start} of cell {index + 1}"
    raise DataError(message, file, line)


class ParseRow:
    """Turns a row into a dict, or into a Doc.

    Args:
        to_doc: The function of a converter; None leaves records as they are.
    """

    def __init__(self, to_doc: Any) -> None:
        self.to_doc = to_doc

    def __call__(self, row: CsvRow) -> Any:
        """Return the record or Doc.

        Raises:
            DataError: The row is bad; names file and line.
        """
        if row.problem is not None:
            raise DataError(row.problem, row.file, row.line)
        if len(row.cells) != len(row.columns):
            raise DataError(
                f"expected {len(row.columns)} cells, as there are columns, found {len(row.cells)}",
                row.file,
                row.line,
            )
        texts = [decode_cell(cell, row, i, row.file) for i, cell in enumerate(row.cells)]
        record = dict(zip(row.columns, texts, strict=True))
        return convert(self.to_doc, record, row.file, row.line)
