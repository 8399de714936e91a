"""The learning-rate finder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edspipe
from edspipe.errors import ConfigError
from edspipe.training.data import TrainingData
from edspipe.training.lr_finder import (
    Exponential,
    FoundLearningRates,
    Sweep,
    find_learning_rate,
    growing,
)
from edspipe.training.optimizer import adamw
from edspipe.training.randomness import rng_state
from edspipe.training.schedules import Progress
from edspipe.viz import LearningRates, read_learning_rates
from tests.support import gold_docs, tiny_encoder, tiny_pipeline


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("finder") / "encoder")


@pytest.fixture
def nlp(encoder: Path) -> edspipe.Pipeline:
    return tiny_pipeline(encoder, dropout=0.2)


def data_of(nlp: edspipe.Pipeline) -> TrainingData:
    return TrainingData(gold_docs(nlp), batch_size="2 docs")


def test_the_rate_grows_by_the_same_factor() -> None:
    schedule = Exponential(1e-7, 10.0)
    rates = [schedule.value(Progress.of(step - 1, 100)) for step in range(1, 101)]
    assert rates[49] == pytest.approx(1e-3, rel=1e-12)
    assert rates[-1] == pytest.approx(10.0, rel=1e-12)
    factors = np.divide(rates[1:], rates[:-1])
    assert np.allclose(factors, factors[0], rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.9, 0.98])
def test_a_constant_loss_is_drawn_as_that_constant(smoothing: float) -> None:
    sweep = Sweep(smoothing, 4.0)
    for step in range(1, 60):
        assert sweep.add(step, 1e-3, 0.34) == pytest.approx(0.34, rel=1e-12)


def test_the_mean_is_exponential_and_corrected_for_its_start() -> None:
    losses = [3.0, 1.0, 2.0, 5.0]
    sweep = Sweep(0.8, 100.0)
    for step, loss in enumerate(losses, start=1):
        weights = [0.8 ** (step - i) for i in range(1, step + 1)]
        expected = np.average(losses[:step], weights=weights)
        assert sweep.add(step, 1.0, loss) == pytest.approx(expected)


def test_nothing_is_changed(nlp: edspipe.Pipeline) -> None:
    optimizer = adamw(lr=1e-3, weight_decay=0.1)
    described = optimizer.config()
    weights = [parameter.detach().clone() for parameter in nlp.parameters()]
    modes = [module.training for _, pipe in nlp.torch_components() for module in pipe.modules()]
    tensors, plain = rng_state()
    find_learning_rate(nlp, data_of(nlp), iterations=5, optimizer=optimizer)
    after_tensors, after_plain = rng_state()
    assert all(torch.equal(a, b) for a, b in zip(weights, nlp.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in nlp.parameters())
    assert modes == [m.training for _, pipe in nlp.torch_components() for m in pipe.modules()]
    assert plain == after_plain
    assert all(torch.equal(tensors[name], after_tensors[name]) for name in tensors)
    assert optimizer.config() == described


def test_labels_of_a_new_pipe_are_not_changed_either(encoder: Path) -> None:
    nlp = tiny_pipeline(encoder, labels=None)
    find_learning_rate(nlp, data_of(nlp), iterations=3)
    assert nlp.pipes.ner.labels == []
    assert nlp.pipes.ner.classifier is None


def test_the_first_loss_is_that_of_a_training(nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    found = find_learning_rate(nlp, data_of(nlp), iterations=4, seed=7)
    edspipe.train(
        nlp,
        data_of(nlp),
        output_dir=tmp_path,
        max_steps=1,
        seed=7,
        loggers=["csv"],
        progress=False,
        report=False,
    )
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    loss = next(row.split(",")[3] for row in rows if row.startswith("1,train,loss,"))
    assert float(loss) == found.table.loss[0]


def test_a_loss_that_explodes_ends_the_sweep(nlp: edspipe.Pipeline) -> None:
    found = find_learning_rate(nlp, data_of(nlp), start=1e-3, end=1e6, iterations=60)
    assert len(found.table.lr) < 60
    assert "4 times its lowest" in found.stopped_by or "not finite" in found.stopped_by


def test_a_loss_that_is_no_number_ends_the_sweep(
    nlp: edspipe.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = type(nlp.pipes.ner)._loss
    calls: list[int] = []

    def poisoned(self: Any, *args: Any) -> Any:
        calls.append(1)
        return forward(self, *args) * (math.nan if len(calls) == 3 else 1.0)

    monkeypatch.setattr(type(nlp.pipes.ner), "_loss", poisoned)
    found = find_learning_rate(nlp, data_of(nlp), iterations=10, end=1e-3)
    assert found.stopped_by == "the loss is not finite"
    assert len(found.table.lr) == 2


def test_groups_keep_their_shares() -> None:
    recipe = growing(adamw(lr=1e-3, groups={"a": {"lr": 1e-4}, "b": {"weight_decay": 0.0}}), 1, 10)
    assert recipe.defaults["lr"] == Exponential(1.0, 10.0)
    assert recipe.groups["a"]["lr"] == Exponential(0.1, 1.0)
    assert "lr" not in recipe.groups["b"]


def test_table_and_picture_are_written(nlp: edspipe.Pipeline, tmp_path: Path) -> None:
    found = find_learning_rate(nlp, data_of(nlp), iterations=6, output_dir=tmp_path / "rates")
    table = read_learning_rates(tmp_path / "rates/learning_rate.tsv")
    for ours, theirs in zip(
        (found.table.lr, found.table.loss, found.table.smoothed),
        (table.lr, table.loss, table.smoothed),
        strict=True,
    ):
        assert ours.tolist() == theirs.tolist()
    assert (tmp_path / "rates/learning_rate.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_found_is_said_in_words() -> None:
    table = LearningRates(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    found = FoundLearningRates(table, 2e-3, 1e-3, "all iterations")
    assert str(found) == (
        "2 steps (all iterations); the loss falls fastest at 2.0e-03, and is lowest at 1.0e-02: "
        "try 2.0e-03 or 1.0e-03"
    )
    assert "never fell" in str(FoundLearningRates(table, None, None, "all iterations"))


@pytest.mark.parametrize(
    "wrong",
    [{"start": 0.0}, {"start": 2.0, "end": 1.0}, {"iterations": 1}, {"smoothing": 1.0}]
    + [{"stop_factor": 1.0}],
)
def test_numbers_out_of_range_are_refused(nlp: edspipe.Pipeline, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected 0 < start < end, iterations of 2 or more"):
        find_learning_rate(nlp, data_of(nlp), **wrong)


def test_the_optimizer_of_a_recipe_is_the_one_that_is_swept(nlp: edspipe.Pipeline) -> None:
    found = find_learning_rate(nlp, data_of(nlp), iterations=3, recipe="finetune")
    assert found.table.lr[-1] == pytest.approx(10.0)
