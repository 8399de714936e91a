"""Workers of one kind, and the tasks that lie with them or wait for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from edspipe.errors import EdspipeError
from edspipe.stream.executors.multiprocess.channel import Body
from edspipe.stream.executors.multiprocess.messages import Result
from edspipe.stream.executors.multiprocess.parcels import Sizes
from edspipe.stream.executors.multiprocess.process import Worker
from edspipe.stream.executors.multiprocess.tasks import Task

TASKS_PER_WORKER = 3
"""One that is computed, one that waits so that no worker idles, one on its way back."""


@dataclass
class Outcome:
    """What became of a task.

    Attributes:
        task: The task.
        result: What its worker says.
        body: The values.
        error: Why it failed, if it did.
    """

    task: Task
    result: Result
    body: memoryview
    error: EdspipeError | None = None


def no_result(task: Task, error: EdspipeError | None = None) -> Outcome:
    """Return the outcome of a task that no worker has finished."""
    return Outcome(task, Result(task.number, [], [], [], {}, {}), memoryview(b""), error)


@dataclass
class Crew:
    """Workers of one kind.

    Attributes:
        kind: `"cpu"` or `"gpu"`.
        num_workers: How many there should be.
        table: The sizes of the values in `plan`.
        plan: What they run, packed.
        devices: The devices that they use in turn; none for those that use none.
        workers: Those that live.
        waiting: Tasks that lie with none of them yet.
    """

    kind: str
    num_workers: int
    table: list[Sizes]
    plan: Body
    devices: Sequence[str] = ()
    workers: list[Worker] = field(default_factory=list)
    waiting: deque[Task] = field(default_factory=deque)

    def name(self, index: int) -> str:
        """Return the name of a worker."""
        return f"worker {index}" if self.kind == "cpu" else f"{self.kind} worker {index}"

    def device(self, index: int) -> str | None:
        """Return the device of a worker."""
        return self.devices[index % len(self.devices)] if self.devices else None

    @property
    def capacity(self) -> int:
        """Tasks that keep all workers busy."""
        return TASKS_PER_WORKER * self.num_workers

    def next_worker(self) -> Worker | None:
        """Return who gets the next task; None if nobody has room for one."""
        ready = [worker for worker in self.workers if worker.is_ready]
        free = min(ready, key=lambda worker: len(worker.tasks), default=None)
        return free if free is not None and len(free.tasks) < TASKS_PER_WORKER else None

    def requeue(self, worker: Worker) -> None:
        """Take back the tasks of a worker that is gone; they come first."""
        self.waiting.extendleft(reversed(worker.tasks.values()))
        worker.tasks.clear()
