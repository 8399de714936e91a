"""The log of a run: a line an event, from any process, in the order in which they happened.

The clock is the system's monotonic one, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

FILE = "events.jsonl"


def log(folder: str | Path, kind: str, **facts: Any) -> None:
    """Append an event in one write, which the system does not mix with those of others."""
    line = json.dumps({"t": time.monotonic(), "kind": kind, "pid": os.getpid(), **facts})
    handle = os.open(Path(folder) / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode() + b"\n")
    finally:
        os.close(handle)


def read(folder: str | Path) -> list[dict[str, Any]]:
    """Return the events so far."""
    path = Path(folder) / FILE
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]
