"""Intervals in steps and epochs."""

from __future__ import annotations

from typing import Any

import pytest
from fake_runs import due_steps

from edspipe.training.callbacks.every import Every


@pytest.mark.parametrize(
    ("period", "expected", "said"),
    [
        (5, [5, 10], "5 steps"),
        ("5", [5, 10], "5 steps"),
        ("1 step", list(range(1, 13)), "1 step"),
        ("1_000 steps", [], "1000 steps"),
        ("1 epoch", [3, 6, 9, 12], "1 epoch"),
        (" 2 epochs ", [6, 12], "2 epochs"),
    ],
)
def test_it_is_due_at_intervals(period: Any, expected: list[int], said: str) -> None:
    every = Every(period)
    assert due_steps(every.is_due) == expected  # type: ignore[arg-type]
    assert str(every) == said


@pytest.mark.parametrize("period", [0, -1, "0 epochs", "1.5 epochs", "x", "", "3 docs", "epoch"])
def test_what_is_no_interval_is_refused(period: Any) -> None:
    with pytest.raises(ValueError, match="expected a number of steps or epochs, as '500 steps'"):
        Every(period)
