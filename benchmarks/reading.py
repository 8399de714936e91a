r"""Reading a brat corpus into Docs, side by side with EDS-NLP.

    python benchmarks/reading.py DATA/meddocan/train --peer-python PEER/bin/python

Each tool reads in processes of its own, started in turns, with its own defaults but that entities
go to `doc.ents` alone. With 0 workers, a process makes the first pass over a cold vocabulary, then
a few warm ones. With workers, each worker reads its documents and turns each Doc into a small
record, so that no Doc comes back to the main process; the corpus is copied a few times over, and a
pass counts from the call, and from the first record on, when all workers have started. Imports are
never counted. On a busy machine, trust processor time most. Documents per second; medians, and in
brackets the slowest and the fastest; the ratio is that of the medians, its range that of the
rounds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOOLS = ("edspipe", "edsnlp")
TIMEOUT_S = 600

Rates = dict[str, dict[str, list[float]]]
"""Measure to tool to one rate a round."""


def count(doc: Any) -> dict[str, Any]:
    """Turn a Doc into a small record, in the worker."""
    return {"id": doc._.note_id, "entities": len(doc.ents)}


def read_once(tool: Any, corpus: str, workers: int) -> dict[str, float]:
    """Read the corpus; return documents, entities and seconds."""
    start, start_cpu = time.perf_counter(), time.process_time()
    stream = tool.data.read_standoff(corpus, span_setter="ents")
    if workers:
        stream = stream.map(count).set_processing(num_cpu_workers=workers)
    documents = entities = 0
    first = start
    for one in stream:
        first = time.perf_counter() if documents == 0 else first
        documents += 1
        entities += one["entities"] if workers else len(one.ents)
    end = time.perf_counter()
    return {
        "documents": documents,
        "entities": entities,
        "seconds": end - start,
        "cpu_seconds": time.process_time() - start_cpu,
        "seconds_from_first": end - first,
    }


def child(name: str, corpus: str, workers: int, passes: int) -> None:
    """Read with one tool, in a process that has no other; print what was measured."""
    tool = importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:  # what the tool imports when it first reads
        Path(folder, "d.txt").write_text("a", encoding="utf-8")
        Path(folder, "d.ann").write_text("T1\tX 0 1\ta\n", encoding="utf-8")
        read_once(tool, folder, 0)
    print(json.dumps([read_once(tool, corpus, workers) for _ in range(passes)]))


def run_child(python: str, tool: str, corpus: Path, workers: int, passes: int) -> list[Any]:
    """Start a child; return its passes."""
    script = Path(__file__).resolve()
    command = [python, str(script), str(corpus), "--child", tool]
    command += ["--workers", str(workers), "--passes", str(passes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise SystemExit(f"{tool} failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def rates_of(passes: list[Any], workers: int) -> Iterator[tuple[str, float]]:
    """Yield (measure, documents per second) of the passes of one child."""
    rates = [one["documents"] / one["seconds"] for one in passes]
    if not workers:
        yield "0 workers, first pass", rates[0]
        yield "0 workers, warm", statistics.median(rates[1:])
        of_cpu = [one["documents"] / one["cpu_seconds"] for one in passes[1:]]
        yield "0 workers, warm, by processor time", statistics.median(of_cpu)
        return
    steady = [(one["documents"] - 1) / one["seconds_from_first"] for one in passes]
    yield f"{workers} workers, from the call", statistics.median(rates)
    yield f"{workers} workers, from the first record", statistics.median(steady)


def measure(args: argparse.Namespace, corpus: Path, workers: int, found: Rates) -> None:
    """Let the tools read in turns, and keep the rates of each round."""
    pythons = {"edspipe": sys.executable, "edsnlp": args.peer_python}
    for number in range(args.rounds):
        for tool in TOOLS if number % 2 == 0 else TOOLS[::-1]:
            passes = run_child(pythons[tool], tool, corpus, workers, 1 if workers else args.passes)
            for name, rate in rates_of(passes, workers):
                found.setdefault(name, {}).setdefault(tool, []).append(rate)
            documents, entities = passes[0]["documents"], passes[0]["entities"]
            said = f"{tool}, {workers} workers: {documents} documents, {entities} entities"
            print(said, file=sys.stderr)


def copy_corpus(corpus: Path, folder: Path, times: int) -> None:
    """Put every document there a few times, under different names."""
    files = [path for path in sorted(corpus.iterdir()) if path.suffix in (".txt", ".ann")]
    for number in range(times):
        for path in files:
            shutil.copyfile(path, folder / f"{number}-{path.name}")


def spread(values: list[float], digits: int) -> str:
    """Write a median and its range."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def print_table(found: Rates) -> None:
    """Print the rates of both tools, and their ratio."""
    print("\n| Documents per second | edspipe | EDS-NLP | Ratio |\n|---|---|---|---|")
    for name, rates in found.items():
        ours, theirs = (rates[tool] for tool in TOOLS)
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        middle = statistics.median(ours) / statistics.median(theirs)
        ratio = f"{middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"| {name} | {spread(ours, 0)} | {spread(theirs, 0)} | {ratio} |")


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root = os.environ.get("EDSPIPE_CORPORA", "")
    default = Path(root, "meddocan", "train") if root else None
    parser.add_argument("corpus", type=Path, nargs="?", default=default, help="a brat folder")
    parser.add_argument("--peer-python", help="the Python of an environment with edsnlp")
    parser.add_argument("--workers", type=int, default=2, help="0 leaves workers out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=6, help="passes of a process, one cold")
    parser.add_argument("--copies", type=int, default=8, help="size of the corpus for workers")
    parser.add_argument("--child", choices=TOOLS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.corpus is None:
        parser.error("name the corpus, or set EDSPIPE_CORPORA to the folder with meddocan/train")
    if args.child:
        child(args.child, str(args.corpus), args.workers, args.passes)
        return
    if args.peer_python is None:
        parser.error("name the Python of the peer with --peer-python")
    found: Rates = {}
    measure(args, args.corpus, 0, found)
    if args.workers:
        with tempfile.TemporaryDirectory() as folder:
            copy_corpus(args.corpus, Path(folder), args.copies)
            measure(args, Path(folder), args.workers, found)
    print_table(found)


if __name__ == "__main__":
    main()
