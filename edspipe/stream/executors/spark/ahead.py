"""A segment that runs on Spark: its input is read ahead, its results come out in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from edspipe.stream.events import BufferedEvents, Events
from edspipe.stream.executors.multiprocess.journal import Journal, journal_of
from edspipe.stream.executors.multiprocess.messages import open_error
from edspipe.stream.executors.spark.chunks import PackedItem, PackedResult, PackedTask
from edspipe.stream.hooks import Shared, dumps, loads, release_memory
from edspipe.stream.markers import Event, Item
from edspipe.stream.ops.op import Run
from edspipe.stream.plan import Segment, read_chunk

MIN_TASK_ITEMS = 64
"""Items a task, at least: a task of Spark takes some 10 ms."""


class Jobs(Protocol):
    """Runs tasks on Spark."""

    shared: Shared

    @property
    def num_tasks(self) -> int:
        """Tasks that keep Spark busy for a while."""

    def new_shared(self) -> list[bytes]:
        """Return the shared objects that came after the plan."""

    def run_tasks(self, tasks: list[PackedTask]) -> list[list[PackedResult]]:
        """Run tasks as one job; return the results of their chunks, in order."""

    def arrive(self, number: int, value: Any) -> Any:
        """Finish a value that came from a worker."""


@dataclass
class _Chunk:
    """A chunk of input on its way.

    Attributes:
        begin: The position of the source before it.
        journal: What the stages before did while it was read.
        size: How many items it has, if there are as many.
        items: Its items, packed.
        end: The end that comes behind it.
        error: Why it could not be read.
        result: What became of it.
    """

    begin: Any
    journal: Journal
    size: int | float
    items: list[PackedItem] = field(default_factory=list)
    end: Event | None = None
    error: Exception | None = None
    result: PackedResult = field(default_factory=PackedResult)


class SparkEvents(BufferedEvents):
    """What becomes of the items in a segment on Spark, read a window of chunks ahead.

    Args:
        source: What is read.
        segment: The segment.
        number: Its number.
        run: The run.
        jobs: Runs tasks.
    """

    def __init__(self, source: Events, segment: Segment, number: int, run: Run, jobs: Jobs) -> None:
        super().__init__(source, run.account, segment.task_items)
        self._jobs = jobs
        self._number = number
        self._segment = segment
        self._run = run
        self._ahead: deque[_Chunk] = deque()
        self._ended = False

    def _refill(self) -> None:
        self._buffer, self._taken = [], 0
        if not self._ahead:
            self._work_ahead(self._jobs.num_tasks)
        chunk = self._ahead.popleft() if self._ahead else None
        if chunk is None:
            raise StopIteration
        chunk.journal.replay(self._run)
        if chunk.error is not None:
            raise chunk.error
        self._begin, self._made_of = chunk.begin, chunk.size
        self._buffer = self._open(chunk)

    def _work_ahead(self, num_tasks: int) -> None:
        """Read chunks for some tasks, and run these as one job."""
        tasks: list[list[_Chunk]] = []
        while len(tasks) < num_tasks and not self._ended:
            chunks = self._read_task()
            self._ahead.extend(chunks)
            tasks.append([chunk for chunk in chunks if chunk.items])
        tasks = [chunks for chunks in tasks if chunks]
        if not tasks:
            return
        shared = self._jobs.new_shared()
        packed = [PackedTask(self._number, [c.items for c in task], shared) for task in tasks]
        with self._run.timed("waiting"):
            found = self._jobs.run_tasks(packed)
        for chunks, results in zip(tasks, found, strict=True):
            for chunk, result in zip(chunks, results, strict=True):
                chunk.result, chunk.items = result, []

    def _read_task(self) -> list[_Chunk]:
        """Read chunks until they are enough for a task."""
        enough = 1 if self._segment.on_batches else MIN_TASK_ITEMS
        chunks: list[_Chunk] = []
        while sum(len(chunk.items) for chunk in chunks) < enough and not self._ended:
            chunk = self._read_chunk()
            if chunk is not None:
                chunks.append(chunk)
        return chunks

    def _read_chunk(self) -> _Chunk | None:
        """Read a chunk; an error waits for its turn."""
        begin = self.source.get_state()
        with journal_of(self._run) as journal:
            chunk = _Chunk(begin, journal, self.next_size())
            try:
                items, chunk.end = read_chunk(self.source, chunk.size)
                chunk.items = self._pack(items)
            except StopIteration:
                self._ended = True
                return None
            except Exception as error:
                chunk.error, self._ended = error, True
        return chunk

    def _pack(self, items: list[Item]) -> list[PackedItem]:
        packed = []
        for item in items:
            with self._run.guard(self._segment.stage, [item]):
                data = dumps(item.value, self._jobs.shared, collect=True)
                packed.append((item.place, item.members, data))
        return packed

    def _open(self, chunk: _Chunk) -> list[Event]:
        run, result = self._run, chunk.result
        if run.settings.ends_in_writer:
            release_memory()
        if result.error is not None:
            raise open_error(result.error)
        run.account.enter(result.notes)
        run.counts.update(result.counts)
        run.seconds.update(result.seconds)
        events: list[Event] = []
        for place, members, data in result.items:
            item = Item(None, *place, members)
            with run.guard(self._segment.stage, [item]) as guard:
                value = self._jobs.arrive(self._number, loads(data, self._jobs.shared))
            if not guard.caught:
                events.append(item._replace(value=value))
        return events if chunk.end is None else [*events, chunk.end]

    def _next_begin(self) -> Any:
        return self._ahead[0].begin if self._ahead else self.source.get_state()

    def _make_again(self) -> None:
        self._work_ahead(1)
        self._refill()
