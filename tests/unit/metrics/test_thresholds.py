"""The best operating point, with brute force over all candidates as the oracle."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, fbeta_score

from edspipe.metrics import fit_threshold, fit_thresholds

LEVELS = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 0.9, 1.0])
ROWS = st.lists(st.tuples(LEVELS, st.booleans()), min_size=1, max_size=14).filter(
    lambda rows: 0 < sum(gold for _, gold in rows) < len(rows)
)
SCORES, GOLD = [0.9, 0.8, 0.6, 0.4, 0.2], [True, False, True, False, False]


def goal(gold: Any, found: Any, objective: str) -> float:
    tp, fp = int((gold & found).sum()), int((~gold & found).sum())
    fn, tn = int((gold & ~found).sum()), int((~gold & ~found).sum())
    if objective == "f1":
        return float(f1_score(gold, found, zero_division=0.0))
    if objective == "f_beta":
        return float(fbeta_score(gold, found, beta=2.5, zero_division=0.0))
    if objective == "youden":
        return tp / (tp + fn) + tn / (tn + fp) - 1
    if objective == "cost":
        return -(1.5 * fp + 4.0 * fn)
    recall, precision = tp / (tp + fn), tp / (tp + fp) if tp + fp else 0.0
    return precision if recall >= 0.7 else -1.0


@pytest.mark.parametrize("objective", ["f1", "f_beta", "youden", "cost", "constraint"])
@given(rows=ROWS)
@settings(deadline=None, max_examples=60)
def test_no_threshold_is_better_and_no_higher_one_as_good(
    objective: str, rows: list[tuple[float, bool]]
) -> None:
    scores, gold = np.array([s for s, _ in rows]), np.array([g for _, g in rows])
    options: dict[str, Any] = {"f_beta": {"beta": 2.5}, "cost": {"costs": (1.5, 4.0)}}
    options["constraint"] = {"constraint": "recall >= 0.7"}
    point = fit_threshold(scores, gold, objective, **options.get(objective, {}))
    distinct = sorted(set(scores.tolist()))
    middles = [(low + high) / 2 for low, high in pairwise(distinct)]
    oracle = [distinct[0], *middles, np.nextafter(distinct[-1], np.inf)]
    goals = [goal(gold, scores >= threshold, objective) for threshold in oracle]
    best = max(t for t, value in zip(oracle, goals, strict=True) if value >= max(goals) - 1e-9)
    assert point.threshold == best
    assert point.objective == pytest.approx(abs(max(goals)) if objective == "cost" else max(goals))
    assert point.problem is None


def test_a_worked_example() -> None:
    point = fit_threshold(SCORES, GOLD)
    assert point.threshold == pytest.approx(0.5)
    assert (point.tp, point.fp, point.fn, point.tn) == (2, 1, 0, 2)
    assert point.f1 == point.objective == pytest.approx(0.8)
    assert (point.precision, point.recall) == (pytest.approx(2 / 3), 1.0)
    assert point.specificity == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("constraint", "threshold", "value"),
    [
        ("recall >= 0.95", 0.5, 2 / 3),
        ("recall>=0.5", 0.85, 1.0),
        ("precision >= 0.6", 0.5, 1.0),
        ("specificity >= 1", 0.85, 0.5),
    ],
)
def test_under_a_constraint_its_partner_is_as_large_as_possible(
    constraint: str, threshold: float, value: float
) -> None:
    point = fit_threshold(SCORES, GOLD, "constraint", constraint=constraint)
    assert point.threshold == pytest.approx(threshold)
    assert point.objective == pytest.approx(value)


def test_a_constraint_that_cannot_be_met_comes_as_close_as_it_can_and_says_so() -> None:
    point = fit_threshold(
        [0.9, 0.8, 0.7], [False, True, True], "constraint", constraint="precision >= 0.9"
    )
    assert point.threshold == pytest.approx(0.7)
    assert point.precision == pytest.approx(2 / 3)
    assert point.problem == "precision >= 0.9 cannot be met: 0.6667 is the most"


def test_too_few_positives_give_the_default_and_say_so() -> None:
    point = fit_threshold(SCORES, GOLD, min_positives=3, default=0.3)
    assert (point.threshold, point.objective, point.tp, point.fp) == (0.3, None, 2, 2)
    assert point.problem == "2 documents have the label, fewer than min_positives (3)"
    assert fit_threshold([], []).problem is not None


@pytest.mark.parametrize(
    "options",
    [{"objective": "youden"}, {"objective": "constraint", "constraint": "specificity >= 0.5"}],
)
def test_specificity_needs_documents_without_the_label(options: dict[str, Any]) -> None:
    point = fit_threshold([0.2, 0.9], [True, True], **options)
    assert point.threshold == 0.5
    assert point.problem == "all documents have the label, so that there is no specificity"


def test_a_grid_is_searched_with_both_ends() -> None:
    point = fit_threshold(SCORES, GOLD, grid=(0.1, 0.7, 0.1))
    assert point.threshold == pytest.approx(0.6)  # 0.5 is as good, and lower
    assert fit_threshold(SCORES, GOLD, grid=(0.7, 0.7, 0.1)).threshold == 0.7
    ends = fit_threshold([0.7], [True], grid=(0.0, 0.7, 0.1))
    assert (ends.threshold, ends.tp) == (0.7, 1)


def test_neighbours_without_a_number_between_them_are_kept_apart() -> None:
    upper = np.nextafter(np.float32(0.5), np.float32(1))
    scores = np.array([0.5, upper], dtype=np.float32)
    point = fit_threshold(scores, [False, True])
    assert point.threshold == upper
    assert (scores >= np.float32(point.threshold)).tolist() == [False, True]


def test_thresholds_of_single_precision_scores_have_single_precision() -> None:
    scores = np.array([0.1, 0.7, 0.3], dtype=np.float32)
    threshold = fit_threshold(scores, [False, True, False]).threshold
    assert float(np.float32(threshold)) == threshold


def test_nothing_is_found_where_that_costs_least() -> None:
    point = fit_threshold([0.2, 1.0], [True, False], "cost", costs=(5.0, 1.0))
    assert point.threshold > 1.0
    assert (point.objective, point.tp, point.fp) == (1.0, 0, 0)


def test_each_label_has_a_threshold_of_its_own() -> None:
    scores = np.array([SCORES, SCORES[::-1]]).T
    gold = np.array([GOLD, [not one for one in GOLD]]).T
    points = fit_thresholds(scores, gold, ["a", "b"], "youden")
    assert points["a"] == fit_threshold(SCORES, GOLD, "youden")
    assert points["b"] == fit_threshold(SCORES[::-1], ~np.array(GOLD), "youden")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "f2"}, "objective is one of f1, f_beta"),
        ({"beta": 0.0}, "beta must be above 0"),
        ({"costs": (1.0, -1.0)}, "costs are those of a false positive and a false negative"),
        ({"min_positives": 0}, "min_positives must be at least 1"),
        ({"default": float("nan")}, "default must be a finite number"),
        ({"constraint": "recall >= 0.5"}, "constraint belongs to objective 'constraint'"),
        ({"objective": "constraint"}, "constraint is one of recall, precision, specificity"),
        ({"objective": "constraint", "constraint": "recall > 0.5"}, "then '>=' and a number"),
        ({"objective": "constraint", "constraint": "recall >= 1.5"}, "a number from 0 to 1"),
        ({"objective": "constraint", "constraint": "recall >= 1.5.1"}, "a number from 0 to 1"),
        ({"grid": (0.5, 0.1, 0.1)}, "grid is .vmin, vmax, step."),
        ({"grid": (0.1, 0.5, 0.0)}, "grid is .vmin, vmax, step."),
        ({"grid": (0.1, 0.5)}, "grid is .vmin, vmax, step."),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_threshold(SCORES, GOLD, **options)


@pytest.mark.parametrize(
    ("scores", "gold", "message"),
    [
        ([0.1], [True, False], "as many scores as answers"),
        ([[0.1]], [[True]], "in one dimension each"),
        ([0.1, float("nan")], [True, False], "got another at position 1"),
    ],
)
def test_wrong_data_are_refused(scores: Any, gold: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_threshold(scores, gold)


def test_columns_without_a_label_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape \(documents, 1 labels\)"):
        fit_thresholds(np.zeros((3, 2)), np.zeros((3, 2)), ["a"])
