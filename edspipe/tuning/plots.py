"""Pictures of a search: its history, and which parameters mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edspipe.optional import require
from edspipe.training.callbacks.monitor import Mode, is_better
from edspipe.tuning.trial_rows import TrialRow
from edspipe.viz.style import (
    BLUE,
    GREY,
    LIGHT,
    VERMILION,
    legend,
    new_figure,
    picture,
    save,
    say_empty,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BARS = 25
"""Parameters that the picture of importances shows, the most important ones."""


def plot_history(rows: Sequence[TrialRow], mode: Mode, path: Path, *, name: str = "score") -> Path:
    """Draw the score of each trial, and the best so far.

    Args:
        rows: The trials.
        mode: Whether less or more is better.
        path: The file.
        name: What the score is.

    Returns:
        The path.
    """
    return save(_draw_history(rows, mode, name), path)


def plot_importances(importances: Mapping[str, float], path: Path) -> Path:
    """Draw how much each parameter mattered, the most important one on top.

    Args:
        importances: Shares by name, which add up to 1.
        path: The file.

    Returns:
        The path.
    """
    return save(_draw_importances(importances), path)


@picture
def _draw_history(rows: Sequence[TrialRow], mode: Mode, name: str) -> Figure:
    ticker = require("matplotlib.ticker", "plot", "drawing a picture")
    figure = new_figure(8, 4)
    axes = figure.add_subplot()
    done = [row for row in rows if row.score is not None]
    pruned = [row for row in rows if row.state == "pruned" and _is_finite(row.last_report)]
    if not done and not pruned:
        say_empty(axes, "no trial has been completed")
        return figure
    handles = _draw_completed(axes, done, _best_so_far(rows, mode)) if done else []
    if pruned:
        x, y = [row.number for row in pruned], [row.last_report or 0.0 for row in pruned]
        handles += axes.plot(x, y, "x", color=GREY, markersize=5, label="pruned, last report")
    num_pruned = sum(row.state == "pruned" for row in rows)
    axes.set_title(f"{len(done)} completed and {num_pruned} pruned trials")
    axes.set_xlabel("trial")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    legend(axes, handles, loc="lower right" if mode == "max" else "upper right")
    return figure


def _draw_completed(axes: Axes, done: Sequence[TrialRow], best: Any) -> list[Any]:
    x, y = [row.number for row in done], [_score(row) for row in done]
    spreads = [row.spread or 0.0 for row in done]
    handles: list[Any] = axes.plot(
        *best, color=VERMILION, drawstyle="steps-post", label="best so far"
    )
    handles += axes.plot(x, y, "o", color=BLUE, markersize=5, label="completed")
    if any(spreads):
        axes.errorbar(x, y, yerr=spreads, fmt="none", ecolor=BLUE, alpha=0.5, capsize=2)
        handles[-1].set_label("completed, ± standard deviation of seeds")
    return handles


def _best_so_far(rows: Sequence[TrialRow], mode: Mode) -> tuple[list[int], list[float]]:
    """Return numbers of trials and the best score until each, up to the last trial."""
    x: list[int] = []
    y: list[float] = []
    for row in rows:
        best = y[-1] if y else None
        if row.score is not None and is_better(row.score, best, mode):
            best = row.score
        if best is not None:
            x.append(row.number)
            y.append(best)
    return x, y


def _score(row: TrialRow) -> float:
    return math.nan if row.score is None else row.score


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


@picture
def _draw_importances(importances: Mapping[str, float]) -> Figure:
    ordered = sorted(importances.items(), key=lambda item: (-item[1], item[0]))[:MAX_BARS]
    figure = new_figure(7, 1.2 + 0.34 * max(2, len(ordered)))
    axes = figure.add_subplot()
    if not ordered:
        say_empty(axes, "importances need at least 2 completed trials")
        return figure
    places = range(len(ordered))
    shares = [share for _, share in ordered]
    axes.barh(places, shares, color=BLUE, height=0.62)
    for place, share in zip(places, shares, strict=True):
        axes.annotate(
            f"{share:.2f}",
            (share, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(list(places), [shorten(name, 40) for name, _ in ordered])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, max(*shares, 0.01) * 1.12)
    axes.spines["left"].set_color(LIGHT)
    axes.set_xlabel("share of importance")
    axes.set_title("What the best trials have in common")
    return figure
