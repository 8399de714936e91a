"""What crosses between the main process and a worker, and errors as data.

The heads of frames are these tuples, pickled; the bodies are packed values.
"""

from __future__ import annotations

import json
import pickle
from typing import Any, NamedTuple

from edspipe import errors
from edspipe.errors import EdspipeError
from edspipe.stream.account import Failure, Note
from edspipe.stream.executors.multiprocess.parcels import Sizes
from edspipe.stream.markers import Item, Place

SAFE_ERRORS = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, EdspipeError)
}
"""Errors that cross by name and arguments; no foreign exception is ever unpickled."""

PackedError = tuple[str, tuple[Any, ...]]
PackedItem = tuple[int, int, tuple[int, ...], tuple[Place, ...]]
"""An item without its value: epoch, source index, sub-indices, members."""


class Start(NamedTuple):
    """To a worker: what it runs. The body holds the segments and the run.

    Attributes:
        table: The sizes of the values in the body.
        device: The device for the ops that want one.
        shows_text: Whether errors may quote what failed.
    """

    table: list[Sizes]
    device: str | None
    shows_text: bool


class Share(NamedTuple):
    """To a worker: objects that are new to it, ahead of what needs them; they are the body."""

    table: list[Sizes]


class Work(NamedTuple):
    """To a worker: a task. The body holds the values of its items.

    Attributes:
        number: The number of the task.
        segment: The number of the segment to run.
        items: The items.
        table: The sizes of the values in the body.
        parts: Which items to run together, one part after the other: `(first, behind last)`.
    """

    number: int
    segment: int
    items: list[PackedItem]
    table: list[Sizes]
    parts: list[tuple[int, int]]


class Stop(NamedTuple):
    """To a worker: end."""


class Ready(NamedTuple):
    """From a worker: it can begin, or why it cannot."""

    error: PackedError | None


class Result(NamedTuple):
    """From a worker: what became of a task. The body holds the values.

    Attributes:
        number: The number of the task.
        items: The items.
        table: The sizes of the values in the body.
        notes: What ops wrote for the books.
        counts: What ops counted.
        seconds: Where the time went, by stage.
        error: What ended the task, if anything did.
    """

    number: int
    items: list[PackedItem]
    table: list[Sizes]
    notes: list[Note]
    counts: dict[str, int]
    seconds: dict[str, float]
    error: PackedError | None = None


def pack_head(head: Any) -> bytes:
    """Turn a head into bytes."""
    return pickle.dumps(head, protocol=5)


def open_head(data: bytes) -> Any:
    """Turn bytes back into a head; they only ever come from our own processes."""
    return pickle.loads(data)  # noqa: S301


def pack_item(item: Item) -> PackedItem:
    """Leave the value of an item out."""
    return item[1:]


def plain_notes(notes: list[Note]) -> list[Note]:
    """Make sure that what notes say of documents can be pickled, whatever JSON took them for."""
    return [_plain_note(note) if note[0] == "drop" else note for note in notes]


def _plain_note(note: Note) -> Note:
    method, places, status, failure = note
    if not isinstance(failure, Failure) or failure.document is None:
        return note
    document = json.loads(json.dumps(failure.document))
    return method, places, status, failure._replace(document=document)


def pack_error(error: BaseException) -> PackedError:
    """Turn an error into its name and plain arguments."""
    name = type(error).__name__
    if SAFE_ERRORS.get(name) is type(error):
        args = tuple(a if isinstance(a, (int, type(None))) else str(a) for a in error.args)
        return name, args
    if isinstance(error, EdspipeError):
        return "EdspipeError", (f"{name}: {error}",)
    return "WorkerError", (f"a worker failed with {name}",)


def open_error(packed: PackedError) -> EdspipeError:
    """Turn a name and arguments back into the error."""
    name, args = packed
    return SAFE_ERRORS[name](*args)
