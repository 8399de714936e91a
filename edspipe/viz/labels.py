"""labels.png: F1 of each label with its interval, and how many gold entities it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edspipe.viz.evaluation import SMALL_SUPPORT, SUMS, LabelScore, label_scores, noun, score_of
from edspipe.viz.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    new_figure,
    picture,
    save,
    say_empty,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_LABELS = 80


def plot_labels(evaluation: Mapping[str, Any], path: str | Path) -> Path:
    """Draw F1 by label, sorted, with 95 % intervals, and the number of gold entities beside it.

    Args:
        evaluation: The object of an evaluation file.
        path: The picture: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.
    """
    return save(draw_labels(evaluation), path)


@picture
def draw_labels(evaluation: Mapping[str, Any]) -> Figure:
    """Return the figure of `plot_labels`."""
    labels = label_scores(evaluation)
    left_out = max(0, len(labels) - MAX_LABELS)
    labels = labels[left_out:]  # the weakest are the last
    sums = [score for score in (score_of(evaluation, s) for s in SUMS) if score.f is not None]
    rows = [*sums, *labels]
    figure = new_figure(9.5, 1.4 + 0.27 * max(2, len(rows)))
    axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    if not rows:
        beside.set_axis_off()
        say_empty(axes, "no label was scored")
        return figure
    _draw_scores(axes, rows)
    _draw_support(beside, rows, noun(evaluation))
    axes.set_yticks(range(len(rows)), [shorten(row.label) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if sums and labels:
        for one in (axes, beside):
            one.axhline(len(sums) - 0.5, color=GREY, linewidth=0.8)
    more = f" (the {len(labels)} weakest of {len(labels) + left_out} labels)" if left_out else ""
    axes.set_title(f"F1 by label, with 95 % interval{more}")
    return figure


def _draw_scores(axes: Axes, rows: list[LabelScore]) -> None:
    for i, row in enumerate(rows):
        color = BLACK if row.label in SUMS else ORANGE if row.is_small else BLUE
        if row.f is None:
            axes.text(0.01, i, "not known", va="center", fontsize=8, color=GREY)
            continue
        if row.interval is not None:
            axes.plot(row.interval, [i, i], color=color, linewidth=2.2, alpha=0.5)
        face = "white" if row.is_small else color
        axes.plot([row.f], [i], "o", color=color, markerfacecolor=face, markersize=6, clip_on=False)
        end = max(row.f, row.interval[1] if row.interval else 0)
        axes.annotate(
            f"{row.f:.2f}",
            (end, i),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    axes.set_xlim(0, 1.08)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel("F1")
    axes.grid(axis="y", visible=False)


def _draw_support(axes: Axes, rows: list[LabelScore], things: str) -> None:
    """Draw a bar for each label; the sum is only written, as its bar would dwarf the others."""
    counts = [0 if row.label in SUMS else row.support or 0 for row in rows]
    colors = [ORANGE if row.is_small else BLUE for row in rows]
    axes.barh(range(len(rows)), counts, color=colors, height=0.6, alpha=0.75)
    largest = max(counts) or 1
    for i, row in enumerate(rows):
        if row.support is not None and row.label != "macro":
            axes.text(counts[i] + 0.03 * largest, i, f"{row.support:,}", va="center", fontsize=8.5)
    axes.set_xlim(0, 1.35 * largest)
    axes.set_xlabel(f"gold {things}")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0, labelleft=False)
    if any(row.is_small and row.label not in SUMS for row in rows):
        axes.set_title(f"orange: fewer than {SMALL_SUPPORT}", fontsize=9, color=GREY)
