"""TraceWeights: the same weights, again and again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fake_runs import FakeRun, steps_until

from edspipe.training.callbacks.trace_weights import TraceWeights


def traced(number: int = 3, **options: Any) -> list[tuple[int, str, float]]:
    run, callback = FakeRun(), TraceWeights(**{"every": 1, **options})
    callback.on_start(run)  # type: ignore[arg-type]
    for step in steps_until(run, number):
        with torch.no_grad():
            run.nlp.weight.copy_(step * torch.arange(6.0).view(2, 3))
        callback.on_step(run)  # type: ignore[arg-type]
    pending = run.records._pending
    return [(record.step, record.key, record.value) for record in pending]


def test_some_weights_of_each_parameter_are_recorded_with_their_place() -> None:
    found = traced(1, num_weights=2)
    names = [key for _, key, _ in found]
    assert len(set(names)) == 4
    assert all(step == 1 for step, _, _ in found)
    assert {name.split("[")[0] for name in names} == {
        "weights/ner.embedding.weight",
        "weights/ner.bias",
    }
    for _, key, value in found:
        if "embedding" in key:
            row, column = map(int, key.split("[")[1].rstrip("]").split(","))
            assert value == 3 * row + column


def test_they_are_the_same_at_every_step_and_in_every_run() -> None:
    steps = [[key for step, key, _ in traced() if step == s] for s in (1, 2, 3)]
    assert steps[0] == steps[1] == steps[2]
    assert [k for _, k, _ in traced(1)] == steps[0]
    assert [k for _, k, _ in traced(1, seed=5, num_weights=2)] != [
        k for _, k, _ in traced(1, seed=6, num_weights=2)
    ]


def test_a_small_parameter_has_fewer() -> None:
    assert len(traced(1, num_weights=50)) == 6 + 3


@pytest.mark.parametrize(("pattern", "number"), [("bias", 3), ("^ner", 6), ("none", 0)])
def test_a_pattern_chooses_parameters(pattern: str, number: int) -> None:
    assert len(traced(1, pattern=pattern)) == number


def test_the_last_step_is_recorded_too() -> None:
    run, callback = FakeRun(), TraceWeights("5 steps")
    callback.on_start(run)  # type: ignore[arg-type]
    for step in steps_until(run, 7):
        if step == 7:
            run.stop("max_steps")
        callback.on_step(run)  # type: ignore[arg-type]
    assert sorted({record.step for record in run.records._pending}) == [5, 7]
