"""From reports to the score of a trial."""

from __future__ import annotations

import math

import pytest

from edspipe.tuning.scores import Pruned, TrialScores


class Told(list):
    """Keeps what a pruner is told, and gives up from a step on."""

    def __init__(self, bad_from: int = 10**6) -> None:
        self.bad_from = bad_from

    def __call__(self, step: int, mean: float) -> bool:
        self.append((step, mean))
        return step >= self.bad_from


def test_the_score_is_the_mean_of_the_last_reports() -> None:
    scores = TrialScores(Told(), mean_of_last=2)
    scores.begin()
    for step, value in enumerate([0.1, 0.5, 0.6]):
        scores.report(step, value)
    scores.finish(42)
    assert scores.scores == {42: 0.55}


def test_fewer_reports_than_asked_for_are_all_taken() -> None:
    scores = TrialScores(Told(), mean_of_last=5)
    scores.begin()
    scores.report(1, 0.5)
    scores.finish(0)
    assert scores.mean == 0.5


def test_mean_and_spread_are_those_of_the_seeds() -> None:
    scores = TrialScores(Told())
    for seed, score in enumerate([1.0, 2.0, 3.0]):
        scores.begin()
        scores.finish(seed, score)
    assert (scores.mean, scores.spread) == (2.0, 1.0)


def test_one_training_has_no_spread() -> None:
    scores = TrialScores(Told())
    scores.begin()
    scores.finish(0, 1.0)
    assert scores.spread is None


def test_a_later_training_reports_means_at_steps_that_go_on() -> None:
    told = Told()
    scores = TrialScores(told)
    scores.begin()
    scores.report(0, 0.2)
    scores.report(1, 0.4)
    scores.begin()
    scores.report(0, 0.4)
    scores.report(1, 0.6)
    scores.report(2, 0.9)
    assert told == [(0, 0.2), (1, 0.4), (2, pytest.approx(0.3)), (3, 0.5), (4, 0.9)]


def test_a_bad_trial_is_given_up_unless_it_is_spared() -> None:
    scores = TrialScores(Told(bad_from=2))
    scores.begin()
    scores.report(1, 0.1)
    scores.report(2, 0.1, can_prune=False)
    with pytest.raises(Pruned, match="worse than other trials at report 3"):
        scores.report(3, 0.1)


@pytest.mark.parametrize("step", [-1, 2, 1])
def test_steps_rise(step: int) -> None:
    scores = TrialScores(Told())
    scores.begin()
    scores.report(2, 0.1)
    with pytest.raises(ValueError, match=rf"steps are 0 or more, and rise; got {step} in \[2\]"):
        scores.report(step, 0.1)


def test_a_report_that_is_no_number_is_not_told() -> None:
    told = Told()
    scores = TrialScores(told)
    scores.begin()
    scores.report(1, math.nan)
    assert told == []


@pytest.mark.parametrize("score", [math.nan, math.inf, None])
def test_a_score_that_is_not_finite_ends_the_trial(score: float | None) -> None:
    scores = TrialScores(Told())
    scores.begin()
    with pytest.raises(Pruned, match=r"the score with seed 7 is (nan|inf)"):
        scores.finish(7, score)
