"""Losses of labels: against their definitions, torch and scikit-learn, and by name."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from doc_pipes import batch_of, cats_of, classifier, labelled_docs
from short_runs import train_shortly
from sklearn.metrics import log_loss

import edspipe
from edspipe.config.registry import registry
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipes.trainable.layers.label_loss import (
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    read_loss,
)

MODES = ("multi_label", "single_label")
SINGLE = ((1, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(1)) * 3


WEIGHTS = torch.tensor([5 / 3, 0.5, 2.0])
BINARY = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]]).float()
NUMBERS = torch.tensor([0, 2, 1, 1, 0, 2])


def test_binary_cross_entropy_is_the_weighted_log_loss_of_scikit_learn(
    logits: torch.Tensor,
) -> None:
    expected = 0.0
    for column in range(3):
        y, p = BINARY[:, column].numpy(), logits[:, column].double().sigmoid().numpy()
        weights = np.where(y == 1, WEIGHTS[column].item(), 1.0)
        expected += log_loss(y, p, normalize=False, sample_weight=weights) / 3
    assert BinaryCrossEntropy()(logits, BINARY, WEIGHTS).item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_is_the_weighted_log_loss_of_scikit_learn(logits: torch.Tensor) -> None:
    p = logits.double().softmax(1).numpy()
    weights = WEIGHTS[NUMBERS].numpy()
    expected = log_loss(NUMBERS.numpy(), p, normalize=False, sample_weight=weights)
    assert CrossEntropy()(logits, NUMBERS, WEIGHTS).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.0])
def test_focal_is_its_definition(logits: torch.Tensor, gamma: float) -> None:
    multi = single = 0.0
    for i in range(6):
        for j in range(3):
            p = 1 / (1 + math.exp(-logits[i, j].item()))
            right, weight = (p, WEIGHTS[j].item()) if BINARY[i, j] else (1 - p, 1.0)
            multi += -weight * (1 - right) ** gamma * math.log(right) / 3
        at = int(NUMBERS[i])
        right = logits[i].double().softmax(0)[at].item()
        single += -WEIGHTS[at].item() * (1 - right) ** gamma * math.log(right)
    loss = Focal(gamma=gamma)
    assert loss(logits, BINARY, WEIGHTS).item() == pytest.approx(multi, rel=1e-4)
    assert loss(logits, NUMBERS, WEIGHTS).item() == pytest.approx(single, rel=1e-4)


def test_focal_without_focus_is_the_cross_entropy(logits: torch.Tensor) -> None:
    loss = Focal(gamma=0)
    for other, targets in ((BinaryCrossEntropy(), BINARY), (CrossEntropy(), NUMBERS)):
        expected = other(logits, targets, WEIGHTS)
        torch.testing.assert_close(loss(logits, targets, WEIGHTS), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("targets", [BINARY, NUMBERS], ids=MODES)
def test_focal_has_gradients_where_all_is_certain(gamma: float, targets: torch.Tensor) -> None:
    sure = torch.tensor([[200.0, -200.0, 0.0]] * 6, requires_grad=True)
    Focal(gamma=gamma)(sure, targets, WEIGHTS).backward()
    assert sure.grad is not None
    assert sure.grad.isfinite().all()


@pytest.mark.parametrize("gamma", [-1.0, math.inf, math.nan])
def test_a_gamma_out_of_range_is_refused(gamma: float) -> None:
    with pytest.raises(ConfigError, match=f"gamma: expected a number from 0 up, got {gamma}"):
        Focal(gamma=gamma)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), CrossEntropy(), Focal()])
def test_the_loss_of_no_documents_is_zero(loss: Any) -> None:
    targets = NUMBERS[:0] if loss.__class__ is CrossEntropy else BINARY[:0]
    assert loss(torch.zeros(0, 3), targets, WEIGHTS).item() == 0.0


@pytest.mark.parametrize(
    ("mode", "name"),
    [("multi_label", "eds.binary_cross_entropy"), ("single_label", "eds.cross_entropy")],
)
def test_the_default_is_the_cross_entropy_of_the_mode(mode: str, name: str) -> None:
    named = read_loss("loss", name, mode)
    assert type(read_loss("loss", None, mode)) is type(named)
    assert type(named) is registry.losses.get(name)


@pytest.mark.parametrize(
    ("loss", "mode", "message"),
    [
        ("eds.focl", "multi_label", r"no 'eds\.focl' among the registered losses .*eds\.focal"),
        ({"@losses": "eds.focal", "gama": 1}, "multi_label", r"gama"),
        ("eds.cross_entropy", "multi_label", r"CrossEntropy is for mode='single_label', got mode"),
        ("eds.binary_cross_entropy", "single_label", r"is for mode='multi_label', got mode='singl"),
        ({"gamma": 2}, "multi_label", r"classifier\.loss: expected a loss, called with .* got a"),
    ],
)
def test_wrong_losses_are_refused(encoder_dir: Path, loss: Any, mode: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        classifier(encoder_dir, loss=loss, mode=mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "loss",
    ["eds.focal", {"@losses": "eds.focal", "gamma": 1.5}, Focal(gamma=3)],
    ids=["name", "block", "object"],
)
def test_the_pipe_takes_the_loss_and_divides_by_its_documents(
    encoder_dir: Path, loss: Any, mode: str
) -> None:
    nlp = classifier(encoder_dir, loss=loss, mode=mode, pos_weight="inverse").train(False)
    docs = labelled_docs(nlp, *([SINGLE] if mode == "single_label" else []))
    nlp.post_init(docs)
    pipe = nlp.pipes.classifier
    with torch.no_grad():
        logits = pipe(batch_of(nlp, docs, supervision=False))["logits"]
        batch = batch_of(nlp, docs)
        gamma = {"eds.focal": 2.0}.get(loss) if isinstance(loss, str) else None
        if gamma is None:
            gamma = loss["gamma"] if isinstance(loss, dict) else 3
        expected = Focal(gamma=gamma)(logits, batch["targets"], pipe.weight_L) / 4
        torch.testing.assert_close(pipe(batch)["loss"], expected)


@pytest.mark.parametrize(
    "loss",
    ["eds.focal", {"@losses": "eds.focal", "gamma": 1.5}, Focal(gamma=3)],
    ids=["name", "block", "object"],
)
def test_the_loss_is_saved_by_its_name(encoder_dir: Path, tmp_path: Path, loss: Any) -> None:
    nlp = classifier(encoder_dir, loss=loss)
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model")
    before, after = nlp.pipes.classifier.loss, loaded.pipes.classifier.loss
    assert isinstance(after, Focal)
    assert after.gamma == before.gamma
    loaded.to_disk(tmp_path / "again")
    text = (tmp_path / "model" / "config.yml").read_text()
    assert text == (tmp_path / "again" / "config.yml").read_text()


# ---- a loss of one's own -----------------------------------------------------------------------

OWN = """
import edspipe
import torch


