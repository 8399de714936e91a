"""Confidences that mean what they say: a temperature or a curve chosen on held-out predictions.

Arguments called confidences and answers may have any one shape: (spans,), or (documents, labels) to
choose one temperature for all labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

EPSILON = 1e-7
"""Confidences are kept this far from 0 and 1, where log-odds are infinite."""
RANGE = (0.05, 20.0)
"""Temperatures that are considered: beyond, confidences are all but 0, 0.5 or 1."""
_GOLDEN = (5**0.5 - 1) / 2
_ITERATIONS = 60
_NEWTON_STEPS, _STEP_SIZE = 100, 1e-10
_RIDGE = 1e-12
"""Keeps the curvature invertible where all scores are the same."""


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
    return _best_temperature(lambda temperature: log_loss(temper(values, temperature), answers))


def fit_softmax_temperature(
    logits_NL: Sequence[Sequence[float]] | np.ndarray, classes_N: Sequence[int] | np.ndarray
) -> float:
    """Return the temperature that logits are divided by, where just one label of many is right.

    It minimises the cross entropy, as `fit_temperature` minimises the log loss.

    Args:
        logits_NL: Before the softmax. *Shape:* (documents, labels)
        classes_N: Which label each document has, counted from 0. *Shape:* (documents,)

    Raises:
        ValueError: There are no documents, not as many as answers, or there is no such label.
    """
    logits, classes = np.asarray(logits_NL, dtype=float), np.asarray(classes_N, dtype=int)
    if logits.ndim != 2 or len(logits) == 0 or classes.shape != logits.shape[:1]:
        raise ValueError(
            f"expected logits of shape (documents, labels), an answer for each document, and at "
            f"least one; got shapes {logits.shape} and {classes.shape}"
        )
    if classes.min() < 0 or classes.max() >= logits.shape[1]:
        raise ValueError(
            f"expected answers from 0 to {logits.shape[1] - 1}; got {classes.min()} to "
            f"{classes.max()}"
        )
    shifted = logits - logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(shifted, classes[:, None], axis=1)[:, 0]

    def cross_entropy(temperature: float) -> float:
        norms = np.log(np.exp(shifted / temperature).sum(axis=1))
        return float((norms - right / temperature).mean())

    return _best_temperature(cross_entropy)


def _best_temperature(loss: Callable[[float], float]) -> float:
    low, high = np.log(RANGE)
    for _ in range(_ITERATIONS):
        inner = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if loss(np.exp(inner[0])) < loss(np.exp(inner[1])):
            high = inner[1]
        else:
            low = inner[0]
    return float(np.exp((low + high) / 2))


def platt(scores: Sequence[float] | np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return confidences `1 / (1 + exp(-(slope * score + intercept)))`.

    Args:
        scores: Any numbers, such as logits. *Shape:* (documents,)
        slope: As `fit_platt` finds it.
        intercept: As `fit_platt` finds it.
    """
    return _sigmoid(slope * np.asarray(scores, dtype=float) + intercept)


