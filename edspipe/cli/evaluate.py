"""edspipe evaluate: the scores of a model, of two, or the agreement of two annotations.

A model that finds spans is scored on these, one that classifies documents on their labels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import edspipe.pipeline.loading as loading
from edspipe import atomic
from edspipe.cli.label_reports import (
    add_reading,
    labels_comparison_text,
    labels_text,
    reading_of,
)
from edspipe.cli.modules import import_module
from edspipe.data.label_files import WAYS, has_labels
from edspipe.metrics.tables import (
    comparison_table,
    confusions_table,
    errors_table,
    scores_table,
)
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.evaluation import is_doc_classifier
from edspipe.training.label_scoring import LabelPredictions, compare_files, predict_labels
from edspipe.training.scoring import Predictions, agree_files, predict_file

SIGNIFICANT = 0.05
"""From here on, a difference is said to be no more than chance may make."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.epilog = "Either --model and --data, or --gold and --pred."
    command.add_argument("--model", metavar="MODEL", help="a saved pipeline")
    command.add_argument("--data", type=Path, help="gold: brat folder, .jsonl, .parquet, ...")
    command.add_argument("--compare", metavar="MODEL", help="a second one, to test against")
    command.add_argument("--gold", type=Path, help="gold, or the first annotator")
    command.add_argument("--pred", type=Path, help="saved predictions, or the second annotator")
    command.add_argument("--ci", action="store_true", help="95%% intervals, by bootstrap")
    command.add_argument("--span-getter", metavar="GROUP", help="ents, or the name of a group")
    command.add_argument("--output", type=Path, metavar="FILE.json", help="write all figures")
    command.add_argument("--json", action="store_true", help="print JSON, no tables")
    command.add_argument("--batch-size", metavar="SIZE", help='batch of models: "32 docs"')
    command.add_argument("--workers", type=int, default=0, metavar="N", help="CPU processes")
    command.add_argument(
        "--confidence",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let models say how sure they are",
    )
    add_reading(command)
    command.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE")


def run(options: argparse.Namespace) -> None:
    """Evaluate, print, and write."""
    for module in options.modules:
        import_module(module)
    if options.gold is not None or options.pred is not None:
        report, text = _agreement(options)
    else:
        report, text = _models(options)
    if options.output is not None:
        atomic.write_json(options.output, report)
    print(json.dumps(report, ensure_ascii=False) if options.json else text)
    if options.output is not None and not options.json:
        print(f"\nAll figures are in {options.output}")


