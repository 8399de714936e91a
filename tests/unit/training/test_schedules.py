"""Schedules: the curves of torch and transformers, and a plateau that cuts when it should."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from edspipe.config.registry import registry
from edspipe.config.schema import resolve
from edspipe.errors import CheckpointError, ConfigError
from edspipe.training.schedules import (
    Constant,
    Cosine,
    Linear,
    OneCycle,
    Plateau,
    Progress,
    Schedule,
)

ALL = [
    Constant(0.5, warmup=0.2),
    Linear(3.0, warmup_steps=7, end_value=0.5),
    Cosine(2.0, num_cycles=1.5),
    OneCycle(0.1, pct_start=0.4),
    Plateau(0.1, factor=0.3, monitor="val/accuracy", tie_breaker=None),
]


def curve(schedule: Schedule, total: int) -> list[float]:
    """The values of all updates, and the one after the last."""
    return [schedule.value(Progress.of(step, total)) for step in range(total + 1)]


def torch_curve(make: Callable[[Any], Any], total: int, lr: float = 1.0) -> list[float]:
    """The learning rates that torch uses in each update."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make(optimizer)
    values = []
    for _ in range(total):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler.step()
    return values


# Curves


@pytest.mark.parametrize(("step", "factor"), [(0, 0.0), (5, 0.5), (10, 1.0), (55, 0.5), (100, 0.0)])
def test_linear_warmup_of_a_tenth_over_100_steps(step: int, factor: float) -> None:
    assert Linear(1.0).value(Progress.of(step, 100)) == pytest.approx(factor, abs=1e-15)


@pytest.mark.parametrize(("warmup", "total"), [(10, 100), (0, 50), (7, 33), (20, 20)])
def test_linear_is_that_of_transformers(warmup: int, total: int) -> None:
    expected = torch_curve(lambda o: get_linear_schedule_with_warmup(o, warmup, total), total)
    values = curve(Linear(1.0, warmup_steps=warmup), total)
    assert values[:-1] == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("warmup", "total"), [(10, 100), (0, 50), (7, 33)])
@pytest.mark.parametrize("num_cycles", [0.5, 1.0, 2.3])
def test_cosine_is_that_of_transformers(warmup: int, total: int, num_cycles: float) -> None:
    expected = torch_curve(
        lambda o: get_cosine_schedule_with_warmup(o, warmup, total, num_cycles), total
    )
    values = curve(Cosine(1.0, warmup_steps=warmup, num_cycles=num_cycles), total)
    assert values[:-1] == pytest.approx(expected, rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("total", [10, 97, 300])
@pytest.mark.parametrize("options", [{}, {"pct_start": 0.5, "div_factor": 5.0}])
def test_one_cycle_is_that_of_torch(total: int, options: dict[str, float]) -> None:
    def make(optimizer: Any) -> Any:
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 0.3, total_steps=total + 1, cycle_momentum=False, **options
        )

    values = curve(OneCycle(0.3, **options), total + 1)
    assert values[:-2] == pytest.approx(torch_curve(make, total), rel=1e-11, abs=1e-14)


def test_one_cycle_without_known_steps_goes_by_the_fraction() -> None:
    values = [OneCycle(1.0).value(Progress(0, None, f)) for f in (0.0, 0.3, 1.0)]
    assert values == pytest.approx([1 / 25, 1.0, 1 / 25e4])


@pytest.mark.parametrize("total", [0, 1, 2, 3])
@pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
def test_short_runs_have_finite_values(schedule: Schedule, total: int) -> None:
    assert all(math.isfinite(value) for value in curve(schedule, total))


def test_linear_may_start_and_end_elsewhere_than_at_0() -> None:
    values = curve(Linear(1.0, start_value=0.2, end_value=0.5, warmup=0.5), 4)
    assert values == pytest.approx([0.2, 0.6, 1.0, 0.75, 0.5])


