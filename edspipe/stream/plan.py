"""From the ops of a stream to the stages that an executor runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edspipe.errors import EdspipeError
from edspipe.stream.events import BufferedEvents, Events
from edspipe.stream.hooks import NOBODY, identity_of, release_memory
from edspipe.stream.markers import End, EndOfEpoch, Event, Item
from edspipe.stream.ops.batchify import Batchify
from edspipe.stream.ops.flatten import Flatten
from edspipe.stream.ops.op import Arrive, LocalOp, Op, OrderedOp, Run, pipe_error
from edspipe.stream.settings import Settings
from edspipe.stream.source import Reading, Source

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
    def on_device(self) -> bool:
        """Whether it runs a model on a device."""
        return self.ops[0].on_device

    @property
    def task_items(self) -> int | float:
        """Items a task for a worker: the chunk, or a few items where nothing is grouped."""
        if self.on_batches or self.chunk_items > 1:
            return self.chunk_items
        return TASK_ITEMS

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        """Run the ops on one chunk."""
        start = time.perf_counter()
        for op in self.ops:
            items = op.apply(items, run)
            start = run.add_seconds(op.stage, start)
        return items

    def for_worker(self) -> tuple[Segment, list[Arrive]]:
        """Return the segment as it travels, and what finishes its values on their return."""
        pairs = [op.for_worker() for op in self.ops]
        arrivals = [arrive for _, arrive in pairs if arrive is not None]
        return replace(self, ops=tuple(op for op, _ in pairs)), arrivals


Stage = Segment | OrderedOp


def plan(ops: Sequence[Op], settings: Settings) -> list[Stage]:
    """Join neighbouring local ops to segments; ops on a device stand apart."""
    stages: list[Stage] = []
    neighbours: list[LocalOp] = []
    on_batches = on_device = False
    parts = [part for whole in ops for part in _parts(whole, settings)]
    for op in [*parts, None]:
        joins = isinstance(op, LocalOp) and op.on_device == on_device
        if neighbours and not joins:
            chunk_items = max(local.chunk_items(settings) for local in neighbours)
            stages.append(Segment(tuple(neighbours), chunk_items, on_batches))
            on_batches = on_batches and not any(isinstance(o, Flatten) for o in neighbours)
            neighbours = []
        if isinstance(op, LocalOp):
            neighbours.append(op)
            on_device = op.on_device
        elif op is not None:
            stages.append(op)
            on_batches = on_batches or isinstance(op, Batchify)
    return stages


def _parts(op: Op, settings: Settings) -> Sequence[Op]:
    """Return the ops that an op is made of, where models have workers of their own."""
    split = getattr(op, "split", None)
    return [op] if split is None or not settings.num_gpu_workers else split()


class SourceEvents(Events):
    """The items of the source, epoch by epoch. Position: the epoch, and the position in it.

    Args:
        source: The source.
        run: The run; each item is entered in its books.
    """

    def __init__(self, source: Source, run: Run) -> None:
        self._source = source
        self._run = run
        self._epoch = 0
        self._num_read = 0
        self._reading: Reading | None = None
        self._ended = False

    def __next__(self) -> Event:
        if self._ended:
            raise StopIteration
        start = time.perf_counter()
        event = self._read()
        self._run.add_seconds("reading", start)
        if event is None:
            self._reading = None
            self._epoch, self._num_read = self._epoch + 1, 0
            self._ended = not self._run.looping
            return EndOfEpoch(self._epoch - 1)
        return event

    def _read(self) -> Event | None:
        """Return the next event of the epoch, None at its end.

        Raises:
            PipeError: The source failed; errors of ours and of the system are left as they are.
        """
        try:
            event = next(self._open(), None)
            if isinstance(event, Item):
                self._num_read += 1
                account = self._run.account
                account.read(event, identity_of(event.value) if account.keeps_ids else NOBODY)
            return event
        except (EdspipeError, OSError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            items = [Item(None, self._epoch, self._num_read)]
            raise pipe_error("source", items, error, self._run.settings.debug_show_text) from None

    def _open(self) -> Reading:
        if self._reading is None:
            self._reading = self._source.read(self._epoch, self._run.seed)
        return self._reading

    def get_state(self) -> Any:
        if self._reading is None:
            return [self._epoch, None, self._ended]
        return [self._epoch, self._reading.get_state(), self._ended]

    def set_state(self, state: Any) -> None:
        self._epoch, position, self._ended = state
        self._reading = None
        if position is not None and not self._ended:
            self._open().set_state(position)

    def close(self) -> None:
        """Close files."""
        if self._reading is not None:
            self._reading.close()


def read_chunk(events: Events, size: int | float) -> tuple[list[Item], End | None]:
    """Read items up to a number, or up to an end, which is returned too.

    Raises:
        StopIteration: There is nothing to read.
    """
    chunk: list[Item] = []
    while len(chunk) < size:
        event = next(events, None)
        if event is None:
            if chunk:
                break
            raise StopIteration
        if not isinstance(event, Item):
            return chunk, event
        chunk.append(event)
    return chunk, None


class LocalEvents(BufferedEvents):
    """What becomes of the items in a segment that runs in this process.

    Args:
        source: What is read.
        segment: The segment.
        run: The run.
    """

    def __init__(self, source: Events, segment: Segment, run: Run) -> None:
        super().__init__(source, run.account, segment.chunk_items)
        self._segment = segment
        self._run = run

    def fill(self) -> list[Event]:
        if self._run.settings.ends_in_writer:
            release_memory()
        self._made_of = self.next_size()
        chunk, end = read_chunk(self.source, self._made_of)
        events: list[Event] = [*self._segment.apply(chunk, self._run)] if chunk else []
        return events if end is None else [*events, end]
