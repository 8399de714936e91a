"""Short notes from parquet to parquet, beside a bare copy: `python benchmarks/parquet.py`.

A file of synthetic notes is read, mapped and written, once by a stream and once by a bare loop of
pyarrow that copies batches and looks at nothing. Each run has a process of its own, in turns; its
memory is that of the process above what it had before the run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

import edspipe.data

WORDS = [
    *("patient", "admis", "pour", "douleur", "thoracique", "toux", "fièvre", "depuis", "trois"),
    *("jours", "sous", "metformine", "sans", "antécédent", "notable", "examen", "normal", "libre"),
    *("saturation", "à", "l'air", "ambiant", "traitement", "par", "amoxicilline", "sortie"),
    *("prévue", "contrôle", "dans", "une", "semaine", "pas", "de", "dyspnée", "ni", "signe"),
]
WORDS_A_NOTE = 40
SAMPLE_EVERY_S = 0.05
MIB = 1 << 20


def write_notes(path: Path, num_notes: int) -> int:
    """Write notes of about forty words; return the bytes of their texts."""
    rng = np.random.default_rng(0)
    schema = pa.schema([("note_id", pa.string()), ("note_text", pa.string())])
    size = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, num_notes, 10_000):
            count = min(10_000, num_notes - start)
            chosen = rng.integers(len(WORDS), size=(count, WORDS_A_NOTE))
            texts = [" ".join([WORDS[i] for i in row]) for row in chosen.tolist()]
            ids = [f"n{i}" for i in range(start, start + count)]
            size += sum(len(text.encode()) for text in texts)
            writer.write_batch(pa.record_batch([ids, texts], schema=schema))
    return size


def count_words(record: dict[str, Any]) -> dict[str, Any]:
    """Something small to do with each note."""
    return {**record, "num_words": record["note_text"].count(" ") + 1}


def keep(record: dict[str, Any]) -> dict[str, Any]:
    """The least that a map can do."""
    return record


def copy_bare(source: Path, target: Path) -> None:
    """Copy batches, as pyarrow does by itself."""
    with (
        pq.ParquetFile(source) as file,
        pq.ParquetWriter(target / "a.parquet", file.schema_arrow, compression="zstd") as out,
    ):
        for batch in file.iter_batches(10_000):
            out.write_batch(batch)


def copy_as_dicts(source: Path, target: Path) -> None:
    """Copy batches by way of dicts, as any code that looks at each note must."""
    with (
        pq.ParquetFile(source) as file,
        pq.ParquetWriter(target / "a.parquet", file.schema_arrow, compression="zstd") as out,
    ):
        for batch in file.iter_batches(10_000):
            rows = batch.to_pylist()
            out.write_batch(pa.RecordBatch.from_pylist(rows, schema=batch.schema))


def run_stream(
    function: Callable[[dict[str, Any]], dict[str, Any]], name: str, workers: int = 0
) -> Callable[[Path, Path], None]:
    """Return a run of a stream that maps a function, and writes a file or a folder."""

    def run(source: Path, target: Path) -> None:
        stream = edspipe.data.read_parquet(source).map(function)
        stream = stream.set_processing(num_cpu_workers=workers)
        stream.write_parquet(target / name)

    return run


RUNS: dict[str, Callable[[Path, Path], None]] = {
    "pyarrow, batches": copy_bare,
    "pyarrow, dicts": copy_as_dicts,
    "stream, map(keep), one file": run_stream(keep, "a.parquet"),
    "stream, map(keep), a folder": run_stream(keep, "a"),
    "stream, map(count_words), a folder": run_stream(count_words, "a"),
}


class Memory:
    """Watches the memory of this process and its children, in MiB above what it was."""

    def __init__(self) -> None:
        self.samples: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        process = psutil.Process()
        base = process.memory_info().rss
        while not self._stop.wait(SAMPLE_EVERY_S):
            rss = process.memory_info().rss - base
            for child in process.children(recursive=True):
                try:
                    rss += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.samples.append(rss / MIB)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()


def measure(name: str, source: Path) -> dict[str, Any]:
    """Do one run in this process."""
    assert edspipe.data.read_parquet is not edspipe.data.write_parquet  # imported before the clock
    with tempfile.TemporaryDirectory(dir=source.parent) as target, Memory() as memory:
        begin, begin_cpu = time.perf_counter(), sum(os.times()[:4])
        RUNS[name](source, Path(target))
        seconds, cpu_s = time.perf_counter() - begin, sum(os.times()[:4]) - begin_cpu
    return {"seconds": seconds, "cpu_s": cpu_s, "mib": memory.samples}


def measure_apart(name: str, source: Path) -> dict[str, Any]:
    """Do one run in a process of its own."""
    command = [sys.executable, __file__, "--run", name, "--source", str(source)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(
    name: str, runs: list[dict[str, Any]], bare: list[dict[str, Any]], size: int, num_notes: int
) -> str:
    """Return a line of the table."""
    seconds, cpu_s = (statistics.median(run[key] for run in runs) for key in ("seconds", "cpu_s"))
    bare_s, bare_cpu_s = (statistics.median(run[k] for run in bare) for k in ("seconds", "cpu_s"))
    samples = max((run["mib"] for run in runs), key=lambda mib: max(mib, default=0.0))
    fifths = np.array_split(np.array(samples or [0.0]), 5)
    over_time = " ".join(f"{part.max():.0f}" if len(part) else "-" for part in fifths)
    return (
        f"{name:<36}{size / seconds / 1e6:>8.1f}{num_notes / seconds:>10,.0f}{seconds:>8.2f}"
        f"{seconds / bare_s:>7.1f}{cpu_s:>8.2f}{cpu_s / bare_cpu_s:>7.1f}"
        f"{max(samples, default=0.0):>10.0f}   {over_time}"
    )


def main() -> None:
    """Print the table, or do one run of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-notes", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where files go for a while")
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(measure(options.run, options.source)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = Path(folder) / "notes.parquet"
        size = write_notes(source, options.num_notes)
        print(
            f"pyarrow {pa.__version__}, {options.num_notes:,} notes, {size / 1e6:.0f} MB of text, "
            f"{source.stat().st_size / 1e6:.0f} MB on disk, medians of {options.turns} turns"
        )
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in RUNS}
        for _ in range(options.turns):
            for name, done in runs.items():
                done.append(measure_apart(name, source))
        heads = ("MB/s", "docs/s", "s", "ratio", "cpu s", "ratio", "peak MiB", "in fifths")
        widths = (8, 10, 8, 7, 8, 7, 10, 12)
        print(" " * 36 + "".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True)))
        for name, done in runs.items():
            print(show(name, done, runs["pyarrow, batches"], size, options.num_notes))


if __name__ == "__main__":
    main()