def test_the_whole_run_may_be_warmup() -> None:
    assert curve(Linear(1.0, warmup=1.0), 2) == [0.0, 0.5, 1.0]


def test_a_schedule_that_goes_on_after_the_end_stays_there() -> None:
    assert Linear(1.0, end_value=0.25).value(Progress(12, 10, 1.2)) == 0.25


def test_constant_is_constant() -> None:
    assert set(curve(Constant(0.3), 10)) == {0.3}


def test_constant_may_warm_up() -> None:
    assert curve(Constant(0.4, start_value=0.2, warmup=0.5), 4) == pytest.approx(
        [0.2, 0.3, 0.4, 0.4, 0.4]
    )


def test_a_share_needs_no_number_of_steps() -> None:
    assert Linear(1.0, warmup=0.5).value(Progress(3, None, 0.25)) == 0.5


def test_warmup_steps_need_the_number_of_steps() -> None:
    schedule = Linear(1.0, warmup_steps=5)
    with pytest.raises(ConfigError, match=r"warmup_steps=5: the number of steps .* is not known"):
        schedule.value(Progress(3, None, 0.25))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(1.0, warmup=1.5), "warmup: expected a share of the run, 0 to 1, got 1.5"),
        (lambda: Cosine(1.0, warmup_steps=-1), "warmup_steps: expected 0 or more, got -1"),
        (lambda: OneCycle(1.0, pct_start=-0.1), "pct_start: expected a share of the run"),
        (lambda: OneCycle(1.0, div_factor=0), "div_factor: expected more than 0"),
        (lambda: Plateau(0.1, factor=1.0), "factor: expected a number between 0 and 1, got 1.0"),
        (lambda: Plateau(0.1, patience=-1), "patience: expected 0 or more, got -1"),
        (lambda: Plateau(5e-5), "start_value: 5e-05 is below min_value"),
    ],
)
def test_impossible_arguments_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


# Plateau


def cuts(schedule: Plateau, scores: list[float], losses: list[float] | None = None) -> list[int]:
    """The validations, from 1, that cut."""
    pairs = zip(scores, losses or [None] * len(scores), strict=True)
    return [number for number, pair in enumerate(pairs, start=1) if schedule.observe(*pair)]


def test_a_constant_score_is_cut_at_validations_5_9_and_13() -> None:
    schedule = Plateau(0.1, patience=3)
    assert cuts(schedule, [0.7] * 15, [1.0] * 15) == [5, 9, 13]
    assert schedule.value(Progress(0, None, 0.0)) == pytest.approx(0.0125)


def test_an_initial_extra_patience_moves_only_the_first_cut() -> None:
    assert cuts(Plateau(0.1, patience=3, initial_extra_patience=2), [0.7] * 15) == [7, 11, 15]


def test_an_equal_score_with_lower_loss_is_better() -> None:
    falling = [1.0 - 0.01 * n for n in range(15)]
    assert cuts(Plateau(0.1), [0.7] * 15, falling) == []


def test_a_lower_loss_does_not_help_a_lower_score() -> None:
    falling = [1.0 - 0.01 * n for n in range(5)]
    assert cuts(Plateau(0.1), [0.7, 0.6, 0.6, 0.6, 0.6], falling) == [5]


def test_the_tenth_cut_of_a_tenth_goes_below_the_minimum() -> None:
    schedule = Plateau(0.1, factor=0.5, patience=0, min_value=1e-4)
    observed = []
    for _ in range(11):
        schedule.observe(0.5, 1.0)
        observed.append((schedule.num_cuts, schedule.exhausted))
    assert observed == [(n, n == 10) for n in range(11)]
    assert schedule.value(Progress(0, None, 0.0)) == pytest.approx(9.765625e-5)


def test_there_are_no_cuts_after_the_last() -> None:
    schedule = Plateau(0.1, factor=0.1, patience=0, min_value=0.05)
    assert cuts(schedule, [0.5] * 5) == [2]


