"""Folders of runs that were never run, for pictures and reports."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

LABELS = (
    *("disorder", "drug", "dose", "frequency", "route", "duration", "procedure", "anatomy"),
    *("symptom", "lab_test", "lab_value", "vital_sign", "device", "allergy", "family_history"),
    *("social_history", "hospital", "doctor", "date", "age", "tumour_stage", "genetic_variant"),
)
KINDS = ("correct", "missed", "spurious", "wrong_label", "wrong_boundary")
BOTH = "wrong_label_and_boundary"


def metrics_rows(num_steps: int = 300, *, overfits: bool = True, seed: int = 0) -> list[dict]:
    """Return the rows of a metrics.jsonl: steps, validations every 20 steps, two traced weights."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for step in range(1, num_steps + 1):
        part = step / num_steps
        level = 0.12 + 3 * math.exp(-6 * part) - (0.06 * part if overfits else 0)
        loss = level * math.exp(rng.gauss(0, 0.18))
        lr = 1e-3 * min(part / 0.1, (1 - part) / 0.9 + 0.01)
        row = {"step": step, "split": "train", "epoch": 6 * part, "time_s": 0.4 * step}
        row |= {"loss": loss, "loss/ner": loss, "grad_norm": 2 * loss * math.exp(rng.gauss(0, 0.3))}
        rows.append(row | {"lr": lr, "num_words": rng.randint(700, 1000), "step_s": 0.3})
        if step % 20 == 0:
            rows.append(_validation(step, part, overfits, rng))
        if step % 5 == 0:
            rows.append({"step": step, "split": "weights"} | _weights(part, rng))
    return rows


def _validation(step: int, part: float, overfits: bool, rng: random.Random) -> dict[str, Any]:
    worse = max(0.0, part - 0.5) * (0.5 if overfits else 0.02)
    f = 0.75 * (1 - math.exp(-5 * part)) - 0.1 * worse + rng.gauss(0, 0.004)
    row = {"step": step, "split": "val", "loss": 0.3 + 3 * math.exp(-6 * part) + worse}
    row |= {"micro_p": f + 0.04, "micro_r": f - 0.04, "micro_f": f, "macro_f": f - 0.09}
    return row | {f"{label}_f": max(0.0, f - 0.015 * i) for i, label in enumerate(LABELS)}


def _weights(part: float, rng: random.Random) -> dict[str, float]:
    names = ("ner.classifier.weight", "ner.classifier.bias", "ner.embedding.norm.weight")
    encoder = "ner.embedding.embedding.encoder.layer.11.attention.self.query.weight"
    return {
        f"{name}[{i},{i * 7 % 13}]": 0.3 * (i - 2) * part * (j + 1) + rng.gauss(0, 0.01)
        for j, name in enumerate((*names, encoder))
        for i in range(5)
    }


def evaluation(labels: tuple[str, ...] = LABELS, *, seed: int = 0) -> dict[str, Any]:
    """Return the object of an evaluation file: later labels are rarer and worse."""
    rng = random.Random(seed)
    scores: dict[str, Any] = {"ci": {}}
    by_label: dict[str, dict[str, int]] = {}
    size = len(labels)
    matrix = [[0] * (size + 1) for _ in range(size + 1)]
    for i, label in enumerate(labels):
        support = max(4, int(400 * 0.8**i))
        f = max(0.05, 0.92 - 0.025 * i + rng.gauss(0, 0.03))
        wrong = [max(0, int(support * (1 - f) * share)) for share in (0.5, 0.2, 0.2, 0.1)]
        by_label[label] = dict(zip(KINDS, [support - sum(wrong), *wrong], strict=True)) | {BOTH: 0}
        half = min(0.4, 1 / math.sqrt(support))
        scores[label] = {"p": f + 0.02, "r": f - 0.02, "f": f}
        scores[label] |= {"tp": int(support * f), "support": support, "positives": support - 3}
        scores["ci"][label] = {k: [max(0, f - half), min(1, f + half)] for k in "prf"}
        matrix[i][i] = support - sum(wrong)
        matrix[i][size], matrix[size][i] = wrong[0], wrong[1]
        matrix[i][(i + 3) % size] += wrong[2]
    total = sum(scores[label]["support"] for label in labels)
    sums = {"p": 0.83, "r": 0.79, "f": 0.81, "tp": 0, "support": total, "positives": total}
    scores |= {"micro": sums, "macro": {"p": 0.7, "r": 0.65, "f": 0.67}}
    scores["ci"] |= {"micro": {"f": [0.79, 0.83]}, "macro": {"f": [0.6, 0.72]}}
    return {
        "format": 1,
        "metric": "eds.ner_exact",
        "num_docs": 100,
        "num_words": 12000,
        "scores": scores,
        "errors": _errors(by_label, labels),
        "confusion": {"labels": list(labels), "matrix": matrix},
        "confidence": _confidence(labels),
    }


