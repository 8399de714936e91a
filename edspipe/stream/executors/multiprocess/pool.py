"""Workers and the tasks that they have in hand: one small state machine, driven by the caller.

A task belongs to the main process until its result has arrived. Every wait watches the pipes and
the sentinels of the processes, so that a dead worker is seen at once.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from edspipe.errors import WorkerError
from edspipe.stream.executors.multiprocess import worker as worker_module
from edspipe.stream.executors.multiprocess.messages import (
    NOTHING,
    READY,
    Result,
    Task,
    unpack_error,
)
from edspipe.stream.hooks import Shared

TASKS_PER_WORKER = 3
"""One that is computed, one that waits so that no worker idles, one on its way back."""
START_TIMEOUT_S = 120.0
"""A worker imports torch, spaCy and transformers when it starts: seconds, on a slow disk more."""
CHECK_EVERY_S = 0.2
"""How late a worker that takes too long may be noticed."""
STOP_TIMEOUT_S = 2.0
"""What a worker gets to end by itself."""


@dataclass
class Worker:
    """A process, its pipe, and the tasks it has in hand.

    Attributes:
        name: As in `"worker 0"`.
        process: The process.
        connection: Our end of the pipe.
        doing: A word of shared memory, in which the worker writes the number of its task.
        tasks: What lies with the worker, by number; the documents, for errors.
        num_shared: How many of the shared objects it has.
        since: When it got its task, or was last heard of.
        ready: Whether it has said that it is; before that it gets no task.
    """

    name: str
    process: Any
    connection: Connection
    doing: Any
    tasks: dict[int, str] = field(default_factory=dict)
    num_shared: int = 0
    since: float = 0.0
    ready: bool = False


class Pool:
    """Worker processes that all know the same plan.

    Args:
        num_workers: How many.
        start_method: `"forkserver"`, `"spawn"` or `"fork"`.
        shared: Objects that every worker gets once.
        plan: What the workers run, as bytes.
        timeout_s: Seconds that one task may take; None for no limit.
    """

    def __init__(
        self,
        num_workers: int,
        start_method: str,
        shared: Shared,
        plan: bytes,
        timeout_s: float | None,
    ) -> None:
        self.shared = shared
        self.timeout_s = timeout_s
        self.results: dict[int, Result] = {}
        self.waiting: deque[tuple[Task, str]] = deque()
        self.workers: list[Worker] = []
        self._owner = os.getpid()
        context: Any = multiprocessing.get_context(start_method)
        if start_method == "forkserver":
            # Workers begin with what main has loaded of ours, and so with torch and spaCy if that
            # needs them: 0.01 s instead of seconds. Once the server runs, this changes nothing.
            ours = sorted(name for name in sys.modules if name.startswith("edspipe."))
            context.set_forkserver_preload(["__main__", *ours])
        try:
            for i in range(num_workers):
                self.workers.append(_start_worker(context, f"worker {i}"))
            for worker in self.workers:
                self._send(worker, self._unknown(worker))
                self._send(worker, plan)
        except BaseException:
            self.close()
            raise

    def _send(self, worker: Worker, message: Any) -> None:
        try:
            worker.connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._died(worker) from None
        except BlockingIOError:
            raise self._late(worker) from None

    def _unknown(self, worker: Worker) -> list[bytes]:
        """Return the shared objects that a worker does not have yet; it gets them now."""
        packed = self.shared.packed(worker.num_shared)
        worker.num_shared += len(packed)
        return packed

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
            ready = [worker for worker in self.workers if worker.ready]
            free = min(ready, key=lambda worker: len(worker.tasks), default=None)
            if free is None or len(free.tasks) >= TASKS_PER_WORKER:
                return
            task, names = self.waiting.popleft()
            if not free.tasks:
                free.since = time.monotonic()
            free.tasks[task.number] = names
            self._send(free, replace(task, shared=self._unknown(free)))

    def _pump(self) -> None:
        """Wait until something happens, and take it in."""
        by_pipe = {worker.connection: worker for worker in self.workers}
        by_sentinel = {worker.process.sentinel: worker for worker in self.workers}
        happened = wait([*by_pipe, *by_sentinel], timeout=CHECK_EVERY_S)
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
            _limit_sends(worker.connection, self.timeout_s)
            if result.error is not None:
                raise unpack_error(result.error)
            return
        worker.tasks.pop(result.number, None)
        self.results[result.number] = result

    def _check_time(self) -> None:
        now = time.monotonic()
        for worker in self.workers:
            limit = self._limit(worker)
            idle = worker.ready and not worker.tasks
            if limit is not None and not idle and now - worker.since > limit:
                raise self._late(worker)

    def _limit(self, worker: Worker) -> float | None:
        return self.timeout_s if worker.ready else START_TIMEOUT_S

    def _late(self, worker: Worker) -> WorkerError:
        doing = "its task" if worker.ready else "its start"
        return WorkerError(
            f"{worker.name} took longer than {self._limit(worker):g} s for {doing}; "
            f"in flight: {self._in_flight(worker)}"
        )

    def _in_flight(self, worker: Worker) -> str:
        oldest = next(iter(worker.tasks.values()), "no document")
        return worker.tasks.get(worker.doing.value, oldest)

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
        if os.getpid() != self._owner:
            return  # a forked child has a copy of this pool, and no say in it
        for worker in self.workers:
            try:
                if not worker.ready:
                    worker.process.kill()  # it may still have the signal handlers of main
                elif worker.tasks:
                    worker.process.terminate()
                else:
                    worker.connection.send(None)
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
    doing = context.RawValue(ctypes.c_longlong, NOTHING)
    process = context.Process(
        target=worker_module.main, args=(theirs, doing), name=f"edspipe {name}", daemon=True
    )
    try:
        process.start()
    finally:
        theirs.close()
    _limit_sends(ours, START_TIMEOUT_S)
    return Worker(name, process, ours, doing, since=time.monotonic())


def _limit_sends(connection: Connection, timeout_s: float | None) -> None:
    """Let a send fail with BlockingIOError when nothing is read for so long; None waits for ever.

    A worker inside a C function that keeps the interpreter's lock (a regex) reads nothing, and a
    send to a full pipe would then wait beyond every time limit.
    """
    whole, part = divmod(timeout_s or 0.0, 1.0)
    limit = struct.pack("ll", int(whole), int(part * 1e6))
    with socket.socket(fileno=os.dup(connection.fileno())) as pipe:
        pipe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
