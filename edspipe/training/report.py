"""Scores as a table to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COLUMNS = {"p": "precision", "r": "recall", "f": "F1", "support": "gold", "positives": "found"}


def scores_table(scores: Mapping[str, Any]) -> str:
    """Return a table of the scores of a metric: a row a label, then micro and macro.

    Args:
        scores: What a metric returned: a dict of figures by label.
    """
    rows = {label: figures for label, figures in scores.items() if label != "ci"}
    last = [label for label in ("micro", "macro") if label in rows]
    labels = [label for label in rows if label not in last] + last
    width = max(len("label"), *map(len, labels)) if labels else len("label")
    lines = [f"{'label':<{width}}" + "".join(f"{title:>11}" for title in COLUMNS.values())]
    for label in labels:
        cells = "".join(f"{_cell(rows[label].get(key)):>11}" for key in COLUMNS)
        lines.append(f"{label:<{width}}{cells}")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
