"""A journal of rows beside a file that is being written.

A parquet file cannot be read before its footer is written. So the rows of one that is open also go
to a journal: streams of Arrow's IPC format, one behind the other, which can be cut at a commit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from edspipe import atomic
from edspipe.data.output.growing_file import GrowingFile
from edspipe.errors import CheckpointError


class RowJournal:
    """The rows of one file since it was begun.

    Attributes:
        path: Where they are; there is no file before the first row.
        num_rows: How many rows it holds.

    Args:
        folder: Where journals are.
        number: The number of the file.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.path = folder / f"rows-{number:06d}.arrow"
        self.num_rows = 0
        self._file: GrowingFile | None = None

    def append(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Add rows; each batch may have types of its own."""
        if self._file is None and batches:
            self._file = GrowingFile(self.path)
        for batch in batches:
            assert self._file is not None
            self._file.write(_to_bytes(batch))
            self.num_rows += batch.num_rows

    def commit(self) -> int:
        """Force the rows to the disk; return the size of the journal in bytes."""
        if self._file is None:
            return 0
        size_bytes = self._file.commit()
        atomic.FS.fsync(self.path.parent)
        return size_bytes

    def restore(self, size_bytes: int, num_rows: int) -> Iterator[pa.RecordBatch]:
        """Forget what came after a commit; yield the batches that came before it.

        Args:
            size_bytes: What `commit` returned.
            num_rows: How many rows there were.

        Raises:
            CheckpointError: The journal is damaged, or not there.
        """
        if size_bytes:
            if not self.path.is_file() or self.path.stat().st_size < size_bytes:
                raise self._damaged("it is missing, or too short")
            self._file = GrowingFile(self.path, size_bytes=size_bytes)
        elif self.path.exists():
            atomic.FS.unlink(self.path)
        for batch in self._read():
            self.num_rows += batch.num_rows
            yield batch
        if self.num_rows != num_rows:
            raise self._damaged(f"it holds {self.num_rows} rows, and {num_rows} were committed")

    def _read(self) -> Iterator[pa.RecordBatch]:
        if self._file is None:
            return
        with open(self.path, "rb") as handle:
            end = os.fstat(handle.fileno()).st_size
            while handle.tell() < end:
                try:
                    with pa.ipc.open_stream(handle) as stream:
                        batches = list(stream)
                except (pa.ArrowException, OSError) as error:
                    raise self._damaged(type(error).__name__) from None
                yield from batches

    def _damaged(self, why: str) -> CheckpointError:
        return CheckpointError(
            f"{self.path}: the rows of the run that broke off are damaged ({why}); run it again "
            "without resume"
        )

    def close(self) -> None:
        """Close the file; it stays."""
        if self._file is not None:
            self._file.abort()

    def remove(self) -> None:
        """Delete the file."""
        self.close()
        if self.path.exists():
            atomic.FS.unlink(self.path)


def _to_bytes(batch: pa.RecordBatch) -> bytes:
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, batch.schema) as stream:
        stream.write_batch(batch)
    return buffer.getvalue().to_pybytes()
