"""A whole training: what it leaves behind, and that it is the same again."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import (
    Watch,
    data_of,
    docs_for_two,
    losses_of,
    records_of,
    same_tensors,
    train_again,
    train_shortly,
    two_pipes,
    unequal_docs,
    weights_of,
)

import edspipe
from edspipe.training.callbacks.best_model import BestModel
from edspipe.training.data import TrainingData
from edspipe.training.evaluation import default_metrics, predict, score
from edspipe.training.optimizer import adamw
from edspipe.training.schedules import Plateau

# ---- what is left ----------------------------------------------------------------------------


def test_a_run_has_these_files(finished: Any) -> None:
    found = {path.name for path in finished.output_dir.iterdir()}
    assert found == {
        *("config.yml", "run.json", "data.json", "metrics.jsonl", "slowest_steps.json"),
        *("test_metrics.json", "evaluation", "model-best", "model-last", "checkpoints"),
    }
    assert {p.name for p in (finished.output_dir / "evaluation").iterdir()} == {
        "val.json",
        "test.json",
    }


def test_a_run_says_what_it_was(finished: Any) -> None:
    run = json.loads((finished.output_dir / "run.json").read_text())
    assert run["status"] == "finished"
    assert run["stopped_by"] == "max_steps"
    assert run["seed"] == 42
    assert run["last_step"] == 6
    assert run["num_processes"] == 1
    assert run["data"]["train"]["num_docs"] == 7
    assert run["data"]["val"]["num_docs"] == 3
    assert run["best"] == finished.best
    assert run["evaluated"] == finished.model.name
    digests = json.loads((finished.output_dir / "data.json").read_text())
    assert {key: len(value) for key, value in digests.items()} == {
        "train.0": 7,
        "val": 3,
        "test": 2,
    }


def test_each_step_is_recorded_once(finished: Any) -> None:
    assert [r["step"] for r in records_of(finished.output_dir)] == list(range(1, 7))
    assert [r["step"] for r in records_of(finished.output_dir, "val")] == [3, 6]
    first = records_of(finished.output_dir)[0]
    assert {"loss", "grad_norm", "lr", "epoch", "num_words", "step_s", "time_s"} <= set(first)


def test_both_models_load_and_the_result_says_which_was_scored(finished: Any) -> None:
    assert finished.model == finished.output_dir / "model-best"
    values = {r["step"]: r["micro_f"] for r in records_of(finished.output_dir, "val")}
    assert finished.best["value"] == max(values.values()) == values[finished.best["step"]]
    for name in ("model-best", "model-last"):
        assert edspipe.load(finished.output_dir / name).pipes.ner.labels == ["A", "B"]


def test_the_best_model_is_the_checkpoint_of_its_step(nlps: Any, tmp_path: Path) -> None:
    """The score falls with every validation, so that the first one is best."""
    scores = iter(range(100, 0, -1))
    result = train_again(
        nlps,
        tmp_path / "run",
        checkpoint_every=3,
        monitor="val/s",
        metrics=lambda g, p: {"s": float(next(scores))},
    )
    assert result.best == {"step": 3, "monitor": "val/s", "value": 99.0}
    best = weights_of(result.load())
    assert same_tensors(best, weights_of(edspipe.load(tmp_path / "run/checkpoints/step-00000003")))
    last = weights_of(edspipe.load(tmp_path / "run/model-last"))
    assert not same_tensors(best, last)


def test_the_test_scores_are_those_of_the_chosen_model(finished: Any) -> None:
    nlp = finished.load()
    docs = unequal_docs(nlp, 3)[:2]
    expected = score(default_metrics(nlp), docs, predict(nlp, docs))
    saved = json.loads((finished.output_dir / "test_metrics.json").read_text())
    assert saved == {"model": "model-best", **expected}
    assert finished.scores["test"] == expected
    (record,) = records_of(finished.output_dir, "test")
    assert {name: record[name] for name in expected} == expected


def test_without_validation_the_last_model_is_chosen(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    result = train_shortly(nlp, data_of(nlp), tmp_path / "run", test_data=unequal_docs(nlp, 2))
    assert result.model == tmp_path / "run/model-last"
    assert result.best is None
    assert set(result.scores) == {"test"}
    for name in ("model-best", "model-last"):
        assert same_tensors(weights_of(edspipe.load(tmp_path / "run" / name)), weights_of(nlp))


def test_scores_that_are_not_numbers_are_no_obstacle(nlps: Any, tmp_path: Path) -> None:
    result = train_again(
        nlps,
        tmp_path / "run",
        metrics=lambda g, p: {"s": math.nan},
        monitor="val/s",
        test_data=unequal_docs(nlps(), 1),
        max_steps=2,
    )
    assert result.best is None
    assert math.isnan(result.scores["test"]["s"])
    assert json.loads((tmp_path / "run/test_metrics.json").read_text())["s"] is None
    assert records_of(tmp_path / "run", "val")[0]["s"] is None


# ---- the same again --------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(nlps: Any, finished: Any, tmp_path: Path) -> None:
    train_again(nlps, tmp_path / "run")
    assert losses_of(tmp_path / "run") == losses_of(finished.output_dir)
    for name in ("model-best", "model-last"):
        found, expected = (edspipe.load(d / name) for d in (tmp_path / "run", finished.output_dir))
        assert same_tensors(weights_of(found), weights_of(expected))


def test_another_seed_gives_others(nlps: Any, finished: Any, tmp_path: Path) -> None:
    train_again(nlps, tmp_path / "run", seed=7, max_steps=1)
    assert losses_of(tmp_path / "run") != losses_of(finished.output_dir)[:1]


def test_a_validation_changes_nothing(nlps: Any, finished: Any, tmp_path: Path) -> None:
    nlp = nlps(labels=None)
    train_shortly(
        nlp, data_of(nlp, 7, sub_batch_size="2 splits"), tmp_path / "run", max_steps=6, lr=3e-3
    )
    assert losses_of(tmp_path / "run") == losses_of(finished.output_dir)


def test_the_last_step_is_validated_where_a_callback_ends_the_training(
    nlps: Any, tmp_path: Path
) -> None:
    nlp = nlps()

    def end(run: Any) -> None:
        if run.step == 2:
            run.stop("enough")

    docs = unequal_docs(nlp, 3)
    callbacks = [Watch(on_step=end)]
    result = train_shortly(nlp, data_of(nlp), tmp_path / "run", docs, callbacks=callbacks)
    assert (result.step, result.stopped_by) == (2, "enough")
    assert [record["step"] for record in records_of(tmp_path / "run", "val")] == [2]
    assert result.best is not None


# ---- epochs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size",
    ["12 words", *(pytest.param(s, marks=pytest.mark.slow) for s in ("3 docs", "40 tokens"))],
)
def test_each_epoch_sees_every_document_once(nlps: Any, tmp_path: Path, size: str) -> None:
    nlp = nlps()
    seen: list[list[Any]] = [[]]
    ends: list[int] = []

    def look(run: Any) -> None:
        seen[-1] += run.tasks[0].doc_ids
        if run.ends_epoch:
            ends.append(run.epoch)
            seen.append([])

    result = train_shortly(
        nlp,
        data_of(nlp, 7, batch_size=size),
        tmp_path / "run",
        max_epochs=2,
        callbacks=[Watch(on_step=look)],
    )
    assert [sorted(epoch) for epoch in seen] == [sorted(f"note-{i}" for i in range(7))] * 2 + [[]]
    assert ends == [1, 2]
    assert result.stopped_by == "max_epochs"
    assert records_of(tmp_path / "run")[-1]["epoch"] == 2.0


def test_documents_that_are_not_kept_are_read_train_again(nlps: Any, tmp_path: Path) -> None:
    losses = []
    for in_memory in (True, False):
        nlp = nlps()
        folder = tmp_path / str(in_memory)
        train_shortly(nlp, data_of(nlp, 3, in_memory=in_memory), folder, max_epochs=2)
        losses.append(losses_of(folder))
    assert losses[0] == losses[1]


def test_a_plateau_ends_a_training_whose_score_stays(nlps: Any, tmp_path: Path) -> None:
    """Cut after validation 2, to 0.1, and after 4, below the minimum."""
    plateau = Plateau(
        1e-3, factor=0.1, patience=0, min_value=5e-5, monitor="val/s", tie_breaker=None
    )
    nlp = nlps()
    result = train_shortly(
        nlp,
        data_of(nlp),
        tmp_path / "run",
        unequal_docs(nlp, 1),
        optimizer=adamw(lr=plateau),
        max_steps=9,
        evaluate_every=1,
        metrics=lambda g, p: {"s": 0.5},
        callbacks=[BestModel("val/s")],
    )
    rates = [row["lr"] for row in records_of(tmp_path / "run")]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(1e-4)
    assert result.stopped_by == "the learning rate fell below its minimum"
    assert result.step < 9


# ---- several pipes ---------------------------------------------------------------------------


def test_two_tasks_on_one_encoder_both_learn(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = two_pipes(encoder_dir)
    docs = docs_for_two(nlp, 6)
    data = [
        TrainingData(docs, batch_size="3 docs", pipe_names=["first"]),  # type: ignore[arg-type]
        TrainingData(docs[:4], batch_size="2 docs", pipe_names=["second"], weight=0.5),  # type: ignore[arg-type]
    ]
    before = weights_of(nlp)
    train_shortly(nlp, data, tmp_path / "run", docs, max_steps=10, lr=8e-3, evaluate_every=10)
    after = weights_of(nlp)
    assert all(not torch.equal(before[n], after[n]) for n in before if n.startswith("second.cl"))
    rows = records_of(tmp_path / "run")
    for name in ("loss/first", "loss/second"):
        assert rows[-1][name] < 0.8 * rows[0][name]
    assert rows[0]["loss"] == pytest.approx(rows[0]["loss/first"] + rows[0]["loss/second"])
    (val,) = records_of(tmp_path / "run", "val")
    assert {"loss", "loss/first", "loss/second", "first/micro_f", "second/micro_f"} <= set(val)


def test_the_loss_of_one_pipe_can_choose_the_best_model(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = two_pipes(encoder_dir)
    docs = docs_for_two(nlp, 3)
    result = train_shortly(
        nlp, docs, tmp_path / "run", docs, max_steps=1, monitor="val/loss/second"
    )
    (row,) = records_of(tmp_path / "run", "val")
    assert result.best == {"step": 1, "monitor": "val/loss/second", "value": row["loss/second"]}


def test_a_pipe_that_is_not_named_stays_as_it_is(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = two_pipes(encoder_dir)
    before = weights_of(nlp)
    data = TrainingData(docs_for_two(nlp), pipe_names=["first"])  # type: ignore[arg-type]
    train_shortly(nlp, data, tmp_path / "run", max_steps=2)
    after = weights_of(nlp)
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    own = [n for n in before if n.startswith("second.")]
    assert "first" in changed
    assert all(torch.equal(before[n], after[n]) for n in own)


# ---- labels that do not fit ------------------------------------------------------------------


def test_labels_of_validation_that_training_never_saw_are_counted(
    nlps: Any, tmp_path: Path, log: list[str]
) -> None:
    nlp = nlps(labels=None)
    val = unequal_docs(nlp, 3, "ABX")
    result = train_shortly(nlp, data_of(nlp), tmp_path / "run", val, max_steps=1)
    assert any("val: gold labels that training never saw" in m and "X (3 times)" in m for m in log)
    run = json.loads((tmp_path / "run/run.json").read_text())
    assert run["data"]["val"]["labels"] == {"A": 3, "B": 3, "X": 3}
    assert result.scores["val"]["X_r"] == 0.0


# ---- precision and small things --------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_other_precisions_train_and_are_resumed_exactly(
    nlps: Any, tmp_path: Path, precision: str
) -> None:
    whole, later = tmp_path / "whole", tmp_path / "later"
    options = {"precision": precision, "checkpoint_every": 2, "keep_checkpoints": None}
    for folder in (whole, later):
        nlp = nlps()
        train_shortly(nlp, data_of(nlp), folder, **options)
        options["resume"] = whole / "checkpoints/step-00000002"
    assert losses_of(whole) == losses_of(later)
    assert all(math.isfinite(float.fromhex(loss)) for _, loss in losses_of(whole))


def test_an_update_that_the_scaler_leaves_out_is_not_an_error(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    before: dict[str, torch.Tensor] = {}
    watch = Watch(
        before_step=lambda run: run.scaler.update(1e38) if run.step == 2 else None,
        on_step=lambda run: before.update(weights_of(nlp)) if run.step == 1 else None,
    )
    train_shortly(
        nlp,
        data_of(nlp),
        tmp_path / "run",
        precision="fp16",
        max_steps=2,
        callbacks=[watch],
        grad_spikes="skip",
    )
    assert same_tensors(before, weights_of(nlp))
    assert records_of(tmp_path / "run")[1]["grad_norm"] is None


def test_losses_are_recorded_at_the_interval_that_is_asked_for(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    train_shortly(nlp, data_of(nlp), tmp_path / "run", max_steps=7, log_every=3)
    assert [r["step"] for r in records_of(tmp_path / "run") if "loss" in r] == [1, 3, 6]


def test_hooks_come_in_the_order_of_time(nlps: Any, tmp_path: Path) -> None:
    heard: list[str] = []
    hooks = ("on_start", "before_step", "on_step", "on_validation", "on_end", "on_finish")
    watch = Watch(**{hook: (lambda run, hook=hook: heard.append(hook)) for hook in hooks})
    train_again(nlps, tmp_path / "run", max_steps=2, callbacks=[watch])
    step = ["before_step", "on_step"]
    assert heard == ["on_start", *step, "before_step", "on_validation", "on_step", *hooks[-2:]]


def test_a_callback_that_fails_ends_the_run_as_failed(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()

    def fail(run: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        train_shortly(nlp, data_of(nlp), tmp_path / "run", callbacks=[Watch(on_step=fail)])
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "failed"
    assert Counter(r["step"] for r in records_of(tmp_path / "run")) == {1: 1}
