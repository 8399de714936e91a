"""Checkpoint: when checkpoints are written, and which are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_runs import FakeRun, steps_until

from edspipe.training.callbacks.checkpoint import Checkpoint
from edspipe.training.checkpoint import checkpoint_path, list_checkpoints, step_of


class Saving(FakeRun):
    """A run whose checkpoints are empty folders."""

    saved: list[int]

    def __init__(self, output_dir: Path) -> None:
        super().__init__(output_dir)
        self.saved = []

    def save_checkpoint(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.saved.append(step_of(folder))


def saves(folder: Path, number: int = 7, **options: Any) -> tuple[list[int], list[int]]:
    """Return the steps that are saved in a run of 7 steps, epochs of 3, and those that are left."""
    run, callback = Saving(folder), Checkpoint(**options)
    callback.on_start(run)  # type: ignore[arg-type]
    for step in steps_until(run, number):
        if step == number:
            run.stop("max_steps")
        callback.on_step(run)  # type: ignore[arg-type]
    return run.saved, [step_of(path) for path in list_checkpoints(folder)]


@pytest.mark.parametrize(
    ("options", "saved", "left"),
    [
        ({}, [3, 6, 7], [7, 6]),
        ({"every": "2 steps", "keep": 1}, [2, 4, 6, 7], [7]),
        ({"every": 2, "keep": None}, [2, 4, 6, 7], [7, 6, 4, 2]),
        ({"every": "2 epochs", "save_last": False}, [6], [6]),
        ({"every": None}, [7], [7]),
        ({"every": None, "save_last": False}, [], []),
    ],
)
def test_intervals_and_the_last_ones(
    tmp_path: Path, options: Any, saved: list[int], left: list[int]
) -> None:
    assert saves(tmp_path, **options) == (saved, left)


def test_checkpoints_of_later_steps_go(tmp_path: Path, log: list[str]) -> None:
    """They would count as the latest, and be kept in place of those that come."""
    for step in (2, 4, 6):
        checkpoint_path(tmp_path, step).mkdir(parents=True)
    run = Saving(tmp_path)
    run.step = run.first_step = 4
    Checkpoint(keep=1).on_start(run)  # type: ignore[arg-type]
    assert [step_of(path) for path in list_checkpoints(tmp_path)] == [4, 2]
    assert log == [
        f"WARNING {checkpoint_path(tmp_path, 6)}: deleted, as the training goes on before it"
    ]


def test_none_to_keep_is_refused() -> None:
    with pytest.raises(ValueError, match="keep is 1 or more, or None to keep all, got 0"):
        Checkpoint(keep=0)
