"""From which score on a label is given: the best operating point on held-out documents.

A document has a label if its score is at least the threshold. Only as many decisions differ as
there are different scores, so that one sort gives counts at all of them and the best is exact. With
K different scores there are K + 1 candidates, from the highest down:

- just above the highest score: no document has the label;
- midway between each score and the next lower one (or the upper one of both, where no number of the
  precision of the scores lies between them);
- the lowest score: all documents have it.

Of candidates that are equally good, the highest threshold is taken: it gives fewer labels.
Thresholds have the precision of `scores` (float32 stays float32): compare new scores in the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
OBJECTIVES = ("f1", "f_beta", "youden", "cost", "constraint")
PARTNERS = {"recall": "precision", "precision": "recall", "specificity": "recall"}
"""Which figure is made as large as possible while a constraint holds for the other."""
TOLERANCE = 1e-12
"""Objectives that differ by less are equal: they may be computed from the same fraction."""


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and what it does on the documents that it was fitted on.

    Attributes:
        threshold: A score of this or more gives the label.
        objective: Value of the objective there: F1, F-beta, Youden's J, the cost, or the figure
            that was made as large as possible under the constraint. None where nothing was fitted.
        precision: tp / (tp + fp), 0.0 where nothing is found.
        recall: tp / (tp + fn), 0.0 without documents that have the label.
        specificity: tn / (tn + fp), 0.0 without documents that do not have it.
        f1: 2 tp / (2 tp + fp + fn), 0.0 for 0 divided by 0.
        tp: Documents with the label that get it.
        fp: Documents without it that get it.
        fn: Documents with it that do not.
        tn: Documents without it that do not.
        problem: Why the threshold is not what was asked for, else None: there were too few
            documents, so that it is the default, or the constraint cannot be met, so that it is the
            one that comes closest.
    """

    threshold: float
    objective: float | None
    precision: float
    recall: float
    specificity: float
    f1: float
    tp: int
    fp: int
    fn: int
    tn: int
    problem: str | None = None


@dataclass(frozen=True)
class _Candidates:
    """Thresholds from the highest down, and true and false positives at each."""

    thresholds: npt.NDArray[np.floating]
    tp: Array
    fp: Array
    support: int
    negatives: int

    def figure(self, name: str) -> Array:
        if name == "precision":
            return _ratio(self.tp, self.tp + self.fp)
        if name == "recall":
            return self.tp / max(1, self.support)
        return (self.negatives - self.fp) / max(1, self.negatives)

    def f_beta(self, beta: float) -> Array:
        square = beta * beta
        return _ratio((1 + square) * self.tp, square * self.support + self.tp + self.fp)

    def point(
        self, index: int, objective: float | None, problem: str | None = None
    ) -> OperatingPoint:
        tp, fp = int(self.tp[index]), int(self.fp[index])
        names = ("precision", "recall", "specificity")
        precision, recall, specificity = (float(self.figure(name)[index]) for name in names)
        return OperatingPoint(
            threshold=float(self.thresholds[index]),
            objective=objective,
            precision=precision,
            recall=recall,
            specificity=specificity,
            f1=float(self.f_beta(1.0)[index]),
            tp=tp,
            fp=fp,
            fn=self.support - tp,
            tn=self.negatives - fp,
            problem=problem,
        )


