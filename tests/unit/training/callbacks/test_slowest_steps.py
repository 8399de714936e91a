"""SlowestSteps and Progress: what they show of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_runs import FakeRun, steps_until
from short_runs import Watch, data_of, train_shortly, unequal_docs

from edspipe.training.batches import TaskBatch
from edspipe.training.callbacks.slowest_steps import SlowestSteps


def slowest(folder: Path, seconds: list[float], number: int = 2) -> list[dict[str, Any]]:
    run, callback = FakeRun(folder), SlowestSteps(number)
    for step in steps_until(run, len(seconds)):
        run.step_s = seconds[step - 1]
        run.tasks = [TaskBatch([], [f"n{step}", 7], 5), TaskBatch([], [None], 2)]
        callback.on_step(run)  # type: ignore[arg-type]
    later = SlowestSteps(number)
    later.load_state_dict(json.loads(json.dumps(callback.state_dict())))
    later.on_end(run)  # type: ignore[arg-type]
    return json.loads((folder / "slowest_steps.json").read_text())


def test_the_slowest_are_written_with_their_documents(tmp_path: Path) -> None:
    assert slowest(tmp_path, [9.0, 1.0, 3.0, 2.0, 2.5]) == [
        {"step": 3, "step_s": 3.0, "num_docs": 3, "num_words": 7, "doc_ids": ["n3", "7", "None"]},
        {"step": 5, "step_s": 2.5, "num_docs": 3, "num_words": 7, "doc_ids": ["n5", "7", "None"]},
    ]


def test_a_run_of_one_step_has_none(tmp_path: Path) -> None:
    assert slowest(tmp_path, [1.0]) == []


@pytest.mark.parametrize("length", [{"max_steps": 3}, {"max_epochs": 1}])
def test_a_bar_ends_at_its_end(
    tmp_path: Path, make_nlp: Any, capsys: pytest.CaptureFixture[str], length: Any
) -> None:
    nlp = make_nlp()
    docs = unequal_docs(nlp, 2)
    train_shortly(nlp, data_of(nlp), tmp_path / "run", docs, progress=True, **length)
    captured = capsys.readouterr()
    last = captured.err.replace("\r", "\n").strip().splitlines()[-1]
    assert last.startswith("training: 100%")
    assert "loss=" in last
    assert "micro_f=" in last
    assert "precision" in captured.out, "the table of the scores"


def test_a_bar_ends_where_the_training_fails(
    tmp_path: Path, make_nlp: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(run: Any) -> None:
        raise ValueError("mine")

    nlp = make_nlp()
    with pytest.raises(ValueError, match="mine"):
        train_shortly(
            nlp, data_of(nlp), tmp_path / "run", progress=True, callbacks=[Watch(on_step=fail)]
        )
    assert capsys.readouterr().err.endswith("\n")
