"""What the loggers that write lines of text share: appending, and going on after a kill."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from edspipe import atomic
from edspipe.errors import DataError
from edspipe.training.records import Record, RunInfo


class LineFileLogger(ABC):
    """Appends lines to a file in the folder of the run; what a step brings is out after its write.

    A run that is resumed first drops what the killed run wrote after its checkpoint: lines of later
    steps, and a last line that was cut short. A new run begins a new file.

    Args:
        file: Where the lines go, below the folder of the run.
    """

    header = ""
    """The first line, with its end, if there is one."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._lines: TextIO | None = None

    def start(self, info: RunInfo) -> None:
        """Begin a file, or go on with the one that is there.

        Raises:
            DataError: The file that is there holds something else.
        """
        path = Path(info.output_dir) / self.file
        kept = self._kept(path, info.first_step) if info.first_step and path.exists() else ()
        with atomic.write_file(path) as handle:
            handle.write(self.header.encode())
            handle.writelines(kept)
        self._lines = path.open("a", encoding="utf-8", newline="\n")

    def _kept(self, path: Path, last_step: int) -> Iterator[bytes]:
        """Yield the lines up to a step, without the header."""
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    return
                if number == 1 and self.header:
                    if line != self.header.encode():
                        raise self._damaged(path, number)
                    continue
                try:
                    step = self.step_of(line.decode("utf-8"))
                except (ValueError, KeyError, TypeError, IndexError):
                    raise self._damaged(path, number) from None
                if step <= last_step:
                    yield line

    def _damaged(self, path: Path, line: int) -> DataError:
        return DataError(
            f"not a line as {type(self).__name__} writes it, and the run would go on behind it. "
            "Move the file away, or take out the line",
            path,
            line,
        )

    def write(self, records: Sequence[Record]) -> None:
        """Append the lines of some records, and hand them to the operating system.

        Raises:
            RuntimeError: `start` was not called, or `close` was.
        """
        if self._lines is None:
            raise RuntimeError(f"{type(self).__name__}: call start(info) before write")
        self._lines.writelines(self.to_lines(records))
        self._lines.flush()

    def close(self, status: str) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    @abstractmethod
    def to_lines(self, records: Sequence[Record]) -> Iterable[str]:
        """Return lines, with their ends."""

    @abstractmethod
    def step_of(self, line: str) -> int:
        """Return the step of a line that was written; any error says that it is damaged."""
