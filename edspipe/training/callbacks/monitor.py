"""Comparing a record with the best so far."""

from __future__ import annotations

import math
from typing import Literal

Mode = Literal["min", "max"]
_LOWER_IS_BETTER = ("loss",)


def find_mode(monitor: str, mode: Mode | None) -> Mode:
    """Return whether more or less of a record is better; None decides by its name.

    Raises:
        ValueError: The mode is neither `"min"` nor `"max"`.
    """
    if mode not in ("min", "max", None):
        raise ValueError(f"mode is 'min' or 'max', got {mode!r}")
    if mode is None:
        return "min" if any(word in monitor.split("/") for word in _LOWER_IS_BETTER) else "max"
    return mode


def is_better(value: float, best: float | None, mode: Mode, min_delta: float = 0.0) -> bool:
    """Whether a value is better than the best by more than `min_delta`; NaN never is."""
    if math.isnan(value):
        return False
    if best is None or math.isnan(best):
        return True
    gain = value - best if mode == "max" else best - value
    return gain > min_delta
