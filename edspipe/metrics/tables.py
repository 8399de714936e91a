"""Scores, errors and confusions as tables to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edspipe.metrics.errors_by_type import KINDS

COLUMNS = {"p": "precision", "r": "recall", "f": "F1", "support": "gold", "positives": "found"}
LABEL_COLUMNS = {
    "p": "PPV",
    "r": "recall",
    "specificity": "specificity",
    "f": "F1",
    "auroc": "AUROC",
    "ap": "AP",
    "support": "gold",
    "positives": "found",
}
"""Of labels of documents."""
COUNTS = ("support", "positives")
SUMMARY = ("micro", "macro", "weighted")


def scores_table(scores: Mapping[str, Any]) -> str:
    """Return a table of the scores of a metric: a row a label, then the means.

    Args:
        scores: What a metric returned: a dict of figures by label. Where it has intervals, they
            stand behind the scores. Labels of documents have specificity, AUROC and AP too.
    """
    ci = scores.get("ci")
    ci = None if ci is None or "f" in ci else ci  # a label may be called so
    labels = _labels(scores)
    columns = LABEL_COLUMNS if any("auroc" in scores[label] for label in labels) else COLUMNS
    rows = [["label", *columns.values()]]
    for label in labels:
        ends = None if ci is None else ci[label]
        rows.append([label, *(_score(scores[label], key, ends) for key in columns)])
    if ci is None:
        return _table(rows, width=max(11, *(2 + len(title) for title in columns.values())))
    wide = [i for i, key in enumerate(columns, start=1) if key not in COUNTS]
    return _table(rows, width=11, widths=dict.fromkeys(wide, 22 if columns is COLUMNS else 21))


def comparison_table(
    scores_a: Mapping[str, Any], scores_b: Mapping[str, Any], names: tuple[str, str]
) -> str:
    """Return the F1 of two systems side by side, and the first less the second.

    Args:
        scores_a: What a metric returned for the first system.
        scores_b: What it returned for the second.
        names: What to call them.
    """
    names_ab = {*_labels(scores_a), *_labels(scores_b)}
    labels = sorted(names_ab.difference(SUMMARY)) + [name for name in SUMMARY if name in names_ab]
    rows = [["F1", *names, "difference"]]
    for label in labels:
        one, other = (scores.get(label, {}).get("f", 0.0) for scores in (scores_a, scores_b))
        rows.append([label, _cell(one), _cell(other), f"{one - other:+.3f}"])
    return _table(rows, width=max(11, *(len(name) + 2 for name in names)))


def errors_table(errors: Mapping[str, Any]) -> str:
    """Return how many spans are of which kind: a row a label, then all.

    Args:
        errors: The errors of an `Evaluation`.
    """
    rows = [["label", *(kind.replace("_", " ") for kind in KINDS)]]
    for label, counts in errors["by_label"].items():
        rows.append([label, *(f"{counts[kind]:,}" for kind in KINDS)])
    rows.append(["all", *(f"{errors['counts'][kind]:,}" for kind in KINDS)])
    widths = {column: len(title) + 2 for column, title in enumerate(rows[0]) if column}
    return _table(rows, width=9, widths=widths)


def confusions_table(confusion: Mapping[str, Any], num_rows: int = 10) -> str:
    """Return the pairs of different labels that happen most, in order.

    Args:
        confusion: The confusion of an `Evaluation`.
        num_rows: How many pairs.
    """
    labels = confusion["labels"]
    pairs = [
        (-count, gold, found)
        for gold, row in zip(labels, confusion["matrix"], strict=False)
        for found, count in zip(labels, row, strict=False)
        if count and gold != found
    ]
    if not pairs:
        return "no label was found in place of another"
    rows = [["gold", "found as", "times"]]
    rows += [[gold, found, f"{-count:,}"] for count, gold, found in sorted(pairs)[:num_rows]]
    return _table(rows, width=9, widths={1: 2 + max(len(row[1]) for row in rows)})


def _labels(scores: Mapping[str, Any]) -> list[str]:
    """Return the rows of a report: labels, then the means; figures of their own are no row."""
    names = [name for name, value in scores.items() if isinstance(value, Mapping) and "f" in value]
    last = [name for name in SUMMARY if name in names]
    return [name for name in names if name not in last] + last


def _score(figures: Mapping[str, Any], key: str, ends: Mapping[str, Any] | None) -> str:
    shown = _cell(figures.get(key))
    if ends is None or key in COUNTS or ends.get(key) is None:
        return shown
    low, high = ends[key]
    return f"{shown} [{low:.3f} {high:.3f}]"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def _table(
    rows: Sequence[Sequence[str]], width: int, widths: Mapping[int, int] | None = None
) -> str:
    """Lay rows out: the first column to the left, the others to the right."""
    first = max(len(row[0]) for row in rows)
    sizes = dict.fromkeys(range(1, len(rows[0])), width) | dict(widths or {})
    return "\n".join(
        f"{row[0]:<{first}}" + "".join(f"{cell:>{sizes[i]}}" for i, cell in enumerate(row) if i)
        for row in rows
    )
