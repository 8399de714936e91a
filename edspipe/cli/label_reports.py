"""Labels of documents on the command line: how they are read, and what is printed of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from edspipe.cli.label_options import add_label_columns, add_text_columns, given_columns
from edspipe.config.files import parse_value
from edspipe.data.formats import FORMATS
from edspipe.metrics.label_evaluation import exact_line
from edspipe.metrics.tables import comparison_table, confusions_table, scores_table

LISTS = ("labels_columns", "labels", "columns")
"""Options that hold several names, which commas part: columns=id,text."""
NAMES = {"f": "F1", "ap": "average precision", "auroc": "AUROC", "p": "PPV", "r": "recall"}


def add_reading(command: argparse.ArgumentParser) -> None:
    """Say how documents with labels are read."""
    command.add_argument("--format", choices=FORMATS, help="format of the data")
    command.add_argument("--converter", metavar="NAME", help="how records become documents")
    command.add_argument(
        "--option",
        dest="options",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the reader or converter: label_column=topic",
    )
    add_text_columns(command)
    add_label_columns(command)
    command.add_argument("--pipe", metavar="NAME", help="which pipe, of several")


def reading_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `read_labelled`."""
    given = {**given_columns(options), **parse_options(options.options)}
    return {"format": options.format, "converter": options.converter, "options": given}


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Return options by name.

    Raises:
        ValueError: One is not of the form `NAME=VALUE`.
    """
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise ValueError(f"--option: expected NAME=VALUE, got {word!r}")
        parsed = parse_value(value)
        if name in LISTS and isinstance(parsed, str):
            parsed = [part.strip() for part in parsed.strip("[]").split(",")]
        given[name] = parsed
    return given


def labels_text(report: Mapping[str, Any]) -> str:
    """Return the tables of an evaluation of labels of documents.

    Args:
        report: As of `evaluate_documents`.
    """
    title = f"{report['num_docs']:,} documents, {report['num_words']:,} words; labels of documents"
    if "ci" in report["scores"]:
        title += ", with bootstrap intervals of 95 % over documents"
    parts = [title, scores_table(report["scores"]), exact_line(dict(report))]
    parts.append(confusions_table(report["confusion"]))
    if report["confidence"] is not None:
        ece, brier = report["confidence"]["reliability"]["ece"], report["confidence"]["brier"]
        parts.append(
            f"probabilities are off by {ece:.3f} on average (expected calibration error); Brier "
            f"score {brier:.3f}"
        )
    return "\n\n".join(parts)


def labels_comparison_text(
    report: Mapping[str, Any], other: Mapping[str, Any], test: Mapping[str, Any], names: Any
) -> str:
    """Return two evaluations side by side, and what the paired test says in words.

    Args:
        report: The evaluation of the first system.
        other: That of the second.
        test: As of `DocumentLabelsMetric.compare`.
        names: What to call them.
    """
    lines = [
        _difference(f"{row} {NAMES.get(figure, figure)}", one)
        for row, figures in test.items()
        for figure, one in figures.items()
    ]
    head = (
        f"{names[0]} less {names[1]}, by paired bootstrap over {report['num_docs']:,} documents "
        "(no p is corrected for there being several)"
    )
    table = comparison_table(report["scores"], other["scores"], names)
    return "\n\n".join([table, "\n".join([head, *lines])])


def _difference(name: str, test: Mapping[str, Any] | None) -> str:
    if test is None:
        return f"{name}: not known of both"
    low, high = test["ci"]
    return (
        f"{name}: {test['difference']:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}, "
        f"p = {test['p_value']:.3f}"
    )
