"""Ctrl-C and SIGTERM: the training ends after the step that it is in."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from loguru import logger

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Context in which a first Ctrl-C or SIGTERM is noted, and a second one has its usual effect.

    Outside the main thread, where Python delivers no signals, it does nothing.

    Attributes:
        received: The signal that came, None so far.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._give_back()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._give_back()
        logger.warning(
            "{}: the training ends after this step, with a checkpoint; once more ends it at once",
            self.received.name,
        )

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
