"""pretrain_char_lm: it learns, is scored, goes on exactly, and shows no text."""

from __future__ import annotations

import math
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import Watch, files_below, losses_of, records_of, same_tensors, weights_of
from spacy.tokens import Doc

import edspipe
from edspipe.errors import CheckpointError, ConfigError, DataError
from edspipe.pipes.trainable.char_vocab import CharVocab
from edspipe.pretraining.char_lm import pretrain_char_lm, read_options
from edspipe.training.checkpoint import checkpoint_path, find_checkpoint
from tests.unit.pretraining.conftest import SMALL, pretrain, sentences


def stop_at(step: int) -> Watch:
    def stop(run: Any) -> None:
        if run.step == step:
            raise KeyboardInterrupt

    return Watch(on_step=stop)


# ---- what comes out --------------------------------------------------------------------------


def test_the_models_are_pipelines_with_one_pipe(calm: Any) -> None:
    for name in ("model-best", "model-last"):
        nlp = edspipe.load(calm.output_dir / name)
        assert nlp.pipe_names == ["char_lm"]
        assert nlp("Pas de fièvre.").text == "Pas de fièvre."


def test_it_learns(texts: Path, tmp_path: Path) -> None:
    finished = pretrain(texts, tmp_path / "run", max_epochs=5, lr=5.0)
    first = records_of(tmp_path / "run", "val")[0]["loss"]
    assert finished.scores["val"]["loss"] < 0.8 * first
    assert finished.load().pipes.char_lm.perplexity(sentences(3, 90)) == pytest.approx(
        finished.scores["val"]["perplexity"], rel=1e-4
    )


def test_the_test_text_is_scored_at_the_end(calm: Any) -> None:
    scores = calm.scores["test"]
    assert scores["bits_per_char"] == pytest.approx(scores["loss"] / math.log(2))
    lm = calm.load().pipes.char_lm
    assert lm.bits_per_char(sentences(3, 91)) == pytest.approx(scores["bits_per_char"], rel=1e-5)
    assert records_of(calm.output_dir, "test")[0]["loss"] == scores["loss"]


def test_bits_and_perplexity_are_recorded(calm: Any) -> None:
    for split in ("train", "val"):
        record = records_of(calm.output_dir, split)[-1]
        assert record["bits_per_char"] == pytest.approx(record["loss"] / math.log(2))
        assert record["perplexity"] == pytest.approx(math.exp(record["loss"]))


def test_the_first_loss_is_that_of_chance(calm: Any) -> None:
    letters = len(calm.load().pipes.char_lm.vocab)
    assert records_of(calm.output_dir)[0]["loss"] == pytest.approx(math.log(letters), rel=0.05)


def test_any_texts_will_do(tmp_path: Path) -> None:
    nlp = edspipe.blank("eds")
    docs: list[Doc] = [nlp.make_doc(sentences(2, seed)) for seed in range(4)]
    finished = pretrain(docs, tmp_path / "run", val=[sentences(2, 9)], optimizer="adam")
    assert set(finished.scores) == {"val"}
    assert finished.stopped_by == "max_steps"


def test_texts_of_another_script(tmp_path: Path) -> None:
    finished = pretrain(["患者 發燒 三天。" * 20], tmp_path / "run", max_steps=3)
    assert "發" in finished.load().pipes.char_lm.vocab


def test_the_alphabet_may_be_given(texts: Path, tmp_path: Path) -> None:
    CharVocab("abc").save(tmp_path / "vocab.json")
    finished = pretrain(texts, tmp_path / "run", max_steps=1, vocab=str(tmp_path / "vocab.json"))
    assert finished.load().pipes.char_lm.vocab == CharVocab("abc")
    finished = pretrain(texts, tmp_path / "run2", max_steps=1, vocab=CharVocab("ab"))
    assert finished.load().pipes.char_lm.vocab == CharVocab("ab")


# ---- the learning rate -----------------------------------------------------------------------


@pytest.mark.parametrize("anneal_on", ["validation", "training"])
def test_a_plateau_cuts_the_learning_rate(texts: Path, tmp_path: Path, anneal_on: Any) -> None:
    options = {"evaluate_every": 2, "patience": 0, "lr": 1e-30, "min_lr": 1e-40}
    pretrain(texts, tmp_path / "run", max_steps=8, anneal_on=anneal_on, **options)
    rates = [record["lr"] for record in records_of(tmp_path / "run")]
    cuts = sum(after < before for before, after in pairwise(rates))
    assert rates[0] == 1e-30
    assert cuts >= 1
    assert rates[-1] == pytest.approx(1e-30 * 0.25**cuts)


def test_without_validation_the_training_loss_is_looked_at(tmp_path: Path) -> None:
    texts = [sentences(20, 1)]
    pretrain(texts, tmp_path / "run", max_steps=9, evaluate_every=2, patience=0, lr=1e-30, min_lr=0)
    records = records_of(tmp_path / "run")
    means = [record["mean_loss"] for record in records if "mean_loss" in record]
    losses = [record["loss"] for record in records]
    assert means == pytest.approx([sum(losses[i : i + 2]) / 2 for i in range(0, 8, 2)])
    assert records[-1]["lr"] < 1e-30


def test_a_learning_rate_below_its_minimum_ends_the_training(tmp_path: Path) -> None:
    options = {"evaluate_every": 1, "patience": 0, "lr": 1e-30, "min_lr": 1e-31}
    finished = pretrain([sentences(20, 1)], tmp_path / "run", max_steps=500, **options)
    assert finished.stopped_by == "the learning rate fell below its minimum"