@edspipe.registry.losses.register("my.squares")
class Squares:
    def __init__(self, power: float = 2.0):
        self.power = power

    def __call__(self, logits, targets, weights):
        return ((logits.sigmoid() - targets).abs() ** self.power * weights).sum()


@edspipe.registry.losses.register("my.function")
def absolute(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor):
    return (logits.sigmoid() - targets).abs().sum()


@edspipe.registry.losses.register("my.each")
def each(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor):
    return (logits.sigmoid() - targets).abs().sum(1)
"""
CONFIG = """
nlp:
  "@core": pipeline
  lang: eds
  components:
    classifier:
      "@factory": eds.doc_classifier
      labels: [A, B, C]
      loss: LOSS
      embedding: {"@factory": eds.transformer, model: "MODEL", window: 8, stride: 6}
"""


@pytest.fixture
def own_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Losses of a module of one's own, which is imported."""
    (tmp_path / "my_losses_4711.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("my_losses_4711")
    yield
    for name in ("my.squares", "my.function", "my.each"):
        registry.losses._functions.pop(name, None)
    del sys.modules["my_losses_4711"]


def build(encoder_dir: Path, folder: Path, loss: str) -> Any:
    file = folder / "config.yml"
    file.write_text(CONFIG.replace("MODEL", str(encoder_dir)).replace("LOSS", loss))
    return edspipe.load(file)


@pytest.mark.parametrize("loss", ['{"@losses": my.squares, power: 3}', "my.squares", "my.function"])
@pytest.mark.usefixtures("own_losses")
def test_a_loss_of_ones_own_trains_and_is_saved(
    encoder_dir: Path, tmp_path: Path, loss: str
) -> None:
    nlp = build(encoder_dir, tmp_path, loss)
    docs = labelled_docs(nlp)
    pipe = nlp.pipes.classifier
    nlp.train(False)
    with torch.no_grad():
        before = pipe(batch_of(nlp, docs))["loss"].item()
    run = train_shortly(nlp, docs, tmp_path / "run", max_steps=8, lr=1e-2)
    loaded = run.load()
    other = loaded.pipes.classifier
    with torch.no_grad():
        after = other(batch_of(loaded.train(False), docs))["loss"].item()
    assert after < before
    assert type(other.loss) is type(pipe.loss)
    assert getattr(other.loss, "power", None) == getattr(pipe.loss, "power", None)
    nlp.to_disk(tmp_path / "model")
    assert cats_of(edspipe.load(tmp_path / "model")) == cats_of(nlp)


@pytest.mark.usefixtures("own_losses")
def test_a_loss_a_document_is_refused(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = build(encoder_dir, tmp_path, "my.each")
    with pytest.raises(ValueError, match=r"classifier\.loss: expected the sum .* of shape \(4,\)"):
        nlp.pipes.classifier(batch_of(nlp, labelled_docs(nlp)))


@pytest.mark.usefixtures("own_losses")
def test_a_model_whose_loss_is_not_imported_says_so(encoder_dir: Path, tmp_path: Path) -> None:
    build(encoder_dir, tmp_path, '{"@losses": my.squares}').to_disk(tmp_path / "model")
    del registry.losses._functions["my.squares"]
    with pytest.raises(CheckpointError, match=r"no 'my\.squares' among .* --import my_module"):
        edspipe.load(tmp_path / "model")
