"""Confidences that mean what they say: one temperature, chosen on held-out predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EPSILON = 1e-7
"""Confidences are kept this far from 0 and 1, where log-odds are infinite."""
RANGE = (0.05, 20.0)
"""Temperatures that are considered: beyond, confidences are all but 0, 0.5 or 1."""
_GOLDEN = (5**0.5 - 1) / 2
_ITERATIONS = 60


def temper(confidences: Sequence[float] | np.ndarray, temperature: float) -> np.ndarray:
    """Divide the log-odds of confidences by a temperature.

    Args:
        confidences: From 0 to 1. *Shape:* (spans,)
        temperature: Above 1 makes them less extreme, below 1 more.
    """
    values = np.clip(np.asarray(confidences, dtype=float), EPSILON, 1 - EPSILON)
    return 1 / (1 + np.exp(-np.log(values / (1 - values)) / temperature))


def fit_temperature(
    confidences: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray
) -> float:
    """Return the temperature under which predictions are most likely to be right as often as said.

    It minimises the log loss (Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern
    neural networks", section 4.2), by golden-section search on its logarithm: the loss has one
    minimum in `1 / temperature`.

    Args:
        confidences: From 0 to 1. *Shape:* (spans,)
        right: Whether each prediction is right. *Shape:* (spans,)

    Raises:
        ValueError: There are no predictions, or not as many as answers.
    """
    values, answers = np.asarray(confidences, dtype=float), np.asarray(right, dtype=bool)
    if len(values) == 0 or values.shape != answers.shape:
        raise ValueError(
            f"expected as many confidences as answers, and at least one; got {len(values)} and "
            f"{len(answers)}"
        )
    low, high = np.log(RANGE)
    for _ in range(_ITERATIONS):
        inner = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if log_loss(temper(values, np.exp(inner[0])), answers) < log_loss(
            temper(values, np.exp(inner[1])), answers
        ):
            high = inner[1]
        else:
            low = inner[0]
    return float(np.exp((low + high) / 2))


def log_loss(
    confidences: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray
) -> float:
    """Return the mean negative logarithm of the probability that was given to what was the case."""
    values = np.clip(np.asarray(confidences, dtype=float), EPSILON, 1 - EPSILON)
    return float(-np.log(np.where(np.asarray(right, dtype=bool), values, 1 - values)).mean())
