"""The multiprocess executor: segments run on workers, in order, a bounded number of tasks ahead.

Main cuts each segment's input into numbered tasks and takes their results in the order of the
numbers, so that what comes out does not depend on how many workers there are. Values stay packed
on their way from one segment to the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from edspipe.stream.executors.multiprocess.messages import PackedItem, Result, Task
from edspipe.stream.executors.multiprocess.pool import Pool
from edspipe.stream.hooks import Shared, dumps, loads
from edspipe.stream.markers import EndOfEpoch, Event, Item
from edspipe.stream.ops.op import Run
from edspipe.stream.plan import Segment, Stage, chunks, in_flight


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
        self._next_task = 0

    def start(self, stages: list[Stage], run: Run) -> None:
        segments = {
            number: stage.for_worker()
            for number, stage in enumerate(stages)
            if isinstance(stage, Segment)
        }
        if not segments:
            return
        plan = dumps((segments, run), self._shared, collect=True)
        self._pool = Pool(
            self.num_workers, self.start_method, self._shared.packed(), plan, self.timeout_s
        )

    def run_segment(
        self, number: int, segment: Segment, events: Iterator[Event], run: Run
    ) -> Iterator[Event]:
        assert self._pool is not None
        ahead: deque[int | EndOfEpoch] = deque()
        source = chunks(events, segment.task_items())
        limit = self._pool.capacity
        num_tasks = 0
        while True:
            while num_tasks < limit:
                chunk = next(source, None)
                if chunk is None:
                    break
                if isinstance(chunk, EndOfEpoch):
                    ahead.append(chunk)
                else:
                    ahead.append(self._submit(number, chunk))
                    num_tasks += 1
            if not ahead:
                return
            head = ahead.popleft()
            if isinstance(head, EndOfEpoch):
                yield head
                continue
            result = self._pool.result(head)
            num_tasks -= 1
            yield from self._open(result, segment, run)

    def _submit(self, segment: int, chunk: list[Item]) -> int:
        assert self._pool is not None
        number, self._next_task = self._next_task, self._next_task + 1
        items = [PackedItem(item.place, dumps(item.value, self._shared)) for item in chunk]
        self._pool.submit(Task(number, segment, items), in_flight(chunk))
        return number

    def _open(self, result: Result, segment: Segment, run: Run) -> Iterator[Item]:
        run.counts.update(result.counts)
        for packed in result.items:
            value: Any = loads(packed.data, self._shared)
            yield Item(segment.on_arrival(value), *packed.place)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None
