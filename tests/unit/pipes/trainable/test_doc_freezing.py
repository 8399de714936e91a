"""Embeddings that a pipe freezes: they stay as they were, and their vectors can be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from doc_pipes import classifier, labelled_docs, transformer
from short_runs import losses_of, train_shortly, weights_of

import edspipe
import edspipe.pipes as eds


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU does not read exactly without a cache."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def on_top(encoder_dir: Path, kind: str) -> Any:
    below = transformer(encoder_dir)
    if kind == "text_cnn":
        return eds.text_cnn(embedding=below, kernel_sizes=[3])
    return eds.concat(embeddings=[below, eds.char_cnn()]) if kind == "concat" else below


def train(nlp: edspipe.Pipeline, folder: Path, **settings: Any) -> Any:
    docs = labelled_docs(nlp)
    return train_shortly(nlp, docs, folder, lr=1e-2, device="cpu", **settings)


@pytest.mark.parametrize("kind", ["transformer", "text_cnn", "concat"])
def test_nothing_of_a_frozen_embedding_is_trained(
    encoder_dir: Path, tmp_path: Path, kind: str
) -> None:
    nlp = classifier(encoder_dir, on_top(encoder_dir, kind), freeze_embedding=True)
    nlp.post_init(labelled_docs(nlp))
    before = weights_of(nlp)
    train(nlp, tmp_path / "run")
    changed = {name for name, p in weights_of(nlp).items() if not torch.equal(p, before[name])}
    assert changed == {"classifier.head.output.weight", "classifier.head.output.bias"}
    assert not any(p.requires_grad for p in nlp.pipes.classifier.embedding.parameters())


@pytest.mark.parametrize("kind", ["transformer", "text_cnn", "concat"])
def test_it_stays_in_evaluation_mode(encoder_dir: Path, kind: str) -> None:
    nlp = classifier(encoder_dir, on_top(encoder_dir, kind), freeze_embedding=True)
    nlp.train(True)
    assert not any(module.training for module in nlp.pipes.classifier.embedding.modules())
    assert nlp.pipes.classifier.head.training


def test_it_is_trained_unless_it_is_frozen(encoder_dir: Path) -> None:
    nlp = classifier(encoder_dir)
    nlp.train(True)
    assert nlp.pipes.classifier.embedding.encoder.training
    assert all(p.requires_grad for p in nlp.pipes.classifier.embedding.parameters())


@pytest.mark.parametrize("kind", ["transformer", "concat"])
def test_it_is_frozen_in_the_loaded_pipeline_too(
    encoder_dir: Path, tmp_path: Path, kind: str
) -> None:
    nlp = classifier(encoder_dir, on_top(encoder_dir, kind), freeze_embedding=True)
    nlp.post_init(labelled_docs(nlp))
    nlp.to_disk(tmp_path / "model")
    pipe = edspipe.load(tmp_path / "model").train(True).pipes.classifier
    assert "freeze_embedding: true" in (tmp_path / "model" / "config.yml").read_text()
    assert not any(p.requires_grad for p in pipe.embedding.parameters())
    assert not any(module.training for module in pipe.embedding.modules())


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_kept_vectors_change_no_training(
    encoder_dir: Path, tmp_path: Path, log: list[str], pooling: Any
) -> None:
    for name, cache in (("kept", "cpu"), ("plain", None)):
        nlp = classifier(encoder_dir, pooling=pooling, freeze_embedding=True, dropout=0.0)
        train(nlp, tmp_path / name, max_epochs=3, embedding_cache=cache)
    assert losses_of(tmp_path / "kept") == losses_of(tmp_path / "plain")
    assert any("100" in line for line in log if "found in the cache" in line)


def test_a_frozen_embedding_is_frozen_for_pipes_that_share_it(encoder_dir: Path) -> None:
    shared = transformer(encoder_dir)
    nlp = classifier(encoder_dir, shared, freeze_embedding=True)
    nlp.add_pipe(eds.ner_crf(embedding=shared, labels=["X"]), name="ner")
    nlp.train(True)
    assert not nlp.pipes.ner.embedding.encoder.training
    assert not any(p.requires_grad for p in nlp.pipes.ner.embedding.parameters())
