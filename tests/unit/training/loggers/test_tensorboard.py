"""TensorBoard reads what the logger writes, and hides what a killed run wrote too much."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from edspipe.errors import MissingExtraError
from edspipe.training.loggers import tensorboard
from edspipe.training.loggers.tensorboard import TensorboardLogger
from edspipe.training.records import Record, RunInfo


def run(folder: Path, first: int, last: int, value: float) -> None:
    logger = TensorboardLogger()
    logger.start(RunInfo(str(folder), {}, first_step=first))
    for step in range(first + 1, last + 1):
        logger.write([Record("loss", value, step), Record("f", math.nan, step, "val")])
    logger.close("finished")


def read(folder: Path, tag: str) -> list[tuple[int, float]]:
    module: Any = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = module.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_a_resumed_run_hides_what_the_killed_one_wrote_of_later_steps(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(tmp_path, 0, 5, 1.0)
    run(tmp_path, 3, 4, 2.0)
    assert read(tmp_path, "train/loss") == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0)]
    assert all(math.isnan(value) for _, value in read(tmp_path, "val/f"))


def test_closing_before_the_start_does_nothing(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    TensorboardLogger().close("failed")


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tensorboard.require
    monkeypatch.setattr(
        tensorboard, "require", lambda module, *rest: real(f"no_such_{module}", *rest)
    )
    with pytest.raises(MissingExtraError, match=r"logger tensorboard needs .*edspipe\[track\]"):
        TensorboardLogger()
