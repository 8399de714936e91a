"""Writing CSV: a header, then a row a record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edspipe.data.csv.files import CsvFile, ParseRow, cut_file, header_of
from edspipe.data.csv.format import Dialect, render_cell
from edspipe.data.output.file_sinks import FileSink, require_record
from edspipe.errors import DataError

Cells = dict[str, bytes]


class EncodeCells:
    """Turns a record into cells, by column.

    Args:
        dialect: How cells are told apart.
        id_key: The key of the id, for errors.
    """

    def __init__(self, dialect: Dialect, id_key: str | None) -> None:
        self.dialect = dialect
        self.id_key = id_key

    def __call__(self, record: Any) -> Cells:
        record = require_record(record, "write_csv", "'labels', 'text'")
        cells: Cells = {}
        for column, value in record.items():
            if not isinstance(column, str) or not column:
                raise self._problem(record, "a column is named by a text that is not empty")
            try:
                cells[column] = render_cell(value, self.dialect)
            except (TypeError, ValueError) as error:
                problem = (
                    f"column '{column}': expected text, a finite number, a truth value or None, "
                    f"got a {type(value).__name__} ({type(error).__name__}); nested records are "
                    "for write_json"
                )
                raise self._problem(record, problem) from None
        return cells

    def _problem(self, record: dict[Any, Any], message: str) -> DataError:
        ident = record.get(self.id_key)
        return DataError(message, id=None if ident is None else str(ident))


class CsvSink(FileSink):
    """Writes a header and a row a record; rows of an old file come first, byte for byte.

    Args:
        target: The file; it may be packed.
        dialect: How cells are told apart.
        columns: The columns; None takes the keys of the first record.
        id_key: The key of the id.
    """

    def __init__(
        self,
        target: str | Path,
        dialect: Dialect,
        columns: tuple[str, ...] | None = None,
        id_key: str | None = "note_id",
    ) -> None:
        super().__init__(target, EncodeCells(dialect, id_key))
        self.delimiter = dialect.delimiter
        self.id_key = id_key
        self._dialect = dialect
        self.columns = columns
        self._written: tuple[str, ...] | None = None

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        written = None if state is None else state["columns"]
        self._written = None if written is None else tuple(written)
        super().open(folder, old, state)

    def take_over(self, old: Path) -> None:
        """Write what the old file holds; its columns are ours.

        Raises:
            DataError: Its columns are not those that were asked for, or it has no header.
        """
        with self.open_old(old) as handle:
            row = next(cut_file(handle, self._dialect), None)
        super().take_over(old)
        if row is None:
            return
        self._written = header_of(row, str(old))
        if self.columns is not None and set(self.columns) != set(self._written):
            raise DataError(
                f"has the columns {', '.join(self._written)}, and columns= asks for "
                f"{', '.join(self.columns)}",
                old,
            )

    def add(self, encoded: Cells) -> None:
        columns = self._written
        if columns is None:
            columns = self._write_header(self.columns or tuple(encoded))
        if encoded.keys() != set(columns):
            raise self._other_keys(encoded, columns)
        line = self._dialect.delimiter.encode().join([encoded[name] for name in columns])
        if not line:
            raise DataError(
                f"a row whose only cell ({columns[0]}) is None would be an empty line, which is "
                "read as no row"
            )
        self.file.write(line + b"\n")

    def _write_header(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        cells = [render_cell(name, self._dialect) for name in columns]
        self.file.write(self._dialect.delimiter.encode().join(cells) + b"\n")
        self._written = columns
        return columns

    def _other_keys(self, encoded: Cells, columns: tuple[str, ...]) -> DataError:
        missing = ", ".join(name for name in columns if name not in encoded) or "none"
        others = ", ".join(name for name in encoded if name not in columns) or "none"
        cell = encoded.get(self.id_key or "")
        return DataError(
            f"the keys of the record are not the columns, which are {', '.join(columns)}: "
            f"missing {missing}; without a column {others} (choose with columns=)",
            id=None if not cell else cell.decode("utf-8"),
        )

    def commit(self) -> dict[str, Any]:
        return {**super().commit(), "columns": self._written}

    def close(self) -> None:
        """Finish the file; without any record it has a header where `columns=` says which."""
        if self._written is None and self.columns is not None:
            self._write_header(self.columns)
        super().close()

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of the old file.

        Raises:
            DataError: A row of it is bad.
        """
        if self._old is None or self.id_key not in (self._written or ()):
            return
        parse = ParseRow(None)
        with self.open_old(self._old) as handle:
            for row in CsvFile(str(self._old), self._dialect).rows(handle):
                ident = parse(row)[self.id_key]
                if ident is not None:
                    yield ident
