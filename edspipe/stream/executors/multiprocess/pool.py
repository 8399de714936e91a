"""Workers and the tasks that they have in hand: one small state machine, driven by the caller.

A task belongs to the main process until its result has arrived. Every wait watches the pipes and
the sentinels of the processes, so that a dead worker is seen at once.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from edspipe.errors import WorkerError
from edspipe.stream.executors.multiprocess import worker as worker_module
from edspipe.stream.executors.multiprocess.messages import READY, Result, Task, unpack_error

TASKS_PER_WORKER = 3
"""One that is computed, one that waits so that no worker idles, one on its way back."""
START_TIMEOUT_S = 120.0
"""A worker imports torch, spaCy and transformers when it starts: seconds, on a slow disk more."""
STOP_TIMEOUT_S = 2.0
"""What a worker gets to end by itself."""


@dataclass
class Worker:
    """A process, its pipe, and the tasks it has in hand."""

    name: str
    process: Any
    connection: Connection
    tasks: dict[int, str] = field(default_factory=dict)
    since: float = 0.0
    ready: bool = False


class Pool:
    """Worker processes that all know the same plan.

    Args:
        num_workers: How many.
        start_method: `"forkserver"`, `"spawn"` or `"fork"`.
        shared: Objects that every worker gets once, as bytes.
        plan: What the workers run, as bytes.
        timeout_s: Seconds that one task may take; None for no limit.
    """

    def __init__(
        self,
        num_workers: int,
        start_method: str,
        shared: list[bytes],
        plan: bytes,
        timeout_s: float | None,
    ) -> None:
        self.timeout_s = timeout_s
        self.results: dict[int, Result] = {}
        self.waiting: deque[tuple[Task, str]] = deque()
        self.workers: list[Worker] = []
        context = multiprocessing.get_context(start_method)
        try:
            for i in range(num_workers):
                self.workers.append(_start_worker(context, f"worker {i}"))
            for worker in self.workers:
                self._send_plan(worker, shared, plan)
        except BaseException:
            self.close()
            raise

    def _send_plan(self, worker: Worker, shared: list[bytes], plan: bytes) -> None:
        try:
            worker.connection.send(shared)
            worker.connection.send_bytes(plan)
        except (BrokenPipeError, ConnectionResetError):
            raise self._died(worker) from None

    @property
    def capacity(self) -> int:
        """Tasks that keep all workers busy."""
        return TASKS_PER_WORKER * len(self.workers)

    def submit(self, task: Task, names: str) -> None:
        """Take a task; `names` lists its documents, for errors."""
        self.waiting.append((task, names))
        self._dispatch()

    def result(self, number: int) -> Result:
        """Wait for a task.

        Raises:
            WorkerError: A worker died or took too long.
            EdspipeError: The task failed.
        """
        while number not in self.results:
            self._pump()
        result = self.results.pop(number)
        if result.error is not None:
            raise unpack_error(result.error)
        return result

    def _dispatch(self) -> None:
        while self.waiting:
            free = min(self.workers, key=lambda worker: len(worker.tasks))
            if len(free.tasks) >= TASKS_PER_WORKER:
                return
            task, names = self.waiting.popleft()
            if not free.tasks:
                free.since = time.monotonic()
            free.tasks[task.number] = names
            try:
                free.connection.send(task)
            except (BrokenPipeError, ConnectionResetError):
                raise self._died(free) from None

    def _pump(self) -> None:
        """Wait until something happens, and take it in."""
        by_pipe = {worker.connection: worker for worker in self.workers}
        by_sentinel = {worker.process.sentinel: worker for worker in self.workers}
        happened = wait([*by_pipe, *by_sentinel], timeout=1.0)
        for thing in happened:
            if thing in by_pipe:
                self._receive(by_pipe[thing])
        for thing in happened:
            worker = by_sentinel.get(thing)
            if worker is not None and not worker.connection.poll():
                raise self._died(worker)
        self._check_time()
        self._dispatch()

    def _receive(self, worker: Worker) -> None:
        try:
            result: Result = worker.connection.recv()
        except (EOFError, OSError):
            raise self._died(worker) from None
        worker.since = time.monotonic()
        if result.number == READY:
            worker.ready = True
            if result.error is not None:
                raise unpack_error(result.error)
            return
        worker.tasks.pop(result.number, None)
        self.results[result.number] = result

    def _check_time(self) -> None:
        now = time.monotonic()
        for worker in self.workers:
            limit = self.timeout_s if worker.ready else START_TIMEOUT_S
            if limit is None or (worker.ready and not worker.tasks):
                continue
            if now - worker.since > limit:
                doing = "its task" if worker.ready else "its start"
                raise WorkerError(
                    f"{worker.name} took longer than {limit:g} s for {doing}; "
                    f"in flight: {self._in_flight(worker)}"
                )

    def _in_flight(self, worker: Worker) -> str:
        return next(iter(worker.tasks.values()), "no document")

    def _died(self, worker: Worker) -> WorkerError:
        worker.process.join(STOP_TIMEOUT_S)
        code = worker.process.exitcode
        if not worker.ready:
            return WorkerError(
                f"{worker.name} ended with exit code {code} before it was ready. Under 'spawn' "
                "and 'forkserver' the main module is imported again: put what it runs under "
                "if __name__ == '__main__':"
            )
        hint = " (killed: perhaps it ran out of memory)" if code == -9 else ""
        return WorkerError(
            f"{worker.name} died with exit code {code}{hint}; in flight: {self._in_flight(worker)}"
        )

    def close(self) -> None:
        """End all workers: asked first, then terminated, then killed."""
        for worker in self.workers:
            try:
                if worker.ready and not worker.tasks:
                    worker.connection.send(None)
                else:
                    worker.process.terminate()
            except (OSError, ValueError):
                pass
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for worker in self.workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
            worker.process.close()
        self.workers = []


def _start_worker(context: Any, name: str) -> Worker:
    ours, theirs = context.Pipe()
    process = context.Process(
        target=worker_module.main, args=(theirs,), name=f"edspipe {name}", daemon=True
    )
    try:
        process.start()
    finally:
        theirs.close()
    return Worker(name, process, ours, since=time.monotonic())
