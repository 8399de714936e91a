"""Do confidences mean what they say, and what would a threshold on them do?

Both are about found spans whose confidence is known. One is right if gold has a span with the same
characters and label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NUM_BINS = 10
MAX_POINTS = 200
"""Thresholds of a curve at most: more than a plot has pixels to tell apart."""


@dataclass
class Confidences:
    """Collects found spans: label, confidence, and whether they are right."""

    rows: list[tuple[str, float, bool]] = field(default_factory=list)
    support: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any] | None:
        """Return the reliability and the curves as plain data, or None where nothing is known.

        Returns:
            `"reliability"` (see `reliability`), and under `"precision_recall"` a curve (see
            `precision_recall`) for `"micro"` and each label that has confidences.
        """
        if not self.rows:
            return None
        values = np.array([confidence for _, confidence, _ in self.rows])
        right = np.array([is_right for _, _, is_right in self.rows])
        labels = np.array([label for label, _, _ in self.rows])
        curves = {"micro": precision_recall(values, right, self.support.total())}
        for label in sorted(set(labels.tolist())):
            one = labels == label
            curves[label] = precision_recall(values[one], right[one], self.support[label])
        return {"reliability": reliability(values, right), "precision_recall": curves}


def reliability(
    confidences: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray
) -> dict[str, Any]:
    """Compare mean confidence and accuracy in ten bins of equal width.

    The expected calibration error `ece` is the mean of their distances, weighted by the number in
    each bin (Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning", 2015). A bin has its lower edge, the last one its upper edge too.

    Args:
        confidences: From 0 to 1. *Shape:* (spans,)
        right: Whether each is right. *Shape:* (spans,)

    Returns:
        `edges` (eleven), and for each bin `mean_confidence`, `accuracy` (None where it is empty)
        and `count`; and `ece`.
    """
    values, hits = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    edges = [bin / NUM_BINS for bin in range(NUM_BINS + 1)]
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, NUM_BINS - 1)
    count, confidence, accuracy = (
        np.bincount(place, weights=weights, minlength=NUM_BINS)
        for weights in (np.ones(len(values)), values, hits)
    )
    gap = float(np.abs(confidence - accuracy).sum())
    return {
        "edges": edges,
        "mean_confidence": _means(confidence, count),
        "accuracy": _means(accuracy, count),
        "count": count.astype(int).tolist(),
        "ece": gap / len(values) if len(values) else 0.0,
    }


def _means(sums: np.ndarray, counts: np.ndarray) -> list[float | None]:
    return [
        total / count if count else None
        for total, count in zip(sums.tolist(), counts.tolist(), strict=True)
    ]


def precision_recall(
    confidences: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray, support: int
) -> dict[str, list[float]]:
    """Return precision and recall if only spans of at least some confidence were kept.

    Args:
        confidences: Confidence of each found span. *Shape:* (spans,)
        right: Whether each is right. *Shape:* (spans,)
        support: Number of gold spans.

    Returns:
        `threshold` (rising), `p` and `r`, one value for each confidence that occurs; of more than
        `MAX_POINTS`, so many of them, evenly spread and with both ends.
    """
    values, hits = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    order = np.argsort(-values, kind="stable")
    values, tp = values[order], np.cumsum(hits[order])
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)])[::-1]
    if len(ends) > MAX_POINTS:
        ends = ends[np.linspace(0, len(ends) - 1, MAX_POINTS).round().astype(int)]
    return {
        "threshold": values[ends].tolist(),
        "p": (tp[ends] / (ends + 1)).tolist(),
        "r": (tp[ends] / max(1, support)).tolist(),
    }
