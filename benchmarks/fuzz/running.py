"""Reading inputs under a watch: what came out, how long it took, how much memory."""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fuzz.changes import mutate
from benchmarks.fuzz.targets import Target

MAX_SECONDS = 1.0  # of the processor, for one input
MAX_RSS_MB = 500  # of the whole process, libraries included
HANG_SECONDS = 20  # of the clock: then a call is broken off


@dataclass
class Findings:
    """What came out.

    Attributes:
        runs: How many inputs were read.
        kinds: How many ended how.
        worst_seconds: Of the processor, for one input.
        problems: Findings by kind, with the file of the first input.
    """

    runs: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    worst_seconds: float = 0.0
    problems: dict[str, str] = field(default_factory=dict)


class HangError(BaseException):
    """A call was broken off; no `except Exception` may take it."""


def run_one(target: Target, data: bytes, findings: Findings) -> str | None:
    """Read one input; return what is wrong about that, if anything is."""
    began = time.process_time()
    problem = None
    try:
        with _alarm():
            target.run(data)
        kind = "read"
    except target.allowed as error:
        kind = f"{type(error).__name__}: {_kind_of(error)}"
    except HangError:
        kind = problem = f"no end after {HANG_SECONDS} s"
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
        said = str(error).partition("\n")[0][:100]
        kind = problem = f"{type(error).__name__}{place} ({said})"
    seconds = time.process_time() - began
    findings.runs += 1
    findings.kinds[kind] += 1
    findings.worst_seconds = max(findings.worst_seconds, seconds)
    if problem is None and seconds > MAX_SECONDS:
        problem = f"more than {MAX_SECONDS} s"
    if problem is None and rss_mb() > MAX_RSS_MB:
        problem = f"more than {MAX_RSS_MB} MB"
    return problem


def _kind_of(error: Exception) -> str:
    """Return the message without places, digits, names and lists: one kind of error is one kind."""
    said = getattr(error, "message", None)
    if said is None:
        said = str(error).partition(": ")[2] or str(error)
    return re.sub(r"'[^']*'|[0-9]+|\(.*", "?", said, flags=re.DOTALL)[:50]


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def rss_mb() -> float:
    """The most memory that this process ever had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def fuzz(
    target: Target, seconds: float, seed: int, out: Path | None = None, max_runs: int | None = None
) -> Findings:
    """Read changed inputs until the time is over.

    Args:
        target: What is fuzzed.
        seconds: How long, by the clock.
        seed: Of the changes.
        out: Where inputs of findings go.
        max_runs: How many inputs at most.
    """
    rng = random.Random(seed)
    findings, pool = Findings(), list(target.seeds)
    run_one(target, target.seeds[0], Findings())  # what is loaded at the first call takes its time
    end = time.monotonic() + seconds
    waiting = list(target.seeds)
    while time.monotonic() < end and findings.runs != max_runs:
        data = waiting.pop() if waiting else mutate(rng, pool, target.words)
        known = len(findings.kinds)
        problem = run_one(target, data, findings)
        if len(findings.kinds) > known and len(data) < 4096:
            pool.append(data)
        if problem is not None and problem not in findings.problems:
            findings.problems[problem] = keep(data, out)
    return findings


def keep(data: bytes, out: Path | None) -> str:
    """Write an input to a folder, and say where it is; without a folder quote it."""
    if out is None:
        return repr(data[:200])
    out.mkdir(parents=True, exist_ok=True)
    path = out / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return str(path)