def _agreement(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if options.gold is None or options.pred is None or options.model or options.compare:
        raise ValueError("--gold and --pred go together, and without --model")
    reading = reading_of(options)
    if any(way in reading["options"] for way in WAYS) or has_labels(options.gold):
        labels = compare_files(options.gold, options.pred, reading["options"])
        report = labels.evaluate(ci={} if options.ci else None)
        return report, labels_text(report)
    found = agree_files(
        options.gold,
        options.pred,
        span_getter=options.span_getter,
        ci={} if options.ci else None,
    )
    report = found.to_dict()
    return report, f"{evaluation_text(report)}\n\n{kappa_text(report['kappa'])}"


def _models(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if options.model is None or options.data is None:
        raise ValueError("give --model and --data, or --gold and --pred")
    ci: dict[str, Any] | None = {} if options.ci else None
    nlp = loading.load(options.model)
    if _scores_labels(nlp, options):
        return _label_models(nlp, options, ci)
    first = _predict(nlp, options)
    report = first.evaluate(ci=ci).to_dict()
    if options.compare is None:
        return report, evaluation_text(report)
    second = Predictions(first.gold, _predict(loading.load(options.compare), options).found)
    other = second.evaluate(ci=ci).to_dict()
    test = first.compare(second, ci=ci)
    report["comparison"] = {"model": options.compare, "evaluation": other, "test": test}
    names = (options.model, options.compare)
    table = comparison_table(report["scores"], other["scores"], names)
    words = comparison_text(test, names, report["num_docs"])
    return report, "\n\n".join([evaluation_text(report), table, words])


def _scores_labels(nlp: Pipeline, options: argparse.Namespace) -> bool:
    """Whether labels of documents are scored: of a pipe that is named, or as there are no spans."""
    if options.pipe is not None:
        return True
    pipes = [pipe for _, pipe in nlp.torch_components()]
    finds_spans = any(hasattr(pipe, "target_span_getter") for pipe in pipes)
    return any(map(is_doc_classifier, pipes)) and not finds_spans and not options.span_getter


def _label_models(
    nlp: Pipeline, options: argparse.Namespace, ci: Any
) -> tuple[dict[str, Any], str]:
    first = _predict_labels(nlp, options)
    report = first.evaluate(ci=ci)
    if options.compare is None:
        return report, labels_text(report)
    second = _predict_labels(loading.load(options.compare), options)
    other, test = second.evaluate(ci=ci), first.compare(second)
    report["comparison"] = {"model": options.compare, "evaluation": other, "test": test}
    names = (options.model, options.compare)
    text = labels_comparison_text(report, other, test, names)
    return report, f"{labels_text(report)}\n\n{text}"


def _predict_labels(nlp: Pipeline, options: argparse.Namespace) -> LabelPredictions:
    return predict_labels(
        nlp,
        options.data,
        pipe=options.pipe,
        batch_size=options.batch_size,
        num_cpu_workers=options.workers,
        **reading_of(options),
    )


def _predict(nlp: Pipeline, options: argparse.Namespace) -> Predictions:
    return predict_file(
        nlp,
        options.data,
        span_getter=options.span_getter,
        batch_size=options.batch_size,
        num_cpu_workers=options.workers,
        confidence=options.confidence,
    )


def evaluation_text(report: dict[str, Any]) -> str:
    """Return the tables of an evaluation.

    Args:
        report: As of `Evaluation.to_dict`.
    """
    parts = [
        f"{report['num_docs']:,} documents, {report['num_words']:,} words; exact matches",
        scores_table(report["scores"]),
        errors_table(report["errors"]),
        confusions_table(report["confusion"]),
    ]
    if "ci" in report["scores"]:
        parts[0] += ", with bootstrap intervals of 95 % over documents"
    if report["confidence"] is not None:
        ece = report["confidence"]["reliability"]["ece"]
        parts.append(f"confidence is off by {ece:.3f} on average (expected calibration error)")
    return "\n\n".join(parts)


def comparison_text(test: dict[str, Any], names: tuple[str, str], num_docs: int) -> str:
    """Say in words what a paired test found.

    Args:
        test: As of `paired_test`.
        names: The two models.
        num_docs: Number of documents.
    """
    difference, (low, high), p = test["difference"], test["ci"], test["p_value"]
    direction = "higher than" if difference > 0 else "lower than"
    said = f"the micro F1 of {names[0]} is {abs(difference):.3f} {direction} that of {names[1]}"
    if difference == 0:
        said = f"the micro F1 of {names[0]} is that of {names[1]}"
    verdict = "more than chance would make" if p < SIGNIFICANT else "which may be chance"
    return (
        f"{said}: 95 % interval of the difference {low:+.3f} to {high:+.3f}, p = {p:.3f} (paired "
        f"bootstrap over {num_docs:,} documents), {verdict}"
    )


def kappa_text(kappa: dict[str, Any]) -> str:
    """Return Cohen's kappa by label, as a table."""
    rows = [*kappa["labels"].items(), ("all labels of a word", kappa["label_sets"])]
    width = max(len(label) for label, _ in rows)
    lines = [f"Cohen's kappa over {kappa['num_words']:,} words"]
    lines += [f"{name:<{width}}  {'-' if x is None else f'{x:.3f}'}" for name, x in rows]
    return "\n".join(lines)
