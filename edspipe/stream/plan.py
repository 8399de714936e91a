"""From the ops of a stream to the stages that an executor runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edspipe.errors import EdspipeError
from edspipe.stream.markers import EndOfEpoch, Event, Item
from edspipe.stream.ops.batchify import Batchify
from edspipe.stream.ops.flatten import Flatten
from edspipe.stream.ops.op import Arrive, LocalOp, Op, OrderedOp, Run, pipe_error
from edspipe.stream.settings import Settings
from edspipe.stream.source import Source

TASK_ITEMS = 16
"""Items that cross to a worker at once, where nothing asks for more."""


@dataclass(frozen=True)
class Segment:
    """Local ops that follow each other: they run on one chunk, in one process.

    Attributes:
        ops: The ops.
        chunk_items: Items a chunk, whatever the workers; 1 where nothing is grouped.
        on_batches: The items are batches already, so that one of them is a chunk.
    """

    ops: tuple[LocalOp, ...]
    chunk_items: int | float = 1
    on_batches: bool = False

    @property
    def stage(self) -> str:
        """The name in errors that no op is to blame for."""
        return " -> ".join(op.stage for op in self.ops)

    @property
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

    def for_worker(self) -> tuple[Segment, list[Arrive]]:
        """Return the segment as it travels, and what finishes its values on their return."""
        pairs = [op.for_worker() for op in self.ops]
        arrivals = [arrive for _, arrive in pairs if arrive is not None]
        return replace(self, ops=tuple(op for op, _ in pairs)), arrivals


Stage = Segment | OrderedOp


def plan(ops: Sequence[Op], settings: Settings) -> list[Stage]:
    """Join neighbouring local ops to segments."""
    stages: list[Stage] = []
    neighbours: list[LocalOp] = []
    on_batches = False
    for op in [*ops, None]:
        if isinstance(op, LocalOp):
            neighbours.append(op)
            continue
        if neighbours:
            chunk_items = max(local.chunk_items(settings) for local in neighbours)
            stages.append(Segment(tuple(neighbours), chunk_items, on_batches))
            on_batches = on_batches and not any(isinstance(o, Flatten) for o in neighbours)
            neighbours = []
        if op is not None:
            stages.append(op)
            on_batches = on_batches or isinstance(op, Batchify)
    return stages


def read_source(source: Source, run: Run) -> Iterator[Event]:
    """Yield the items of the source, epoch by epoch.

    Raises:
        PipeError: The source failed; errors of ours and of the system are left as they are.
    """
    epoch = 0
    while True:
        index = 0
        try:
            for item in source.read(epoch, run.seed):
                index += 1
                run.counts["read"] += 1
                yield item
        except (EdspipeError, OSError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            items = [Item(None, epoch, index)]
            raise pipe_error("source", items, error, run.settings.debug_show_text) from None
        yield EndOfEpoch(epoch)
        if not run.looping:
            return
        epoch += 1


def refuse_empty_epochs(events: Iterator[Event]) -> Iterator[Event]:
    """Pass events on as long as each epoch has items.

    Raises:
        ValueError: An epoch had none, so that a loop would never end.
    """
    is_empty = True
    for event in events:
        if is_empty and isinstance(event, EndOfEpoch):
            raise ValueError(
                "loop() would wait for ever: the source is empty, or no item of it is let through"
            )
        is_empty = isinstance(event, EndOfEpoch)
        yield event


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
