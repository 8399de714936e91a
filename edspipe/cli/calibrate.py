"""edspipe calibrate: temperature and thresholds of a saved model, fitted on documents."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

import edspipe.pipeline.loading as loading
from edspipe.cli.label_reports import add_reading, reading_of
from edspipe.cli.modules import import_module
from edspipe.metrics.thresholds import OBJECTIVES
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.calibration import Calibrated, calibrate_pipes
from edspipe.training.label_scoring import classifier_of, read_gold_labels
from edspipe.training.scoring import places_of, read_gold
from edspipe.training.threshold_rule import ThresholdRule


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.epilog = "The documents: ones that the model neither learned from nor is scored on."
    command.add_argument("--model", required=True, type=Path, metavar="DIR", help="saved pipeline")
    command.add_argument("--data", required=True, type=Path, metavar="FILES", help="gold documents")
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--output", type=Path, metavar="DIR", help="write the new model there")
    where.add_argument("--in-place", action="store_true", help="replace the model")
    command.add_argument("--objective", choices=OBJECTIVES, default="f1", help="of thresholds; f1")
    command.add_argument("--beta", type=float, default=1.0, metavar="B", help="of f_beta")
    command.add_argument(
        "--costs", type=float, nargs=2, default=(1.0, 1.0), metavar=("FP", "FN"), help="of cost"
    )
    command.add_argument("--constraint", metavar="RULE", help="'recall >= 0.95'")
    command.add_argument("--min-positives", type=int, default=5, metavar="N")
    command.add_argument("--grid", type=float, nargs=3, metavar=("VMIN", "VMAX", "STEP"))
    command.add_argument(
        "--min-docs", type=int, default=50, metavar="N", help="with fewer, no temperature; 50"
    )
    command.add_argument("--no-temperature", action="store_true", help="fit thresholds alone")
    command.add_argument("--no-thresholds", action="store_true", help="fit the temperature alone")
    add_reading(command)
    command.add_argument("--json", action="store_true", help="print JSON, no tables")
    command.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE")


def run(options: argparse.Namespace) -> None:
    """Fit, print, and write."""
    for module in options.modules:
        import_module(module)
    rule = ThresholdRule(
        options.objective,
        options.beta,
        options.costs,
        options.constraint,
        options.min_positives,
        options.grid,
    )
    target = options.model if options.in_place else options.output
    if not options.in_place and target.exists():
        raise FileExistsError(f"{target} exists already; choose another --output, or --in-place")
    nlp = loading.load(options.model)
    name, classifier = _chosen(nlp, options.pipe)
    found = calibrate_pipes(
        nlp,
        _read(nlp, classifier, options),
        rule,
        min_items=options.min_docs,
        temperature=not options.no_temperature,
        thresholds=not options.no_thresholds,
        only=name,
    )
    if not found:
        raise ValueError(f"{options.model}: no pipe of it says how sure it is; none to calibrate")
    nlp.to_disk(target)
    if options.json:
        print(json.dumps([one.to_dict() for one in found], ensure_ascii=False))
    else:
        print("\n\n".join([*map(calibrated_text, found), f"The model is in {target}"]))


def _chosen(nlp: Pipeline, name: str | None) -> tuple[str | None, Any]:
    """Return the name of the one pipe that is calibrated, None for all; and it, if it classifies
    documents, which are then read with labels."""
    spans = [key for key, pipe in nlp.torch_components() if hasattr(pipe, "target_span_getter")]
    return (name, None) if name in spans else classifier_of(nlp, name) or (None, None)


def _read(nlp: Pipeline, classifier: Any, options: argparse.Namespace) -> Sequence[Doc]:
    if classifier is None:
        learns, _ = places_of(nlp)
        return read_gold(options.data, tokenizer=nlp.tokenizer, span_getter=learns)
    return read_gold_labels(nlp, classifier, options.data, **reading_of(options))


def calibrated_text(found: Calibrated) -> str:
    """Return what calibrating a pipe changed, as tables."""
    if found.skipped is not None:
        return f"{found.pipe}: left as it is, {found.skipped}"
    what = "documents" if found.labels else "entities"
    parts = [f"{found.pipe}: {found.num_items:,} {what}"]
    if found.labels:
        parts.append(_labels_table(found))
    figures = {"temperature": found.temperature, **found.figures}
    rows = [["", "before", "after"]]
    rows += [[name.replace("_", " "), f"{a:.4f}", f"{b:.4f}"] for name, (a, b) in figures.items()]
    return "\n\n".join([*parts, _aligned(rows)])


def _labels_table(found: Calibrated) -> str:
    rows = [["label", "threshold", "positives", "F1 before", "F1 after"]]
    notes = []
    for label, one in found.labels.items():
        threshold = "-" if one.fitted_threshold is None else f"{one.fitted_threshold:.4f}"
        rows.append(
            [label, threshold, f"{one.positives:,}", f"{one.f1:.3f}", f"{one.fitted_f1:.3f}"]
        )
        notes += [] if one.problem is None else [f"{label}: {one.problem}"]
    rows += [[name, "", "", f"{a:.3f}", f"{b:.3f}"] for name, (a, b) in found.means.items()]
    return "\n".join([_aligned(rows), *notes])


def _aligned(rows: Sequence[Sequence[Any]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {x:>{w}}" for x, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )
