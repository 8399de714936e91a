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


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({}, "out/run/tensorboard"),
        ({"save_dir": "logs"}, "logs/run"),
        ({"save_dir": "logs", "experiment": "symptoms", "run_name": "one"}, "logs/symptoms/one"),
    ],
)
def test_logs_go_below_the_run_or_where_several_runs_are(options: Any, place: str) -> None:
    pytest.importorskip("tensorboard")
    assert TensorboardLogger(**options).place(Path("out/run")) == Path(place)


def test_tags_and_description_are_shown_as_text(tmp_path: Path) -> None:
    module: Any = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logger = TensorboardLogger(tags={"team": 3}, description="first try", run_name="one")
    logger.start(RunInfo(str(tmp_path), {}))
    logger.close("finished")
    events = module.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    texts = {
        tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
        for tag in events.Tags()["tensors"]
    }
    assert texts == {
        "run/run_name/text_summary": "one",
        "run/description/text_summary": "first try",
        "run/tags/text_summary": "| tag | value |\n|---|---|\n| team | 3 |",
    }
