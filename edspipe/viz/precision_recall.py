"""precision_recall.png: what a threshold on the confidence buys, for all and for each label."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edspipe.viz.evaluation import curve_names, mapping, number
from edspipe.viz.style import (
    BLUE,
    GREY,
    LIGHT,
    VERMILION,
    new_figure,
    picture,
    save,
    say_empty,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_LABELS = 48
NUM_COLUMNS = 6
F_LINES = (0.2, 0.4, 0.6, 0.8)
"""Values of F1 whose points are joined by a pale line."""

MARKED_THRESHOLDS = (0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Curve:
    """Precision and recall by threshold.

    Attributes:
        threshold: Least confidence of what is kept. Shape (num_points,).
        p: Precision. Shape (num_points,).
        r: Recall. Shape (num_points,).
    """

    threshold: np.ndarray
    p: np.ndarray
    r: np.ndarray

    def best(self) -> tuple[int, float] | None:
        """Return the index of the highest F1, and that F1."""
        if not len(self.p):
            return None
        f = 2 * self.p * self.r / np.maximum(self.p + self.r, 1e-12)
        at = int(np.argmax(f))
        return at, float(f[at])


def curve_of(evaluation: Mapping[str, Any], name: str) -> Curve:
    """Return a curve without its points that are not numbers, recall rising."""
    curves = mapping(mapping(evaluation.get("confidence")).get("precision_recall"))
    data = mapping(curves.get(name))
    columns = [data.get(key) or [] for key in ("threshold", "p", "r")]
    rows = [[number(value) for value in row] for row in zip(*columns, strict=False)]
    points = np.array([row for row in rows if None not in row], dtype=float).reshape(-1, 3)
    points = points[np.argsort(points[:, 2], kind="stable")]
    return Curve(points[:, 0], points[:, 1], points[:, 2])


def plot_precision_recall(evaluation: Mapping[str, Any], path: str | Path) -> Path:
    """Draw precision by recall for thresholds on the confidence: all labels, then each label.

    Args:
        evaluation: The object of an evaluation file.
        path: The picture: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.
    """
    return save(draw_precision_recall(evaluation), path)


@picture
def draw_precision_recall(evaluation: Mapping[str, Any]) -> Figure:
    """Return the figure of `plot_precision_recall`."""
    names = curve_names(evaluation)
    if not names:
        figure = new_figure(6, 2)
        say_empty(figure.subplots(), "no confidences: no precision-recall curve")
        return figure
    labels = [name for name in names if name != "micro"][:MAX_LABELS]
    everything = curve_of(evaluation, "micro")
    num_rows = math.ceil(len(labels) / NUM_COLUMNS)
    if len(labels) < 2:  # the same curve again
        figure = new_figure(11, 4.6)
        _draw_all(figure, everything)
        return figure
    figure = new_figure(11, 4.6 + 1.8 * num_rows)
    parts: Any = figure.subfigures(2, 1, height_ratios=[4.6, 1.8 * num_rows])
    _draw_all(parts[0], everything)
    panels = parts[1].subplots(num_rows, NUM_COLUMNS, sharex=True, sharey=True, squeeze=False)
    _draw_labels(panels.flatten(), evaluation, labels, everything)
    parts[1].supxlabel("recall", fontsize=10)
    parts[1].supylabel("precision", fontsize=10)
    return figure


def _draw_all(figure: Any, curve: Curve) -> None:
    _, axes, _ = figure.subplots(1, 3, width_ratios=[1, 3, 1])
    for other in (figure.axes[0], figure.axes[2]):
        other.set_axis_off()
    axes.set_title("All labels together, by threshold on the confidence")
    best = curve.best()
    if best is None:
        say_empty(axes, "no curve of all labels")
        return
    _draw_f_lines(axes, named=True)
    marker = "o" if len(curve.p) <= 20 else ""
    axes.plot(curve.r, curve.p, color=BLUE, linewidth=2, marker=marker, markersize=4)
    at, f = best
    axes.plot([curve.r[at]], [curve.p[at]], "D", color=VERMILION, markersize=8)
    axes.annotate(
        f"best F1 {f:.2f} at ≥ {_at(curve, at)}",
        (curve.r[at], curve.p[at]),
        xytext=(-10, -14),
        textcoords="offset points",
        ha="right",
        color=VERMILION,
    )
    _mark_thresholds(axes, curve)
    _frame(axes)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")


def _mark_thresholds(axes: Axes, curve: Curve) -> None:
    for threshold in MARKED_THRESHOLDS:
        reached = np.flatnonzero(curve.threshold >= threshold)
        if len(reached):
            at = int(reached[np.argmin(curve.threshold[reached])])
            axes.plot([curve.r[at]], [curve.p[at]], "o", color=BLUE, markersize=6)
            options: dict[str, Any] = {
                "xytext": (6, 5),
                "textcoords": "offset points",
                "fontsize": 9,
            }
            axes.annotate(f"≥ {threshold}", (curve.r[at], curve.p[at]), **options)


def _draw_labels(
    panels: Any, evaluation: Mapping[str, Any], labels: list[str], everything: Curve
) -> None:
    for i, axes in enumerate(panels):
        if i >= len(labels):
            axes.set_axis_off()
            continue
        curve = curve_of(evaluation, labels[i])
        best = curve.best()
        _draw_f_lines(axes)
        axes.plot(everything.r, everything.p, color=GREY, linewidth=0.8)
        axes.plot(curve.r, curve.p, color=BLUE, linewidth=1.8, marker="o", markersize=1.5)
        said = "no curve" if best is None else f"F1 {best[1]:.2f} at ≥ {_at(curve, best[0])}"
        axes.set_title(f"{shorten(labels[i], 22)}\n{said}", fontsize=8.5)
        _frame(axes)


def _at(curve: Curve, index: int) -> str:
    return f"{curve.threshold[index]:.2f}"


def _draw_f_lines(axes: Axes, *, named: bool = False) -> None:
    """Draw where F1 is the same: p = f r / (2 r - f)."""
    for f in F_LINES:
        r = np.linspace(f / (2 - f), 1, 60)
        axes.plot(r, f * r / (2 * r - f), color=LIGHT, linewidth=0.8, zorder=1)
        if named:
            axes.text(1.01, f / (2 - f), f"F1 {f}", fontsize=8, color=GREY, va="center")


def _frame(axes: Axes) -> None:
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.05)
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    axes.grid(visible=False)
