"""Gradients: their norm, clipping, and spikes, against brute force."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edspipe.training.gradients import GradientSpikes, NoSpikePolicy, Verdict, clip, scale

NORMS = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=60)


def averages(norms: list[float], window: int) -> tuple[float, float]:
    """Mean and variance with explicit weights of every norm."""
    weights: list[float] = []
    for i in range(len(norms)):
        new = max(2 / (window + 1), 1 / (i + 1))
        weights = [w * (1 - new) for w in weights] + [new]
    mean = sum(w * n for w, n in zip(weights, norms, strict=True))
    return mean, sum(w * (n - mean) ** 2 for w, n in zip(weights, norms, strict=True))


@given(NORMS, st.integers(1, 10))
def test_mean_and_variance_are_weighted_ones(norms: list[float], window: int) -> None:
    spikes = GradientSpikes(window=window, max_deviation=1e9)
    for norm in norms:
        spikes.judge(norm)
    mean, variance = averages(norms, window)
    assert spikes.mean == pytest.approx(mean, rel=1e-9)
    assert spikes.variance == pytest.approx(variance, rel=1e-6, abs=1e-9)


@given(NORMS, st.integers(1, 10), st.sampled_from(["skip", "clip_mean", "clip_threshold"]))
def test_policies_against_brute_force(norms: list[float], window: int, policy: Any) -> None:
    spikes = GradientSpikes(policy, window, max_deviation=2.0)
    entered: list[float] = []
    for norm in norms:
        mean, variance = averages(entered, window) if entered else (0.0, 0.0)
        limit = mean + 2.0 * math.sqrt(variance)
        verdict = spikes.judge(norm)
        if abs(norm - limit) < 1e-9 * norm:  # too close to say in floating point
            return
        is_spike = len(entered) >= window and norm > limit and variance > 1e-20 * mean**2
        assert verdict.is_spike is is_spike
        expected = {"skip": 0.0, "clip_mean": mean / norm, "clip_threshold": limit / norm}
        assert verdict.scale == pytest.approx(expected[policy] if is_spike else 1.0, rel=1e-6)
        entered.append(limit if is_spike else norm)


@pytest.mark.parametrize("window", [1, 3, 100])
def test_nothing_is_a_spike_before_the_window_is_full(window: int) -> None:
    spikes = GradientSpikes(window=window)
    assert not any(spikes.judge(norm).is_spike for norm in [1.0] * (window - 1) + [1e6])
    assert spikes.num_spikes == 0


@pytest.mark.parametrize("before", [0.0, 1.0])
def test_after_equal_norms_a_larger_one_is_no_spike(before: float) -> None:
    """It would stay one for ever, as the threshold enters the averages in its place."""
    spikes = GradientSpikes(window=3)
    assert not any(spikes.judge(norm).is_spike for norm in [before] * 5 + [2.0])


def test_norms_that_stay_high_become_normal() -> None:
    spikes = GradientSpikes(window=5, max_deviation=3.0)
    for norm in [1.0, 1.1] * 10:
        spikes.judge(norm)
    verdicts = [spikes.judge(2.0).is_spike for _ in range(20)]
    assert verdicts[0]
    assert not verdicts[-1]


@pytest.mark.parametrize("norm", [math.inf, math.nan])
def test_a_norm_that_is_not_finite_is_forgotten(norm: float) -> None:
    spikes, other = GradientSpikes(window=2), GradientSpikes(window=2)
    for value in (1.0, norm, 2.0, norm, 90.0):
        verdict = spikes.judge(value)
        if math.isfinite(value):
            assert verdict == other.judge(value)
        else:
            assert verdict == Verdict()
    assert spikes.state_dict() == other.state_dict()


@given(NORMS, st.integers(0, 60))
def test_it_goes_on_from_its_state(norms: list[float], cut: int) -> None:
    whole, first, second = (GradientSpikes(window=3, max_deviation=1.0) for _ in range(3))
    expected = [whole.judge(norm) for norm in norms]
    for norm in norms[:cut]:
        first.judge(norm)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [second.judge(norm) for norm in norms[cut:]] == expected[cut:]
    assert second.state_dict() == whole.state_dict()


def test_without_a_policy_all_pass() -> None:
    policy = NoSpikePolicy()
    policy.load_state_dict(policy.state_dict())
    assert policy.judge(1e30) == Verdict(1.0, False)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"policy": "drop"}, "policy is skip, clip_mean or clip_threshold, got 'drop'"),
        ({"window": 0}, "window and max_deviation are more than 0, got 0 and 7.0"),
        ({"max_deviation": -1}, "window and max_deviation are more than 0, got 100 and -1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(kwargs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradientSpikes(**kwargs)


def parameters() -> list[torch.nn.Parameter]:
    found = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(1))]
    found[0].grad = torch.tensor([3.0, 0.0, 4.0])
    return found


@pytest.mark.parametrize(("limit", "after"), [(None, 5.0), (10.0, 5.0), (1.0, 1.0)])
def test_gradients_are_clipped_to_a_norm(limit: float | None, after: float) -> None:
    chosen = parameters()
    assert clip(chosen, limit).item() == 5.0
    assert chosen[0].grad is not None
    assert chosen[0].grad.norm().item() == pytest.approx(after)
    assert chosen[1].grad is None


def test_gradients_are_scaled() -> None:
    chosen = parameters()
    scale(chosen, 0.5)
    assert chosen[0].grad is not None
    assert chosen[0].grad.tolist() == [1.5, 0.0, 2.0]
