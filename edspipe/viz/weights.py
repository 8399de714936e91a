"""weights.png: traced weights over the steps of a training, a panel a parameter."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from edspipe.viz.series import WEIGHTS, Metrics
from edspipe.viz.style import (
    GREY,
    PALETTE,
    legend,
    new_figure,
    no_legend_name,
    picture,
    save,
    say_empty,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 24
MAX_LINES = 10
"""In a panel: more could not be told apart."""

MAX_TITLE_CHARS = 44
FEW_POINTS = 20


def plot_weights(metrics: Metrics, path: str | Path) -> Path:
    """Draw every traced weight by step; those of one parameter share a panel.

    Args:
        metrics: What was recorded, with names as `ner.classifier.weight[3,17]` in the split
            `weights`.
        path: The picture: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.
    """
    return save(draw_weights(metrics), path)


@picture
def draw_weights(metrics: Metrics) -> Figure:
    """Return the figure of `plot_weights`."""
    groups = _by_parameter(metrics.names(WEIGHTS))
    shown = list(groups)[:MAX_PANELS]
    num_columns = min(3, max(1, len(shown)))
    num_rows = max(1, math.ceil(len(shown) / num_columns))
    figure = new_figure(max(6.0, 4 * num_columns), 0.4 + 2.4 * num_rows)
    panels = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
    for axes, parameter in zip(panels, shown, strict=False):
        _draw_parameter(axes, metrics, parameter, groups[parameter])
    for axes in panels[max(1, len(shown)) :]:
        axes.set_axis_off()
    if not shown:
        say_empty(panels[0], "no weights were traced")
    if len(groups) > len(shown):
        left_out = len(groups) - len(shown)
        figure.supxlabel(f"{left_out} more parameters were traced", color=GREY, fontsize=10)
    return figure


def _by_parameter(names: list[str]) -> dict[str, list[str]]:
    """Return the names of traced weights by parameter: the part before the brackets."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition("[")[0], []).append(name)
    return groups


def _draw_parameter(axes: Axes, metrics: Metrics, parameter: str, names: list[str]) -> None:
    handles = []
    for i, name in enumerate(names[:MAX_LINES]):
        series = metrics.series(WEIGHTS, name)
        position = name[len(parameter) :].strip("[]()") or "value"
        marker = "o" if len(series.finite()) <= FEW_POINTS else ""
        handles += axes.plot(
            series.steps,
            series.values,
            color=PALETTE[i % len(PALETTE)],
            linestyle="-" if i < len(PALETTE) else "--",
            linewidth=1.3,
            marker=marker,
            markersize=3,
            label=no_legend_name(position),
        )
    more = f" ({len(names) - MAX_LINES} more)" if len(names) > MAX_LINES else ""
    axes.set_title(shorten(parameter, MAX_TITLE_CHARS) + more, fontsize=8.5)
    axes.set_xlabel(metrics.unit)
    options = {"fontsize": 7.5, "title": "position", "title_fontsize": 7.5}
    legend(axes, handles, loc="center left", bbox_to_anchor=(1.0, 0.5), **options)
