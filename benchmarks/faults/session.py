"""The processes of a run, and what they leave: seen from outside, by session.

Shared memory has no owner that could be asked. A new segment is laid to the account of a run when
one of its processes has it mapped or open.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.faults.faults import Fault

ROOT = Path(__file__).resolve().parents[2]
SHARED_MEMORY = Path("/dev/shm")
HELPERS = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")
"""Processes of Python's own that stay as long as the main process does."""
HELPERS_S = 1.0
"""What these get to clean up once the main process is gone."""
EXIT_S = 1.0
"""How long the threads of a process that ends may take."""
POLL_S = 0.02


class Session:
    """The child, and all that it starts.

    Args:
        python: The interpreter that has the tool.
        tool: Its name in `child.py`.
        fault: What happens.
        folder: The folder of the run.
        seed: Seed of what is drawn at random.
    """

    def __init__(self, python: str, tool: str, fault: Fault, folder: Path, seed: int) -> None:
        self.folder = folder
        self._others_segments = _segments()
        self._segments: set[str] = set()
        (folder / "tmp").mkdir()
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        ours = {"TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
        module = "benchmarks.faults.child"
        with open(folder / "output.txt", "wb") as output:
            self.process = subprocess.Popen(
                [python, "-m", module, tool, fault.name, str(folder), str(seed)],
                cwd=ROOT,
                env=inherited | ours | fault.environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def members(self) -> list[psutil.Process]:
        """Return the living processes of the session."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                is_ours = os.getsid(process.pid) == self.process.pid
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def others(self) -> list[psutil.Process]:
        """Return the members but for the main process."""
        return [process for process in self.members() if process.pid != self.process.pid]

    def workers(self) -> list[psutil.Process]:
        """Return the others but for the helpers that go when the main process goes."""
        found = []
        for process in self.others():
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if not any(name in line for name in HELPERS):
                    found.append(process)
        return found

    def let_go(self) -> None:
        """Let the main process end, where it waits for us."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()

    def exit_code(self) -> int | None:
        """Return the exit code of the main process; None where it lives."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(EXIT_S)
        return self.process.returncode

    def kill(self) -> None:
        """End what is left, a process at a time, the main process first."""
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + HELPERS_S
        while self.members() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        for process in self.members():
            with suppress(psutil.Error):
                process.kill()

    def watch_segments(self) -> None:
        """Note which new segments of shared memory are ours; to be called often."""
        new = _segments() - self._others_segments - self._segments
        if new:
            used = set[str]().union(*(_used_segments(process.pid) for process in self.members()))
            self._segments |= new & used

    def left_files(self) -> dict[str, int]:
        """Count segments of shared memory and temporary files; to be called after `kill`."""
        temporary = [path for path in (self.folder / "tmp").rglob("*") if path.is_file()]
        segments = _segments() & self._segments
        return {"shared_memory": len(segments), "temporary_files": len(temporary)}


def _segments() -> set[str]:
    return set(os.listdir(SHARED_MEMORY)) if SHARED_MEMORY.is_dir() else set()


def _used_segments(pid: int) -> set[str]:
    """Return the segments that a process has mapped or open."""
    paths: list[str] = []
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
        paths += [line.split(maxsplit=5)[-1] for line in lines]
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                paths.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return {Path(path).name for path in paths if Path(path).parent == SHARED_MEMORY}
