"""A side, seen from the parent: a child process that does one thing at a time when asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class SideFailed(RuntimeError):
    """A side ended, or could not do what it was asked for."""


class Session:
    """The child of one side.

    Args:
        side: `"edspipe"`, `"bare"` or `"edsnlp"`.
        job: What `child.Job` takes.
        python: The interpreter that has the side's library.
    """

    def __init__(self, side: str, job: dict[str, Any], python: str = sys.executable) -> None:
        self.side = side
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.speed.child", side, json.dumps(job)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def ask(self, task: str, **options: Any) -> dict[str, Any]:
        """Have something done; return what came out, with `seconds` where it was timed."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"task": task, **options}) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SideFailed(f"{self.side} ended with code {self.process.wait()}; see above")
        return json.loads(line)

    def close(self) -> None:
        """End the child."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
