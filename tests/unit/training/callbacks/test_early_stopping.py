"""EarlyStopping: ends a training that no longer gets better."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from fake_runs import FakeRun
from hypothesis import given
from hypothesis import strategies as st

from edspipe.training.callbacks.early_stopping import EarlyStopping


def stops_after(values: list[float], **options: Any) -> int | None:
    """Return the number of the validation that ends the training."""
    run, callback = FakeRun(), EarlyStopping("val/micro_f", **options)
    for number, value in enumerate(values, start=1):
        run.validate(callback, micro_f=value)
        if run.stopped_by:
            return number
    return None


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ([0.1, 0.2, 0.2, 0.2, 0.2], {"patience": 3}, 5),
        ([0.1, 0.2, 0.2, 0.3, 0.2, 0.3, 0.3], {"patience": 3}, 7),
        ([0.1, 0.2, 0.3, 0.4, 0.5], {"patience": 1}, None),
        ([0.5, 0.4], {"patience": 1}, 2),
        ([0.5, 0.4, 0.3, 0.3], {"patience": 1, "mode": "min"}, 4),
        ([0.5, 0.55, 0.7, 0.75, 0.79], {"patience": 2, "min_delta": 0.1}, 5),
        ([math.nan, math.nan], {"patience": 2}, 2),
        ([0.5, math.nan, 0.6, math.nan, math.nan], {"patience": 2}, 5),
    ],
)
def test_it_ends_after_validations_without_a_better_one(
    values: list[float], options: Any, expected: int | None
) -> None:
    assert stops_after(values, **options) == expected


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(1, 4), st.integers(0, 2))
def test_against_brute_force(values: list[int], patience: int, min_delta: int) -> None:
    best, since, expected = -math.inf, 0, None
    for number, value in enumerate(values, start=1):
        best, since = (value, 0) if value - best > min_delta else (best, since + 1)
        if since == patience:
            expected = number
            break
    assert stops_after(values, patience=patience, min_delta=min_delta) == expected  # type: ignore[arg-type]


def test_it_says_why() -> None:
    run, callback = FakeRun(), EarlyStopping("val/loss", patience=1)
    for loss in (1.0, 1.0):
        run.validate(callback, loss=loss)
    assert run.stopped_by == "early stopping: val/loss was not better for 1 validations"


def test_a_record_of_an_earlier_step_does_not_count() -> None:
    run, callback = FakeRun(), EarlyStopping("val/micro_f", patience=1)
    run.validate(callback, micro_f=0.5)
    run.validate(callback, loss=1.0)
    assert callback.num_without == 0
    assert run.stopped_by is None


def test_it_goes_on_from_its_state() -> None:
    run, callback = FakeRun(), EarlyStopping(patience=2)
    for value in (0.5, 0.4):
        run.validate(callback, micro_f=value)
    later = EarlyStopping(patience=2)
    later.load_state_dict(json.loads(json.dumps(callback.state_dict())))
    run.validate(later, micro_f=0.5)
    assert run.stopped_by
    assert later.monitored() == ["val/micro_f"]


def test_a_new_run_begins_to_count_anew() -> None:
    callback = EarlyStopping(patience=2)
    for _ in range(2):
        run = FakeRun()
        callback.on_start(run)  # type: ignore[arg-type]
        for value in (0.5, 0.4):
            run.validate(callback, micro_f=value)
        assert run.stopped_by is None


@pytest.mark.parametrize("options", [{"patience": 0}, {"min_delta": -0.1}])
def test_what_makes_no_sense_is_refused(options: Any) -> None:
    with pytest.raises(ValueError, match="patience is 1 or more and min_delta 0 or more, got "):
        EarlyStopping(**options)
