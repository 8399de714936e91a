"""What the tests of outputs share: small runs that commit after each record, and break off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crash_simulator import WatchedFileSystem

from edspipe import atomic
from edspipe.data.json.sinks import JsonLinesSink
from edspipe.data.output import writing as output
from edspipe.data.output.writing import write_records
from edspipe.stream.stream import Stream


class Broken(RuntimeError):
    """What breaks a run off."""


def notes(count: int) -> list[dict[str, Any]]:
    """Records with ids."""
    return [{"note_id": f"n{i}", "note_text": f"Toux {i}."} for i in range(count)]


class BreakAt:
    """A source of records, or an op, that breaks off at an index, once it is armed."""

    def __init__(self, items: list[Any], index: int | None) -> None:
        self.items = items
        self.index = index

    def __call__(self) -> Iterator[Any]:
        for i, item in enumerate(self.items):
            if i == self.index:
                raise Broken
            yield item


def write(stream: Any, target: Path, **options: Any) -> Any:
    """Write records as lines of JSON."""
    stream = stream if isinstance(stream, Stream) else Stream.from_items(stream)
    options = {"stage": "write_json", **options}
    return write_records(stream, target, JsonLinesSink(target), **options)


def lines_of(receipt: Path) -> list[dict[str, Any]]:
    """The lines of a receipt."""
    return [json.loads(line) for line in receipt.read_bytes().splitlines()]


def entries_of(receipt: Path) -> list[tuple[Any, str]]:
    """Id and status of each document of a receipt."""
    return [(line["id"], line["status"]) for line in lines_of(receipt) if "status" in line]


def commit_always(patch: pytest.MonkeyPatch) -> None:
    """Commit after every record, to a disk that is quick as it is never synced."""
    patch.setattr(atomic, "FS", WatchedFileSystem())
    patch.setattr(output, "COMMIT_EVERY_S", 0.0)
    patch.setattr(output, "MAX_COMMIT_SHARE", float("inf"))


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
