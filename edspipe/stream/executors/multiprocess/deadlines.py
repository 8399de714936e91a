"""Ends workers that take too long: for an item, for their start, or to end."""

from __future__ import annotations

import time
from collections.abc import Iterable

from edspipe.errors import WorkerError
from edspipe.stream.executors.multiprocess.hand import NOTHING, now_ms
from edspipe.stream.executors.multiprocess.process import Worker

START_TIMEOUT_S = 120.0
"""A worker imports torch, spaCy and transformers when it starts: seconds, on a slow disk more."""
CHECK_EVERY_S = 0.1
"""How late a worker that takes too long may be noticed."""
HANG_UP_TIMEOUT_S = 1.0
"""How long a process may go on that has closed its end of the channel."""
GRACE_S = 2.0
"""What a worker gets beyond the time of an item to take up its next task."""
PAUSE_S = 0.5
"""If nobody has looked for so long, the time is not held against the workers."""


class Deadlines:
    """Looks at workers now and then.

    Args:
        timeout_s: Seconds that a worker may take for an item; None for no limit.
    """

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._checked_at = time.monotonic()

    def check(self, workers: Iterable[Worker]) -> None:
        """Kill workers that are late.

        Raises:
            WorkerError: One takes too long to start.
        """
        now = time.monotonic()
        since = now - self._checked_at
        if since < CHECK_EVERY_S / 2:
            return
        self._checked_at = now
        for worker in workers:
            if since > PAUSE_S:
                worker.heard_at = now
            worker.measure()
            self._check_one(worker, now)

    def _check_one(self, worker: Worker, now: float) -> None:
        silent_s = now - worker.heard_at
        if worker.has_hung_up:
            if silent_s > HANG_UP_TIMEOUT_S:
                worker.process.kill()
        elif not worker.is_ready:
            if silent_s > START_TIMEOUT_S:
                raise WorkerError(
                    f"{worker.name} took longer than {START_TIMEOUT_S:g} s for its start"
                )
        elif self._timeout_s is not None:
            self._check_items(worker, self._timeout_s, silent_s)

    def _check_items(self, worker: Worker, timeout_s: float, silent_s: float) -> None:
        in_hand = worker.hand.look()
        if in_hand.first is not None and in_hand.task in worker.tasks:
            if now_ms() - in_hand.began_ms > 1000 * timeout_s * in_hand.num_items:
                worker.late = in_hand
                worker.process.kill()
        elif worker.tasks and in_hand.task == NOTHING and silent_s > timeout_s + GRACE_S:
            worker.process.kill()  # it was stopped between two tasks
