"""A segment that runs on workers: its input is read ahead, its results come out in order."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edspipe.errors import EdspipeError
from edspipe.stream.events import BufferedEvents, Events
from edspipe.stream.executors.multiprocess.crew import Outcome
from edspipe.stream.executors.multiprocess.journal import Journal, journal_of
from edspipe.stream.executors.multiprocess.messages import pack_item
from edspipe.stream.executors.multiprocess.parcels import Packing, Parcel
from edspipe.stream.executors.multiprocess.poison import Poison
from edspipe.stream.executors.multiprocess.pool import Pool
from edspipe.stream.executors.multiprocess.tasks import Task
from edspipe.stream.hooks import Shared, WrongValue, release_memory
from edspipe.stream.markers import End, Event, Item
from edspipe.stream.ops.op import Arrive, Run
from edspipe.stream.plan import Segment, read_chunk

MIN_CHUNKS_A_TURN = 2
"""Chunks read for one that is handed out, so that the number that is ahead can grow."""


@dataclass(frozen=True)
class Team:
    """Who works for all segments of a run.

    Attributes:
        pool: The workers.
        shared: The objects that main and workers have.
        poison: What happens to documents on which workers die.
        arrivals: What finishes values on their return, by number of the segment.
        numbers: The numbers of tasks.
    """

    pool: Pool
    shared: Shared
    poison: Poison
    arrivals: Mapping[int, list[Arrive]]
    numbers: Iterator[int]


@dataclass
class _Chunk:
    """A chunk of input on its way.

    Attributes:
        begin: The position of the source before it.
        journal: What the stages before did while it was read.
        size: How many items it has, if there are as many.
        task: The number of its task.
        end: The end that comes behind it.
        error: Why it could not be read.
    """

    begin: Any
    journal: Journal
    size: int | float
    task: int | None = None
    end: End | None = None
    error: Exception | None = None


class _Reader(Events):
    """Reads, and ends where the source fails: what came before is still to be handed out.

    Args:
        source: The source.

    Attributes:
        error: What it failed with.
    """

    def __init__(self, source: Events) -> None:
        self._source = source
        self.error: Exception | None = None

    def __next__(self) -> Event:
        if self.error is None:
            try:
                return next(self._source)
            except StopIteration:
                raise
            except Exception as error:
                self.error = error
        raise StopIteration


class WorkerEvents(BufferedEvents):
    """What becomes of items in a segment that runs on workers.

    Args:
        source: What is read.
        segment: The segment.
        number: Its number.
        run: The run.
        team: Who works.
        ordered: Whether results come in the order of the input.
    """

    def __init__(
        self,
        source: Events,
        segment: Segment,
        number: int,
        run: Run,
        team: Team,
        ordered: bool,
    ) -> None:
        super().__init__(source, run.account, segment.task_items)
        self._reader = _Reader(source)
        self._segment = segment
        self._number = number
        self._run = run
        self._team = team
        self._pool = team.pool
        self._arrivals = team.arrivals[number]
        self._ordered = ordered
        self._kind = "gpu" if segment.on_device else "cpu"
        self._ahead: deque[_Chunk] = deque()
        self._ended = False

    # ---- reading ahead ---------------------------------------------------------------------

    def _refill(self) -> None:
        self._buffer, self._taken = [], 0
        self._read_ahead()
        if not self._ahead:
            raise StopIteration
        chunk = self._next_chunk()
        self._begin, self._made_of = chunk.begin, chunk.size
        self._buffer = self._open(chunk)

    def _read_ahead(self) -> None:
        """Read until the workers are busy, or the next result is there."""
        for num_read in itertools.count():
            if self._ended or not self._has_room():
                return
            if num_read >= MIN_CHUNKS_A_TURN and self._is_done(self._ahead[0]):
                return
            self._read_chunk()
            self._pool.wait(0)

    def _has_room(self) -> bool:
        return not self._ahead or self._pool.has_room(self._kind, len(self._ahead))

    def _read_chunk(self) -> None:
        """Read a chunk and hand it to the workers; an error waits for its turn."""
        begin = self.source.get_state()
        with journal_of(self._run) as journal:
            chunk = _Chunk(begin, journal, self.next_size())
            try:
                items, chunk.end = read_chunk(self._reader, chunk.size)
                chunk.task = self._submit(items) if items else None
            except StopIteration:
                chunk.error, self._ended = self._reader.error, True
            except EdspipeError as error:
                chunk.error, self._ended = error, True
        self._ahead.append(chunk)

    def _submit(self, items: list[Item]) -> int:
        start = time.perf_counter()
        packing = Packing(self._team.shared, collect=True)
        packed = []
        for item in items:
            try:
                packing.add(item.value)
                packed.append(pack_item(item))
            except WrongValue as error:
                self._run.failed(self._segment.stage, [item], error)
        number = next(self._team.numbers)
        num_shared = len(self._team.shared)
        body = packing.body()
        task = Task(number, self._number, packed, packing.table, body, num_shared)
        self._run.add_seconds("transport", start)
        self._pool.submit(self._kind, task)
        return number

    # ---- results ---------------------------------------------------------------------------

    def _is_done(self, chunk: _Chunk) -> bool:
        return chunk.task is None or chunk.task in self._pool.outcomes

    def _next_chunk(self) -> _Chunk:
        """Wait for the next result: that of the first chunk, or of any before the next end."""
        start = time.perf_counter()
        try:
            while True:
                for chunk in self._candidates():
                    if self._is_done(chunk):
                        return self._take(chunk)
                self._pool.wait()
        finally:
            self._run.add_seconds("waiting", start)

    def _candidates(self) -> Iterator[_Chunk]:
        """Yield the chunks that may come next: an end comes behind all that was before it."""
        for number, chunk in enumerate(self._ahead):
            is_last = chunk.end is not None or chunk.error is not None
            if number == 0 or not is_last:
                yield chunk
            if is_last or self._ordered:
                return

    def _take(self, chunk: _Chunk) -> _Chunk:
        """Take a chunk out of the row; what was read up to it enters the books."""
        for earlier in self._ahead:
            earlier.journal.replay(self._run)
            if earlier is chunk:
                break
        self._ahead.remove(chunk)
        if chunk.error is not None:
            raise chunk.error
        return chunk

    def _open(self, chunk: _Chunk) -> list[Event]:
        events: list[Event] = []
        if self._run.settings.ends_in_writer:
            release_memory()
        if chunk.task is not None:
            outcome = self._pool.take(chunk.task)
            if outcome.error is not None:
                raise outcome.error
            events.extend(self._values(outcome))
        if chunk.end is not None:
            events.append(chunk.end)
        return events

    def _values(self, outcome: Outcome) -> list[Item]:
        result, run = outcome.result, self._run
        run.account.enter(result.notes)
        self._team.poison.enter(outcome.task)
        run.counts.update(result.counts)
        run.seconds.update(result.seconds)
        start = time.perf_counter()
        parcel = Parcel(result.table, outcome.body, self._team.shared)
        items: list[Item] = []
        for index, packed in enumerate(result.items):
            try:
                items.append(Item(self._arrive(parcel.open(index)), *packed))
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                run.failed(self._segment.stage, [Item(None, *packed)], error)
        run.add_seconds("transport", start)
        return items

    def _arrive(self, value: Any) -> Any:
        for arrive in self._arrivals:
            value = arrive(value)
        return value

    # ---- position --------------------------------------------------------------------------

    def _next_begin(self) -> Any:
        return self._ahead[0].begin if self._ahead else self.source.get_state()

    def _make_again(self) -> None:
        self._read_chunk()  # and no more: what comes later is counted in its turn
        chunk = self._next_chunk()
        self._begin, self._made_of = chunk.begin, chunk.size
        self._buffer = self._open(chunk)
