"""Searches with a function in processes that are killed, or that share one: run as a script.

    python -m tests.tuning_legs FOLDER

Python and torch are imported once; each leg of a search is a fork. It prints one line of JSON.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edspipe.tuning import tuner
from edspipe.tuning.tuner import tune

SPACE = {"x": {"uniform": [-1, 1]}}
FEW = 6
"""Trials of a function: each takes a tenth of a second, most of it for the database."""


def start(function: Callable[..., None], *args: Any) -> int:
    """Run a function in a fork; return its process id."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function(*args)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def wait(*pids: int) -> list[int]:
    """Return the exit status of forks, negative for a signal."""
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def table(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the table of trials."""
    with (folder / "trials.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def summary(folder: Path) -> dict[str, Any]:
    """Return what became of the trials."""
    rows = table(folder)
    return {
        "states": Counter(row["state"] for row in rows),
        "notes": sorted({row["note"] for row in rows if row["state"] == "failed"}),
        "numbers": [int(row["number"]) for row in rows],
        "num_values": len({row.get("x") or row.get("train.lr") for row in rows}),
    }


def search(folder: Path, kill_at: int | None = None, log: Path | None = None) -> None:
    """Search with a function, until the end or the kill."""
    count = 0

    def objective(parameters: dict[str, Any], seed: int, report: Any) -> float:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02)
        if log is not None:
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")
        return -(parameters["x"] ** 2)

    tune(objective, SPACE, FEW, output_dir=folder, progress=False)


def function(folder: Path) -> dict[str, Any]:
    """Kill a search and resume it; let two processes share another one."""
    tuner.write_pictures = lambda *args: None  # type: ignore[assignment]
    tune(lambda *_: 0.0, SPACE, 1, output_dir=folder / "warm", progress=False)  # all is imported
    killed = wait(start(search, folder / "killed", 3))
    killed += wait(start(search, folder / "killed"))
    log = folder / "log"
    pids = [start(search, folder / "shared", None, log) for _ in range(2)]
    shared = wait(*pids)
    return {
        "killed": {"statuses": killed, **summary(folder / "killed")},
        "shared": {
            "statuses": shared,
            "trials_of": sorted(Counter(log.read_text().split()).values()),
            **summary(folder / "shared"),
        },
    }


if __name__ == "__main__":
    print(json.dumps(function(Path(sys.argv[1]))))
