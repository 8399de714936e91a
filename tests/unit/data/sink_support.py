"""What the tests of sinks share: a run that is broken off at any record, and goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def write_all(make: Callable[[], Any], folder: Path, records: Sequence[Any]) -> None:
    """Write records without a break."""
    folder.mkdir(parents=True)
    sink = make()
    try:
        sink.open(folder, None, None)
        for record in records:
            sink.write(record)
        sink.close()
    finally:
        sink.abort()


def write_broken(
    make: Callable[[], Any], folder: Path, records: Sequence[Any], commit_at: int, break_at: int
) -> None:
    """Write records in two runs: one commits, writes on, and is broken off; one goes on."""
    folder.mkdir(parents=True)
    first = make()
    first.open(folder, None, None)
    for record in records[:commit_at]:
        first.write(record)
    state = first.commit()
    for record in records[commit_at:break_at]:
        first.write(record)
    first.commit()  # what is written behind the state must be undone, wherever it stands
    first.abort()
    second = make()
    second.open(folder, None, state)
    for record in records[commit_at:]:
        second.write(record)
    second.close()


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by path."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