def fit_threshold(
    scores: npt.ArrayLike,
    gold: npt.ArrayLike,
    objective: str = "f1",
    *,
    beta: float = 1.0,
    costs: tuple[float, float] = (1.0, 1.0),
    constraint: str | None = None,
    min_positives: int = 1,
    default: float = 0.5,
    grid: tuple[float, float, float] | None = None,
) -> OperatingPoint:
    """Return the best threshold of all.

    Args:
        scores: Higher means more likely to have the label. *Shape:* (documents,)
        gold: Whether each document has it. *Shape:* (documents,)
        objective: `"f1"`; `"f_beta"`; `"youden"`, recall + specificity - 1 (Youden, *Index for
            rating diagnostic tests*, 1950); `"cost"`, as low as possible; or `"constraint"`.
        beta: Of `"f_beta"`: how many times as much recall weighs as precision.
        costs: Of `"cost"`: what a false positive costs, and what a false negative.
        constraint: Of `"constraint"`: `"recall >= 0.95"`, under which precision is made as large as
            possible, `"precision >= ..."` or `"specificity >= ..."`, under which recall is.
        min_positives: With fewer documents that have the label, nothing is fitted.
        default: The threshold where nothing is fitted.
        grid: `(vmin, vmax, step)`: look at these thresholds only, both ends included.

    Raises:
        ValueError: Scores and gold do not fit together, or an argument is out of its range.
    """
    values, answers = _check_data(scores, gold)
    _check_options(objective, beta, costs, min_positives, default)
    rule = _read_constraint(constraint) if objective == "constraint" else None
    if rule is None and constraint is not None:
        raise ValueError(f"constraint belongs to objective 'constraint'; got '{objective}'")
    problem = _too_few(answers, objective, rule, min_positives)
    if problem is not None:
        fixed = _count(values, answers, np.array([default], dtype=values.dtype))
        return replace(fixed.point(0, None, problem), threshold=default)
    thresholds = _midpoints(values) if grid is None else _grid_points(grid, values.dtype)
    candidates = _count(values, answers, thresholds)
    if rule is not None:
        return _best_under(candidates, *rule)
    goals = _objectives(candidates, objective, beta, costs)
    index = _first_best(goals)
    value = float(goals[index])
    return candidates.point(index, -value if objective == "cost" else value)


def fit_thresholds(
    scores_NL: npt.ArrayLike,
    gold_NL: npt.ArrayLike,
    labels: Sequence[str],
    objective: str = "f1",
    **options: Any,
) -> dict[str, OperatingPoint]:
    """Return the best threshold of each label.

    Args:
        scores_NL: Higher means more likely. *Shape:* (documents, labels)
        gold_NL: Which labels documents have. *Shape:* (documents, labels)
        labels: Names of the labels.
        objective: As of `fit_threshold`, as are the options.
        **options: Options of `fit_threshold`, the same for each label.

    Raises:
        ValueError: Shapes do not fit together, or an option is out of its range.
    """
    scores, gold = np.asarray(scores_NL), np.asarray(gold_NL)
    if scores.ndim != 2 or scores.shape != gold.shape or scores.shape[1] != len(labels):
        raise ValueError(
            f"expected scores and gold of one shape (documents, {len(labels)} labels); got "
            f"{scores.shape} and {gold.shape}"
        )
    return {
        label: fit_threshold(scores[:, column], gold[:, column], objective, **options)
        for column, label in enumerate(labels)
    }


def _check_data(
    scores: npt.ArrayLike, gold: npt.ArrayLike
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.bool_]]:
    values, answers = np.asarray(scores), np.asarray(gold, dtype=bool)
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    if values.ndim != 1 or values.shape != answers.shape:
        raise ValueError(
            f"expected as many scores as answers, in one dimension each; got shapes {values.shape} "
            f"and {answers.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"scores are finite numbers; got another at position "
            f"{int(np.flatnonzero(~np.isfinite(values))[0])}"
        )
    return values, answers


def _check_options(
    objective: str, beta: float, costs: tuple[float, float], min_positives: int, default: float
) -> None:
    if objective not in OBJECTIVES:
        raise ValueError(f"objective is one of {', '.join(OBJECTIVES)}; got '{objective}'")
    if not (beta > 0 and math.isfinite(beta)):
        raise ValueError(f"beta must be above 0 and finite; got {beta}")
    if len(costs) != 2 or not all(cost >= 0 and math.isfinite(cost) for cost in costs):
        raise ValueError(f"costs are those of a false positive and a false negative; got {costs}")
    if min_positives < 1:
        raise ValueError(f"min_positives must be at least 1; got {min_positives}")
    if not math.isfinite(default):
        raise ValueError(f"default must be a finite number; got {default}")


