"""The faults, and the function over documents that brings them about.

It stands for a user's function: it gets a document (a dict with `note_id` and `note_text`) and
returns it. On one document something happens.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.events import log

NUM_DOCS = 400
BAD = 100
LEAVE_AT = 50
"""After how many documents a caller walks away."""
SLOW_S = 0.2
"""Seconds a document takes once the main process is about to be ended, so that there is a rest."""
TIMEOUT_S = 2.0
"""Seconds a document may take, for the tools that have such a setting."""
NUM_WORKERS = 2


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        name: Its name on the command line.
        title: What happens, for the table.
        kind: The scenario of `child.py`.
        group: The heading that it stands under.
        quarantine: Whether setting documents aside may help.
        timeout: Whether a time limit may help.
        signal: What the main process gets.
        environment: Variables that are set.
    """

    name: str
    title: str
    kind: str = "documents"
    group: str = "A worker dies"
    quarantine: bool = False
    timeout: bool = False
    signal: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


def _error(name: str, title: str) -> Fault:
    return Fault(name, title, group="A function fails on a document", quarantine=True)


def _main(name: str, title: str, signum: int) -> Fault:
    return Fault(name, title, kind="signal", group="The main process ends", signal=signum)


STUCK = "A worker is stuck"
LEFT = "The caller walks away"
DATA = "Data and surroundings"
STRAY = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}

FAULTS = [
    Fault("kill", "SIGKILL, as the out-of-memory killer sends it", quarantine=True),
    Fault("exit", "`os._exit(9)`", quarantine=True),
    Fault("segv", "Segmentation fault", quarantine=True),
    Fault("once", "SIGKILL, the first time only", quarantine=True),
    Fault("start", "Exit while it starts (in unpickling)"),
    Fault("stop", "Stopped (SIGSTOP)", group=STUCK, quarantine=True, timeout=True),
    Fault("loop", "Endless loop", group=STUCK, quarantine=True, timeout=True),
    _error("two_args", "Exception whose `__init__` takes two arguments"),
    _error("lock", "Exception that holds a lock"),
    _error("random", "`ValueError` on a document drawn at random"),
    _error("stop_iteration", "`StopIteration`"),
    _error("system_exit", "`SystemExit`"),
    _error("memory", "`MemoryError`"),
    _error("recursion", "`RecursionError`"),
    _error("unpicklable", "Result that cannot be pickled"),
    Fault("break", "`break` out of the loop", kind="leave", group=LEFT),
    Fault("end_open", "The program ends, an iterator still open", kind="end_open", group=LEFT),
    _main("main_kill", "SIGKILL to the main process alone", signal.SIGKILL),
    _main("main_term", "SIGTERM to the main process alone", signal.SIGTERM),
    _main("main_int", "Ctrl-C (SIGINT to the process group)", signal.SIGINT),
    Fault("disk", "Full disk while a dataset is written again", kind="disk", group=DATA),
    Fault("stray", "Stray `WORLD_SIZE=2`, `RANK=0`", group=DATA, environment=STRAY),
    Fault("traversal", "Ids `../../outside` and `/absolute` in brat", "traversal", group=DATA),
    Fault("crlf", "brat text with CRLF line ends", "crlf", group=DATA),
    Fault("batches", "Batches with 0, 1 and 2 workers", "batches", group=DATA),
]
BY_NAME = {fault.name: fault for fault in FAULTS}


def doc_id(index: int) -> str:
    return f"doc-{index:04d}"


def documents(count: int = NUM_DOCS) -> list[dict[str, Any]]:
    """Return synthetic documents, of words that do not compress well."""
    return [{"note_id": doc_id(i), "note_text": f"{doc_id(i)} {_words(i)}"} for i in range(count)]


def _words(index: int) -> str:
    return " ".join(hashlib.sha1(f"{index} {i}".encode()).hexdigest() for i in range(8))


class NotOffered(Exception):
    """A tool has no such function, so that it cannot meet a fault."""


class TwoArguments(Exception):
    """An exception that cannot be made again from its `args`, as many are."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__(f"{file} is wrong in line {line}")


class HoldsLock(Exception):
    """An exception that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("it holds a lock")
        self.lock = threading.Lock()


class Injection:
    """A function over documents, to which something happens on one of them.

    Args:
        fault: The name of the fault; a name without an action changes nothing.
        folder: The folder of the run.
        seed: Seed of what is drawn at random.
    """

    def __init__(self, fault: str, folder: str | Path, seed: int = 0) -> None:
        self.fault = fault
        self.folder = str(folder)
        draw = random.Random(seed).randrange(NUM_DOCS)
        self.bad = doc_id(draw if fault == "random" else BAD)

    def __call__(self, doc: dict[str, Any]) -> dict[str, Any]:
        note_id = doc["note_id"]
        if self.fault == "slow" and note_id >= self.bad:
            log(self.folder, "fault", doc=note_id)
            time.sleep(SLOW_S)
        elif self.fault in ACTIONS and note_id == self.bad:
            log(self.folder, "fault", doc=note_id)
            return ACTIONS[self.fault](self, doc)
        return doc


class ExitsInUnpickling(Injection):
    """An injection that cannot be brought to another process: unpickling it ends the process."""

    def __reduce__(self) -> Any:
        return _exit_elsewhere, (os.getpid(), self.folder)


def _exit_elsewhere(owner: int, folder: str) -> Injection:
    if os.getpid() != owner:
        log(folder, "fault")
        os._exit(3)
    return ExitsInUnpickling("none", folder)


def make_injection(fault: Fault, folder: str | Path, seed: int) -> Injection:
    """Return the function for a fault."""
    if fault.name == "start":
        return ExitsInUnpickling(fault.name, folder, seed)
    return Injection("slow" if fault.kind == "signal" else fault.name, folder, seed)


def _signal(signum: int) -> Callable[[Injection, Any], Any]:
    def act(injection: Injection, doc: Any) -> Any:
        os.kill(os.getpid(), signum)
        time.sleep(1000)

    return act


def _kill_once(injection: Injection, doc: Any) -> Any:
    mark = Path(injection.folder) / "killed"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return doc


def _loop(injection: Injection, doc: Any) -> Any:
    while True:
        pass


def _raise(make: Callable[[], BaseException]) -> Callable[[Injection, Any], Any]:
    def act(injection: Injection, doc: Any) -> Any:
        raise make()

    return act


def _recurse(injection: Injection, doc: Any) -> Any:
    return _recurse(injection, doc)


ACTIONS: dict[str, Callable[[Injection, Any], Any]] = {
    "kill": _signal(signal.SIGKILL),
    "segv": _signal(signal.SIGSEGV),
    "stop": _signal(signal.SIGSTOP),
    "exit": lambda injection, doc: os._exit(9),
    "once": _kill_once,
    "loop": _loop,
    "two_args": _raise(lambda: TwoArguments("a.ann", 3)),
    "lock": _raise(HoldsLock),
    "random": _raise(lambda: ValueError("not a number")),
    "stop_iteration": _raise(StopIteration),
    "system_exit": _raise(lambda: SystemExit(1)),
    "memory": lambda injection, doc: bytearray(1 << 62),
    "recursion": _recurse,
    "unpicklable": lambda injection, doc: {**doc, "lock": threading.Lock()},
}
