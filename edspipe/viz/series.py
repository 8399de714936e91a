"""Metrics: the numbers that a training recorded, by split, name and step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

TRAIN, VAL, TEST, WEIGHTS = "train", "val", "test", "weights"

SCORES = ("micro_f", "accuracy", "f1", "f", "macro_f", "micro_p", "micro_r")
"""Names that sum a validation up in one number, the most telling one first."""


@dataclass(frozen=True)
class Series:
    """One number over time.

    Attributes:
        steps: When, rising. Shape (num_points,).
        values: What, NaN where it was not finite. Shape (num_points,).
    """

    steps: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    def finite(self) -> Series:
        """Return the points that have a value."""
        keep = np.isfinite(self.values)
        return Series(self.steps[keep], self.values[keep])

    def between(self, first: float, last: float) -> Series:
        """Return the points from one step to another, both included."""
        keep = (self.steps >= first) & (self.steps <= last)
        return Series(self.steps[keep], self.values[keep])


@dataclass(frozen=True)
class Best:
    """The best validation.

    Attributes:
        step: When.
        monitor: What was looked at, e.g. `"val/micro_f"`.
        value: How good it was.
    """

    step: float
    monitor: str
    value: float


class Metrics:
    """What a training recorded.

    Args:
        unit: What is counted along the x axis: `"step"`, or `"epoch"` in files that have no steps.
    """

    def __init__(self, unit: str = "step") -> None:
        self.unit = unit
        self._values: dict[tuple[str, str], dict[float, float]] = {}

    def add(self, step: float, split: str, name: str, value: Any) -> None:
        """Add one number.

        The last one wins where a step comes twice, as after a resume. What is not a finite number
        (None, NaN, infinity) is kept as NaN.
        """
        number = float(value) if isinstance(value, (int, float)) else math.nan
        series = self._values.setdefault((split, name), {})
        series[float(step)] = number if math.isfinite(number) else math.nan

    def names(self, split: str) -> list[str]:
        """Return the names of a split, in the order in which they came."""
        return [name for of, name in self._values if of == split]

    def series(self, split: str, name: str) -> Series:
        """Return a number over time; it has no points where nothing was recorded."""
        values = self._values.get((split, name), {})
        steps = np.array(sorted(values), dtype=float)
        return Series(steps, np.array([values[step] for step in steps], dtype=float))

    def last_step(self) -> float | None:
        """Return the last step of any split but the test, if there is one."""
        steps = [
            max(values) for (split, _), values in self._values.items() if split != TEST and values
        ]
        return max(steps, default=None)


def score_names(names: Iterable[str]) -> list[str]:
    """Return those of many names that sum up a validation, the most telling one first.

    Args:
        names: E.g. `["DISO_f", "micro_f"]`, or with several metrics `["exact/micro_f"]`.
    """
    names = list(names)
    return [n for score in SCORES for n in names if n.rpartition("/")[2].lower() == score]


def find_best(metrics: Metrics) -> Best | None:
    """Return the best validation: by the first score, else by the loss; None without one."""
    for name in score_names(metrics.names(VAL)):
        found = metrics.series(VAL, name).finite()
        if len(found):
            at = int(np.argmax(found.values))
            return Best(float(found.steps[at]), f"{VAL}/{name}", float(found.values[at]))
    losses = metrics.series(VAL, "loss").finite()
    if not len(losses):
        return None
    at = int(np.argmin(losses.values))
    return Best(float(losses.steps[at]), f"{VAL}/loss", float(losses.values[at]))


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Return a centred moving mean that leaves NaN out; at the ends the window is shorter.

    Args:
        values: Shape (num_points,).
        window: Points in the mean.

    Returns:
        Shape (num_points,); NaN where a window has no value.
    """
    known = np.isfinite(values)
    half = window // 2
    edges = np.arange(len(values))
    low, high = np.maximum(edges - half, 0), np.minimum(edges + half + 1, len(values))
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    num = counts[high] - counts[low]
    return np.where(num > 0, (sums[high] - sums[low]) / np.maximum(num, 1), np.nan)
