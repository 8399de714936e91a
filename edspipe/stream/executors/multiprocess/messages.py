"""What crosses between the main process and a worker: tasks, results, and errors as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edspipe import errors
from edspipe.errors import EdspipeError, WorkerError

SAFE_ERRORS = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, EdspipeError)
}
"""Errors that cross by name and arguments; no foreign exception is ever unpickled."""


@dataclass(frozen=True)
class PackedItem:
    """An item on its way: its place, and its value as bytes."""

    place: tuple[int, int, tuple[int, ...]]
    data: bytes


@dataclass(frozen=True)
class Task:
    """Work for a worker: one chunk of a segment, and shared objects that are new to the worker."""

    number: int
    segment: int
    items: list[PackedItem]
    shared: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """What became of a task: items, or an error, and what was counted."""

    number: int
    items: list[PackedItem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    error: tuple[str, tuple[Any, ...]] | None = None


READY = -1
"""Number of the result by which a worker says that it has started."""
NOTHING = -1
"""Number of the task of a worker that has none."""


def pack_error(error: BaseException) -> tuple[str, tuple[Any, ...]]:
    """Turn an error into its name and plain arguments."""
    name = type(error).__name__
    if SAFE_ERRORS.get(name) is type(error):
        args = tuple(a if isinstance(a, (int, type(None))) else str(a) for a in error.args)
        return name, args
    if isinstance(error, EdspipeError):
        return "EdspipeError", (f"{name}: {error}",)
    return "WorkerError", (f"a worker failed with {name}",)


def unpack_error(packed: tuple[str, tuple[Any, ...]]) -> EdspipeError:
    """Turn a name and arguments back into the error."""
    name, args = packed
    return SAFE_ERRORS.get(name, WorkerError)(*args)
