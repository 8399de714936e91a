"""A training that goes on: exactly, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from short_runs import (
    Watch,
    data_of,
    files_below,
    losses_of,
    records_of,
    same_tensors,
    train_again,
    train_shortly,
    weights_of,
)

import edspipe
from edspipe.errors import CheckpointError
from edspipe.training.checkpoint import find_checkpoint, list_checkpoints
from edspipe.training.schedules import Linear

# ---- going on --------------------------------------------------------------------------------


def test_resumed_it_is_as_if_never_stopped(nlps: Any, finished: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train_again(nlps, folder, max_steps=4)
    result = train_again(nlps, folder, resume=folder)
    assert result.step == 6
    assert result.best == finished.best
    assert losses_of(folder) == losses_of(finished.output_dir)
    strip = ("step_s", "time_s")
    for split in ("train", "val"):
        found, expected = (
            [{k: v for k, v in r.items() if k not in strip} for r in records_of(d, split)]
            for d in (folder, finished.output_dir)
        )
        if split == "val":  # the first part ended with a validation of its own
            found = [record for record in found if record["step"] != 4]
        assert found == expected
    for name in ("model-best", "model-last"):
        assert same_tensors(
            weights_of(edspipe.load(folder / name)),
            weights_of(edspipe.load(finished.output_dir / name)),
        )


def test_other_settings_are_named_in_a_warning(
    nlps: Any, finished: Any, tmp_path: Path, log: list[str]
) -> None:
    train_again(nlps, tmp_path / "same", resume=finished.output_dir)
    assert not any("settings changed" in message for message in log)
    first = list_checkpoints(finished.output_dir)[-1]
    nlp = nlps(labels=None)
    data = data_of(nlp, 7, sub_batch_size="2 splits", batch_size="3 docs")
    train_again(nlps, tmp_path / "new", resume=first, lr=1e-4, seed=7, data=data)
    (message,) = (message for message in log if "settings changed" in message)
    for part in ("seed (42 before, 7 now)", "2 docs before, 3 docs now", "0.003", "0.0001"):
        assert part in message
    assert "precision" not in message


def test_in_another_folder_the_old_one_stays_as_it_was(
    nlps: Any, finished: Any, tmp_path: Path
) -> None:
    before = files_below(finished.output_dir)
    first = list_checkpoints(finished.output_dir)[-1]
    result = train_again(nlps, tmp_path / "new", resume=first, max_steps=8)
    assert files_below(finished.output_dir) == before
    assert result.step == 8
    assert result.model.parent == tmp_path / "new"
    assert [step for step, _ in losses_of(tmp_path / "new")] == list(range(1, 9))
    assert losses_of(tmp_path / "new")[:6] == losses_of(finished.output_dir)


def test_a_finished_run_that_is_resumed_stays_finished(
    nlps: Any, finished: Any, tmp_path: Path
) -> None:
    result = train_again(nlps, tmp_path / "new", resume=finished.output_dir)
    assert result.step == 6
    assert result.best == finished.best
    assert same_tensors(weights_of(result.load()), weights_of(finished.load()))


@pytest.mark.slow
def test_epochs_are_resumed_exactly(nlps: Any, tmp_path: Path) -> None:
    whole, later = tmp_path / "whole", tmp_path / "later"
    options = {"max_epochs": 2, "evaluate_every": None, "checkpoint_every": "1 epoch"}
    train_again(nlps, whole, **options)
    train_again(nlps, later, resume=list_checkpoints(whole)[-1], **options)
    assert [path.name for path in list_checkpoints(whole)] == ["step-00000008", "step-00000004"]
    assert len(losses_of(whole)) == 8
    assert losses_of(whole) == losses_of(later)


@pytest.mark.parametrize(
    ("choice", "said", "last"), [("stretch", "stretch to the new end", 0.25), ("keep", "keep", 0.0)]
)
def test_schedules_stretch_or_keep_their_plan(
    nlps: Any, tmp_path: Path, log: list[str], choice: str, said: str, last: float
) -> None:
    """Linear from 1e-3 to 0: over 2 steps, then over 4, of which step 4 sees a quarter left."""
    nlp, later = nlps(), nlps()
    lr = Linear(1e-3, warmup=0.0)
    train_shortly(nlp, data_of(nlp), tmp_path / "run", max_steps=2, lr=lr)
    result = train_shortly(
        later,
        data_of(later),
        tmp_path / "run",
        lr=Linear(1e-3, warmup=0.0),
        max_steps=4,
        resume=tmp_path / "run",
        schedules_on_resume=choice,
    )
    assert result.step == 4
    rates = {r["step"]: r["lr"] for r in records_of(tmp_path / "run")}
    assert rates[2] == pytest.approx(0.5e-3)
    assert rates[4] == pytest.approx(last * 1e-3)
    (line,) = [line for line in log if "planned were 2 steps, now 4 steps" in line]
    assert said in line


def test_other_documents_cannot_be_gone_on_with(nlps: Any, finished: Any, tmp_path: Path) -> None:
    nlp = nlps()
    both = [data_of(nlp, 7), data_of(nlp, 3)]
    for data, counts in ((data_of(nlp, 6), "7 then, 6 now"), (both, "7 then, 7, 3 now")):
        with pytest.raises(
            CheckpointError, match=f"other documents, or in another order: {counts}"
        ):
            train_again(nlps, tmp_path / "new", data=data, resume=finished.output_dir)
    assert not (tmp_path / "new").exists()


def test_another_order_of_documents_cannot_be_gone_on_with(
    nlps: Any, finished: Any, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="the checkpoint does not fit this training"):
        train_again(
            nlps,
            tmp_path / "new",
            data=data_of(nlps(), 7, shuffle=None),
            resume=finished.output_dir,
        )


def test_a_damaged_checkpoint_is_passed_over(
    nlps: Any, finished: Any, tmp_path: Path, log: list[str]
) -> None:
    """And it goes: as the latest one it would be kept in place of those that come."""
    folder = Path(shutil.copytree(finished.output_dir, tmp_path / "run"))
    (list_checkpoints(folder)[0] / "training/state.json").write_text("{}")
    train_again(nlps, folder, keep_checkpoints=1, checkpoint_every=1, max_steps=5, resume=folder)
    assert any("damaged checkpoint: " in line and "state.json" in line for line in log)
    assert [p.name for p in list_checkpoints(folder)] == ["step-00000005"]
    assert losses_of(folder) == losses_of(finished.output_dir)[:5]


def test_labels_keep_their_order(nlps: Any, tmp_path: Path) -> None:
    nlp, other = nlps(labels=["B", "A"]), nlps(labels=["A", "B"])
    train_shortly(nlp, data_of(nlp), tmp_path / "run", max_steps=1)
    assert edspipe.load(tmp_path / "run/model-last").pipes.ner.labels == ["B", "A"]
    train_shortly(other, data_of(other), tmp_path / "run", resume=tmp_path / "run", max_steps=2)
    assert other.pipes.ner.labels == ["B", "A"], "the ids of the checkpoint count"


# ---- interrupted -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_step(
    nlps: Any, finished: Any, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"

    def send(run: Any) -> None:
        if run.step == 3:
            os.kill(os.getpid(), number)

    nlp = nlps(labels=None)
    data = data_of(nlp, 7, sub_batch_size="2 splits")
    result = train_shortly(nlp, data, folder, lr=3e-3, callbacks=[Watch(before_step=send)])
    assert result.interrupted
    assert result.step == 3
    assert result.signal == number
    assert result.scores == {}
    assert find_checkpoint(folder).name == "step-00000003"
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    for name in ("model-best", "model-last"):
        edspipe.load(folder / name)
    assert losses_of(folder) == losses_of(finished.output_dir)[:3]
