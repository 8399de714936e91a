"""Unfreeze: parameters that are held still for a while."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_runs import FakeRun, steps_until
from short_runs import Watch, data_of, losses_of, train_shortly, weights_of

from edspipe.errors import ConfigError, TrainingError
from edspipe.training.callbacks.unfreeze import Unfreeze


@pytest.mark.parametrize(
    ("after", "first"), [(4, 5), ("4 steps", 5), ("0", 1), ("1 epoch", 4), ("2 epochs", 7)]
)
def test_they_are_trained_after_steps_or_epochs(after: Any, first: int) -> None:
    """Epochs of three steps; `first` is the first step that trains them."""
    run, callback = FakeRun(), Unfreeze("embedding", after)
    callback.on_start(run)  # type: ignore[arg-type]
    trained = []
    for number in range(1, 9):
        run.step = number
        callback.before_step(run)  # type: ignore[arg-type]
        if run.nlp.weight.requires_grad:
            trained.append(number)
        assert run.nlp.bias.requires_grad
        run.epoch += number % 3 == 0
    assert trained == list(range(first, 9))


def test_in_a_training_they_stay_and_then_move(tmp_path: Path, make_nlp: Any) -> None:
    nlp = make_nlp()
    seen: list[dict[str, torch.Tensor]] = []
    watch = Watch(before_step=lambda run: seen.append(weights_of(nlp)))
    train_shortly(nlp, data_of(nlp), tmp_path / "run", callbacks=[Unfreeze("embedding", 2), watch])
    seen.append(weights_of(nlp))
    encoder = "ner.embedding.embedding.encoder.encoder.layer.0.output.dense.weight"
    head = "ner.classifier.weight"
    moved = [
        [not torch.equal(a[name], b[name]) for a, b in pairwise(seen)] for name in (encoder, head)
    ]
    assert moved == [[False, False, True, True], [True] * 4]


@pytest.mark.parametrize("at", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_it_is_resumed_exactly(tmp_path: Path, make_nlp: Any, at: int) -> None:
    whole, later = tmp_path / "whole", tmp_path / "later"
    options: dict[str, Any] = {"checkpoint_every": 1, "keep_checkpoints": None}
    for folder in (whole, later):
        nlp = make_nlp()
        train_shortly(nlp, data_of(nlp), folder, callbacks=[Unfreeze("embedding", 2)], **options)
        options["resume"] = whole / f"checkpoints/step-0000000{at}"
    assert losses_of(whole) == losses_of(later)


@pytest.mark.parametrize("fails", [False, True])
def test_the_pipeline_is_left_as_it_was(tmp_path: Path, make_nlp: Any, fails: bool) -> None:
    nlp = make_nlp()
    nlp.pipes.ner.classifier.bias.requires_grad_(False)
    before = {name: p.requires_grad for name, p in nlp.named_parameters()}

    def spoil(run: Any) -> None:
        if fails:
            torch.nn.init.constant_(nlp.pipes.ner.classifier.weight, torch.nan)

    callbacks = [
        Unfreeze("embedding", 99),
        Unfreeze("bias", 0),
        Unfreeze("crf|weight", 7),
        Watch(before_step=spoil),
    ]
    try:
        train_shortly(nlp, data_of(nlp), tmp_path / "run", callbacks=callbacks, max_steps=1)
        assert not fails
    except TrainingError:
        assert fails
    assert {name: p.requires_grad for name, p in nlp.named_parameters()} == before


def test_a_pattern_that_matches_nothing_warns(log: list[str]) -> None:
    run = FakeRun()
    Unfreeze("embeding", 3).on_start(run)  # type: ignore[arg-type]
    assert log == ["WARNING unfreeze: no parameter matches 'embeding'"]


def test_all_parameters_at_once_cannot_be_held_still() -> None:
    run = FakeRun()
    with pytest.raises(ConfigError, match=r"unfreeze: '\.' holds all parameters still, and there"):
        Unfreeze(".", 3).on_start(run)  # type: ignore[arg-type]
    assert run.nlp.weight.requires_grad


def test_an_epoch_that_ended_before_counts() -> None:
    run, callback = FakeRun(), Unfreeze("embedding", "1 epoch")
    for _ in steps_until(run, 3):
        pass
    callback.on_start(run)  # type: ignore[arg-type]
    assert run.nlp.weight.requires_grad


@pytest.mark.parametrize("after", ["", "x steps", "-1", "3 docs", "1.5 epochs"])
def test_what_is_no_interval_is_refused(after: str) -> None:
    with pytest.raises(ValueError, match="after is '500 steps' or '1 epoch', got "):
        Unfreeze("embedding", after)
