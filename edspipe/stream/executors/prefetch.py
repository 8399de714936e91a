"""Items made ahead of need, in a thread, so that a training step finds its batch ready."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from edspipe.stream.markers import Item


class Produced(NamedTuple):
    """An item, and the position behind it."""

    item: Item
    state: dict[str, Any]


class Prefetch:
    """Runs a function in a thread, a few results ahead of those who take them.

    Args:
        produce: Returns the next item, None at the end.
        num_ahead: How many items may wait.
    """

    def __init__(self, produce: Callable[[], Produced | None], num_ahead: int) -> None:
        self._produce = produce
        self._queue: queue.Queue[Produced | BaseException | None] = queue.Queue(num_ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edspipe prefetch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        produced: Produced | BaseException | None = None
        while not self._stopped.is_set():
            try:
                produced = self._produce()
            except BaseException as error:
                produced = error
            self._put(produced)
            if not isinstance(produced, Produced):
                return

    def _put(self, produced: Produced | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                return self._queue.put(produced, timeout=0.1)
            except queue.Full:
                continue

    def take(self) -> Produced | None:
        """Wait for the next item; None at the end.

        Raises:
            BaseException: What the function raised.
        """
        produced = self._queue.get()
        if isinstance(produced, BaseException):
            raise produced
        return produced

    def close(self) -> None:
        """Stop the thread, once it has finished the item that it is at."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