def test_evaluations_come_about_once_a_split(texts: Path, tmp_path: Path) -> None:
    pretrain(texts, tmp_path / "run", max_epochs=1)
    steps = [record["step"] for record in records_of(tmp_path / "run", "val")]
    last = len(losses_of(tmp_path / "run"))
    assert len(steps) > 2
    assert steps[:-1] == [steps[0] * i for i in range(1, len(steps))]
    assert steps[-1] == last


# ---- going on --------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [3, 6, 9])
def test_resumed_at_any_checkpoint_every_bit_is_the_same(
    calm: Any, texts: Path, tmp_path: Path, step: int
) -> None:
    shutil.copytree(calm.output_dir, tmp_path / "run")
    for later in range(step + 3, 13, 3):
        shutil.rmtree(checkpoint_path(tmp_path / "run", later))
    resumed = pretrain(
        texts, tmp_path / "run", resume=tmp_path / "run", evaluate_every=3, keep_checkpoints=None
    )
    assert losses_of(tmp_path / "run") == losses_of(calm.output_dir)
    assert same_tensors(weights_of(resumed.load()), weights_of(calm.load()))


@pytest.mark.slow
def test_resumed_with_workers_every_bit_is_the_same(calm: Any, texts: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        pretrain(texts, tmp_path / "run", evaluate_every=3, callbacks=[stop_at(8)])
    options = {"resume": tmp_path / "run", "num_preprocessing_workers": 1}
    pretrain(texts, tmp_path / "run", evaluate_every=3, **options)
    assert losses_of(tmp_path / "run") == losses_of(calm.output_dir)


def test_what_is_carried_is_in_checkpoints_and_not_in_models(calm: Any) -> None:
    assert (find_checkpoint(calm.output_dir) / "training/carried.safetensors").is_file()
    assert not list(calm.model.rglob("carried*"))


def test_a_damaged_carried_state_is_named(calm: Any, texts: Path, tmp_path: Path) -> None:
    shutil.copytree(find_checkpoint(calm.output_dir), tmp_path / "step-00000012")
    file = tmp_path / "step-00000012/training/carried.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"training/carried\.safetensors"):
        pretrain(texts, tmp_path / "run", resume=tmp_path / "step-00000012")


def test_a_saved_model_goes_on_with_its_alphabet_and_directions(
    texts: Path, tmp_path: Path
) -> None:
    first = pretrain(texts, tmp_path / "one", directions=["backward"], vocab=CharVocab("abcde "))
    sizes = ("hidden_size", "embedding_size")
    options = {key: value for key, value in SMALL.items() if key not in sizes}
    second = pretrain_char_lm(
        ["αβγ" * 90], tmp_path / "two", init_from=first.model, max_steps=1, lr=1e-6, **options
    )
    before, after = (finished.load().pipes.char_lm for finished in (first, second))
    assert after.vocab == before.vocab
    assert after.directions == ["backward"]
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.allclose(old, new, atol=1e-6)


@pytest.mark.parametrize(
    "option", [{"hidden_size": 8}, {"directions": ["forward"]}, {"vocab": "x"}]
)
def test_what_the_model_keeps_cannot_be_asked_for(
    calm: Any, texts: Path, tmp_path: Path, option: Any
) -> None:
    with pytest.raises(ConfigError, match=r"keeps its alphabet, directions and sizes"):
        pretrain_char_lm(texts, tmp_path / "run", init_from=calm.model, **option)


def test_only_a_character_model_goes_on(model_dir: Path, texts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"init_from: .* has no pipe 'char_lm' of eds\.char_lm"):
        pretrain_char_lm(texts, tmp_path / "run", init_from=model_dir)


# ---- what is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "lion"}, "optimizer is 'sgd' or 'adam', got 'lion'"),
        ({"anneal_on": "test"}, "anneal_on is 'validation' or 'training', got 'test'"),
        ({"val": ["a"]}, "a folder has its own, valid.txt and test.txt"),
        ({"hidden_sizes": 3}, "train.hidden_sizes: unknown"),
        ({"max_epochs": 1, "max_steps": 1}, "either max_steps or max_epochs"),
    ],
)
def test_wrong_options_are_named(texts: Path, tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrain_char_lm(texts, tmp_path / "run", **options)


def test_no_text_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no character"):
        pretrain([""], tmp_path / "run")


def test_an_unknown_key_of_a_config_is_named() -> None:
    with pytest.raises(ConfigError, match=r"pretrain\.hiden_size: unknown\. Did you mean 'hidden"):
        read_options({"data": "x", "hiden_size": 3})


# ---- no text shows ---------------------------------------------------------------------------


def test_no_text_shows_in_what_is_written_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    canary = "zzcanary"
    texts = [f"le patient {canary} tousse {i}\n" * 8 for i in range(6)]
    options = {"val": texts[:1], "test": texts[1:2], "progress": True, "loggers": None}
    pretrain(texts, tmp_path / "run", evaluate_every=3, **options)
    captured = capsys.readouterr()
    for said in (captured.out, captured.err, *log):
        assert canary not in said.lower()
    for name, content in files_below(tmp_path / "run").items():
        assert canary.encode() not in content.lower(), name


def test_texts_that_can_be_read_only_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="read several times, and a generator only once"):
        pretrain_char_lm((text for text in ["a b c"]), tmp_path / "run")
