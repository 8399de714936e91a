"""learning_rate.png: the loss by learning rate that a finder saw, and what it suggests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edspipe.errors import DataError
from edspipe.viz.metrics_files import numbered_lines
from edspipe.viz.style import (
    BLUE,
    GREEN,
    PALETTE,
    VERMILION,
    legend,
    new_figure,
    picture,
    save,
    say_empty,
    shorten,
    use_log_scale,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADER = ("step", "lr", "loss", "smoothed_loss")

STEEPEST, BELOW_MINIMUM = "steepest", "minimum / 10"


@dataclass(frozen=True)
class LearningRates:
    """What a learning-rate finder saw.

    Attributes:
        lr: Learning rates, rising. Shape (num_steps,).
        loss: The loss of an item at each. Shape (num_steps,).
        smoothed: Its exponential mean. Shape (num_steps,).
    """

    lr: np.ndarray
    loss: np.ndarray
    smoothed: np.ndarray


def read_learning_rates(file: str | Path) -> LearningRates:
    """Read a `learning_rate.tsv`: a header (step, lr, loss, smoothed_loss), then a row a step.

    Raises:
        DataError: The header is another one, or a row is wrong.
        FileNotFoundError: There is no such file.
    """
    file = Path(file)
    rows: list[list[float]] = []
    for number, line, complete in numbered_lines(file):
        cells = line.split("\t")
        if number == 1:
            _check_header(cells, file)
            continue
        try:
            rows.append([float(cell) for cell in cells[1:4]])
            if len(cells) < len(HEADER):
                raise ValueError
        except ValueError:
            if complete:
                raise DataError("expected four numbers, parted by tabs", file, number) from None
            rows = rows[: number - 2]
    columns = np.array([row for row in rows if len(row) == 3], dtype=float).reshape(-1, 3)
    columns[~np.isfinite(columns)] = math.nan
    return LearningRates(columns[:, 0], columns[:, 1], columns[:, 2])


def _check_header(cells: list[str], file: Path) -> None:
    if tuple(cells[:4]) != HEADER:
        raise DataError(f"expected the header {', '.join(HEADER)}, parted by tabs", file, 1)


def suggest_learning_rates(table: LearningRates) -> dict[str, float]:
    """Return two learning rates to try, of the smoothed loss.

    Returns:
        `"steepest"`: where the loss falls fastest by the logarithm of the learning rate, before its
        minimum; `"minimum / 10"`: a tenth of the one with the lowest loss. Without them where the
        loss never falls.
    """
    keep = np.isfinite(table.smoothed) & (table.lr > 0)
    lr, loss = table.lr[keep], table.smoothed[keep]
    if len(lr) < 3 or np.argmin(loss) == 0:
        return {}
    at = int(np.argmin(loss))
    slopes = np.gradient(loss, np.log(lr))[: at + 1]
    return {STEEPEST: float(lr[np.argmin(slopes)]), BELOW_MINIMUM: float(lr[at] / 10)}


def plot_learning_rate(
    table: LearningRates, path: str | Path, *, suggestions: Mapping[str, float] | None = None
) -> Path:
    """Draw the loss by learning rate, with the suggested ones.

    Args:
        table: What the finder saw.
        path: The picture: `.png`, `.svg` or `.pdf`.
        suggestions: Learning rates to mark, by name; None takes `suggest_learning_rates(table)`.

    Returns:
        The path.
    """
    return save(draw_learning_rate(table, suggestions=suggestions), path)


@picture
def draw_learning_rate(
    table: LearningRates, *, suggestions: Mapping[str, float] | None = None
) -> Figure:
    """Return the figure of `plot_learning_rate`."""
    figure = new_figure(9, 5.5)
    axes = figure.subplots()
    axes.set_title("Loss by learning rate")
    keep = np.isfinite(table.smoothed) & (table.lr > 0)
    if not keep.any():
        say_empty(axes, "the finder made no step with a finite loss")
        return figure
    style: dict[str, Any] = {"marker": "o", "markersize": 2} if len(table.lr) < 200 else {}
    axes.plot(table.lr, table.loss, color=BLUE, alpha=0.3, linewidth=0.8, label="each step")
    axes.plot(table.lr, table.smoothed, color=BLUE, linewidth=2, label="smoothed", **style)
    use_log_scale(axes, "x")
    _focus(axes, table.smoothed[keep])
    found = suggest_learning_rates(table) if suggestions is None else suggestions
    _mark(axes, table, found)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss of an item")
    legend(axes, list(axes.get_legend_handles_labels()[0]), loc="best")
    return figure


def _focus(axes: Axes, smoothed: np.ndarray) -> None:
    """Leave out most of the explosion at the end, which would flatten all that is before it."""
    low, start = float(smoothed.min()), float(smoothed[0])
    room = max(start - low, 0.05 * abs(start), 1e-12)
    axes.set_ylim(low - 0.15 * room, max(start, low) + 1.0 * room)


def _mark(axes: Axes, table: LearningRates, suggestions: Mapping[str, float]) -> None:
    """Mark learning rates by a line and a point on the smoothed loss; names are in the legend."""
    keep = np.isfinite(table.smoothed) & (table.lr > 0)
    for i, (name, lr) in enumerate(suggestions.items()):
        if not (math.isfinite(lr) and lr > 0):
            continue
        color = (VERMILION, GREEN, *PALETTE[3:])[i % 6]
        height = np.interp(math.log(lr), np.log(table.lr[keep]), table.smoothed[keep])
        axes.axvline(lr, color=color, linestyle="--", linewidth=1.2)
        style: dict[str, Any] = {"marker": "D", "markersize": 8, "linestyle": "--"}
        axes.plot([lr], [height], color=color, label=f"{shorten(name)}: {lr:.2g}", **style)
