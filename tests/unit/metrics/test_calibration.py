"""Temperatures, Platt scaling, and how far confidences are from the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from edspipe.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    fit_platt,
    fit_softmax_temperature,
    fit_temperature,
    log_loss,
    platt,
    temper,
)
from edspipe.metrics.confidence import reliability

RNG = np.random.default_rng(0)


def overconfident(number: int = 4000, temperature: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    """Draw true probabilities, answers, and confidences whose log-odds are too large."""
    true = RNG.uniform(0.05, 0.95, number)
    return temper(true, 1 / temperature), RNG.uniform(size=number) < true


def test_the_temperature_that_was_put_in_is_found() -> None:
    confidences, right = overconfident()
    assert fit_temperature(confidences, right) == pytest.approx(2.5, rel=0.1)


def test_it_is_the_minimum_that_scipy_finds() -> None:
    confidences, right = overconfident(500)
    best = minimize_scalar(
        lambda log: log_loss(temper(confidences, np.exp(log)), right),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert fit_temperature(confidences, right) == pytest.approx(float(np.exp(best.x)), rel=1e-4)


def test_tempering_keeps_the_order_and_one_half() -> None:
    values = np.array([0.0, 0.2, 0.5, 0.9, 1.0])
    tempered = temper(values, 3.0)
    assert (np.diff(tempered) > 0).all()
    assert tempered[2] == pytest.approx(0.5)
    assert temper(values[1:4], 1.0) == pytest.approx(values[1:4])


@pytest.mark.parametrize(("confidences", "right"), [([], []), ([0.5], [True, False])])
def test_nothing_to_fit_to_is_an_error(confidences: list[float], right: list[bool]) -> None:
    with pytest.raises(ValueError, match="expected as many confidences as answers"):
        fit_temperature(confidences, right)


def test_one_temperature_fits_many_labels_at_once() -> None:
    confidences, right = overconfident(2000)
    both = fit_temperature(confidences.reshape(500, 4), right.reshape(500, 4))
    assert both == fit_temperature(confidences, right)


def test_the_temperature_of_a_softmax_is_found() -> None:
    logits = RNG.normal(size=(4000, 5)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = (chances.cumsum(axis=1) < RNG.uniform(size=(4000, 1))).sum(axis=1).clip(max=4)
    temperature = fit_softmax_temperature(logits * 3, classes)
    assert temperature == pytest.approx(3, rel=0.1)

    def cross_entropy(log: float) -> float:
        scaled = log_softmax(logits * 3 / np.exp(log), axis=1)
        return float(-scaled[np.arange(4000), classes].mean())

    best = minimize_scalar(cross_entropy, bounds=(-3, 3), method="bounded")
    assert temperature == pytest.approx(float(np.exp(best.x)), rel=1e-3)


@pytest.mark.parametrize(
    ("logits", "classes", "message"),
    [
        ([[0.0, 1.0]], [0, 1], "an answer for each document"),
        ([0.0, 1.0], [0, 1], "an answer for each document"),
        ([[0.0, 1.0]], [2], "expected answers from 0 to 1; got 2 to 2"),
    ],
)
def test_logits_and_classes_must_fit(logits: Any, classes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_softmax_temperature(logits, classes)


def platt_oracle(scores: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Fit scikit-learn's logistic regression: each score twice, its target as the weights."""
    targets = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    ones = np.ones(len(scores), dtype=int)
    model.fit(
        np.tile(scores, 2)[:, None],
        np.concatenate([ones, 0 * ones]),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    return float(model.coef_[0, 0]), float(model.intercept_[0])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_platt_scaling_is_what_scikit_learn_finds(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    right = rng.uniform(size=80) < 0.3
    scores = spread * (rng.normal(size=80) + right) - 2
    slope, intercept = fit_platt(scores, right)
    wanted = platt_oracle(scores, right)
    assert (slope, intercept) == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    assert platt(scores, slope, intercept) == pytest.approx(
        1 / (1 + np.exp(-(wanted[0] * scores + wanted[1]))), abs=1e-4
    )


def test_scores_that_keep_answers_apart_have_a_finite_slope() -> None:
    slope, intercept = fit_platt([-1.0, -1.0, 1.0, 1.0], [False, False, True, True])
    assert platt([1.0, -1.0], slope, intercept) == pytest.approx([3 / 4, 1 / 4])


def test_equal_scores_say_how_often_they_are_right() -> None:
    slope, intercept = fit_platt([0.5] * 4, [True, False, False, False])
    assert platt([0.5], slope, intercept) == pytest.approx((2 / 3 + 3 / 5) / 4)


def test_extreme_scores_overflow_nowhere() -> None:
    slope, intercept = fit_platt([-1e6, 1e6, 2e6], [False, True, False])
    assert np.isfinite([slope, intercept]).all()
    assert platt([-1e9, 1e9], 1.0, 0.0).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("scores", "right", "message"),
    [
        ([], [], "as many scores as answers"),
        ([0.5], [True, False], "as many scores as answers"),
        ([np.inf], [True], "scores are finite numbers"),
    ],
)
def test_platt_needs_finite_scores(scores: Any, right: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_platt(scores, right)


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    values, right = RNG.uniform(size=100), RNG.uniform(size=100) < 0.4
    assert brier_score(values, right) == pytest.approx(brier_score_loss(right, values))
    assert brier_score([0.8, 0.4], [True, False]) == pytest.approx((0.04 + 0.16) / 2)


def test_the_calibration_error_of_equal_widths_is_that_of_the_plot() -> None:
    values, right = RNG.uniform(size=300).round(1), RNG.uniform(size=300) < 0.4
    wanted = reliability(values, right)["ece"]
    assert expected_calibration_error(values, right) == pytest.approx(wanted)


def test_bins_of_equal_mass_by_hand() -> None:
    values, right = [0.1, 0.2, 0.3, 0.9], [False, True, True, True]
    low, high = abs(0.3 - 1) / 2, abs(1.2 - 2) / 2
    ece = expected_calibration_error(values, right, num_bins=2, binning="mass")
    assert ece == pytest.approx((2 * low + 2 * high) / 4)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.booleans()), min_size=1))
def test_the_order_of_equal_confidences_changes_nothing(rows: list[tuple[float, bool]]) -> None:
    values, right = zip(*rows, strict=True)
    ece = expected_calibration_error(values, right, 3, "mass")
    turned = expected_calibration_error(values[::-1], right[::-1], 3, "mass")
    assert ece == pytest.approx(turned)


@pytest.mark.parametrize("measure", [brier_score, expected_calibration_error])
@pytest.mark.parametrize(
    ("values", "right", "message"),
    [
        ([], [], "as many confidences as answers"),
        ([0.5], [True, False], "as many confidences as answers"),
        ([1.5], [True], "numbers from 0 to 1"),
        ([np.nan], [True], "numbers from 0 to 1"),
    ],
)
def test_errors_are_those_of_confidences(
    measure: Any, values: Any, right: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measure(values, right)


@pytest.mark.parametrize("options", [{"num_bins": 0}, {"binning": "height"}])
def test_there_must_be_bins(options: Any) -> None:
    with pytest.raises(ValueError, match="expected at least one bin"):
        expected_calibration_error([0.5], [True], **options)
