"""confusion.png: which label was taken for which."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edspipe.errors import DataError
from edspipe.optional import require
from edspipe.viz.evaluation import mapping, noun
from edspipe.viz.style import GREY, new_figure, picture, save, say_empty, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_LABELS = 40
"""More cells could not be read: the rarest labels are added up in one row and column."""

RIGHT_COLORS, WRONG_COLORS = "Blues", "Oranges"


def plot_confusion(evaluation: Mapping[str, Any], path: str | Path) -> Path:
    """Draw the confusion matrix: rows are gold labels, columns found ones.

    A cell is coloured by its share of the gold entities (or documents) of its row (in the last row:
    of the found ones of its column), blue where right and orange where wrong; its number stands in
    it.

    Args:
        evaluation: The object of an evaluation file; the last row and column of its `confusion`
            stand for "none".
        path: The picture: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.

    Raises:
        DataError: The matrix does not fit its labels.
    """
    return save(draw_confusion(evaluation), path)


def confusion_of(evaluation: Mapping[str, Any]) -> tuple[list[str], np.ndarray]:
    """Return labels and counts of an evaluation.

    Returns:
        The labels, and the counts, rows gold and columns found, "none" last.
        Shape (num_labels + 1, num_labels + 1); without labels (0, 0).

    Raises:
        DataError: The matrix does not fit its labels.
    """
    confusion = mapping(evaluation.get("confusion"))
    labels = [str(label) for label in confusion.get("labels") or []]
    if not labels:
        return [], np.zeros((0, 0), dtype=int)
    size = len(labels) + 1
    rows = confusion.get("matrix") or []
    if len(rows) != size or any(len(row) != size for row in rows):
        text = f"expected a confusion matrix of {size} x {size} for {len(labels)} labels and 'none'"
        raise DataError(f"{text}, got another shape")
    return labels, np.array(rows, dtype=int)


@picture
def draw_confusion(evaluation: Mapping[str, Any]) -> Figure:
    """Return the figure of `plot_confusion`."""
    labels, counts = _merge_rare(*confusion_of(evaluation))
    if not labels:
        figure = new_figure(6, 2)
        say_empty(figure.subplots(), "nothing to compare: no confusion matrix")
        return figure
    size = len(labels) + 1
    side = max(1.8, (0.55 if size < 8 else 0.37) * size)
    figure = new_figure(side + 3.0, side + 2.0)
    axes = figure.subplots()
    axes.imshow(_colors(counts), aspect="equal")
    _write_counts(axes, counts)
    _name_rows_and_columns(axes, labels, counts, noun(evaluation))
    for edge in (axes.axhline, axes.axvline):
        edge(size - 1.5, color=GREY, linewidth=1)
    title = "Gold (rows) and found (columns): blue right, orange wrong"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def _merge_rare(labels: list[str], counts: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Add up the rarest of many labels, in one row and column before the last."""
    if len(labels) <= MAX_LABELS:
        return labels, counts
    num = len(labels)
    totals = counts[:num].sum(axis=1) + counts[:, :num].sum(axis=0)
    kept = np.sort(np.argsort(-totals, kind="stable")[: MAX_LABELS - 1])
    place = np.full(num + 1, len(kept))
    place[kept] = np.arange(len(kept))
    place[num] = len(kept) + 1
    merged = np.zeros((len(kept) + 2, len(kept) + 2), dtype=int)
    np.add.at(merged, (place[:, None], place[None, :]), counts)
    return [*(labels[i] for i in kept), f"({num - len(kept)} others)"], merged


def _shares(counts: np.ndarray) -> np.ndarray:
    """Return shares of the row, in the last row of the column; 0 where there is nothing."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares[-1] = counts[-1] / np.maximum(counts.sum(axis=0), 1)
    return shares


def _colors(counts: np.ndarray) -> np.ndarray:
    """Return red, green, blue and alpha of each cell. Shape (size, size, 4)."""
    colormaps = require("matplotlib", "plot", "drawing a picture").colormaps
    strength = np.where(counts > 0, 0.08 + 0.62 * np.sqrt(_shares(counts)), 0.0)
    right = np.eye(len(counts), dtype=bool)
    right[-1, -1] = False
    colors = np.where(
        right[..., None], colormaps[RIGHT_COLORS](strength), colormaps[WRONG_COLORS](strength)
    )
    colors[counts == 0] = (1, 1, 1, 1)
    return colors


def _write_counts(axes: Axes, counts: np.ndarray) -> None:
    """Write the numbers that are not 0, in white where the cell is dark."""
    shares = _shares(counts)
    for row, column in zip(*np.nonzero(counts), strict=True):
        value = int(counts[row, column])
        text = f"{value}" if value < 10_000 else f"{value / 1000:.0f}k"
        dark = shares[row, column] > 0.55
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=8.5 if len(text) < 4 else 7,
            color="white" if dark else "black",
        )


def _name_rows_and_columns(axes: Axes, labels: list[str], counts: np.ndarray, things: str) -> None:
    totals = counts.sum(axis=1)
    names = [shorten(label, 22) for label in labels]
    rows = [f"{name} ({total:,})" for name, total in zip(names, totals, strict=False)]
    places = range(len(counts))
    axes.set_yticks(places, [*rows, "nothing (spurious)"])
    axes.set_xticks(places, [*names, "nothing (missed)"], rotation=90)
    axes.set_xlabel("found label")
    axes.set_ylabel(f"gold label (gold {things})")
    axes.grid(visible=False)
    axes.set_xticks([place + 0.5 for place in places], minor=True)
    axes.set_yticks([place + 0.5 for place in places], minor=True)
    axes.grid(visible=True, which="minor", color="#EFEFEF", linewidth=0.7)
    axes.tick_params(which="both", length=0)
