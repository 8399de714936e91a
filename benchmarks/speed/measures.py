"""What is measured: each function gives all sides their turns and prints a table."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.speed.gold import exact_f1, read_gold
from benchmarks.speed.session import Session


@dataclass
class Runner:
    """One row of a table: a side, and how it is asked.

    Attributes:
        name: The name of the row.
        session: The side.
        task: The method of the side.
        options: Its arguments.
    """

    name: str
    session: Session
    task: str
    options: dict[str, Any]


def job_of(options: argparse.Namespace, encoder: str, **changes: Any) -> dict[str, Any]:
    """Return what all sides share."""
    job = {
        "corpus": str(options.corpus),
        "encoder": encoder,
        "texts": options.parts,
        "max_texts": options.max_texts,
        "batch_size": options.batch_size,
        "lr": options.lr,
        "threads": options.threads,
        "workers": options.workers,
    }
    return {**job, **changes}


def start_sides(options: argparse.Namespace, encoder: str, **changes: Any) -> dict[str, Session]:
    """Start edspipe and the bare loop in two precisions, and the peer where there is one."""
    job = job_of(options, encoder, **changes)
    sides = {
        "edspipe fp32": Session("edspipe", job),
        "edspipe auto": Session("edspipe", job | {"precision": "auto"}),
        "bare fp32": Session("bare", job),
        "bare bf16": Session("bare", job | {"precision": "bf16"}),
    }
    if options.peer:
        sides["EDS-NLP"] = Session("edsnlp", job, options.peer)
    return sides


def alternate(runners: list[Runner], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Give each its turn, `rounds` times over; the first round warms up and is left out."""
    results: dict[str, list[dict[str, Any]]] = {runner.name: [] for runner in runners}
    for turn in range(rounds + 1):
        for runner in runners:
            result = runner.session.ask(runner.task, **runner.options)
            if turn:
                results[runner.name].append(result)
    return results


def print_speeds(
    title: str, results: dict[str, list[dict[str, Any]]], references: list[str]
) -> dict[str, Any]:
    """Print words/s as medians, and medians of the ratios within a round."""
    speeds = {name: [r["words"] / r["seconds"] for r in runs] for name, runs in results.items()}
    references = [name for name in references if name in speeds]
    head = "".join(f"{'/ ' + name:>15}" for name in references)
    print(f"\n{title}\n{'':<26}{'words/s':>10}{'entities/word':>15}{head}", flush=True)
    figures = {}
    for name, values in speeds.items():
        ratios = {
            other: statistics.median(a / b for a, b in zip(values, speeds[other], strict=True))
            for other in references
        }
        last = results[name][-1]
        density = last["entities"] / last["words"] if "entities" in last else None
        shown = "" if density is None else f"{density:.4f}"
        columns = "".join(f"{ratio:>15.2f}" for ratio in ratios.values())
        print(f"{name:<26}{statistics.median(values):>10,.0f}{shown:>15}{columns}", flush=True)
        figures[name] = {"words/s": values, "ratios": ratios, "entities/word": density}
    return figures


def speed(options: argparse.Namespace, encoder: str) -> dict[str, Any]:
    """Training, then inference with the heads just trained, then the small parts."""
    sides = start_sides(options, encoder)
    train = [Runner(name, side, "train", {"steps": options.steps}) for name, side in sides.items()]
    figures = {
        "training": print_speeds(
            f"Training, {options.batch_size} word pieces a step",
            alternate(train, options.rounds),
            ["EDS-NLP", "bare fp32", "bare bf16"],
        )
    }
    done = options.steps * (options.rounds + 1)
    for name, side in sides.items():
        if not name.startswith("bare"):  # It has no head at inference.
            side.ask("train", steps=max(0, options.total_steps - done))
    ours = sides["edspipe auto"]
    infer = [
        Runner("edspipe auto", ours, "infer", {"precision": "auto"}),
        Runner("edspipe fp32", ours, "infer", {"precision": "fp32"}),
        Runner("  auto, stride = window", ours, "infer", {"precision": "auto", "stride": 128}),
        Runner("  fp32, stride = window", ours, "infer", {"precision": "fp32", "stride": 128}),
        Runner("bare fp32", sides["bare fp32"], "infer", {"precision": "fp32"}),
        Runner("bare bf16", sides["bare fp32"], "infer", {"precision": "bf16"}),
    ]
    if "EDS-NLP" in sides:
        peer = sides["EDS-NLP"]
        infer.append(Runner("EDS-NLP", peer, "infer", {}))
        infer.append(Runner("EDS-NLP fp32", peer, "infer", {"precision": "fp32"}))
        infer.append(Runner("EDS-NLP, 32 documents", peer, "infer", {"batch_size": 32}))
    figures["inference"] = print_speeds(
        "Inference, from texts to doc.ents",
        alternate(infer, options.rounds),
        ["EDS-NLP", "EDS-NLP fp32", "bare fp32", "bare bf16"],
    )
    figures["padding"] = ours.ask("padding")
    print(f"\nPadding: {figures['padding']}")
    figures["differences"] = compare_precisions(ours)
    for task, title in (("tokenize", "Texts to Docs"), ("prepare", "Preprocess and collate")):
        runners = [
            Runner(name, sides[name], task, {})
            for name in ("edspipe fp32", "EDS-NLP")
            if name in sides
        ]
        figures[task] = print_speeds(title, alternate(runners, options.rounds), ["EDS-NLP"])
    figures["memory"] = print_memory(sides)
    for side in sides.values():
        side.close()
    return figures


