"""The ledger of a run, which becomes its receipt: JSON lines, and never any text of a document.

    {"edspipe": "receipt", "format": 1, "version": ..., "output": "notes.jsonl", "run": {...}}
    {"id": ..., "source": ..., "sha256": ..., "status": "done", "attempts": 1, "error": null}
    ...                                              one line for every document that was read
    {"file": "notes.jsonl", "size": 1234, "sha256": ...}
    ...                                              one line for every file of the output
    {"end": {"read": 2, "done": 1, "filtered": 0, "skipped": 1, "quarantined": 0},
     "records": 1, "files": 1, "sha256": ...}        on one line; the sha256 of all lines before

It holds no time, so that the same run leaves the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, NamedTuple

from loguru import logger

from edspipe.data.output.journal import Journal
from edspipe.stream.account import Entry
from edspipe.version import __version__

FORMAT = 1
BALANCED = ("done", "filtered", "skipped", "quarantined")
"""What `read` is the sum of."""


class OutputFile(NamedTuple):
    """A file of an output.

    Attributes:
        name: Its path below the folder, or its name.
        size: In bytes.
        sha256: Of its bytes.
    """

    name: str
    size: int
    sha256: str


class Ledger:
    """Writes the lines.

    Args:
        journal: The file.
        statuses: How many documents of each status it holds already.

    Attributes:
        statuses: How many documents of each status it holds.
    """

    def __init__(self, journal: Journal, statuses: Mapping[str, int] | None = None) -> None:
        self.journal = journal
        self.statuses = Counter(statuses or {})

    @property
    def documents(self) -> int:
        """How many documents it holds."""
        return self.statuses.total()

    def begin(self, output: str, run: Mapping[str, Any]) -> None:
        """Write the first line: the name of the output, and what describes the run."""
        head = {"edspipe": "receipt", "format": FORMAT, "version": __version__}
        self._add({**head, "output": output, "run": run})

    def carry_over(self, receipt: Path) -> None:
        """Copy the documents of an earlier receipt, that of the output which is added to."""
        if not any("end" in line for line in read_lines(receipt)):
            logger.warning("{} is cut: what it says of documents is left out", receipt)
            return
        for line in read_lines(receipt):
            if "status" in line:
                self._add(line)
                self.statuses[line["status"]] += 1

    def add(self, entries: Iterable[Entry]) -> None:
        """Write a line a document."""
        for entry in entries:
            self.journal.add(_entry_line(entry))
            self.statuses[entry.status] += 1

    def finish(self, files: Iterable[OutputFile], records: int) -> int:
        """Write the last lines, to the disk.

        Args:
            files: The files of the output.
            records: How many records it holds.

        Returns:
            Where the lines of the files begin, in bytes.
        """
        begin = self.journal.size
        num_files = 0
        for file in files:
            self._add({"file": file.name, "size": file.size, "sha256": file.sha256})
            num_files += 1
        self.journal.flush()
        with open(self.journal.path, "rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        balance = balance_of(self.statuses)
        self._add({"end": balance, "records": records, "files": num_files, "sha256": sha256})
        self.journal.sync()
        return begin

    def _add(self, line: Mapping[str, Any]) -> None:
        self.journal.add(json.dumps(line).encode("ascii"))


def balance_of(statuses: Mapping[str, int]) -> dict[str, int]:
    """Return the balance: documents read, and what became of them."""
    read = sum(statuses.values())
    return {"read": read, **{status: statuses.get(status, 0) for status in BALANCED}}


def read_lines(path: Path, start: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the lines of a ledger, from a byte on; the rest of a damaged one is left out."""
    with open(path, "rb") as handle:
        handle.seek(start)
        for line in handle:
            try:
                value = json.loads(line)
            except ValueError:
                return
            if not isinstance(value, dict) or not line.endswith(b"\n"):
                return
            yield value


def read_files(path: Path, start: int) -> Iterator[OutputFile]:
    """Yield the files that a ledger lists, from a byte on."""
    for line in read_lines(path, start):
        if "file" in line:
            yield OutputFile(line["file"], line["size"], line["sha256"])


def _entry_line(entry: Entry) -> bytes:
    # twice as fast as json.dumps, for the line that each document has
    identity = f'"id": {_quoted(entry.id)}, "source": {_quoted(entry.source)}'
    fate = f'"sha256": {_quoted(entry.sha256)}, "status": "{entry.status}"'
    rest = f'"attempts": {entry.attempts}, "error": {_quoted(entry.error)}'
    return f"{{{identity}, {fate}, {rest}}}".encode("ascii")


def _quoted(value: str | None) -> str:
    return "null" if value is None else encode_basestring_ascii(value)
