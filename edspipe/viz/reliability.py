"""reliability.png: whether a confidence of 0.8 is right in 8 of 10 cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edspipe.viz.evaluation import mapping, noun, number, of_documents
from edspipe.viz.style import (
    BLUE,
    GREY,
    VERMILION,
    legend,
    new_figure,
    picture,
    save,
    say_empty,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 20
"""Entities in a bin below which its share of right ones is mostly chance: drawn pale."""


def plot_reliability(evaluation: Mapping[str, Any], path: str | Path) -> Path:
    """Draw how many are right by confidence, and how many entities have it.

    Args:
        evaluation: The object of an evaluation file.
        path: The picture: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.
    """
    return save(draw_reliability(evaluation), path)


@picture
def draw_reliability(evaluation: Mapping[str, Any]) -> Figure:
    """Return the figure of `plot_reliability`."""
    data = mapping(mapping(evaluation.get("confidence")).get("reliability"))
    edges = [edge for edge in map(number, data.get("edges") or []) if edge is not None]
    counts = [int(number(c) or 0) for c in data.get("count") or []][: max(0, len(edges) - 1)]
    if not sum(counts):
        figure = new_figure(6, 2)
        say_empty(figure.subplots(), "no confidences: nothing to compare")
        return figure
    figure = new_figure(7, 6.5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    things, found = noun(evaluation), f"found {noun(evaluation)}"
    if of_documents(evaluation):  # probabilities are compared, not decisions
        things = found = "documents and labels"
    _draw_accuracy(above, edges, counts, data, things)
    _draw_counts(below, edges, counts, found)
    error = number(data.get("ece"))
    said = "" if error is None else f": off by {100 * error:.1f} points on average (ECE)"
    what = "Labels that hold, by probability" if of_documents(evaluation) else "Right by confidence"
    above.set_title(f"{what}{said}")
    return figure


def _draw_accuracy(
    axes: Axes, edges: list[float], counts: list[int], data: Mapping[str, Any], things: str
) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.text(0.03, 0.07, "as it should be", rotation=38, color=GREY, fontsize=9)
    accuracies = list(map(number, data.get("accuracy") or []))
    confidences = list(map(number, data.get("mean_confidence") or []))
    for low, high, right, count in zip(edges, edges[1:], accuracies, counts, strict=False):
        if right is not None:
            width = 0.92 * (high - low)
            style: dict[str, Any] = {
                "alpha": 0.25 if count < FEW else 0.7,
                "color": BLUE,
                "width": width,
            }
            axes.bar((low + high) / 2, right, **style)
    points = [
        (confidence, right)
        for confidence, right in zip(confidences, accuracies, strict=False)
        if confidence is not None and right is not None
    ]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    (line,) = axes.plot(xs, ys, "o-", color=VERMILION, label="at the mean confidence of the bin")
    few = [low for low, count in zip(edges, counts, strict=False) if 0 < count < FEW]
    title = f"pale: fewer than {FEW} {things}" if few else None
    legend(axes, [line], loc="upper left", title=title, title_fontsize=9)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share that is right")


def _draw_counts(axes: Axes, edges: list[float], counts: list[int], things: str) -> None:
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        axes.bar((low + high) / 2, count, width=0.92 * (high - low), color=GREY)
        axes.annotate(
            f"{count:,}",
            ((low + high) / 2, count),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_ylim(0, 1.25 * max(counts))
    axes.set_ylabel(things)
    axes.set_xlabel("confidence")
