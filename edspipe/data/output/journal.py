"""Files of lines that grow during a run, and can be cut back to what was committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edspipe import atomic
from edspipe.errors import DataError


class Journal:
    """A file to which lines are added.

    Args:
        path: The file.
        size: None makes the file. A number of bytes goes on with one that is there, and drops what
            was added after so many bytes.

    Attributes:
        size: Bytes so far, those that wait in memory too.

    Raises:
        DataError: The file is shorter than `size`.
    """

    def __init__(self, path: Path, size: int | None = None) -> None:
        self.path = path
        self.size = size or 0
        if size is not None and path.stat().st_size < size:
            found = path.stat().st_size
            raise DataError(
                f"expected the {size} bytes that were committed, found {found}: the run cannot be "
                "resumed, so run it again with resume=False",
                path,
            )
        self._handle = atomic.FS.open(path) if size is None else atomic.FS.reopen(path, size)

    def add(self, line: bytes) -> None:
        """Add a line, which holds no newline."""
        self._handle.write(line + b"\n")
        self.size += len(line) + 1

    def lines(self) -> Iterator[bytes]:
        """Yield all lines so far, without their newlines."""
        self._handle.flush()
        with open(self.path, "rb") as handle:
            for line in handle:
                yield line[:-1]

    def flush(self) -> None:
        """Hand what waits in memory to the system."""
        self._handle.flush()

    def sync(self) -> None:
        """Force what was added to the disk."""
        self._handle.flush()
        atomic.FS.fsync(self.path)

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def abort(self) -> None:
        """Close the file; what does not fit on the disk is let go."""
        with suppress(OSError):
            self._handle.close()
