"""Parquet files as fragments of a stream: groups of rows, each read on its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edspipe.data.parquet.arrow_types import plain
from edspipe.data.paths import is_remote, list_files, open_input
from edspipe.data.rows import BATCH_ROWS, Row
from edspipe.errors import DataError, did_you_mean

SUFFIXES = (".parquet", ".pq")
BATCH_BYTES = 16 << 20
"""Of rows that are decoded at once: fewer rows where they are long."""
BUFFER_BYTES = 1 << 20
"""Of a column that is read from the file at once."""

_PARTITION = re.compile(r"[^/=]+=[^/]*")


@dataclass
class RowGroup:
    """A group of rows of one file.

    Attributes:
        name: File and number of the group.
        file: The file.
        number: The number of the group in the file.
        first_row: Rows of the file before it.
        num_rows: Its rows.
        size_bytes: What its rows take when they are decoded.
        columns: The columns to read; None reads all.
    """

    file: str
    number: int
    first_row: int
    num_rows: int
    size_bytes: int
    columns: tuple[str, ...] | None = None
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"{self.file}#{self.number}"

    def num_items(self) -> int:
        """Return how many rows it has."""
        return self.num_rows

    def read(self, start: int = 0) -> Iterator[Row]:
        """Yield rows; those that are skipped are not turned into Python objects.

        Raises:
            DataError: The file is damaged.
        """
        number = self.first_row
        behind = number + start
        for batch in self.batches():
            skipped = min(max(behind - number, 0), batch.num_rows)
            number += skipped
            for record in to_records(batch.slice(skipped), self.file):
                number += 1
                yield Row(self.file, number, record)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of a bounded size.

        Args:
            columns: The columns to read; None reads those of the fragment.

        Raises:
            DataError: The file is damaged.
        """
        row_bytes = self.size_bytes / max(1, self.num_rows)
        num_rows = int(min(max(1, BATCH_BYTES / max(1, row_bytes)), BATCH_ROWS))
        chosen = columns or self.columns
        with open_parquet(self.file) as parquet:
            batches = parquet.iter_batches(
                num_rows,
                row_groups=[self.number],
                columns=None if chosen is None else list(chosen),
            )
            while (batch := _next(batches, self.file)) is not None:
                yield batch


def _next(batches: Iterator[pa.RecordBatch], file: str) -> pa.RecordBatch | None:
    with _name_damage(file):
        return next(batches, None)


def to_records(batch: pa.RecordBatch, table: str) -> list[dict[str, Any]]:
    """Return rows as dicts; structs and maps become dicts too.

    Raises:
        DataError: A map has a key twice.
    """
    try:
        return batch.to_pylist(maps_as_pydicts="strict")
    except KeyError:
        raise DataError(
            "a map has a key twice; choose other columns: columns=[...]", table
        ) from None


@contextmanager
def open_parquet(file: str | Path) -> Iterator[pq.ParquetFile]:
    """Open a parquet file; its columns are read in small pieces.

    Raises:
        DataError: It is no parquet file, or damaged.
    """
    # a local path goes to Arrow as an open file: as a text it might be taken for an address
    local = not is_remote(file) and Path(file).suffix in SUFFIXES
    with pa.OSFile(str(file)) if local else open_input(file) as handle:
        with _name_damage(file):
            parquet = pq.ParquetFile(
                handle, buffer_size=BUFFER_BYTES, page_checksum_verification=True
            )
        yield parquet


@contextmanager
def _name_damage(file: str | Path) -> Iterator[None]:
    """Turn what Arrow says of a damaged file, which may quote it, into an error of ours."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        kind = type(error).__name__
        raise DataError(f"not a whole parquet file, or damaged ({kind})", file) from None


def list_row_groups(
    paths: str | Path | Sequence[str | Path], columns: Sequence[str] | None
) -> list[RowGroup]:
    """Read the footers of files; return their groups of rows in order.

    Args:
        paths: A file, a folder, a pattern or an address, or several of these.
        columns: The columns to read; None reads all.

    Raises:
        DataError: A file has other columns than the first one, or other types in them.
        FileNotFoundError: There is no file.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    files = [(str(path), file) for path in given for file in list_files(path, SUFFIXES)]
    if not files:
        raise FileNotFoundError("expected at least one parquet file, got an empty list")
    chosen = None if columns is None else tuple(columns)
    groups: list[RowGroup] = []
    first: dict[str, pa.DataType] | None = None
    for path, file in files:
        if chosen is None:
            _check_no_partition(path, file)
        with open_parquet(file) as parquet:
            types = _column_types(file, parquet.schema_arrow, chosen)
            if first is None:
                first = types
            _check_same(first, types, files[0][1], file)
            groups += _groups(file, parquet.metadata, chosen)
    return groups


def _groups(file: str, footer: Any, columns: tuple[str, ...] | None) -> Iterator[RowGroup]:
    first_row = 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        yield RowGroup(file, number, first_row, group.num_rows, group.total_byte_size, columns)
        first_row += group.num_rows


def _check_no_partition(path: str, file: str) -> None:
    """Refuse folders such as `year=2020`: they hold a column that would be lost."""
    below = file[len(path) :] if file.startswith(path) else ""
    found = next((part for part in below.split("/")[:-1] if _PARTITION.fullmatch(part)), None)
    if found is not None:
        raise DataError(
            f"the folder '{found}' holds a column in its name, which would be lost; choose columns "
            "of the files with columns=[...]",
            file,
        )


def _column_types(
    file: str, schema: pa.Schema, columns: Sequence[str] | None
) -> dict[str, pa.DataType]:
    """Return the types of the columns that are read."""
    types = {field.name: plain(field.type) for field in schema}
    if len(types) < len(schema):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise DataError(f"two columns are named '{twice}'; a record can hold one", file)
    for name in types if columns is None else columns:
        if name not in types:
            hint = did_you_mean(name, types)
            raise DataError(f"no column '{name}' among {', '.join(types)}.{hint}", file)
    return types if columns is None else {name: types[name] for name in columns}


def _check_same(
    first: dict[str, pa.DataType], types: dict[str, pa.DataType], first_file: str, file: str
) -> None:
    """Refuse a file whose columns are not those of the first."""
    cure = f"read such files apart, or choose columns that agree with {first_file}: columns=[...]"
    for name in first:
        if name not in types:
            raise DataError(f"no column '{name}', which the first file has; {cure}", file)
        if not first[name].equals(types[name]):
            raise DataError(
                f"column '{name}' is {types[name]}, and {first[name]} in the first file; {cure}",
                file,
            )
    for name in types:
        if name not in first:
            raise DataError(f"column '{name}', which the first file does not have; {cure}", file)
