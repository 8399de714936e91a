"""Chunks of items that the driver sends to the workers of Spark, and what these make of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from edspipe.stream.account import Note, Notes
from edspipe.stream.executors.multiprocess.messages import PackedError, pack_error, plain_notes
from edspipe.stream.executors.spark.failures import task_failure
from edspipe.stream.executors.spark.plans import LoadedPlan, load_plan
from edspipe.stream.hooks import dumps, loads
from edspipe.stream.markers import Item, Place
from edspipe.stream.ops.op import Run

PackedItem = tuple[Place, tuple[Place, ...], bytes]
"""An item on its way: its place, those of its members, its value."""


@dataclass(frozen=True)
class PackedTask:
    """Chunks of a segment on their way, and shared objects that are not in the plan."""

    segment: int
    chunks: list[list[PackedItem]]
    shared: list[bytes]


@dataclass
class PackedResult:
    """What became of a chunk: items, what goes into the books, or an error."""

    items: list[PackedItem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    error: PackedError | None = None


def run_tasks(
    tasks: Iterator[PackedTask], key: str, broadcast: Any
) -> Iterator[list[PackedResult]]:
    """Run tasks in a worker of Spark; yield what became of the chunks of each.

    Args:
        tasks: The tasks.
        key: The name of the run.
        broadcast: Its plan.

    Raises:
        TaskFailure: What went wrong outside of the ops, as data in the text of the exception.
    """
    try:
        for task in tasks:
            loaded = load_plan(key, broadcast)
            loaded.keep(task.shared)
            yield [_run_chunk(task.segment, chunk, loaded) for chunk in task.chunks]
    except Exception as error:
        raise task_failure(error) from None


def _run_chunk(number: int, chunk: list[PackedItem], loaded: LoadedPlan) -> PackedResult:
    """Run one chunk. Its error is a result too: what came before it is handed out first."""
    notes = Notes()
    run = Run(loaded.plan.settings, loaded.plan.seed, books=notes)
    try:
        packed = _apply(number, chunk, loaded, run)
    except Exception as error:
        return PackedResult(error=pack_error(error))
    return PackedResult(packed, plain_notes(notes.notes), run.counts, run.seconds)


def _apply(number: int, chunk: list[PackedItem], loaded: LoadedPlan, run: Run) -> list[PackedItem]:
    segment, shared = loaded.plan.segments[number], loaded.shared
    items = []
    for place, members, data in chunk:
        item = Item(None, *place, members)
        with run.guard(segment.stage, [item]):
            items.append(item._replace(value=loads(data, shared)))
    packed: list[PackedItem] = []
    for item in segment.apply(items, run):
        with run.guard(segment.stage, [item]):
            packed.append((item.place, item.members, dumps(item.value, shared)))
    return packed
