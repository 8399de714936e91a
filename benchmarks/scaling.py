r"""The cost of inference as work grows: by number of notes, and by length of a note.

    python -m benchmarks.scaling DATA/ncbi_disease --out FOLDER [--quick --rounds 1]
    python -m benchmarks.scaling --from-json FOLDER/scaling.json --out docs/images

The tutorial's pipeline, trained for a few steps so that it finds about as many entities as there
are, runs through `nlp.pipe` over notes that a generator recombines from the sentences of the
corpus; each Doc is dropped as it comes. Each point is a process of its own, after a warm-up, so
that its memory is its own; the points take turns over the rounds, and medians count.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

import edspipe
from benchmarks.speed.child import Job, read_texts
from benchmarks.speed.encoders import prepare_encoder
from benchmarks.speed.tutorial import Side

NUM_NOTES, WORDS_PER_NOTE = (100, 1_000, 10_000, 100_000), 50
NOTE_LENGTHS, TOTAL_WORDS = (50, 500, 5_000, 50_000), 200_000
QUICK_NOTES, QUICK_WORDS = 2_000, 50_000
WARM_UP_NOTES = 400
MIN_SECONDS = 2.0  # Short points are repeated for so long, on new notes each time.
MEASURES = ("words/s", "words/cpu_s", "start_mb", "peak_mb", "ents/1k")
NUM_PARTS, SAMPLE_EVERY_S = 10, 0.02


@dataclass(frozen=True)
class Point:
    """What one process measures: `notes` notes of `words` words from the sentences of `corpus`."""

    model: str
    corpus: str
    notes: int
    words: int
    threads: int
    precision: str
    seed: int = 0


def resident_mb() -> float:
    """Return the resident memory of this process in MB."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(re.findall(r"VmRSS:\s*(\d+) kB", status)[0]) / 1024


def sample_memory(samples: list[float], stopped: threading.Event) -> None:
    """Sample the resident memory until stopped."""
    while not stopped.wait(SAMPLE_EVERY_S):
        samples.append(resident_mb())


def read_sentences(corpus: str) -> list[list[str]]:
    """Cut the texts of a corpus into sentences, and these into words."""
    texts = read_texts(Job(corpus, "", texts=("train", "dev"))).values()
    parts = [part for text in texts for part in re.split(r"(?<=[.!?])\s+", text)]
    return [part.split() for part in parts if part]


def make_notes(sentences: list[list[str]], point: Point) -> Iterator[str]:
    """Yield notes of a fixed number of words."""
    rng = random.Random(point.seed)
    for _ in range(point.notes):
        words: list[str] = []
        while len(words) < point.words:
            words += rng.choice(sentences)
        yield " ".join(words[: point.words])


def run_once(nlp: edspipe.Pipeline, sentences: list[list[str]], point: Point) -> dict[str, Any]:
    """Run over all notes; return seconds, entities, and speed and memory of equal parts."""
    ends = {round(point.notes * part / NUM_PARTS) for part in range(1, NUM_PARTS + 1)}
    marks = [(0, time.perf_counter(), resident_mb())]
    entities = 0
    stream = nlp.pipe(make_notes(sentences, point), precision=point.precision)
    for done, doc in enumerate(stream, start=1):
        entities += len(doc.ents)
        if done in ends:
            marks.append((done, time.perf_counter(), resident_mb()))
    return {
        "seconds": marks[-1][1] - marks[0][1],
        "entities": entities,
        "words/s": [(b[0] - a[0]) * point.words / (b[1] - a[1]) for a, b in pairwise(marks)],
        "mb": [mark[2] for mark in marks[1:]],
    }


def measure(point: Point) -> dict[str, Any]:
    """Warm up, then run once, or again and again for `MIN_SECONDS`."""
    torch.set_num_threads(point.threads)
    nlp, sentences = edspipe.load(point.model), read_sentences(point.corpus)
    run_once(nlp, sentences, replace(point, notes=WARM_UP_NOTES, words=WORDS_PER_NOTE))
    samples, stopped = [resident_mb()], threading.Event()
    threading.Thread(target=sample_memory, args=(samples, stopped), daemon=True).start()
    runs: list[dict[str, Any]] = []
    until, cpu_s = time.perf_counter() + MIN_SECONDS, -time.process_time()
    while not runs or time.perf_counter() < until:
        runs.append(run_once(nlp, sentences, replace(point, seed=len(runs) + 1)))
    cpu_s += time.process_time()
    stopped.set()
    total = point.notes * point.words
    return {
        "words/s": total / statistics.median(run["seconds"] for run in runs),
        "words/cpu_s": total * len(runs) / cpu_s,
        "ents/1k": 1000 * statistics.mean(run["entities"] for run in runs) / total,
        "start_mb": samples[0],
        "peak_mb": max(samples),
        "parts": {"words/s": runs[-1]["words/s"], "mb": runs[-1]["mb"]},
    }


def measure_apart(point: Point) -> dict[str, Any]:
    """Measure a point in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--point", json.dumps(asdict(point))]
    env = os.environ | {"OMP_NUM_THREADS": str(point.threads)}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def train(options: argparse.Namespace, folder: Path) -> str:
    """Train the tutorial's pipeline with a random encoder; return where it was saved."""
    torch.set_num_threads(options.threads)
    encoder = prepare_encoder("random", options.corpus, folder)
    side = Side("edspipe", Job(str(options.corpus), encoder, texts=(), threads=options.threads))
    side.train(options.steps)
    side.nlp.to_disk(folder / "model")
    return str(folder / "model")


