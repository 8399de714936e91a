"""Worker processes, seen from main: how they are started, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

from edspipe.errors import WorkerError
from edspipe.stream.executors.multiprocess import worker as worker_module
from edspipe.stream.executors.multiprocess.channel import Channel
from edspipe.stream.executors.multiprocess.hand import NUM_BYTES, Hand, InHand
from edspipe.stream.executors.multiprocess.memory import make_file, share
from edspipe.stream.executors.multiprocess.tasks import Task

SERVER_MODULE = "edspipe.stream.executors.multiprocess.server"
END_TIMEOUT_S = 0.5
"""What a worker gets to end by itself."""
KILL_TIMEOUT_S = 1.0
"""How long the system may take to end a process that was killed."""


@dataclass(eq=False)
class Worker:
    """A process, our end of the channel to it, and what it has to do.

    Attributes:
        name: As in `"worker 0"`.
        device: The device that it uses, if it uses one.
        process: The process.
        channel: Our end of the channel.
        hand: What it has in hand.
        tasks: What lies with it, by number.
        num_shared: How many of the shared objects it has.
        is_ready: Whether it has said that it is; before that it gets no task.
        heard_at: When it was last heard of.
        late: What it was killed for, if it took too long.
        has_hung_up: Whether it has closed its end, and so should be ending.
        peak_mb: The most memory that it was seen to use.
    """

    name: str
    device: str | None
    process: Any
    channel: Channel
    hand: Hand
    tasks: dict[int, Task] = field(default_factory=dict)
    num_shared: int = 0
    is_ready: bool = False
    heard_at: float = field(default_factory=time.monotonic)
    late: InHand | None = None
    has_hung_up: bool = False
    peak_mb: int = 0

    def add(self, task: Task) -> None:
        """Give it a task."""
        if not self.tasks:
            self.is_heard()
        self.tasks[task.number] = task

    def is_heard(self) -> None:
        """Note that it was heard of now."""
        self.heard_at = time.monotonic()

    def measure(self) -> None:
        """Look how much memory it uses."""
        with suppress(OSError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            self.peak_mb = int(found[1]) // 1024 if found else self.peak_mb


def get_context(start_method: str) -> Any:
    """Return how processes are started.

    A fork server begins with what main has loaded of ours, and so with torch and spaCy if that
    needs them: a worker then starts in hundredths of a second, not seconds. A server that runs
    already stays as it is.
    """
    context: Any = multiprocessing.get_context(start_method)
    if start_method == "forkserver":
        ours = sorted(name for name in sys.modules if name.startswith("edspipe."))
        context.set_forkserver_preload(["__main__", SERVER_MODULE, *ours])
        resource_tracker.ensure_running()  # ahead: starting it lets Ctrl-C through again
        with _ctrl_c_later():
            forkserver.ensure_running()
    return context


def _why_not(name: str, error: OSError | EOFError) -> str:
    """Say why a process did not start, and what can be done."""
    if isinstance(error, EOFError | ConnectionError):
        return (
            f"{name} cannot be started: the process that starts workers is gone. Was it killed, by "
            "hand or because the machine had no memory left? Run it again, if so with fewer workers"
        )
    return f"{name} cannot be started ({type(error).__name__}: {error})"


def start_worker(context: Any, name: str, device: str | None) -> Worker:
    """Start a process.

    Raises:
        WorkerError: The system does not let us.
    """
    if multiprocessing.current_process().daemon:
        raise WorkerError(
            "a worker cannot have workers: run the stream that is inside an op without them"
        )
    ours, theirs = socket.socketpair()
    method = context.get_start_method()
    # A death signal comes when the thread that made a process ends, and not only with its process:
    # a fork server has one thread, and of ours only the main one lasts.
    lasts = method == "forkserver" or threading.get_native_id() == os.getpid()
    process = context.Process(
        target=worker_module.main,
        args=(theirs, os.getpid(), lasts),
        name=f"edspipe {name}",
        daemon=True,
    )
    try:
        with nullcontext() if method == "forkserver" else _ctrl_c_later():
            process.start()
    except (OSError, EOFError) as error:
        ours.close()
        raise WorkerError(_why_not(name, error)) from None
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    channel = Channel(ours)
    file = make_file([bytes(NUM_BYTES)])
    channel.send(b"", file)
    return Worker(name, device, process, channel, Hand(share(file)))


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Hold Ctrl-C back while a process is born that does not ignore it yet; it inherits this."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_all(workers: list[Worker], say_stop: Any) -> None:
    """End processes: those that are idle are asked, the others terminated, and killed if need be.

    Args:
        workers: The workers.
        say_stop: Tells a worker to stop.
    """
    try:
        for worker in workers:
            with suppress(OSError, ValueError):
                if not worker.is_ready:
                    worker.process.kill()  # it may still have the signal handlers of main
                elif worker.tasks:
                    worker.process.terminate()
                else:
                    say_stop(worker)
        deadline = time.monotonic() + END_TIMEOUT_S
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
    finally:
        for worker in workers:
            bury(worker)


def bury(worker: Worker) -> int:
    """Make sure that a process has ended, and free what it held; return its exit code."""
    with suppress(OSError, ValueError):
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(KILL_TIMEOUT_S)
    worker.channel.close()
    exit_code: int | None = worker.process.exitcode
    with suppress(ValueError):  # a process that not even SIGKILL ends waits for a disk
        worker.process.close()
    return -signal.SIGKILL if exit_code is None else exit_code
