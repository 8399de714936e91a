"""Streams for tests of workers, and ops that misbehave; light, for spawned workers import it."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

from edspipe.stream.stream import Stream

SECRET = "M. Dupont"
MAIN = os.getpid()
BAD = 100
"""The document on which ops misbehave."""


def numbers(count: int = 100) -> Stream:
    return Stream.from_items(list(range(count)))


def record(i: int) -> dict[str, Any]:
    return {"note_id": f"n{i}", "text": f"Note {i} : {SECRET}"}


def records(count: int = 400) -> Stream:
    return Stream.from_items([record(i) for i in range(count)])


def on_workers(stream: Stream, count: int = 2, method: str = "fork", **settings: Any) -> Stream:
    return stream.set_processing(num_cpu_workers=count, process_start_method=method, **settings)


def in_worker() -> bool:
    return multiprocessing.parent_process() is not None


def in_main() -> bool:
    return multiprocessing.parent_process() is None


def parts(x: int, rng):
    """Yield 0 to 2 random parts of an item."""
    for _ in range(x % 3):
        yield x, int(rng.integers(1000))


def in_batch(batch: list) -> list:
    return [(item, len(batch)) for item in batch]


def slowly(x):
    time.sleep(0.001)
    return x


def endless(x):
    time.sleep(60)
    return x


def hold_the_lock(text: str) -> bool:
    """A regex that takes for ever, and keeps the interpreter's lock as it does."""
    return re.match("(a+)+$", text) is None


# ---- ways to die -------------------------------------------------------------------------------


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def be_terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def leave() -> None:
    os._exit(9)


def leave_quietly() -> None:
    os._exit(0)


def crash() -> None:
    faulthandler.disable()  # that of pytest would print a page
    os.kill(os.getpid(), signal.SIGSEGV)


def be_stopped() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def sleep_on() -> None:
    time.sleep(1000)


def loop_in_c() -> None:
    hold_the_lock("a" * 60 + "b")


WAYS = {
    "kill": (be_killed, "WorkerDied (SIGKILL)", 3),
    "term": (be_terminated, "WorkerDied (SIGTERM)", 3),
    "exit": (leave, "WorkerDied (exit code 9)", 2),
    "quiet exit": (leave_quietly, "WorkerDied (exit code 0)", 2),
    "crash": (crash, "WorkerDied (SIGSEGV)", 2),
}
"""How to die, what it is called, and after how many deaths the document is blamed."""


class Deadly:
    """An op that dies on one document, or on a list that holds it.

    Args:
        die: How.
        once: A file; if given, it dies only once.
    """

    def __init__(self, die, once: Path | None = None, bad: tuple[int, ...] = (BAD,)) -> None:
        self.die = die
        self.once = once
        self.bad = {f"n{i}" for i in bad}

    def __call__(self, value: Any) -> Any:
        docs = value if isinstance(value, list) else [value]
        if any(doc["note_id"] in self.bad for doc in docs) and self._again():
            self.die()
        return value

    def _again(self) -> bool:
        if self.once is None:
            return True
        try:
            self.once.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
