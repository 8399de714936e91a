"""A whole training: what it leaves behind, what it refuses, and how it goes on."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import (
    Watch,
    data_of,
    docs_for_two,
    files_below,
    losses_of,
    records_of,
    same_tensors,
    train_shortly,
    two_pipes,
    unequal_docs,
    weights_of,
)

import edspipe
from edspipe.errors import CheckpointError, ConfigError, DataError, TrainingError
from edspipe.training.callbacks.best_model import BestModel
from edspipe.training.checkpoint import find_checkpoint, list_checkpoints
from edspipe.training.data import TrainingData
from edspipe.training.evaluation import default_metrics, predict, score
from edspipe.training.gradients import GradientSpikes
from edspipe.training.optimizer import adamw, sgd
from edspipe.training.schedules import Linear, Plateau


@pytest.fixture(scope="module")
def nlps(encoder_dir: Path) -> Callable[..., edspipe.Pipeline]:
    from support import tiny_pipeline

    return lambda **options: tiny_pipeline(encoder_dir, **{"dropout": 0.2, **options})


@pytest.fixture(scope="module")
def finished(nlps: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of 6 steps with a validation and a checkpoint each 3; only to be read."""
    nlp = nlps(labels=None)
    docs = unequal_docs(nlp, 3)
    return train_shortly(
        nlp,
        data_of(nlp, 7, sub_batch_size="2 splits"),
        tmp_path_factory.mktemp("trainer") / "run",
        docs,
        test_data=docs[:2],
        max_steps=6,
        evaluate_every=3,
        checkpoint_every=3,
        keep_checkpoints=None,
        lr=3e-3,
    )