def _errors(by_label: dict[str, dict[str, int]], labels: tuple[str, ...]) -> dict[str, Any]:
    counts = {kind: sum(row[kind] for row in by_label.values()) for kind in (*KINDS, BOTH)}
    gold = {"start": 10, "end": 15, "label": labels[0]}
    found = {"start": 10, "end": 19, "label": labels[0], "confidence": 0.8}
    pairs = {"missed": (gold, None), "spurious": (None, found), "wrong_boundary": (gold, found)}
    other = {**found, "label": labels[-1], "end": 15}
    pairs["wrong_label"] = (gold, other)
    examples = [
        {"doc_id": f"note-{i}", "kind": kind, "gold": g, "found": f}
        for i in range(5)
        for kind, (g, f) in pairs.items()
    ]
    left_out = sum(counts.values()) - counts["correct"] - len(examples)
    return {
        "counts": counts,
        "by_label": by_label,
        "examples": examples,
        "num_examples_left_out": max(0, left_out),
    }


def _confidence(labels: tuple[str, ...]) -> dict[str, Any]:
    edges = [i / 10 for i in range(11)]
    means = [None, None, 0.26, 0.36, 0.46, 0.55, 0.65, 0.76, 0.86, 0.97]
    accuracy = [None, None, 0.5, 0.2, 0.35, 0.42, 0.5, 0.62, 0.78, 0.95]
    counts = [0, 0, 4, 12, 33, 61, 90, 130, 300, 1210]
    reliability = {"edges": edges, "mean_confidence": means, "accuracy": accuracy}
    reliability |= {"count": counts, "ece": 0.061}
    thresholds = [i / 50 for i in range(10, 50)]
    curves = {}
    for i, label in enumerate(("micro", *labels)):
        r = [(0.97 - 0.02 * i) * (1 - ((t - 0.2) / 0.8) ** 4) for t in thresholds]
        p = [min(1.0, 0.55 - 0.01 * i + 0.5 * t) for t in thresholds]
        curves[label] = {"threshold": thresholds, "p": p, "r": r}
    return {"reliability": reliability, "precision_recall": curves}


def run_info() -> dict[str, Any]:
    """Return the object of a run.json."""
    train = {label: max(8, int(3000 * 0.8**i)) for i, label in enumerate(LABELS)}
    val = {label: int(400 * 0.8**i) for i, label in enumerate(LABELS)}
    length = {"min": 12, "median": 480, "max": 5210}
    data = {
        "train": {"num_docs": 800, "num_words": 412_345, "sha256": "ab" * 32, "labels": train},
        "val": {"num_docs": 100, "num_words": 51_200, "sha256": "cd" * 32, "labels": val},
    }
    for part in data.values():
        part["length_words"] = length
    return {
        "seed": 42,
        "versions": {"edspipe": "0.2.0", "torch": "2.13.0", "python": "3.11.9"},
        "device": "cpu",
        "precision": "fp32",
        "data": data,
        "status": "finished",
        "stopped_by": "max_steps",
        "best": {"step": 260, "monitor": "val/micro_f", "value": 0.741},
        "evaluated": "model-best",
    }


def slowest_steps() -> list[dict[str, Any]]:
    """Return the object of a slowest_steps.json."""
    return [
        {
            "step": 3 + 40 * i,
            "step_s": 1.9 - 0.2 * i,
            "num_docs": 4 + i,
            "num_words": 2812 - 100 * i,
            "doc_ids": [f"note-{10 * i + j}" for j in range(4 + i)],
        }
        for i in range(5)
    ]


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a metrics.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
    return folder


def write_run(folder: Path, labels: tuple[str, ...] = LABELS) -> Path:
    """Write a run of 300 steps with all its files."""
    write_rows(folder, metrics_rows())
    (folder / "evaluation").mkdir()
    files = {
        "run.json": run_info(),
        "slowest_steps.json": slowest_steps(),
        "evaluation/test.json": evaluation(labels),
        "evaluation/val.json": evaluation(labels, seed=1),
    }
    for name, data in files.items():
        (folder / name).write_text(json.dumps(data), encoding="utf-8")
    return folder
