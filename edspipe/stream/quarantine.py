"""The quarantine: documents that failed, with the reason, in a file of JSON lines.

The file is an output like any other: it holds the documents themselves, where these have a form of
plain data. A stream runs again over these documents alone with `Stream.only(path)`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edspipe.errors import DataError


class Quarantine:
    """A file of left-out documents, made with the first of them.

    Args:
        path: A `.jsonl` file; that of an earlier run is replaced.

    Attributes:
        size: Its length in bytes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.size = 0
        self._handle: Any = None

    def add(self, documents: Sequence[tuple[Any, Any]], failure: Any) -> None:
        """Write documents that failed together, one a line.

        Args:
            documents: Pairs of the place and of what the books know of a document.
            failure: Why.
        """
        if self._handle is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = open(self.path, "ab")  # noqa: SIM115
        alone = len(documents) == 1
        for (epoch, index, _), document in documents:
            record = {
                "id": document.identity.id,
                "source": document.identity.source,
                "sha256": document.identity.sha256,
                "epoch": epoch,
                "index": index,
                "stage": failure.stage,
                "error": failure.error,
                "message": failure.message,
                "attempts": document.attempts,
                "document": failure.document if alone else None,
            }
            self.size += self._handle.write(json.dumps(record).encode() + b"\n")
        self._handle.flush()

    def begin(self, size: int = 0) -> None:
        """Make sure that what is in the file is of this run.

        Args:
            size: What this run had written, in bytes, when it was broken off; 0 for a new run.

        Raises:
            DataError: The file of the broken-off run is gone, or shorter.
        """
        if size == 0:
            self.path.unlink(missing_ok=True)
            return
        found = self.path.stat().st_size if self.path.is_file() else 0
        if found < size:
            raise DataError(
                f"the quarantine of the run that goes on had {size} bytes, and has {found} now: "
                "put it back, or begin anew",
                file=self.path,
            )
        os.truncate(self.path, size)
        self.size = size

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def read_quarantine(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a quarantine; a last line that a kill has cut is left out.

    Raises:
        DataError: A line in the middle is damaged.
    """
    lines = Path(path).read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            yield json.loads(line)
        except ValueError:
            if number == len(lines) and not line.endswith(b"\n"):
                return
            raise DataError("damaged: expected a JSON object", file=path, line=number) from None
