"""What the sink of parquet does with files: write one, and take over those that are there."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edspipe import atomic
from edspipe.atomic import MANIFEST
from edspipe.data.parquet.arrow_types import plain as plain_type
from edspipe.data.parquet.files import SUFFIXES
from edspipe.data.paths import RECEIPT, list_files
from edspipe.errors import DataError

PART_BYTES = 256 << 20
"""Of a part on disk: it ends with the group of rows that reaches this."""


class OpenFile:
    """A parquet file that is being written.

    Args:
        path: The file, which is there from now on.
        compression: The codec of pages.
    """

    def __init__(self, path: Path, compression: str) -> None:
        self._handle = atomic.FS.open(path)
        self._compression = compression
        self._writer: Any = None
        self._num_rows = 0

    def begin(self, schema: pa.Schema) -> None:
        """Say which columns it has, before the first group of rows."""
        if self._writer is None:
            options = {"compression": self._compression, "write_page_checksum": True}
            self._writer = pq.ParquetWriter(self._handle, schema, **options)

    def write(self, batches: list[pa.RecordBatch]) -> None:
        """Write a group of rows."""
        table = pa.Table.from_batches(batches, self._writer.schema)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._num_rows += table.num_rows

    def is_full(self, max_rows: int) -> bool:
        """Whether the next group of rows belongs to the next file."""
        return self._num_rows >= max_rows or self._handle.tell() >= PART_BYTES

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
        self._handle.close()

    def drop(self) -> None:
        """Let go of the file as it is."""
        if self._writer is not None:
            self._writer.is_open = False  # else it would write its footer when it is collected
        with suppress(OSError):  # what the buffer holds may not fit the disk; it is not wanted
            self._handle.close()


def files_of(old: Path) -> list[str]:
    """Return the parquet files of an output, which may have none."""
    try:
        return list_files(old, SUFFIXES)
    except FileNotFoundError:
        return []  # a folder without data


def link_files(old: Path, folder: Path) -> None:
    """Bring the files of a folder to another one."""
    for root, names, files in os.walk(old):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            if name.startswith(".") or name in (RECEIPT, MANIFEST):
                continue
            source = Path(root) / name
            target = folder / source.relative_to(old)
            atomic.make_parents(target.parent)
            link_file(source, target)


def link_file(source: Path, target: Path) -> None:
    """Give a file a second name; where the disk has no such thing, copy it."""
    try:
        os.link(source, target)
    except OSError:
        with open(source, "rb") as old, atomic.FS.open(target) as new:
            shutil.copyfileobj(old, new)


def check_same_columns(old: pa.Schema, new: pa.Schema, path: Path) -> None:
    """Refuse to add rows that have other columns.

    Raises:
        DataError: The schemas differ.
    """
    for name in dict.fromkeys([*old.names, *new.names]):
        ours, theirs = (
            [plain_type(s.field(name).type) for s in (x,) if name in s.names] for x in (old, new)
        )
        if ours != theirs:
            raise DataError(
                f"column '{name}' of the old output is not that of schema=; what is added has the "
                "same columns",
                path,
            )