def test_a_score_that_is_no_number_is_worse() -> None:
    schedule = Plateau(0.1, patience=1)
    assert cuts(schedule, [0.5, math.nan, math.inf, 0.6, math.nan, -math.inf]) == [3, 6]


def test_a_first_score_that_is_no_number_is_worse_than_any() -> None:
    schedule = Plateau(0.1, patience=1)
    assert cuts(schedule, [math.nan, 0.0, math.nan]) == []


def test_in_mode_min_a_lower_score_is_better() -> None:
    schedule = Plateau(0.1, patience=0, mode="min", monitor="val/loss", tie_breaker=None)
    assert cuts(schedule, [0.9, 0.8, 0.8, 0.7]) == [3]


@pytest.mark.parametrize(
    ("losses", "better"),
    [([1.0, math.nan], False), ([math.nan, 1.0], True), ([1.0, None], False), ([None, 1.0], True)],
)
def test_between_equal_scores_a_loss_is_better_than_none(losses: list[Any], better: bool) -> None:
    assert cuts(Plateau(0.1, patience=0), [0.5, 0.5], losses) == ([] if better else [2])


def test_a_plateau_goes_on_from_its_state_as_if_it_had_not_stopped() -> None:
    scores = [0.5, 0.6, math.nan, 0.6, 0.6, 0.55, 0.6, 0.6, 0.6, 0.61, 0.6, 0.6, 0.6]
    losses = [1.0, 0.9, 0.8, 0.85, math.nan, 0.8, 0.85, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
    whole = Plateau(0.1, patience=1, initial_extra_patience=1)
    expected = [whole.observe(*pair) for pair in zip(scores, losses, strict=True)]
    assert sum(expected) > 1
    for stop in range(len(scores) + 1):
        before = Plateau(0.1, patience=1, initial_extra_patience=1)
        after = Plateau(0.1, patience=1, initial_extra_patience=1)
        for pair in zip(scores[:stop], losses[:stop], strict=True):
            before.observe(*pair)
        after.load_state_dict(json.loads(json.dumps(before.state_dict(), allow_nan=False)))
        rest = [after.observe(*p) for p in zip(scores[stop:], losses[stop:], strict=True)]
        assert rest == expected[stop:]
        assert after.state_dict() == whole.state_dict()


def test_the_state_of_another_schedule_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"holds .*, and a Linear has .*: resume with the"):
        Linear(1.0).load_state_dict(Plateau(0.1).state_dict())
    with pytest.raises(CheckpointError, match=r"holds \[\], and a Plateau has"):
        Plateau(0.1).load_state_dict(Linear(1.0).state_dict())


# Configs


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
def test_a_schedule_is_its_config(schedule: Schedule) -> None:
    config = schedule.config()
    assert resolve({"lr": json.loads(json.dumps(config))})["lr"] == schedule
    assert set(config) - {"@schedules"} == set(
        registry.schedules.get(config["@schedules"]).__init__.__annotations__
    ) - {"return"}


def test_every_schedule_was_tested() -> None:
    assert {s.config()["@schedules"] for s in ALL} == set(registry.schedules.names())


def test_a_class_that_is_not_registered_has_no_config() -> None:
    @dataclass
    class Mine(Schedule):
        peak = 1.0

        def value(self, progress: Progress) -> float:
            return 1.0

    with pytest.raises(ConfigError, match="Mine: a config can only name a schedule that is reg"):
        Mine().config()


@pytest.mark.parametrize(
    ("schedule", "peak"),
    [(Constant(0.5), 0.5), (Linear(2.0), 2.0), (OneCycle(0.1), 0.1), (Plateau(0.2), 0.2)],
)
def test_the_peak_is_the_value_that_a_schedule_is_about(schedule: Schedule, peak: float) -> None:
    assert schedule.peak == peak
