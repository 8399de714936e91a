"""The multiprocess executor: segments run on workers, in order, a bounded number of tasks ahead.

Main cuts each segment's input into numbered tasks and takes their results in the order of the
numbers, so that what comes out does not depend on how many workers there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from edspipe.errors import WorkerError
from edspipe.stream.executors.multiprocess.messages import PackedItem, Result, Task
from edspipe.stream.executors.multiprocess.pool import Pool
from edspipe.stream.hooks import Shared, WrongValue, dumps, loads
from edspipe.stream.markers import EndOfEpoch, Event, Item
from edspipe.stream.ops.op import Arrive, Run, name_items
from edspipe.stream.plan import Segment, Stage, chunks


class MultiprocessExecutor:
    """Runs segments on worker processes.

    Args:
        num_workers: How many processes.
        start_method: `"forkserver"`, `"spawn"` or `"fork"`.
        timeout_s: Seconds that a task may take; None for no limit.
    """

    def __init__(self, num_workers: int, start_method: str, timeout_s: float | None) -> None:
        self.num_workers = num_workers
        self.start_method = start_method
        self.timeout_s = timeout_s
        self._pool: Pool | None = None
        self._shared = Shared()
        self._arrivals: dict[int, list[Arrive]] = {}
        self._next_task = 0

    def start(self, stages: list[Stage], run: Run) -> None:
        segments: dict[int, Segment] = {}
        for number, stage in enumerate(stages):
            if isinstance(stage, Segment):
                segments[number], self._arrivals[number] = stage.for_worker()
        if segments:
            plan = _pack_plan(segments, run, self._shared)
            self._pool = Pool(
                self.num_workers, self.start_method, self._shared, plan, self.timeout_s
            )

    def run_segment(
        self, number: int, segment: Segment, events: Iterator[Event], run: Run
    ) -> Iterator[Event]:
        assert self._pool is not None
        ahead: deque[int | EndOfEpoch] = deque()
        source = chunks(events, segment.task_items)
        while True:
            while len(ahead) < self._pool.capacity and (chunk := next(source, None)) is not None:
                if isinstance(chunk, EndOfEpoch):
                    ahead.append(chunk)
                else:
                    ahead.append(self._submit(number, segment, chunk, run))
            if not ahead:
                return
            head = ahead.popleft()
            if isinstance(head, EndOfEpoch):
                yield head
            else:
                yield from self._open(self._pool.result(head), number, segment, run)

    def _submit(self, number: int, segment: Segment, chunk: list[Item], run: Run) -> int:
        assert self._pool is not None
        task, self._next_task = self._next_task, self._next_task + 1
        packed = []
        for item in chunk:
            with run.guard(segment.stage, [item]):
                data = dumps(item.value, self._shared, collect=True)
                packed.append(PackedItem(item.place, data))
        self._pool.submit(Task(task, number, packed), name_items(chunk))
        return task

    def _open(self, result: Result, number: int, segment: Segment, run: Run) -> Iterator[Item]:
        run.counts.update(result.counts)
        for packed in result.items:
            item = Item(None, *packed.place)
            with run.guard(segment.stage, [item]) as guard:
                value: Any = loads(packed.data, self._shared)
                for arrive in self._arrivals[number]:
                    value = arrive(value)
            if not guard.caught:
                yield item._replace(value=value)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _pack_plan(segments: dict[int, Segment], run: Run, shared: Shared) -> bytes:
    try:
        return dumps((segments, run), shared, collect=True)
    except WrongValue as error:
        found = error
    for op in [op for segment in segments.values() for op in segment.ops]:
        try:
            dumps(op, shared)
        except WrongValue as error:
            raise WorkerError(f"{op.stage} cannot run in a worker: {error}") from None
    raise WorkerError(f"the settings of the stream cannot be sent to a worker: {found}")
