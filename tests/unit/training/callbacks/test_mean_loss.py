"""MeanLoss: the training loss over an interval, for schedules to look at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from short_runs import data_of, records_of, train_shortly, unequal_docs

from edspipe.training.callbacks.defaults import in_order
from edspipe.training.callbacks.mean_loss import MeanLoss
from edspipe.training.callbacks.validation import Validation
from edspipe.training.records import Records
from edspipe.training.settings import Settings


def run_of(losses: list[float]) -> Any:
    """A run that records these losses, and counts how often schedules looked."""
    run = SimpleNamespace(step=0, records=Records(), looked=[])
    run.validated = lambda: run.looked.append(run.step)
    run.losses = losses
    return run


def go(callback: MeanLoss, run: Any) -> list[float]:
    means = []
    for loss in run.losses:
        run.step += 1
        run.records.log("loss", loss, step=run.step)
        callback.on_step(run)
        record = run.records.latest("train/mean_loss")
        if record is not None and record.step == run.step:
            means.append(record.value)
    return means


def test_it_averages_each_interval() -> None:
    assert go(MeanLoss("2 steps"), run_of([1.0, 3.0, 5.0, 9.0, 2.0])) == [2.0, 7.0]


def test_schedules_look_at_it_where_nobody_validates() -> None:
    for has_validation, looked in ((False, [2, 4]), (True, [])):
        callback, run = MeanLoss("2 steps"), run_of([1.0] * 5)
        callback.has_validation = has_validation
        go(callback, run)
        assert run.looked == looked


def test_saved_in_an_interval_it_goes_on_there() -> None:
    first, second = MeanLoss(4), MeanLoss(4)
    go(first, run_of([1.0, 2.0]))
    second.load_state_dict(first.state_dict())
    run = run_of([3.0, 6.0])
    run.step = 2
    assert go(second, run) == [3.0]


def test_it_stands_before_the_validation_that_schedules_look_after(tiny_nlp: Any) -> None:
    chosen = Settings.of(
        {"output_dir": Path("run"), "max_steps": 9, "report": False, "callbacks": ["mean_loss"]}
    )
    kinds = [type(one) for one in in_order(chosen, {}, unequal_docs(tiny_nlp, 1), False)]
    assert kinds.index(MeanLoss) < kinds.index(Validation)


def test_in_a_training_it_is_recorded(tiny_nlp: Any, tmp_path: Path) -> None:
    train_shortly(tiny_nlp, data_of(tiny_nlp), tmp_path / "run", callbacks=[MeanLoss("2 steps")])
    records = records_of(tmp_path / "run")
    means = {record["step"]: record.get("mean_loss") for record in records}
    losses = [record["loss"] for record in records]
    assert means == {
        1: None,
        2: pytest.approx(sum(losses[:2]) / 2),
        3: None,
        4: pytest.approx(sum(losses[2:]) / 2),
    }
