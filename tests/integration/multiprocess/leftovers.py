"""What tests of workers look at: processes, files, threads, descriptors."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from worker_streams import MAIN


def slow(*values: object) -> object:
    """Parameters of a test that only the nightly script runs."""
    return pytest.param(*values, marks=pytest.mark.slow)


def our_workers() -> list[psutil.Process]:
    """The living workers of this process, whoever started them."""
    found = []
    for process in psutil.Process(MAIN).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            is_server = "forkserver" in line or "resource_tracker" in line
            is_from_server = process.ppid() != MAIN
            if process.status() != psutil.STATUS_ZOMBIE and (is_from_server or not is_server):
                found.append(process)
    return found


def until(holds: Callable[[], object], within_s: float = 5) -> bool:
    """Wait until something holds; return whether it ever does."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_alive(pid: int) -> bool:
    """Whether a process runs: what is dead may wait for its new parent to notice."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def own_environment() -> dict[str, str]:
    """The variables of the environment, but for the one in which pytest names the test."""
    return {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}


def resources() -> tuple[int, int, list[str]]:
    """Descriptors and threads of this process, and segments of shared memory with a name."""
    segments = sorted(path.name for path in Path("/dev/shm").glob("*"))
    return psutil.Process().num_fds(), threading.active_count(), segments
