"""Memory and open files over a long run that ends in a writer.

    python -m benchmarks.soak --num-docs 200000 --workers 2

Every note brings ten words that no other note has. Resident memory of each process is sampled, and
its slope after the first fifth of the run is printed in MB for 10,000 documents.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

import edspipe

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WARM_UP = 0.2
"""Share of the run that is not looked at: imports, common words, first buffers."""


class Notes:
    """Yields synthetic notes, each with ten words of its own."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self) -> Iterator[dict[str, str]]:
        rng = random.Random(0)
        for i in range(self.count):
            words = ["".join(rng.choices(LETTERS, k=10)) for _ in range(10)]
            yield {"note_id": f"n{i}", "note_text": f"No fever. {' '.join(words)} 3 days."}


class Sampler(threading.Thread):
    """Samples memory and open files of this process and its workers, with the documents so far."""

    def __init__(self, every_s: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.every_s = every_s
        self.stopped = threading.Event()
        self.samples: dict[str, list[tuple[float, float, int]]] = {}
        self.began = time.monotonic()

    def run(self) -> None:
        main = psutil.Process()
        while not self.stopped.wait(self.every_s):
            for process in [main, *main.children(recursive=True)]:
                try:
                    sample = process.memory_info().rss / 1e6, process.num_fds()
                except psutil.Error:
                    continue
                name = "main" if process.pid == main.pid else f"child {process.pid}"
                at = time.monotonic() - self.began
                self.samples.setdefault(name, []).append((at, *sample))


def main() -> None:
    """Run, and print the slope of each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-docs", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    with tempfile.TemporaryDirectory() as folder:
        sampler = Sampler()
        sampler.start()
        source = edspipe.data.from_iterable(Notes(options.num_docs), converter="omop")
        stream = source.map_pipeline(nlp).set_processing(num_cpu_workers=options.workers)
        report = stream.write_json(Path(folder) / "out.jsonl", converter="omop")
        sampler.stopped.set()
        sampler.join()
    seconds = time.monotonic() - sampler.began
    print(f"{report}; {report.read / seconds:,.0f} documents/s with {options.workers} workers")
    for name, samples in sampler.samples.items():
        print(f"{name:<14} {_slope(samples, seconds, report.read)}")


def _slope(samples: list[tuple[float, float, int]], seconds: float, num_docs: int) -> str:
    late = np.array([sample for sample in samples if sample[0] > WARM_UP * seconds])
    if len(late) < 5:
        return f"only {len(late)} samples after the warm-up"
    documents = late[:, 0] / seconds * num_docs
    slope = np.polyfit(documents, late[:, 1], 1)[0] * 10_000
    fds = f"{late[0, 2]:.0f} -> {late[-1, 2]:.0f} open files"
    return f"{slope:+.2f} MB for 10,000 documents, at most {late[:, 1].max():.0f} MB, {fds}"


if __name__ == "__main__":
    main()
