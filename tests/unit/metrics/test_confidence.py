"""Reliability and precision-recall curves, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from edspipe.metrics.confidence import MAX_POINTS, Confidences, precision_recall, reliability

PATIENT = settings(deadline=None, max_examples=100)  # the machine may be busy


def test_bins_hold_their_lower_edge_and_the_last_one_both() -> None:
    report = reliability([0.0, 0.1, 0.3, 0.7, 0.95, 1.0], [False, True, True, True, True, False])
    assert report["edges"] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert report["count"] == [1, 1, 0, 1, 0, 0, 0, 1, 0, 2]
    assert report["accuracy"] == [0.0, 1.0, None, 1.0, None, None, None, 1.0, None, 0.5]
    assert report["mean_confidence"][9] == pytest.approx(0.975)
    assert report["mean_confidence"][2] is None


def test_the_calibration_error_is_the_mean_distance_of_the_bins() -> None:
    # Four spans at 0.75, half of them right: 0.25 off. Two at 0.5, one right: exact.
    report = reliability([0.75] * 4 + [0.5] * 2, [True, True, False, False, True, False])
    assert report["ece"] == pytest.approx((4 * 0.25 + 2 * 0) / 6)


def test_nothing_has_no_calibration_error() -> None:
    report = reliability([], [])
    assert report["ece"] == 0.0
    assert report["count"] == [0] * 10
    assert report["accuracy"] == [None] * 10


@PATIENT
@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=1),
    st.integers(0, 3),
)
def test_curves_are_those_of_scikit_learn(found: list[tuple[float, bool]], missed: int) -> None:
    scores, right = [score for score, _ in found], [is_right for _, is_right in found]
    support = sum(right) + missed
    curve = precision_recall(scores, right, support)
    if support == 0:
        assert curve["r"] == [0.0] * len(set(scores))
        return
    # What was never found is gold with a score below every threshold.
    p, r, thresholds = precision_recall_curve(right + [True] * missed, scores + [-1.0] * missed)
    own = thresholds >= 0
    assert curve["threshold"] == thresholds[own].tolist()
    np.testing.assert_allclose(curve["p"], p[:-1][own])
    np.testing.assert_allclose(curve["r"], r[:-1][own])


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    scores = np.linspace(0, 1, 1000)
    curve = precision_recall(scores, np.ones(1000, dtype=bool), 1000)
    assert len(curve["threshold"]) == len(curve["p"]) == len(curve["r"]) == MAX_POINTS
    assert (curve["threshold"][0], curve["threshold"][-1]) == (0.0, 1.0)
    assert (curve["r"][0], curve["r"][-1]) == (1.0, 0.001)


def test_an_empty_curve_has_no_points() -> None:
    assert precision_recall([], [], 3) == {"threshold": [], "p": [], "r": []}


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert Confidences().to_dict() is None


def test_there_is_a_curve_for_each_label_and_for_all() -> None:
    confidences = Confidences()
    confidences.rows += [("B", 0.5, True), ("A", 0.25, False)]
    confidences.support.update({"A": 1, "B": 2, "C": 7})
    report = confidences.to_dict()
    assert report is not None
    assert list(report["precision_recall"]) == ["micro", "A", "B"]
    assert report["precision_recall"]["B"] == {"threshold": [0.5], "p": [1.0], "r": [0.5]}
    assert report["precision_recall"]["micro"]["r"] == [0.1, 0.1]