def _read_constraint(constraint: str | None) -> tuple[str, float]:
    pattern = rf"\s*({'|'.join(PARTNERS)})\s*>=\s*([0-9.]+(?:e-?[0-9]+)?)\s*"
    match = re.fullmatch(pattern, constraint or "")
    try:
        bound = math.nan if match is None else float(match[2])
    except ValueError:
        bound = math.nan
    if match is None or not 0 <= bound <= 1:
        raise ValueError(
            f"constraint is one of {', '.join(PARTNERS)}, then '>=' and a number from 0 to 1, as "
            f"in 'recall >= 0.95'; got {constraint!r}"
        )
    return match[1], bound


def _too_few(
    answers: npt.NDArray[np.bool_],
    objective: str,
    rule: tuple[str, float] | None,
    min_positives: int,
) -> str | None:
    """Say what is missing, if anything is."""
    support = int(answers.sum())
    if support < min_positives:
        return f"{support} documents have the label, fewer than min_positives ({min_positives})"
    specific = objective == "youden" or (rule is not None and rule[0] == "specificity")
    if specific and support == len(answers):
        return "all documents have the label, so that there is no specificity"
    return None


def _midpoints(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    falling = np.unique(values)[::-1]
    upper, lower = falling[:-1], falling[1:]
    middle = lower / 2 + upper / 2  # a sum of both could be infinite
    middle = np.where((middle > lower) & (middle <= upper), middle, upper)
    top = np.nextafter(falling[:1], np.array(np.inf, dtype=falling.dtype))
    return np.concatenate([top, middle, falling[-1:]])


def _grid_points(
    grid: tuple[float, float, float], dtype: np.dtype[Any]
) -> npt.NDArray[np.floating]:
    try:
        low, high, step = grid
        number = (high - low) / step
    except (TypeError, ValueError, ZeroDivisionError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0 and step > 0):
        raise ValueError(f"grid is (vmin, vmax, step) with vmin <= vmax and step > 0; got {grid!r}")
    steps = np.arange(math.floor(number + 1e-9) + 1)
    return np.minimum(low + steps * step, high)[::-1].astype(dtype)


def _count(
    values: npt.NDArray[np.floating],
    answers: npt.NDArray[np.bool_],
    thresholds: npt.NDArray[np.floating],
) -> _Candidates:
    order = np.argsort(values, kind="stable")
    below = np.searchsorted(values[order], thresholds, side="left")
    hits = np.append(0, np.cumsum(answers[order]))
    support = int(hits[-1])
    tp = (support - hits[below]).astype(np.float64)
    fp = len(values) - below - tp
    return _Candidates(thresholds, tp, fp, support, len(values) - support)


def _objectives(
    candidates: _Candidates, objective: str, beta: float, costs: tuple[float, float]
) -> Array:
    """Return what is to be as large as possible at each candidate."""
    if objective == "cost":
        return -(costs[0] * candidates.fp + costs[1] * (candidates.support - candidates.tp))
    if objective == "youden":
        return candidates.figure("recall") + candidates.figure("specificity") - 1
    return candidates.f_beta(beta if objective == "f_beta" else 1.0)


def _best_under(candidates: _Candidates, name: str, bound: float) -> OperatingPoint:
    constrained, goals = candidates.figure(name), candidates.figure(PARTNERS[name])
    met = constrained >= bound - TOLERANCE
    if met.any():
        index = _first_best(np.where(met, goals, -np.inf))
        return candidates.point(index, float(goals[index]))
    index = _first_best(constrained)
    problem = f"{name} >= {bound} cannot be met: {constrained[index]:.4f} is the most"
    return candidates.point(index, float(goals[index]), problem)


def _first_best(goals: Array) -> int:
    """Return the first of the largest: thresholds fall, so it has the highest."""
    best = goals.max()
    return int(np.argmax(goals >= best - TOLERANCE * max(1.0, abs(best))))


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
