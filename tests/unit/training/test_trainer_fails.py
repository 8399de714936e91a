"""A training that cannot go on, or must not start: what is said, and what is left alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import (
    Watch,
    data_of,
    files_below,
    losses_of,
    records_of,
    same_tensors,
    train_shortly,
    unequal_docs,
    weights_of,
)

import edspipe
from edspipe.errors import ConfigError, DataError, TrainingError
from edspipe.training import run as run_module
from edspipe.training.checkpoint import find_checkpoint
from edspipe.training.data import TrainingData
from edspipe.training.gradients import GradientSpikes
from edspipe.training.optimizer import sgd
from edspipe.training.schedules import Plateau

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


def test_a_loss_that_is_not_finite_is_no_matter_of_scaling(nlps: Any, tmp_path: Path) -> None:
    """In fp16 gradients that are not finite are left out; the loss is another thing."""
    nlp = nlps()
    with pytest.raises(TrainingError, match="the loss is nan at step 2, before its update"):
        train_shortly(
            nlp,
            data_of(nlp),
            tmp_path / "run",
            precision="fp16",
            callbacks=[poison(nlp, 2, math.nan)],
        )


def test_gradients_that_stay_not_finite_in_fp16_end_the_training(
    nlps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "MAX_OVERFLOWS", 2)
    nlp = nlps()
    watch = Watch(before_step=lambda run: run.scaler.update(1e38) if run.step > 1 else None)
    with pytest.raises(TrainingError, match=r"norm of the gradients is (nan|inf) at step 4"):
        train_shortly(nlp, data_of(nlp), tmp_path / "run", precision="fp16", callbacks=[watch])


def test_weights_that_are_not_finite_are_not_saved(nlps: Any, tmp_path: Path) -> None:
    """The loss was, and the update made them so."""
    nlp = nlps()
    with pytest.raises(
        TrainingError,
        match=r"weights are not finite after step 1 \(ner\..* and \d+ more\), and no checkpoint is "
        r"written\. There is no checkpoint yet\. Try a lower learning rate",
    ):
        train_shortly(
            nlp,
            data_of(nlp),
            tmp_path / "run",
            optimizer=sgd(lr=1e39),
            grad_max_norm=None,
            checkpoint_every=1,
        )
    assert not (tmp_path / "run/checkpoints").exists()


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
