"""One fault met by one tool, seen from outside.

The child runs in a session of its own. What belongs to the session is counted, so that workers
whose parent is gone are found too. Its folder for temporary files is empty at the start.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.faults import events
from benchmarks.faults.faults import BY_NAME, Fault
from benchmarks.faults.session import POLL_S, Session

LIMIT_S = 20.0
"""A run from which nothing is heard for so long after its fault hangs."""
START_LIMIT_S = 90.0
"""A run may take so long to begin: it imports torch and spaCy."""
LEFT_S = 5.0
"""What a run gets to clean up, before we count."""
GONE_S = 15.0
"""How long we watch whether what is left goes after all."""

Result = dict[str, Any]
Find = Callable[[], list[psutil.Process]]


def measure(python: str, tool: str, fault_name: str, seed: int, limit_s: float = LIMIT_S) -> Result:
    """Run a tool into a fault.

    Args:
        python: The interpreter that has the tool.
        tool: Its name in `child.py`.
        fault_name: The name of the fault.
        seed: Seed of what is drawn at random.
        limit_s: Seconds after the fault from which on a run hangs.

    Returns:
        What was seen, as plain data.
    """
    fault = BY_NAME[fault_name]
    with tempfile.TemporaryDirectory(prefix="edspipe-faults-") as name:
        folder = Path(name)
        session = Session(python, tool, fault, folder, seed)
        try:
            result = _watch(session, fault, limit_s)
        finally:
            session.let_go()
            session.kill()
        result |= session.left_files() | _documents(folder, result.pop("t"))
        output = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
        result |= _about_fault(result)
        return result | _said(result, output)


def _about_fault(result: Result) -> Result:
    """Say how long after the fault the run ended, and whether its document is named."""
    hit, ended_at = result.pop("hit"), result.pop("ended_at", None)
    if hit is None:
        return {}
    found: Result = {"fault_at": hit.get("doc")}
    if ended_at is not None:
        found["seconds"] = ended_at - hit["t"]
    if result["outcome"] == "error" and "doc" in hit:
        found["names_document"] = hit["doc"] in result["message"]
    return found


def _said(result: Result, output: str) -> Result:
    """Keep of messages and output what the table tells: they hold paths of this machine."""
    if result["outcome"] == "error":
        del result["message"]
    return {"prints_traceback": "Traceback" in output}


def _watch(session: Session, fault: Fault, limit_s: float) -> Result:
    last = _wait_for_end(session, fault, limit_s)
    if last is None:
        now = time.monotonic()
        return {"outcome": "hang", "limit_s": limit_s, "t": now, **_interrupt(session)}
    if fault.signal is not None:
        return _signal_main(session, fault)
    result = {"outcome": last["kind"]}
    result |= {key: last[key] for key in ("type", "message") if key in last}
    if last["kind"] != "exit":
        result |= _left_running(session)
        session.let_go()
    result |= _left(session)
    ended = {"ended_at": last["t"], "t": None if last["kind"] == "exit" else last["t"]}
    return result | ended | {"exit_code": session.exit_code()}


def _wait_for_end(session: Session, fault: Fault, limit_s: float) -> dict[str, Any] | None:
    """Wait for the run to settle, or for the moment to end it; None where it hangs."""
    started = time.monotonic()
    final = ("fault",) if fault.signal is not None else ("end", "error", "not_offered")
    while True:
        session.watch_segments()
        ended = session.process.poll() is not None
        now = time.monotonic()
        seen = events.read(session.folder)
        for event in seen:
            if event["kind"] in final:
                return event
        if ended:
            return {"kind": "exit", "t": now}
        hit = next((event["t"] for event in seen if event["kind"] == "fault"), None)
        if now > (started + START_LIMIT_S if hit is None else hit + limit_s):
            return None
        time.sleep(POLL_S)


def _interrupt(session: Session) -> Result:
    """Press Ctrl-C on a run that hangs, as its user would."""
    with suppress(OSError):
        os.killpg(session.process.pid, signal.SIGINT)
    session.let_go()
    return {**_left(session), "exit_code": session.exit_code()}


def _signal_main(session: Session, fault: Fault) -> Result:
    """Send the main process its signal, and see how long its session lives on."""
    assert fault.signal is not None
    if fault.signal == signal.SIGINT:
        os.killpg(session.process.pid, signal.SIGINT)
    else:
        session.process.send_signal(fault.signal)
    return {"outcome": "ended", "t": None, **_left(session), "exit_code": session.exit_code()}


def _left_running(session: Session) -> Result:
    """Count the workers that outlive their run, the main process still there."""
    return _count_left(session, "left_running", session.workers, session.workers)


def _left(session: Session) -> Result:
    """Count what is there besides the main process, which should end too."""
    return _count_left(session, "left", session.members, session.others)


def _count_left(session: Session, key: str, wait_for: Find, count: Find) -> Result:
    """Count after LEFT_S, or 0 as soon as nothing is there; and say when nothing was there."""
    started = time.monotonic()
    left = None
    while True:
        session.watch_segments()
        elapsed = time.monotonic() - started
        if not wait_for():
            return {key: left or 0, f"{key}_gone_s": elapsed}
        if left is None and elapsed > LEFT_S:
            left = len(count())
        if elapsed > GONE_S:
            return {key: left, f"{key}_gone_s": None}
        time.sleep(POLL_S)


def _documents(folder: Path, until: float | None) -> Result:
    """Count what the caller got until a moment, and take facts from the log."""
    seen = [event for event in events.read(folder) if until is None or event["t"] <= until]
    first = {event["kind"]: event for event in reversed(seen)}
    ids = [event["id"] for event in seen if event["kind"] == "doc"]
    return {
        "delivered": len(set(ids)),
        "doubled": len(ids) - len(set(ids)),
        "start": first.get("start"),
        "facts": _without_when(first.get("facts")),
        "counts": _without_when(first.get("counts")) or {},
        "attempts": sum(event["kind"] == "fault" for event in seen),
        "hit": first.get("fault"),
    }


def _without_when(event: dict[str, Any] | None) -> Result | None:
    if event is None:
        return None
    return {key: event[key] for key in event if key not in ("t", "kind", "pid")}
