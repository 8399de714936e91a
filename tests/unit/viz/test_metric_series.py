"""Series: the best step, the scores that count, and the moving mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edspipe.viz import Best, Metrics
from edspipe.viz.series import find_best, score_names, smooth


def metrics_of(split: str, name: str, values: list[float | None]) -> Metrics:
    metrics = Metrics()
    for step, value in enumerate(values, start=1):
        metrics.add(step, split, name, value)
    return metrics


def test_the_best_step_is_that_of_the_highest_score() -> None:
    metrics = metrics_of("val", "micro_f", [0.2, None, 0.6, 0.5])
    metrics.add(1, "val", "loss", 0.1)
    assert find_best(metrics) == Best(3, "val/micro_f", 0.6)


def test_without_scores_the_best_step_is_that_of_the_lowest_loss() -> None:
    assert find_best(metrics_of("val", "loss", [2.0, 1.0, None, 3.0])) == Best(2, "val/loss", 1.0)


@pytest.mark.parametrize(
    "metrics",
    [Metrics(), metrics_of("train", "loss", [1.0]), metrics_of("val", "micro_f", [None])],
)
def test_without_validation_there_is_no_best_step(metrics: Metrics) -> None:
    assert find_best(metrics) is None


def test_scores_are_told_from_other_names_the_most_telling_one_first() -> None:
    names = ["loss", "DISO_f", "macro_f", "exact/micro_f", "micro_f_x", "F1"]
    assert score_names(names) == ["exact/micro_f", "F1", "macro_f"]


def test_the_last_step_does_not_count_the_test() -> None:
    metrics = metrics_of("train", "loss", [1.0, 1.0])
    metrics.add(9, "test", "micro_f", 0.5)
    assert metrics.last_step() == 2


@given(
    st.lists(st.one_of(st.none(), st.floats(-100, 100)), min_size=1, max_size=30),
    st.integers(1, 40),
)
def test_the_moving_mean_equals_one_by_hand(values: list[float | None], window: int) -> None:
    array = np.array([np.nan if value is None else value for value in values])
    half = window // 2
    for i, mean in enumerate(smooth(array, window)):
        known = [v for v in values[max(0, i - half) : i + half + 1] if v is not None]
        expected = np.mean(known) if known else np.nan
        np.testing.assert_allclose(mean, expected, atol=1e-9)
