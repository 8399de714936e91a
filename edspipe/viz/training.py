"""training.png: loss, scores, learning rate and gradient norm over the steps of a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edspipe.viz.series import TRAIN, VAL, Best, Metrics, Series, find_best, score_names, smooth
from edspipe.viz.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LINES,
    ORANGE,
    PALETTE,
    VERMILION,
    legend,
    new_figure,
    no_legend_name,
    picture,
    save,
    say_empty,
    shorten,
    use_log_scale,
    use_plain_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BITS = "bits_per_char"
MAX_POINTS = 2000
"""A line of more points is drawn by the extremes of its parts: it looks the same."""

FEW_POINTS = 40
"""Up to so many, each point has a mark."""

LOG_RATIO = 30
"""A loss that falls by more than this is drawn on a logarithmic axis."""

MAX_LINES = 6
"""In a panel: more could not be told apart."""


def plot_training(metrics: Metrics, path: str | Path, *, best: Best | None = None) -> Path:
    """Draw loss and scores (train and validation), learning rate and gradient norm by step.

    Args:
        metrics: What was recorded.
        path: The picture: `.png`, `.svg` or `.pdf`.
        best: The step to mark; None takes the best validation.

    Returns:
        The path.
    """
    return save(draw_training(metrics, best=best), path)


@picture
def draw_training(metrics: Metrics, *, best: Best | None = None) -> Figure:
    """Return the figure of `plot_training`."""
    best = best or find_best(metrics)
    figure = new_figure(11, 7)
    panels = figure.subplots(2, 2, sharex=True, height_ratios=[3, 2])
    _draw_losses(panels[0, 0], metrics)
    _draw_scores(panels[0, 1], metrics)
    _draw_rates(panels[1, 0], metrics)
    _draw_norms(panels[1, 1], metrics)
    for axes in panels.flat:
        if axes.lines and best is not None:
            _mark_best(axes, best, named=axes in panels[0])
        if axes.lines:
            axes.set_xlabel(metrics.unit)
            axes.tick_params(labelbottom=True)
    return figure


def _draw_losses(axes: Axes, metrics: Metrics) -> None:
    train, val = metrics.series(TRAIN, "loss"), metrics.series(VAL, "loss")
    handles = [*_draw_raw_and_mean(axes, train, BLUE, "train", metrics.unit)]
    if len(val.finite()):
        handles += [_draw_points(axes, val, VERMILION, "validation")]
        _mark_lowest(axes, val.finite())
    parts = [n for n in metrics.names(TRAIN) if n.startswith("loss/")]
    if 1 < len(parts) <= MAX_LINES:
        for i, name in enumerate(parts):
            mean = _mean_of(metrics.series(TRAIN, name))
            label = no_legend_name(f"train, {name.removeprefix('loss/')}")
            style: dict[str, Any] = {
                "color": GREY,
                "linestyle": LINES[(i + 1) % len(LINES)],
                "linewidth": 1,
            }
            handles += axes.plot(*_thin(mean), label=label, **style)
    _finish(axes, handles, "Loss", [train, val], "no loss was recorded")


def _draw_scores(axes: Axes, metrics: Metrics) -> None:
    handles, shown = [], []
    names = score_names(metrics.names(VAL))[:MAX_LINES]
    for i, name in enumerate(names):
        series = metrics.series(VAL, name)
        color = VERMILION if i == 0 else PALETTE[(i + 2) % len(PALETTE)]
        style: dict[str, Any] = {"linewidth": 2.2 if i == 0 else 1.2, "linestyle": LINES[min(i, 3)]}
        handles += [_draw_points(axes, series, color, f"validation, {shorten(name)}", **style)]
        shown.append(series)
    for name in score_names(metrics.names(TRAIN))[:1]:
        series = metrics.series(TRAIN, name)
        handles += [_draw_points(axes, series, BLUE, f"train, {shorten(name)}")]
        shown.append(series)
    if not shown and BITS in metrics.names(VAL):
        _draw_bits(axes, metrics)
        return
    _finish(axes, handles, "Scores", shown, "no scores were recorded: no validation", log=False)
    if any(len(series.finite()) for series in shown):
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(1.02, axes.get_ylim()[1]))


def _draw_bits(axes: Axes, metrics: Metrics) -> None:
    """Draw what is said of a language model, which has no scores."""
    train, val = metrics.series(TRAIN, BITS), metrics.series(VAL, BITS).finite()
    handles = [*_draw_raw_and_mean(axes, train, BLUE, "train", metrics.unit)]
    handles += [_draw_points(axes, val, VERMILION, "validation")]
    _finish(axes, handles, "Bits a character", [train, val], "nothing was recorded", log=False)


def _draw_rates(axes: Axes, metrics: Metrics) -> None:
    names = [n for n in metrics.names(TRAIN) if n == "lr" or n.startswith("lr/")][:MAX_LINES]
    handles, shown = [], []
    for i, name in enumerate(names):
        series = metrics.series(TRAIN, name)
        label = no_legend_name(name.removeprefix("lr/"))
        style: dict[str, Any] = {
            "color": PALETTE[(i + 2) % len(PALETTE)],
            "linestyle": LINES[i % len(LINES)],
        }
        handles += [_draw_points(axes, series, label=label, **style)]
        shown.append(series)
    several = handles if len(handles) > 1 else []
    empty = "no learning rate was recorded"
    _finish(axes, several, "Learning rate", shown, empty, log=len(shown) > 1)


def _draw_norms(axes: Axes, metrics: Metrics) -> None:
    series = metrics.series(TRAIN, "grad_norm")
    handles = _draw_raw_and_mean(axes, series, GREEN, "each step", metrics.unit)
    _finish(axes, handles, "Gradient norm, before clipping", [series], "no norms were recorded")


# Lines


def _draw_raw_and_mean(axes: Axes, series: Series, color: str, name: str, unit: str) -> list[Any]:
    """Draw a noisy line: pale as it is, and its mean; of few points, as they are."""
    if not len(series.finite()):
        return []
    if len(series) <= FEW_POINTS:
        return [_draw_points(axes, series, color, name)]
    (raw,) = axes.plot(*_thin(series), color=color, alpha=0.3, linewidth=0.8, label=name)
    label = f"{name}, mean of {_window(series)} {unit}s"
    label = label.removeprefix("each step, ")
    (mean,) = axes.plot(*_thin(_mean_of(series)), color=color, linewidth=2, label=label)
    return [mean] if name == "train" else [raw, mean]


def _draw_points(axes: Axes, series: Series, color: str, label: str, **style: Any) -> Any:
    marker: dict[str, Any] = {"marker": "o", "markersize": 4} if len(series) <= FEW_POINTS else {}
    (line,) = axes.plot(*_thin(series), color=color, label=label, **marker, **style)
    return line


def _window(series: Series) -> int:
    """Return an odd number of points: a thirtieth of all."""
    return max(5, len(series) // 30) // 2 * 2 + 1


def _mean_of(series: Series) -> Series:
    if len(series) <= FEW_POINTS:
        return series
    return Series(series.steps, smooth(series.values, _window(series)))


def _thin(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of a line, of a long one the lowest and highest point of each part."""
    if len(series) <= MAX_POINTS:
        return series.steps, series.values
    parts = np.array_split(np.arange(len(series)), MAX_POINTS // 2)
    keep: list[int] = []
    for part in parts:
        values = series.values[part]
        if np.isfinite(values).any():
            keep += sorted({int(part[np.nanargmin(values)]), int(part[np.nanargmax(values)])})
        else:
            keep.append(int(part[0]))
    return series.steps[keep], series.values[keep]


# What every panel has


def _finish(
    axes: Axes,
    handles: list[Any],
    title: str,
    series: list[Series],
    empty: str,
    *,
    log: bool = True,
) -> None:
    num_lost = sum(len(s) - len(s.finite()) for s in series)
    if not any(len(s.finite()) for s in series):
        axes.set_title(title)
        say_empty(axes, empty if num_lost == 0 else f"none of {num_lost} values is finite")
        return
    wide = log and _is_wide(series)
    if wide:
        use_log_scale(axes)
    else:
        use_plain_numbers(axes)
    axes.set_title(f"{title} (logarithmic axis)" if wide else title)
    legend(axes, handles)
    if num_lost:
        _mark_lost(axes, series, num_lost)


def _is_wide(series: list[Series]) -> bool:
    values = np.concatenate([s.finite().values for s in series])
    return bool(values.min() > 0 and values.max() > LOG_RATIO * values.min())


def _mark_lost(axes: Axes, series: list[Series], num_lost: int) -> None:
    """Mark, below the lines, the steps whose values were not finite."""
    steps = np.concatenate([s.steps[~np.isfinite(s.values)] for s in series])
    place = axes.get_xaxis_transform()
    style: dict[str, Any] = {
        "marker": "x",
        "linestyle": "",
        "color": BLACK,
        "markersize": 5,
        "clip_on": False,
    }
    axes.plot(steps, np.full(len(steps), 0.02), transform=place, **style)
    text = f"× {num_lost} not finite"
    axes.text(0.02, 0.06, text, transform=axes.transAxes, fontsize=9, color=BLACK)


def _mark_lowest(axes: Axes, series: Series) -> None:
    """Mark where the validation loss was lowest: what comes after it may be overfitting."""
    at = int(np.argmin(series.values))
    point = (series.steps[at], series.values[at])
    axes.plot(*point, "o", color=VERMILION, markerfacecolor="white", markersize=8, zorder=3)
    text = f"lowest {point[1]:.3g} at {point[0]:g}"
    options: dict[str, Any] = {
        "xytext": (0, 9),
        "textcoords": "offset points",
        "ha": "center",
        "fontsize": 9,
    }
    axes.annotate(text, point, color=VERMILION, **options)


def _mark_best(axes: Axes, best: Best, *, named: bool) -> None:
    axes.axvline(best.step, color=ORANGE, linewidth=1.2, linestyle="--", zorder=1)
    if not named:
        return
    text = f"best {shorten(best.monitor)}: {best.step:g}"
    place = axes.get_xaxis_transform()
    right = best.step > sum(axes.get_xlim()) / 2
    axes.annotate(
        text,
        (best.step, 0.01),
        xycoords=place,
        xytext=(-4 if right else 4, 2),
        textcoords="offset points",
        ha="right" if right else "left",
        fontsize=9,
        color="#9A6A00",
    )
