"""What is rare in a training: spikes, phases from old weights, late signals, other places."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import train_shortly
from support import gold_docs, tiny_encoder, tiny_pipeline

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.early_stopping import EarlyStopping
from edspipe.training.data import TrainingData
from edspipe.training.gradients import NoSpikePolicy, Verdict
from edspipe.training.lr_finder import find_learning_rate, growing
from edspipe.training.memorisation import exposure_of
from edspipe.training.optimizer import adamw, sgd
from edspipe.training.schedules import Linear


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("corners") / "encoder")


@pytest.fixture
def nlp(encoder: Path) -> edspipe.Pipeline:
    return tiny_pipeline(encoder)


def two_apart(encoder: Path) -> edspipe.Pipeline:
    """Two recognisers that share nothing."""
    nlp = edspipe.blank("eds")
    for name in ("a", "b"):
        embedding = eds.transformer(model=str(encoder))
        nlp.add_pipe(eds.ner_crf(target_span_getter="gold-ner", embedding=embedding), name=name)
    return nlp


class AlwaysSpike(NoSpikePolicy):
    """Wants the gradients scaled to a norm."""

    def __init__(self, target: float) -> None:
        self.target = target

    def judge(self, norm: float) -> Verdict:
        return Verdict(self.target / norm, True)


class Norms(Callback):
    """Notes the norm of the gradients that were used."""

    def __init__(self) -> None:
        self.norms: list[float] = []

    def on_step(self, run: Any) -> None:
        grads = [p.grad for p in run.nlp.parameters() if p.grad is not None]
        self.norms.append(float(torch.stack([grad.norm() for grad in grads]).norm()))


@pytest.mark.parametrize(("target", "limit", "norm"), [(0.02, 0.1, 0.02), (0.5, 0.1, 0.1)])
def test_a_spike_is_scaled_to_its_norm_whatever_clipping_did(
    nlp: edspipe.Pipeline, tmp_path: Path, target: float, limit: float, norm: float
) -> None:
    norms = Norms()
    train_shortly(
        nlp,
        gold_docs(nlp),
        tmp_path,
        max_steps=2,
        grad_max_norm=limit,
        grad_spikes=AlwaysSpike(target),
        callbacks=[norms],
    )
    assert norms.norms == pytest.approx([norm, norm], rel=1e-3)


def test_a_pipe_that_writes_elsewhere_is_scored(encoder: Path, tmp_path: Path) -> None:
    scores = []
    for number, options in enumerate(({}, {"span_setter": "found"})):
        nlp = tiny_pipeline(encoder, **options)
        docs = gold_docs(nlp)
        result = train_shortly(nlp, docs, tmp_path / str(number), docs, max_steps=15, lr=1e-2)
        scores.append(result.scores["val"]["micro_f"])
    assert scores[0] == scores[1] > 0.5


def test_equal_losses_are_no_exposure() -> None:
    assert exposure_of(1.0, [1.0] * 1000) == pytest.approx(1.0, abs=0.01)


def test_the_finder_looks_at_learning_rates_only(nlp: edspipe.Pipeline) -> None:
    optimizer = sgd(lr=1e-3, momentum=Linear(0.95))
    found = find_learning_rate(nlp, gold_docs(nlp), iterations=3, end=1e-3, optimizer=optimizer)
    assert found.table.lr[-1] == pytest.approx(1e-3)


def test_parameters_that_are_held_still_stay_so_in_the_finder() -> None:
    recipe = growing(adamw(lr=1e-3, groups={"a": {"lr": 0.0}}), 1e-7, 10.0)
    assert recipe.groups["a"]["lr"] == 0.0


def test_a_callback_begins_anew_in_a_second_training(encoder: Path, tmp_path: Path) -> None:
    stopping = EarlyStopping("val/loss", patience=1, min_delta=100.0)
    steps = []
    for number in range(2):
        nlp = tiny_pipeline(encoder)
        docs = gold_docs(nlp)
        options = {"max_steps": 5, "evaluate_every": 1, "callbacks": [stopping]}
        steps.append(train_shortly(nlp, docs, tmp_path / str(number), docs, **options).step)
    assert steps == [2, 2]


def test_phases_from_old_weights_keep_what_each_learned(encoder: Path, tmp_path: Path) -> None:
    nlp = two_apart(encoder)
    docs = gold_docs(nlp)
    nlp.post_init(docs)
    nlp.to_disk(tmp_path / "old")
    old = edspipe.load(tmp_path / "old")
    result = train_shortly(
        nlp, docs, tmp_path / "run", docs, max_steps=2, phases=True, init_from=tmp_path / "old"
    )
    saved = result.load()
    for name, phase in (("a", "phase-1-a"), ("b", "phase-2-b")):
        chosen = edspipe.load(tmp_path / "run" / phase / "model-best").pipes[name]
        assert torch.equal(saved.pipes[name].classifier.weight, chosen.classifier.weight)
        assert not torch.equal(chosen.classifier.weight, old.pipes[name].classifier.weight)
    assert set(result.scores["val"]) >= {"a/micro_f", "b/micro_f"}


def test_phases_are_begun_anew_where_that_is_asked_for(encoder: Path, tmp_path: Path) -> None:
    nlp = two_apart(encoder)
    docs = gold_docs(nlp)
    train_shortly(nlp, docs, tmp_path, max_steps=1, phases=True)
    again = train_shortly(nlp, docs, tmp_path, max_steps=2, phases=True, overwrite=True)
    assert again.step == 4
    with pytest.raises(ConfigError, match="phases go on by themselves"):
        train_shortly(nlp, docs, tmp_path, max_steps=2, phases=True, resume=tmp_path)


def test_a_phase_that_was_killed_before_a_checkpoint_is_begun_anew(
    encoder: Path, tmp_path: Path
) -> None:
    nlp = two_apart(encoder)
    (tmp_path / "phase-1-a").mkdir()
    (tmp_path / "phase-1-a/run.json").write_text('{"status": "running"}')
    assert train_shortly(nlp, gold_docs(nlp), tmp_path, max_steps=1, phases=True).step == 2


class SignalAtTheEnd(Callback):
    """Sends SIGTERM after the last step."""

    def on_step(self, run: Any) -> None:
        if run.is_last:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_after_the_last_step_is_heard(nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    docs = gold_docs(nlp)
    first = train_shortly(nlp, docs, tmp_path, docs, max_steps=2, callbacks=[SignalAtTheEnd()])
    assert first.interrupted
    assert first.signal == signal.SIGTERM
    assert first.scores == {}
    second = train_shortly(nlp, docs, tmp_path, docs, max_steps=2, resume=tmp_path)
    assert second.step == 2
    assert "micro_f" in second.scores["val"]


def test_a_training_that_was_over_is_not_gone_on_with(encoder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": 9, "evaluate_every": 1}
    for resume in (None, tmp_path):
        nlp = tiny_pipeline(encoder)
        docs = gold_docs(nlp)
        stopping = EarlyStopping("val/loss", patience=2, min_delta=100.0)
        result = train_shortly(
            nlp, docs, tmp_path, docs, callbacks=[stopping], resume=resume, **options
        )
        assert (result.step, result.stopped_by.split(":")[0]) == (3, "early stopping")


def test_documents_are_not_shown_by_what_holds_them(nlp: edspipe.Pipeline) -> None:
    docs = gold_docs(nlp)
    assert "fever" not in repr(TrainingData(docs))  # type: ignore[arg-type]
    assert "fever" not in repr(edspipe.Stream.from_items(docs))