def again(nlps: Any, folder: Path, **settings: Any) -> Any:
    """Train as `finished` was, but for some settings."""
    nlp = nlps(labels=None)
    docs = unequal_docs(nlp, 3)
    given = {"max_steps": 6, "evaluate_every": 3, "checkpoint_every": 3, "keep_checkpoints": None}
    if "max_epochs" in settings:
        given.pop("max_steps")
    data = settings.pop("data", None) or data_of(nlp, 7, sub_batch_size="2 splits")
    return train_shortly(nlp, data, folder, docs, **{**given, "lr": 3e-3, **settings})


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
    result = again(
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
    result = again(
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
    again(nlps, tmp_path / "run")
    assert losses_of(tmp_path / "run") == losses_of(finished.output_dir)
    for name in ("model-best", "model-last"):
        found, expected = (edspipe.load(d / name) for d in (tmp_path / "run", finished.output_dir))
        assert same_tensors(weights_of(found), weights_of(expected))


def test_another_seed_gives_others(nlps: Any, finished: Any, tmp_path: Path) -> None:
    again(nlps, tmp_path / "run", seed=7, max_steps=1)
    assert losses_of(tmp_path / "run") != losses_of(finished.output_dir)[:1]


def test_a_validation_changes_nothing(nlps: Any, finished: Any, tmp_path: Path) -> None:
    nlp = nlps(labels=None)
    train_shortly(
        nlp, data_of(nlp, 7, sub_batch_size="2 splits"), tmp_path / "run", max_steps=6, lr=3e-3
    )
    assert losses_of(tmp_path / "run") == losses_of(finished.output_dir)


# ---- going on --------------------------------------------------------------------------------


def test_resumed_it_is_as_if_never_stopped(nlps: Any, finished: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    again(nlps, folder, max_steps=4)
    result = again(nlps, folder, resume=folder)
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


def test_in_another_folder_the_old_one_stays_as_it_was(
    nlps: Any, finished: Any, tmp_path: Path
) -> None:
    before = files_below(finished.output_dir)
    first = list_checkpoints(finished.output_dir)[-1]
    result = again(nlps, tmp_path / "new", resume=first, max_steps=8)
    assert files_below(finished.output_dir) == before
    assert result.step == 8
    assert result.model.parent == tmp_path / "new"
    assert [step for step, _ in losses_of(tmp_path / "new")] == list(range(1, 9))
    assert losses_of(tmp_path / "new")[:6] == losses_of(finished.output_dir)


def test_a_finished_run_that_is_resumed_stays_finished(
    nlps: Any, finished: Any, tmp_path: Path
) -> None:
    result = again(nlps, tmp_path / "new", resume=finished.output_dir)
    assert result.step == 6
    assert result.best == finished.best
    assert same_tensors(weights_of(result.load()), weights_of(finished.load()))


@pytest.mark.slow
def test_epochs_are_resumed_exactly(nlps: Any, tmp_path: Path) -> None:
    whole, later = tmp_path / "whole", tmp_path / "later"
    options = {"max_epochs": 2, "evaluate_every": None, "checkpoint_every": "1 epoch"}
    again(nlps, whole, **options)
    again(nlps, later, resume=list_checkpoints(whole)[-1], **options)
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
            again(nlps, tmp_path / "new", data=data, resume=finished.output_dir)
    assert not (tmp_path / "new").exists()


def test_another_order_of_documents_cannot_be_gone_on_with(
    nlps: Any, finished: Any, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="the checkpoint does not fit this training"):
        again(
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
    again(nlps, folder, keep_checkpoints=1, checkpoint_every=1, max_steps=5, resume=folder)
    assert any("damaged checkpoint: " in line and "state.json" in line for line in log)
    assert [p.name for p in list_checkpoints(folder)] == ["step-00000005"]
    assert losses_of(folder) == losses_of(finished.output_dir)[:5]


def test_labels_keep_their_order(nlps: Any, tmp_path: Path) -> None:
    nlp, other = nlps(labels=["B", "A"]), nlps(labels=["A", "B"])
    train_shortly(nlp, data_of(nlp), tmp_path / "run", max_steps=1)
    assert edspipe.load(tmp_path / "run/model-last").pipes.ner.labels == ["B", "A"]
    train_shortly(other, data_of(other), tmp_path / "run", resume=tmp_path / "run", max_steps=2)
    assert other.pipes.ner.labels == ["B", "A"], "the ids of the checkpoint count"


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


def test_documents_that_are_not_kept_are_read_again(nlps: Any, tmp_path: Path) -> None:
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


# ---- out of memory ---------------------------------------------------------------------------


def make_tight(nlp: edspipe.Pipeline, room: int) -> None:
    """Let the recogniser have memory for some documents only."""
    forward = nlp.pipes.ner.forward

    def tight(batch: Any) -> Any:
        if len(batch["tags"]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(batch)

    nlp.pipes.ner.forward = tight


def test_a_training_that_runs_out_of_memory_is_the_one_with_that_split(
    nlps: Any, tmp_path: Path
) -> None:
    losses = []
    for room, cut in ((4, "2 splits"), (2, None)):
        nlp = nlps()
        make_tight(nlp, room)
        data = data_of(nlp, 8, batch_size="4 docs", sub_batch_size=cut)
        train_shortly(nlp, data, tmp_path / str(room), max_steps=3)
        losses.append((losses_of(tmp_path / str(room)), weights_of(nlp)))
    assert losses[0][0] == losses[1][0]
    assert same_tensors(losses[0][1], losses[1][1])


def test_documents_that_were_measured_as_features_are_split_too(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    make_tight(nlp, 2)
    data = data_of(nlp, 4, batch_size="60 tokens")
    assert train_shortly(nlp, data, tmp_path / "run", max_steps=1).step == 1


@pytest.mark.parametrize(
    ("room", "options", "message"),
    [
        (0, {}, r"out of memory on one document \('note-\d'\): cut long documents with pipes="),
        (
            1,
            {"in_memory": False},
            "out of memory, and the documents are not kept .* in_memory=True",
        ),
    ],
)
def test_where_no_split_helps_the_cure_is_said(
    nlps: Any, tmp_path: Path, room: int, options: Any, message: str
) -> None:
    nlp = nlps()
    make_tight(nlp, room)
    with pytest.raises(TrainingError, match=message):
        train_shortly(nlp, data_of(nlp, 6, **options), tmp_path / "run")


# ---- numbers that are not finite --------------------------------------------------------------


def poison(nlp: edspipe.Pipeline, step: int, value: float) -> Watch:
    """Make a weight bad before a step."""

    def before(run: Any) -> None:
        if run.step == step:
            with torch.no_grad():
                nlp.pipes.ner.classifier.weight[0, 0] = value

    return Watch(before_step=before)


def bad_gradient(nlp: edspipe.Pipeline, step: int) -> Watch:
    """Let a gradient be NaN at a step whose loss is finite."""

    def before(run: Any) -> None:
        if run.step == step:
            nlp.pipes.ner.classifier.weight.register_hook(lambda g: g * math.nan)

    return Watch(before_step=before)


@pytest.mark.parametrize("cause", ["loss", "gradient"])
def test_a_step_that_is_not_finite_is_not_taken(nlps: Any, tmp_path: Path, cause: str) -> None:
    nlp = nlps()
    before: dict[str, torch.Tensor] = {}
    watch = poison(nlp, 4, math.nan) if cause == "loss" else bad_gradient(nlp, 4)
    errors: list[BaseException] = []
    note = Watch(
        before_step=lambda run: before.update(weights_of(nlp)),
        on_error=lambda run, error: errors.append(error),
    )
    what = "the loss" if cause == "loss" else "the norm of the gradients"
    with pytest.raises(
        TrainingError, match=f"^{what} is nan at step 4, before its update"
    ) as found:
        train_shortly(
            nlp,
            data_of(nlp, 4, shuffle=None),
            tmp_path / "run",
            unequal_docs(nlp, 2),
            callbacks=[watch, note],
            max_steps=9,
            checkpoint_every=1,
            evaluate_every=3,
        )
    assert "Documents of the batch: note-2, note-3. " in str(found.value)
    assert f"The last good checkpoint is {tmp_path}/run/checkpoints/step-00000003" in str(
        found.value
    )
    after = weights_of(nlp)
    assert all(torch.equal(after[name].nan_to_num(), before[name].nan_to_num()) for name in before)
    assert errors == [found.value]
    run = json.loads((tmp_path / "run/run.json").read_text())
    assert run["status"] == "failed"
    assert run["last_step"] == 4
    good = edspipe.load(find_checkpoint(tmp_path / "run"))
    assert all(p.isfinite().all() for p in good.parameters())
    assert len(list(good.pipe(["Pas de fièvre."]))) == 1
    assert [r["step"] for r in records_of(tmp_path / "run")] == [1, 2, 3]
    assert not (tmp_path / "run/model-last").exists()


def test_without_a_checkpoint_that_is_said(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    with pytest.raises(
        TrainingError, match=r"There is no checkpoint yet\. Try a lower learning rate"
    ):
        train_shortly(
            nlp, data_of(nlp), tmp_path / "run", callbacks=[poison(nlp, 1, math.inf)], max_steps=3
        )


def test_a_learning_rate_far_too_high_ends_the_training(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    with pytest.raises(TrainingError, match=r"is (nan|inf|-inf) at step \d+, before its update"):
        train_shortly(
            nlp, data_of(nlp), tmp_path / "run", lr=1e30, max_steps=20, grad_max_norm=None
        )


def test_many_documents_are_not_all_listed(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    docs = [nlp.make_doc("fever") for _ in range(53)]
    for index, doc in enumerate(docs):
        doc._.note_id = f"n{index}"
    data = TrainingData(docs, batch_size="53 docs")  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match=r"(n\d+, ){49}n\d+ and 3 more\. "):
        train_shortly(nlp, data, tmp_path / "run", callbacks=[poison(nlp, 1, math.nan)])


def test_a_model_of_before_is_not_lost_to_a_run_that_fails(nlps: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    nlp = nlps()
    train_shortly(nlp, data_of(nlp), folder)
    before = files_below(folder / "model-last")
    other = nlps()
    with pytest.raises(TrainingError):
        train_shortly(
            other,
            data_of(other),
            folder,
            resume=folder,
            max_steps=8,
            callbacks=[poison(other, 6, math.nan)],
        )
    assert files_below(folder / "model-last") == before


# ---- spikes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["skip", "clip_mean", "clip_threshold"])
def test_a_spike_is_dealt_with(nlps: Any, tmp_path: Path, policy: str) -> None:
    """The mean of before is so low that each step is a spike."""
    nlp = nlps()
    spikes = GradientSpikes(policy, window=1)  # type: ignore[arg-type]
    spikes.num_seen, spikes.mean, spikes.variance = 9, 1e-9, 1e-30
    before = weights_of(nlp)
    train_shortly(nlp, data_of(nlp), tmp_path / "run", max_steps=1, grad_spikes=spikes)
    (row,) = records_of(tmp_path / "run")
    assert row["grad_spike"] == row["grad_norm"] > 0
    assert same_tensors(before, weights_of(nlp)) is (policy == "skip")
    if policy != "skip":  # AdamW would hide the scale of the gradients
        norm = torch.stack([p.grad.norm() for p in nlp.parameters() if p.grad is not None]).norm()
        assert norm < 1e-3 * row["grad_norm"]


@pytest.mark.parametrize("value", ["skip", {"policy": "clip_mean", "window": 3}])
def test_a_policy_is_named_or_described(nlps: Any, tmp_path: Path, value: Any) -> None:
    nlp = nlps()
    assert train_shortly(nlp, data_of(nlp), tmp_path / "run", grad_spikes=value, max_steps=1).step


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


# ---- refused at the start --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"monitor": "val/micro_g"}, r"BestModel monitors 'val/micro_g', .* Did you mean 'val/mic"),
        ({"callbacks": ["early_stopping", 3]}, "callbacks: expected callbacks or names, got a int"),
        ({"grad_spikes": {"polcy": "skip"}}, "grad_spikes: .*polcy"),
        ({"grad_spikes": "drop"}, "grad_spikes: policy is skip, clip_mean or clip_threshold, got"),
        ({"grad_spikes": 3}, "grad_spikes: "),
        ({"metrics": 3}, "metrics: expected a metric"),
        ({"optimizer": 3}, "optimizer: expected one of @optimizers, got a int"),
        ({"optimizer": {"@optimizers": "adamw", "lr": -1.0}}, "AdamW: Invalid learning rate: -1.0"),
        (
            {"optimizer": sgd(lr=Plateau(0.1, monitor="val/micro_g"))},
            "the plateau schedule monitors 'val/micro_g', which is not recorded. Did you mean",
        ),
        ({"device": "banana"}, "device is auto, cpu, cuda or cuda:<number>, got 'banana'"),
    ],
)
def test_settings_that_do_not_fit_leave_the_folder_alone(
    nlps: Any, finished: Any, settings: Any, message: str
) -> None:
    before = files_below(finished.output_dir)
    nlp = nlps()
    with pytest.raises(ConfigError, match=message):
        train_shortly(
            nlp,
            data_of(nlp),
            finished.output_dir,
            unequal_docs(nlp, 2),
            overwrite=True,
            **settings,
        )
    assert files_below(finished.output_dir) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    with pytest.raises(ConfigError, match="device='cuda:0': torch finds no GPU here"):
        train_shortly(nlp, data_of(nlp), tmp_path / "run", device="cuda:0")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nre"], r"pipe_names has 'nre', .* Did you mean 'ner'\? They are: ner"),
        (["ner", "look"], "pipe_names has 'look', which is no trainable pipe"),
    ],
)
def test_names_of_pipes_that_are_not_there(
    nlps: Any, tmp_path: Path, names: list[str], message: str
) -> None:
    nlp = nlps()
    nlp.add_pipe(lambda doc: doc, name="look")
    with pytest.raises(ConfigError, match=message):
        train_shortly(nlp, data_of(nlp, pipe_names=names), tmp_path / "run")


def test_a_pipeline_without_a_trainable_pipe(tmp_path: Path) -> None:
    nlp = edspipe.blank("eds")
    with pytest.raises(ConfigError, match="no trainable pipe that is switched on: add one"):
        train_shortly(nlp, unequal_docs(nlp, 2), tmp_path / "run")


def test_no_documents(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    with pytest.raises(DataError, match="train: expected documents, found none that have spans in"):
        train_shortly(nlp, data_of(nlp, only_with="ents"), tmp_path / "run")
    with pytest.raises(DataError, match="val: expected documents, found none"):
        train_shortly(nlp, data_of(nlp), tmp_path / "run", iter(()))
    assert not (tmp_path / "run").exists()


def test_several_validation_sets_are_refused(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    with pytest.raises(ConfigError, match="val_data: expected documents or one stream, got a list"):
        train_shortly(nlp, data_of(nlp), tmp_path / "run", [data_of(nlp), data_of(nlp)])


def test_validation_documents_are_always_kept(nlps: Any, tmp_path: Path) -> None:
    nlp = nlps()
    val = data_of(nlp, 2, in_memory=False)
    train_shortly(nlp, data_of(nlp), tmp_path / "run", val, max_steps=1)
    assert records_of(tmp_path / "run", "val")


def test_a_run_is_not_replaced_by_chance(nlps: Any, finished: Any) -> None:
    nlp = nlps()
    with pytest.raises(FileExistsError, match="holds a run already"):
        train_shortly(nlp, data_of(nlp), finished.output_dir)


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
    again(nlps, tmp_path / "run", max_steps=2, callbacks=[watch])
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
