"""Trainings whose frozen embeddings are kept: switched on, told of, resumed, and let go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import data_of, records_of, same_tensors, train_shortly, unequal_docs, weights_of

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.training.callbacks.embedding_cache import EmbeddingCache
from edspipe.training.callbacks.unfreeze import Unfreeze


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU does not read exactly without a cache."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def recogniser(encoder_dir: Path, **options: Any) -> edspipe.Pipeline:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        nlp = edspipe.blank("eds")
        embedding = eds.transformer(
            model=str(encoder_dir), window=8, stride=6, **{"frozen": True, **options}
        )
        ner = eds.ner_crf(embedding=embedding, target_span_getter="gold-ner", labels=["A", "B"])
        nlp.add_pipe(ner, name="ner")
    return nlp


def losses_of(folder: Path) -> list[float]:
    return [r["loss"] for r in records_of(folder)]


def told(log: list[str]) -> list[str]:
    return [line for line in log if "found in the cache" in line or "cache is full" in line]


def run(nlp: edspipe.Pipeline, folder: Path, **settings: Any) -> list[float]:
    options = {"lr": 1e-2, "max_epochs": 3, "device": "cpu", **settings}
    train_shortly(nlp, data_of(nlp), folder, unequal_docs(nlp, 3), **options)
    return losses_of(folder)


@pytest.mark.parametrize("cache", ["cpu", "disk"])
def test_a_training_is_the_same_with_a_cache_and_tells_how_much_was_found(
    encoder_dir: Path, tmp_path: Path, log: list[str], cache: str
) -> None:
    setting: Any = "cpu"
    if cache == "disk":
        setting = {"cache": "disk", "cache_dir": tmp_path / "vectors"}
    kept, plain = recogniser(encoder_dir), recogniser(encoder_dir)
    assert run(kept, tmp_path / "a", embedding_cache=setting) == run(plain, tmp_path / "b")
    assert same_tensors(weights_of(kept), weights_of(plain))
    lines = told(log)
    assert lines[0].startswith("INFO epoch 1: ner.embedding: 25.0% of 12 contexts were found in ")
    assert lines[1].startswith("INFO epoch 2: ner.embedding: 100.0% of 12 contexts")
    assert len(lines) == 2, "nothing changes in the third epoch"
    assert not kept.pipes.ner.embedding.cache.is_on


def test_another_run_finds_what_is_on_the_disk(
    encoder_dir: Path, tmp_path: Path, log: list[str]
) -> None:
    setting = {"cache": "disk", "cache_dir": tmp_path / "vectors"}
    first = run(recogniser(encoder_dir), tmp_path / "a", embedding_cache=setting)
    del log[:]
    assert run(recogniser(encoder_dir), tmp_path / "b", embedding_cache=setting) == first
    assert told(log)[0].startswith("INFO epoch 1: ner.embedding: 100.0% of ")


def test_a_cache_of_the_pipe_is_told_of_and_stays(
    encoder_dir: Path, tmp_path: Path, log: list[str]
) -> None:
    nlp = recogniser(encoder_dir, cache="cpu")
    run(nlp, tmp_path / "run")
    assert told(log)[0].startswith("INFO epoch 1: ner.embedding: ")
    assert nlp.pipes.ner.embedding.cache.num_found > 0


def test_the_recipe_scratch_keeps_frozen_embeddings(
    encoder_dir: Path, tmp_path: Path, log: list[str]
) -> None:
    nlp = recogniser(encoder_dir)
    val = unequal_docs(nlp, 3)
    train_shortly(nlp, data_of(nlp), tmp_path / "run", val, recipe="scratch", max_epochs=2)
    assert told(log)


def test_embeddings_that_train_are_left_alone(
    encoder_dir: Path, tmp_path: Path, log: list[str]
) -> None:
    nlp = recogniser(encoder_dir, frozen=False)
    before = weights_of(nlp)
    val = unequal_docs(nlp, 3)
    train_shortly(nlp, data_of(nlp), tmp_path / "run", val, recipe="scratch", max_epochs=1)
    assert told(log) == []
    after = weights_of(nlp)
    assert any(not torch.equal(after[n], before[n]) for n in before if ".encoder." in n)


@pytest.mark.parametrize("cache", ["cpu", "disk"])
def test_a_resumed_training_goes_on_to_the_bit(
    encoder_dir: Path, tmp_path: Path, cache: str
) -> None:
    setting: Any = "cpu"
    if cache == "disk":
        setting = {"cache": "disk", "cache_dir": tmp_path / "vectors"}
    whole = recogniser(encoder_dir)
    options: dict[str, Any] = {"embedding_cache": setting, "checkpoint_every": 1}
    losses = run(whole, tmp_path / "whole", **options)
    run(recogniser(encoder_dir), tmp_path / "part", **{**options, "max_epochs": 1})
    resumed = recogniser(encoder_dir)
    given = {**options, "resume": tmp_path / "part", "lr": 1e-2, "max_epochs": 3}
    train_shortly(resumed, data_of(resumed), tmp_path / "part", unequal_docs(resumed, 3), **given)
    assert losses_of(tmp_path / "part") == losses
    assert same_tensors(weights_of(resumed), weights_of(whole))


@pytest.mark.slow
def test_workers_that_prepare_batches_change_nothing(encoder_dir: Path, tmp_path: Path) -> None:
    one = run(recogniser(encoder_dir, cache="cpu"), tmp_path / "one")
    nlp = recogniser(encoder_dir, cache="cpu")
    assert run(nlp, tmp_path / "two", num_preprocessing_workers=2) == one
    assert nlp.pipes.ner.embedding.cache.num_found > 0


def test_what_is_trained_later_is_refused_at_the_start(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = recogniser(encoder_dir, cache="cpu")
    message = (
        r"unfreeze: 'ner\.embedding\.\S+' would be trained, and vectors of 'ner.embedding' are "
        r"kept \(cache='cpu'\)"
    )
    with pytest.raises(ConfigError, match=message):
        run(nlp, tmp_path / "run", callbacks=[Unfreeze("embedding", "1 epoch")])


def test_what_is_trained_later_is_not_kept_by_a_recipe(
    encoder_dir: Path, tmp_path: Path, log: list[str]
) -> None:
    nlp = recogniser(encoder_dir)
    run(nlp, tmp_path / "run", embedding_cache="cpu", callbacks=[Unfreeze("embedding", "1 epoch")])
    assert told(log) == []


def test_a_cache_is_let_go_where_the_training_fails(encoder_dir: Path, tmp_path: Path) -> None:
    nlp = recogniser(encoder_dir)
    with torch.no_grad():
        nlp.pipes.ner.classifier.weight.fill_(float("nan"))
    with pytest.raises(edspipe.errors.TrainingError, match="the loss is nan"):
        run(nlp, tmp_path / "run", embedding_cache="cpu")
    assert not nlp.pipes.ner.embedding.cache.is_on


def test_the_callback_can_be_given_as_such(
    encoder_dir: Path, tmp_path: Path, log: list[str]
) -> None:
    run(recogniser(encoder_dir), tmp_path / "run", callbacks=["embedding_cache"])
    assert told(log)
    assert EmbeddingCache().cache == "cpu"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"cache": "disk"}, "cache_dir: missing; cache='disk' needs a folder"),
        ({"size": 3}, "embedding_cache.size: unexpected keyword argument"),
        ("ram", "cache: expected one of none, cpu, gpu, disk, got 'ram'"),
    ],
)
def test_a_wrong_setting_is_refused(
    encoder_dir: Path, tmp_path: Path, setting: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(recogniser(encoder_dir), tmp_path / "run", embedding_cache=setting)
