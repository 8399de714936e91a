"""Comparing a record with the best so far."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edspipe.training.callbacks.monitor import find_mode, is_better


@pytest.mark.parametrize(
    ("monitor", "mode", "expected"),
    [
        ("val/micro_f", None, "max"),
        ("val/loss", None, "min"),
        ("val/loss/ner", None, "min"),
        ("val/glossary_f", None, "max"),
        ("val/loss", "max", "max"),
        ("val/micro_f", "min", "min"),
    ],
)
def test_the_name_says_what_is_better(monitor: str, mode: Any, expected: str) -> None:
    assert find_mode(monitor, mode) == expected


def test_another_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode is 'min' or 'max', got 'best'"):
        find_mode("val/loss", "best")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "best", "mode", "min_delta", "expected"),
    [
        (0.5, None, "max", 0.0, True),
        (0.5, 0.4, "max", 0.0, True),
        (0.5, 0.4, "min", 0.0, False),
        (0.5, 0.5, "max", 0.0, False),
        (0.5, 0.5, "min", 0.0, False),
        (0.75, 0.5, "max", 0.25, False),
        (0.76, 0.5, "max", 0.25, True),
        (0.2, 0.5, "min", 0.25, True),
        (math.nan, None, "max", 0.0, False),
        (math.nan, 0.1, "min", 0.0, False),
        (0.1, math.nan, "max", 0.0, True),
        (-math.inf, None, "max", 0.0, True),
    ],
)
def test_more_or_less_is_better(
    value: float, best: float | None, mode: Any, min_delta: float, expected: bool
) -> None:
    assert is_better(value, best, mode, min_delta) is expected