def fit_platt(
    scores: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray
) -> tuple[float, float]:
    """Return slope and intercept of the logistic curve that makes confidences of scores.

    The targets are not 1 and 0 but (n + 1) / (n + 2) and 1 / (m + 2) for n right and m wrong ones,
    so that a few examples that scores keep apart have a finite slope (Platt, *Probabilistic outputs
    for support vector machines*, 1999). Newton's method, where a step that does not lower the loss
    is halved (Lin, Lin and Weng, *A note on Platt's probabilistic outputs*, 2007).

    Args:
        scores: Any numbers, such as logits. *Shape:* (documents,)
        right: Whether each document has the label. *Shape:* (documents,)

    Raises:
        ValueError: There are no scores, not as many as answers, or one is not finite.
    """
    values, answers = np.asarray(scores, dtype=float), np.asarray(right, dtype=bool)
    if len(values) == 0 or values.ndim != 1 or values.shape != answers.shape:
        raise ValueError(
            f"expected as many scores as answers, and at least one; got shapes {values.shape} and "
            f"{answers.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("scores are finite numbers; got NaN or infinity")
    num_right = int(answers.sum())
    num_wrong = len(answers) - num_right
    targets = np.where(answers, (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2))
    center, scale = values.mean(), values.std() or 1.0
    slope, intercept = _newton((values - center) / scale, targets)
    return float(slope / scale), float(intercept - slope * center / scale)


def _newton(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return slope and intercept at which the log loss is least."""
    columns = np.stack([values, np.ones(len(values))], axis=1)
    weights = np.array([0.0, np.log(targets.mean() / (1 - targets.mean()))])
    loss = _soft_loss(columns @ weights, targets)
    for _ in range(_NEWTON_STEPS):
        fitted = _sigmoid(columns @ weights)
        gradient = columns.T @ (fitted - targets)
        curvature = (columns * (fitted * (1 - fitted))[:, None]).T @ columns
        step = np.linalg.solve(curvature + _RIDGE * np.eye(2), gradient)
        if np.abs(step).max() < _STEP_SIZE:
            break
        while (lower := _soft_loss(columns @ (weights - step), targets)) > loss:
            step = step / 2
            if np.abs(step).max() < _STEP_SIZE:
                return weights
        weights, loss = weights - step, lower
    return weights


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -logits))


def _soft_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((np.logaddexp(0.0, logits) - targets * logits).sum())


def log_loss(
    confidences: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray
) -> float:
    """Return the mean negative logarithm of the probability that was given to what was the case."""
    values = np.clip(np.asarray(confidences, dtype=float), EPSILON, 1 - EPSILON)
    return float(-np.log(np.where(np.asarray(right, dtype=bool), values, 1 - values)).mean())


def brier_score(
    confidences: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray
) -> float:
    """Return the mean squared distance of confidences from 1 or 0 (Brier 1950).

    Args:
        confidences: From 0 to 1.
        right: Whether each is right.

    Raises:
        ValueError: There are none, or not as many as answers.
    """
    values, answers = _flat(confidences, right)
    return float(np.square(values - answers).mean())


def expected_calibration_error(
    confidences: Sequence[float] | np.ndarray,
    right: Sequence[bool] | np.ndarray,
    num_bins: int = 10,
    binning: Literal["width", "mass"] = "width",
) -> float:
    """Return the mean distance, over bins, of mean confidence and accuracy.

    Bins weigh as much as they hold (Naeini, Cooper and Hauskrecht 2015). Bins of equal width have
    their lower edge, the last one its upper edge too, as in `edspipe.metrics.confidence`. Bins of
    equal mass are runs of the sorted confidences whose sizes differ by one at most; equal
    confidences all go to the first bin that one of them falls into, so that the order of the
    examples does not matter (Nguyen and O'Connor 2015 call the error with such bins adaptive).

    Args:
        confidences: From 0 to 1.
        right: Whether each is right.
        num_bins: Number of bins.
        binning: `"width"` or `"mass"`.

    Raises:
        ValueError: There are none, not as many as answers, one is not from 0 to 1, or there are no
            such bins.
    """
    values, answers = _flat(confidences, right)
    if num_bins < 1 or binning not in ("width", "mass"):
        raise ValueError(
            f"expected at least one bin, and binning 'width' or 'mass'; got {num_bins} and "
            f"{binning!r}"
        )
    if binning == "width":
        edges = [bin / num_bins for bin in range(num_bins + 1)]
        bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, num_bins - 1)
    else:
        rank = np.searchsorted(np.sort(values), values, side="left")
        bins = rank * num_bins // len(values)
    gaps = np.bincount(bins, weights=values - answers)
    return float(np.abs(gaps).sum() / len(values))


def _flat(
    confidences: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    values, answers = np.asarray(confidences, dtype=float), np.asarray(right, dtype=bool)
    if values.size == 0 or values.shape != answers.shape:
        raise ValueError(
            f"expected as many confidences as answers, and at least one; got shapes "
            f"{values.shape} and {answers.shape}"
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("confidences are numbers from 0 to 1; got another")
    return values.ravel(), answers.ravel()
