"""What workers cost and bring: their start, and work of 5 ms a document with none, one and two.

    python -m benchmarks.workers

Each figure is a median over rounds in which the variants take turns, so that a noisy machine is
noisy for all of them.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from edspipe.stream.stream import Stream

WORK_S = 0.005
COLD_START = """
import time, edspipe
if __name__ == "__main__":
    nlp = edspipe.blank("eds")
    stream = nlp.pipe(["a"] * 64, num_cpu_workers=2, process_start_method="{method}").map(len)
    began = time.perf_counter()
    next(iter(stream))
    print(time.perf_counter() - began)
"""


def work(number: int) -> dict[str, Any]:
    """Compute for 5 ms of processor time, and return a record."""
    began = time.process_time()
    steps = 0
    while time.process_time() - began < WORK_S:
        steps += 1
    return {"id": number, "worked": steps > 0}


def run_once(num_docs: int, workers: int) -> float:
    """Return the seconds of a run, without those of the start of its workers."""
    stream = Stream.from_items(list(range(num_docs + 1))).map(work)
    with iter(stream.set_processing(num_cpu_workers=workers)) as iterator:
        next(iterator)
        began = time.perf_counter()
        assert sum(1 for _ in iterator) == num_docs
        return time.perf_counter() - began


def cold_start(method: str) -> float:
    """Return the seconds from the first `next` to the first document, in a fresh interpreter."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(COLD_START.format(method=method))
        script.flush()
        done = subprocess.run([sys.executable, script.name], capture_output=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-docs", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    seconds: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for _ in range(options.rounds):
        for workers, found in seconds.items():
            found.append(run_once(options.num_docs, workers))
    for workers, found in seconds.items():
        ratios = [none / this for none, this in zip(seconds[0], found, strict=True)]
        print(
            f"{workers} workers: {options.num_docs / statistics.median(found):6.0f} documents/s, "
            f"{statistics.median(ratios):.2f}x none ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    for method in ("forkserver", "spawn", "fork"):
        starts = [cold_start(method) for _ in range(options.rounds)]
        print(
            f"start of 2 workers, {method}: {statistics.median(starts):.2f} s "
            f"({min(starts):.2f} to {max(starts):.2f})"
        )


if __name__ == "__main__":
    main()