def compare_precisions(side: Session) -> dict[str, int]:
    """Count the entities that bf16 and fp32 do not share."""
    found = [
        {
            (name, *entity)
            for name, entities in side.ask("predictions", precision=precision)["entities"].items()
            for entity in entities
        }
        for precision in ("fp32", "auto")
    ]
    figures = {"fp32": len(found[0]), "auto": len(found[1]), "differ": len(found[0] ^ found[1])}
    print(f"\nEntities of one model: {figures}", flush=True)
    return figures


def print_memory(sides: dict[str, Session]) -> dict[str, float]:
    """Print the peak memory of each process, training and inference included."""
    figures = {name: side.ask("memory")["peak_mb"] for name, side in sides.items()}
    print("\nPeak memory (MB): " + ", ".join(f"{k} {v:,.0f}" for k, v in figures.items()))
    return figures


def scores(options: argparse.Namespace, encoder: str) -> dict[str, Any]:
    """Exact F1 on the dev documents after the same number of steps, over seeds."""
    gold = read_gold(options.corpus / "dev")
    figures: dict[str, list[float]] = {}
    for seed in options.seeds:
        job = job_of(options, encoder, texts=["dev"], seed=seed)
        rows: list[tuple[str, str, dict[str, str]]] = [
            ("edspipe fp32", "edspipe", {"precision": "fp32"}),
            ("edspipe auto", "edspipe", {"precision": "auto"}),
        ]
        if options.peer:
            rows.append(("EDS-NLP", "edsnlp", {}))
        for name, side, changes in rows:
            python = {"python": options.peer} if side == "edsnlp" else {}
            session = Session(side, job | changes, **python)
            session.ask("train", steps=options.total_steps)
            found = session.ask("predictions", precision=changes.get("precision", "fp32"))
            session.close()
            figures.setdefault(name, []).append(exact_f1(gold, found["entities"]))
            print(f"seed {seed} {name:<14} F1 {figures[name][-1]:.4f}", flush=True)
    for name, values in figures.items():
        spread = f"min {min(values):.4f}, max {max(values):.4f}"
        print(f"{name:<14} mean {statistics.mean(values):.4f}, {spread}")
    return figures


def labels(options: argparse.Namespace, encoder: str) -> dict[str, Any]:
    """What many labels cost: the same texts with the labels of NCBI, and with 22."""
    job = job_of(options, encoder)
    few = Session("edspipe", job)
    many = Session("edspipe", job | {"num_labels": 22})
    figures = {}
    for task, arguments in (("train", {"steps": options.steps}), ("infer", {})):
        runners = [Runner("few labels", few, task, arguments)]
        runners.append(Runner("22 labels", many, task, arguments))
        title = f"{task}, by number of labels"
        figures[task] = print_speeds(title, alternate(runners, options.rounds), ["few labels"])
    few.close()
    many.close()
    return figures


def disk(options: argparse.Namespace, encoder: str) -> dict[str, Any]:
    """Seconds to write a pipeline and load it back."""
    job = job_of(options, encoder)
    sides = {"edspipe": Session("edspipe", job)}
    if options.peer:
        sides["EDS-NLP"] = Session("edsnlp", job, options.peer)
    runners = [Runner(name, side, "save_and_load", {}) for name, side in sides.items()]
    results = alternate(runners, options.rounds)
    figures = {k: statistics.median(r["seconds"] for r in runs) for k, runs in results.items()}
    print("Save and load (s): " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()))
    return figures


Measure = Callable[[argparse.Namespace, str], dict[str, Any]]
MEASURES: dict[str, Measure] = {
    "speed": speed,
    "scores": scores,
    "labels": labels,
    "disk": disk,
}
