"""From the ops of a stream to the stages that an executor runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edspipe.stream.hooks import describe
from edspipe.stream.markers import EndOfEpoch, Event, Item
from edspipe.stream.ops.batchify import Batchify
from edspipe.stream.ops.op import LocalOp, Op, OrderedOp, Run
from edspipe.stream.source import Source

TASK_ITEMS = 16
"""Items that cross to a worker at once, where nothing asks for more."""


@dataclass(frozen=True)
class Segment:
    """Local ops that follow each other: they run on one chunk, in one process.

    Attributes:
        ops: The ops.
        on_batches: The items are batches already, so that one of them is a chunk.
    """

    ops: tuple[LocalOp, ...]
    on_batches: bool = False

    @property
    def chunk_items(self) -> int | float:
        """Items a chunk, which does not depend on the workers; 1 where nothing is grouped."""
        return max(op.chunk_items for op in self.ops)

    def task_items(self) -> int | float:
        """Items a task for a worker: the chunk, or a few items where nothing is grouped."""
        if self.on_batches or self.chunk_items > 1:
            return self.chunk_items
        return TASK_ITEMS

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        """Run the ops on one chunk."""
        for op in self.ops:
            items = op.apply(items, run)
        return items

    def for_worker(self) -> Segment:
        """Return the segment as it travels to a worker."""
        return Segment(tuple(op.for_worker() for op in self.ops), self.on_batches)

    def on_arrival(self, value: Any) -> Any:
        """Finish, in the main process, a value that comes back from a worker."""
        return self.ops[-1].on_arrival(value)


Stage = Segment | OrderedOp


def plan(ops: Sequence[Op]) -> list[Stage]:
    """Join neighbouring local ops to segments."""
    stages: list[Stage] = []
    on_batches = False
    for op in ops:
        if isinstance(op, OrderedOp):
            stages.append(op)
            on_batches = on_batches or isinstance(op, Batchify)
            continue
        if stages and isinstance(stages[-1], Segment):
            stages[-1] = Segment((*stages[-1].ops, op), on_batches)
        else:
            stages.append(Segment((op,), on_batches))
    return stages


def read_source(source: Source, looping: bool, run: Run) -> Iterator[Event]:
    """Yield the items of the source, epoch by epoch."""
    epoch = 0
    while True:
        num_read = 0
        for item in source.read(epoch, run.seed):
            num_read += 1
            run.counts["read"] += 1
            yield item
        yield EndOfEpoch(epoch)
        if not looping:
            return
        if num_read == 0:
            raise ValueError("loop() would wait for ever: the source is empty")
        epoch += 1


def chunks(events: Iterator[Event], size: int | float) -> Iterator[list[Item] | EndOfEpoch]:
    """Cut items into chunks that do not cross the end of an epoch."""
    chunk: list[Item] = []
    for event in events:
        if isinstance(event, EndOfEpoch):
            if chunk:
                yield chunk
            chunk = []
            yield event
            continue
        chunk.append(event)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def in_flight(items: Sequence[Item], limit: int = 5) -> str:
    """Name the items of a chunk, for errors."""
    names = [describe(item.value, item.source_index) for item in items[:limit]]
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(names) + more
