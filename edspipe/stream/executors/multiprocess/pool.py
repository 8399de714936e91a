"""All workers of a run: one loop, driven by the caller.

Every wait watches the channels and the sentinels of the processes, so that a death is seen at once;
results that a dead worker had sent are taken first.
"""

from __future__ import annotations

import os
import select
import threading
from collections import Counter
from typing import Any

from edspipe.errors import EdspipeError, WorkerError
from edspipe.stream.executors.multiprocess.channel import Body, Frame
from edspipe.stream.executors.multiprocess.crew import Crew, Outcome, no_result
from edspipe.stream.executors.multiprocess.deadlines import CHECK_EVERY_S, Deadlines
from edspipe.stream.executors.multiprocess.hand import InHand
from edspipe.stream.executors.multiprocess.messages import (
    Ready,
    Result,
    Share,
    Start,
    Stop,
    open_error,
    open_head,
    pack_head,
)
from edspipe.stream.executors.multiprocess.poison import Poison
from edspipe.stream.executors.multiprocess.process import (
    Worker,
    bury,
    end_all,
    get_context,
    start_worker,
)
from edspipe.stream.executors.multiprocess.tasks import KILLS, Death, Row, Task
from edspipe.stream.hooks import Shared
from edspipe.stream.settings import Settings

MAX_BYTES = 256 * 1024 * 1024
"""Packed values on their way, in both directions together; one task may always be."""
MAX_KILLS_AT_START = 2
"""Workers that may be killed before any is ready."""
_MAIN_HINT = (
    ". Under 'spawn' and 'forkserver' the main module is imported again: put what it runs under "
    "if __name__ == '__main__':"
)