def measure_all(options: argparse.Namespace, model: str) -> dict[str, list[dict[str, Any]]]:
    """Give each point its turn, `rounds` times over; return medians and rounds by panel."""
    limit = min(options.max_notes, QUICK_NOTES) if options.quick else options.max_notes
    total = QUICK_WORDS if options.quick else TOTAL_WORDS
    sizes = {
        "notes": [(n, WORDS_PER_NOTE) for n in sorted({min(n, limit) for n in NUM_NOTES})],
        "words": [(max(1, total // length), length) for length in NOTE_LENGTHS],
    }
    found: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for _ in range(options.rounds):
        for size in sorted({size for panel in sizes.values() for size in panel}):
            point = Point(model, str(options.corpus), *size, options.threads, options.precision)
            found.setdefault(size, []).append(measure_apart(point))
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for size, rounds in found.items():
        medians = {name: statistics.median(each[name] for each in rounds) for name in MEASURES}
        rows[size] = {"notes": size[0], "words": size[1], **medians, "rounds": rounds}
    return {name: [rows[size] for size in panel] for name, panel in sizes.items()}


def print_figures(panels: dict[str, list[dict[str, Any]]]) -> None:
    """Print the medians with ratios to the first point, and the last round of the longest run."""
    for points in panels.values():
        names = ["notes", "words", *MEASURES]
        print("\n" + "".join(f"{name:>13}" for name in [*names, "ratio"]))
        for row in points:
            figures = "".join(f"{row[name]:>13,.0f}" for name in names)
            print(f"{figures}{row['words/s'] / points[0]['words/s']:>13.2f}")
    longest = panels["notes"][-1]
    print(f"\n{longest['notes']:,} notes, part by part")
    for name, values in longest["rounds"][-1]["parts"].items():
        print(f"{name:<8}" + "".join(f"{value:>9,.0f}" for value in values))


def draw(panels: dict[str, list[dict[str, Any]]], files: list[Path]) -> None:
    """Draw words/s against number of notes, and against their length."""
    try:
        from matplotlib import rcParams
        from matplotlib.figure import Figure
    except ImportError:
        sys.exit("The plot needs matplotlib: pip install matplotlib, then draw with --from-json")
    rcParams["svg.hashsalt"] = "scaling"  # The same figures give the same file.
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    labels = {"notes": f"notes of {WORDS_PER_NOTE} words", "words": "words a note"}
    for axis, (name, points) in zip(axes, panels.items(), strict=True):
        draw_panel(axis, name, points)
        axis.set(xlabel=f"{labels[name]}, with peak memory")
    axes[0].set(ylabel="words/s", ylim=(0, 1.1 * axes[0].get_ylim()[1]))
    axes[0].yaxis.set_major_formatter("{x:,.0f}")
    for file in files:
        figure.savefig(file, dpi=120, metadata={"Date": None} if file.suffix == ".svg" else None)


def draw_panel(axis: Any, name: str, points: list[dict[str, Any]]) -> None:
    """Draw the medians and the range of the rounds, with the peak memory below."""
    for row in points:
        speeds = [each["words/s"] for each in row["rounds"]]
        axis.vlines(row[name], min(speeds), max(speeds), color="tab:blue")
    sizes = [row[name] for row in points]
    axis.plot(sizes, [row["words/s"] for row in points], "o-", color="tab:blue")
    axis.set(xscale="log", xmargin=0.12)
    axis.set_xticks(sizes, [f"{row[name]:,}\n{row['peak_mb']:,.0f} MB" for row in points])
    axis.minorticks_off()
    axis.grid(axis="y", alpha=0.3)


def main() -> None:
    """Measure a point, or all of them; write the figures, and draw them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="?", help="a folder with train/ and dev/")
    parser.add_argument("--out", type=Path, help="where scaling.json and scaling.svg go")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each point")
    parser.add_argument("--steps", type=int, default=60, help="training steps before")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--max-notes", type=int, default=max(NUM_NOTES))
    parser.add_argument("--quick", action="store_true", help=f"up to {QUICK_NOTES:,} notes")
    parser.add_argument("--png", action="store_true", help="write scaling.png too")
    parser.add_argument("--from-json", type=Path, help="draw these figures again")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measure(Point(**json.loads(options.point)))))
        return
    if not options.out or not (options.corpus or options.from_json):
        parser.error("give --out FOLDER, and a CORPUS or --from-json FILE")
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.from_json or options.out / "scaling.json"
    if not options.from_json:
        with tempfile.TemporaryDirectory() as folder:
            panels = measure_all(options, train(options, Path(folder)))
        settings = {name: getattr(options, name) for name in ("threads", "precision", "steps")}
        file.write_text(json.dumps({"settings": settings, "panels": panels}, indent=1), "utf-8")
    panels = json.loads(file.read_text("utf-8"))["panels"]
    print_figures(panels)
    draw(panels, [options.out / f"scaling.{kind}" for kind in ["svg", "png"][: 1 + options.png]])


if __name__ == "__main__":
    main()