class Pool:
    """The workers.

    Args:
        crews: Workers by kind.
        settings: How the stream is run.
        shared: Objects that every worker gets once.
        poison: What happens to documents on which workers die.
        counts: Where restarts are counted.

    Attributes:
        outcomes: Tasks that are finished, by number.
    """

    def __init__(
        self,
        crews: list[Crew],
        settings: Settings,
        shared: Shared,
        poison: Poison,
        counts: Counter[str],
    ) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self._crews = {crew.kind: crew for crew in crews}
        self._settings = settings
        self._shared = shared
        self._poison = poison
        self._counts = counts
        self._owner = os.getpid()
        self._poll = select.poll()
        self._by_fd: dict[int, Worker] = {}
        self._deadlines = Deadlines(settings.timeout_s)
        self._row = Row()
        self._can_start = False
        self._kills_at_start = 0
        self._num_open = self._num_bytes = self._expected_bytes = 0
        self._failure: EdspipeError | None = None
        self._lock = threading.RLock()
        try:
            self._context = get_context(settings.process_start_method)
            for crew in crews:
                for i in range(crew.num_workers):
                    self._start(crew, crew.name(i), crew.device(i))
        except BaseException:
            self.close()
            raise

    def _start(self, crew: Crew, name: str, device: str | None) -> None:
        worker = start_worker(self._context, name, device)
        crew.workers.append(worker)
        for fd in (worker.channel.fileno(), worker.process.sentinel):
            self._poll.register(fd, select.POLLIN)
            self._by_fd[fd] = worker
        self._send_shared(worker)
        self._send(worker, Start(crew.table, device, self._settings.debug_show_text), crew.plan)

    # ---- tasks -----------------------------------------------------------------------------

    def has_room(self, kind: str, num_ahead: int) -> bool:
        """Whether a stage that has so many tasks on their way may have another."""
        expected = self._num_bytes + self._num_open * self._expected_bytes
        return num_ahead < self._crews[kind].capacity and expected < MAX_BYTES

    def submit(self, kind: str, task: Task) -> None:
        """Take a task for workers of a kind."""
        self._num_open += 1
        self._num_bytes += task.num_bytes
        if task.parts:
            self._crews[kind].waiting.append(task)
            self._dispatch()
        else:
            self._finish(no_result(task))

    def take(self, number: int) -> Outcome:
        """Hand out a task that is finished."""
        outcome = self.outcomes.pop(number)
        self._num_bytes -= outcome.body.nbytes
        return outcome

    def _finish(self, outcome: Outcome) -> None:
        self._num_open -= 1
        self._num_bytes += outcome.body.nbytes - outcome.task.num_bytes
        self._expected_bytes = outcome.body.nbytes
        outcome.task.body = b""
        self.outcomes[outcome.task.number] = outcome

    def _dispatch(self) -> None:
        for crew in self._crews.values():
            while crew.waiting and (worker := crew.next_worker()) is not None:
                task = crew.waiting.popleft()
                worker.add(task)
                if worker.num_shared < task.num_shared:
                    self._send_shared(worker)
                self._send(worker, task.as_work(), task.body)

    def _send_shared(self, worker: Worker) -> None:
        packed = self._shared.packed(worker.num_shared)
        worker.num_shared += len(packed)
        if packed:
            self._send(worker, Share([(len(data),) for data in packed]), b"".join(packed))

    def _send(self, worker: Worker, head: Any, body: Body = b"") -> None:
        try:
            worker.channel.send(pack_head(head), body)
        except OSError:
            return  # it is dying, and its sentinel will say so
        if worker.channel.has_unsent and not worker.has_hung_up:
            self._poll.modify(worker.channel.fileno(), select.POLLIN | select.POLLOUT)

    # ---- waiting ---------------------------------------------------------------------------

    def wait(self, timeout_s: float = CHECK_EVERY_S) -> None:
        """Wait until something happens, but not for long, and take it in.

        Raises:
            EdspipeError: A worker cannot start, or no task gets anywhere, or the run was stopped.
        """
        happened = [fd for fd, _ in self._poll.poll(timeout_s * 1000)]
        with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                self._take_in(happened)
                self._deadlines.check([w for crew in self._crews.values() for w in crew.workers])
                self._dispatch()
            except EdspipeError as error:
                self._failure = error
                raise

    def _take_in(self, fds: list[int]) -> None:
        workers = list(dict.fromkeys(self._by_fd[fd] for fd in fds))
        for worker in workers:
            self._exchange(worker)
        for worker in workers:
            if worker.process.sentinel in fds:
                self._exchange(worker)  # what it had sent before it died
                self._died(worker)

    def _exchange(self, worker: Worker) -> None:
        if worker.has_hung_up:
            return
        channel = worker.channel
        if channel.has_unsent and channel.flush():
            self._poll.modify(channel.fileno(), select.POLLIN)
        frames, worker.has_hung_up = channel.receive()
        for frame in frames:
            self._receive(worker, frame)
        if worker.has_hung_up:
            worker.is_heard()
            self._poll.unregister(channel.fileno())

    def _receive(self, worker: Worker, frame: Frame) -> None:
        head: Ready | Result = open_head(frame.head)
        worker.is_heard()
        if head.error is not None and isinstance(head, Ready):
            raise open_error(head.error)
        if isinstance(head, Ready):
            worker.is_ready = self._can_start = True
        else:
            error = None if head.error is None else open_error(head.error)
            self._row.progress()
            self._finish(Outcome(worker.tasks.pop(head.number), head, frame.body, error))

    # ---- death -----------------------------------------------------------------------------

    def _died(self, worker: Worker) -> None:
        crew = next(crew for crew in self._crews.values() if worker in crew.workers)
        crew.workers.remove(worker)
        self._unregister(worker)
        worker.measure()
        exit_code = bury(worker)
        if not worker.is_ready:
            self._check_start(worker, exit_code)
        self._blame(worker, exit_code)
        crew.requeue(worker)
        self._counts["restarts"] += 1
        self._start(crew, worker.name, worker.device)

    def _unregister(self, worker: Worker) -> None:
        self._poll.unregister(worker.process.sentinel)
        if not worker.has_hung_up:
            self._poll.unregister(worker.channel.fileno())
        self._by_fd = {fd: other for fd, other in self._by_fd.items() if other is not worker}

    def _check_start(self, worker: Worker, exit_code: int) -> None:
        """Refuse to go on with a worker that died before it was ready, unless it was killed.

        Raises:
            WorkerError: It says so.
        """
        self._kills_at_start += 1
        again = self._can_start or self._kills_at_start <= MAX_KILLS_AT_START
        if exit_code not in KILLS or not again:
            hint = "" if exit_code in KILLS else _MAIN_HINT
            raise WorkerError(f"{Death(worker.name, exit_code)} before it was ready{hint}")

    def _blame(self, worker: Worker, exit_code: int) -> None:
        """Hold a death against the items in hand, and give them up if it is one too many."""
        in_hand = worker.hand.look()
        task = worker.tasks.get(in_hand.task)
        timeout_s = None if worker.late is None else self._settings.timeout_s
        death = Death(worker.name, exit_code, timeout_s, worker.peak_mb)
        is_known = task is not None and in_hand.first is not None
        if worker.late is not None and worker.late != in_hand:
            is_known = False  # it has finished the item after all, just before it was killed
        if self._row.death(in_hand if is_known else None):
            names = f"; in hand: {self._poison.names(task, in_hand)}" if is_known and task else ""
            raise WorkerError(
                f"{death}; so did {self._row.length - 1} before, and nothing was finished in "
                f"between{names}"
            )
        if is_known and task is not None:
            self._punish(worker, task, in_hand, death)

    def _punish(self, worker: Worker, task: Task, in_hand: InHand, death: Death) -> None:
        index = task.blame(in_hand, death)
        if index is None:
            return
        error = None
        try:
            task.give_up(index, self._poison.give_up(task, index, death, in_hand))
        except WorkerError as raised:
            error = raised
        if error is not None or not task.parts:
            del worker.tasks[task.number]
            self._finish(no_result(task, error))

    # ---- the end ---------------------------------------------------------------------------

    def stop(self) -> None:
        """Let a wait in another thread end soon, with an error."""
        self._failure = self._failure or WorkerError("the run was stopped")

    def close(self) -> None:
        """End all workers; a forked copy of this process has no say in it."""
        if os.getpid() != self._owner:
            return
        self.stop()
        with self._lock:
            workers = [worker for crew in self._crews.values() for worker in crew.workers]
            for crew in self._crews.values():
                crew.workers.clear()
                crew.waiting.clear()
            self.outcomes.clear()
            end_all(workers, lambda worker: worker.channel.send(pack_head(Stop())))
