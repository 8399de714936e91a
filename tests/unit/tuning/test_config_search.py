"""Searches with a config: tiny trainings on a handful of synthetic notes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from edspipe.cli.train import train_config
from edspipe.config.files import read_config
from edspipe.demo import write_corpus
from edspipe.errors import ConfigError, TrainingError
from edspipe.training.finishing import Finished
from edspipe.tuning.base_config import read_base
from edspipe.tuning.objectives import ConfigObjective, Interrupted
from edspipe.tuning.read_space import read_space
from edspipe.tuning.scores import Pruned, TrialScores
from edspipe.tuning.tuner import Tuned, tune

TEXT_CNN = {
    "@factory": "eds.text_cnn",
    "kernel_sizes": [3],
    "embedding": {"@factory": "eds.transformer", "model": "ENCODER"},
}
SPACE = {
    "train.lr": {"kind": "log_uniform", "low": 1e-3, "high": 1e-1},
    "nlp.components.ner.embedding": {
        "kind": "choice",
        "choices": {
            "encoder": {"@factory": "eds.transformer", "model": "ENCODER"},
            "cnn": {"value": TEXT_CNN, "space": {"kernel_sizes.0": {"int": [2, 4]}}},
        },
    },
}


@pytest.fixture(autouse=True, scope="module")
def _quickly() -> Iterator[None]:
    """Collecting garbage, and drawing, take longer than a tiny training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edspipe.tuning.objectives.gc.collect", lambda: 0)
        patch.setattr("edspipe.tuning.tuner.write_pictures", lambda *args: None)
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuning") / "corpus"
    write_corpus(folder, num_train=4, num_dev=2)
    return folder


@pytest.fixture(scope="module")
def base(corpus: Path, encoder_dir: Path) -> dict[str, Any]:
    """A config of a training; the word ENCODER stands for the folder of the encoder."""
    ner = {
        "@factory": "eds.ner_crf",
        "target_span_getter": "gold-ner",
        "window": 10,
        "embedding": {"@factory": "eds.transformer", "model": "ENCODER"},
    }
    config = {
        "nlp": {"@core": "pipeline", "lang": "eds", "components": {"ner": ner}},
        "train": {
            "nlp": "${ nlp }",
            "train_data_path": str(corpus / "train"),
            "val_data_path": str(corpus / "dev"),
            "batch_size": "2 docs",
            "max_steps": 4,
            "evaluate_every": 2,
            "callbacks": ["checkpoint"],
            "report": False,
            "progress": False,
        },
        "tune": {"space": SPACE, "objective": "val/loss", "progress": False, "pruner": "none"},
    }
    return json.loads(json.dumps(config).replace("ENCODER", str(encoder_dir)))


@pytest.fixture
def config(base: dict[str, Any]) -> dict[str, Any]:
    return deepcopy(base)


@pytest.fixture(scope="module")
def tuned(base: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """A search of two trials with two trainings each."""
    folder = tmp_path_factory.mktemp("tuning") / "out"
    options = {"n_trials": 2, "training_seeds": 2, "mean_of_last": 2, "output_dir": folder}
    changed = {**base, "train": {**base["train"], "test_data": "nothing reads this"}}
    return tune(changed, **options)


def val_losses(folder: Path) -> list[float]:
    records = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if record["split"] == "val"]


def test_each_training_has_its_folder_with_metrics_and_config_but_no_weights(tuned: Tuned) -> None:
    assert tuned.output_dir is not None
    folders = sorted(path.parent for path in tuned.output_dir.glob("trials/*/*/run.json"))
    names = [str(path.relative_to(tuned.output_dir)) for path in folders]
    assert names == [f"trials/trial-000{n}/seed-{s}" for n in (0, 1) for s in (42, 43)]
    for folder in folders:
        assert (folder / "metrics.jsonl").is_file()
        assert (folder / "config.yml").is_file()
        assert not list(folder.rglob("*.safetensors"))
        assert not (folder / "checkpoints").exists()


def test_scores_are_means_of_the_last_validations(tuned: Tuned) -> None:
    assert tuned.output_dir is not None
    for row in tuned.trials:
        for seed, score in row.scores.items():
            folder = tuned.output_dir / f"trials/trial-{row.number:04d}/seed-{seed}"
            first, second = val_losses(folder)
            assert score == pytest.approx((first + second) / 2, abs=1e-12)


def test_a_loss_is_minimised(tuned: Tuned) -> None:
    assert tuned.score == min(row.score for row in tuned.trials if row.score is not None)


def test_trials_never_see_the_test_data(tuned: Tuned) -> None:
    assert tuned.output_dir is not None
    for file in tuned.output_dir.glob("trials/*/*/config.yml"):
        assert "test_data" not in file.read_text()
    assert tuned.config is not None
    assert tuned.config["train"]["test_data"] == "nothing reads this"


def test_the_best_config_trains_to_exactly_the_same_score(tuned: Tuned, tmp_path: Path) -> None:
    assert tuned.output_dir is not None
    assert tuned.best is not None
    file = tuned.output_dir / "best.yml"
    text = file.read_text()
    assert text.startswith(f"# The best trial of a search, number {tuned.best.number}: val/loss ")
    assert f"42: {tuned.best.scores[42]!r}" in text
    assert "tune" not in read_config(file)
    for seed, score in tuned.best.scores.items():
        words = [f"--config={file}", f"--train.output_dir={tmp_path / str(seed)}"]
        words += [f"--train.seed={seed}", "--train.test_data=null"]
        train_config([*words, '--train.loggers=["jsonl"]', "--train.ci=null"])
        first, second = val_losses(tmp_path / str(seed))
        assert (first + second) / 2 == score


def test_parameters_are_values_that_the_best_config_has(tuned: Tuned) -> None:
    assert tuned.config is not None
    assert tuned.parameters["train.lr"] == tuned.config["train"]["lr"]
    ner = tuned.config["nlp"]["components"]["ner"]
    assert tuned.parameters["nlp.components.ner.embedding"] == ner["embedding"]


def test_the_test_data_are_scored_once_with_the_best_config(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    reader = {"@readers": "standoff", "path": config["train"]["val_data_path"]}
    reader |= {"tokenizer": "${ nlp }", "span_setter": ["ents", "gold-ner"]}
    config["train"] |= {"test_data": {"stream": reader}, "max_steps": 1}
    options = {"n_trials": 1, "output_dir": tmp_path, "test": True}
    tuned = tune(config, **options, progress=True)
    scores = json.loads((tmp_path / "test/test_metrics.json").read_text())
    assert tuned.test_scores is not None
    assert tuned.test_scores["micro_f"] == scores["micro_f"]
    assert "On the test data: micro_" in capsys.readouterr().out
    written = (tmp_path / "test/run.json").stat().st_mtime_ns
    assert tune(config, **options).test_scores == tuned.test_scores
    assert (tmp_path / "test/run.json").stat().st_mtime_ns == written


def test_weights_are_kept_where_they_are_asked_for(config: dict[str, Any], tmp_path: Path) -> None:
    config["train"]["max_steps"] = 1
    tune(config, n_trials=1, output_dir=tmp_path, keep_weights=True)
    folder = tmp_path / "trials/trial-0000/seed-42"
    assert (folder / "model-best").is_dir()
    assert not (folder / "checkpoints").exists()


# What is found before anything is trained


@pytest.fixture
def _no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a training began")

    monkeypatch.setattr("edspipe.tuning.objectives.train", refuse)


NER = "nlp.components.ner"
NUMBER = {"uniform": [0, 1]}


@pytest.mark.usefixtures("_no_training")
@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"train.lrr": NUMBER}, "tune.space.train.lrr: no 'lrr' in train. Did you mean 'lr'?"),
        (
            {f"{NER}.drop": NUMBER},
            f"tune.space.{NER}.drop: no 'drop' in {NER}. Did you mean 'dropout'?",
        ),
        (
            {f"{NER}.embedding": {"choice": {"a": {"@factory": "eds.transformr", "model": ""}}}},
            f"tune.space.{NER}.embedding: choice 'a': {NER}.embedding.@factory: no 'eds.transformr'"
            " among the registered factory names. Did you mean 'eds.transformer'?",
        ),
        (
            {f"{NER}.embedding": {"choice": {"a": {"@factory": "eds.transformer", "modl": ""}}}},
            f"{NER}.embedding.modl: eds.transformer has no argument 'modl'. Did you mean 'model'?",
        ),
        (
            {
                f"{NER}.embedding": {
                    "choice": {"a": {"value": TEXT_CNN, "space": {"kernels": NUMBER}}}
                }
            },
            f"tune.space.{NER}.embedding: space of 'a': kernels: no 'kernels' in the value. Did you"
            " mean 'kernel_sizes'?",
        ),
        ({"train.seed": NUMBER}, "tune.space.train.seed: is not searched; give tune.training_seed"),
        ({"train.output_dir": NUMBER}, "output_dir: is not searched; each training has its own"),
        ({}, "tune.space: expected what is searched by its path"),
    ],
)
def test_a_wrong_space_is_named(
    config: dict[str, Any], tmp_path: Path, space: dict[str, Any], message: str
) -> None:
    config["tune"]["space"] = space
    with pytest.raises(ConfigError, match=re.escape(message)):
        tune(config, n_trials=1, output_dir=tmp_path)


@pytest.mark.usefixtures("_no_training")
@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"train": None}, "train: missing; a config of a training has the blocks nlp and train"),
        ({"train": {"nlp": "${ nlp }"}}, "train.train_data: missing; trials cannot be scored"),
        ({"nlp": {"@core": "pipline"}}, "nlp.@core: no 'pipline' among the registered core names"),
        ({"tune": [1]}, "tune: expected a block, got list"),
    ],
)
def test_a_wrong_config_is_named(
    config: dict[str, Any], tmp_path: Path, block: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        tune({**config, **block}, SPACE, n_trials=1, output_dir=tmp_path)


@pytest.mark.usefixtures("_no_training")
def test_there_must_be_test_data_to_score(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tune\.test: there is no train\.test_data"):
        tune(config, n_trials=1, output_dir=tmp_path, test=True)


@pytest.mark.parametrize(
    ("config_of", "message"),
    [
        (3, "tune: expected a config, its file, or a function; got a int"),
        ({"train": {"train_data": object()}}, "a config holds plain values, and this one has a ob"),
    ],
)
def test_something_else_is_no_config(config_of: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tune(config_of, SPACE, n_trials=1)


def test_an_objective_that_is_not_recorded_is_named(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"monitors 'val/micro', which is not recorded\. Did you"):
        tune(config, n_trials=1, output_dir=tmp_path, objective="val/micro")


@pytest.mark.usefixtures("_no_training")
def test_a_recipe_is_written_out_to_be_searched(config: dict[str, Any], tmp_path: Path) -> None:
    config["train"] |= {"recipe": "scratch"}
    config["tune"]["space"] = {"train.optimizer.lr.patience": {"int": [1, 4]}}
    with pytest.raises(AssertionError, match="a training began"):
        tune(config, n_trials=1, output_dir=tmp_path)


# Trainings that end otherwise


def objective_of(config: dict[str, Any], folder: Path) -> ConfigObjective:
    space = read_space({"train.lr": {"log_uniform": [1e-3, 1e-1]}})
    base = read_base({key: value for key, value in config.items() if key != "tune"})
    return ConfigObjective(base, space, "val/loss", folder)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrainingError("the loss is nan at step 3"), "with seed 1: the loss is nan at step 3"),
        (torch.OutOfMemoryError("CUDA out of memory"), "with seed 1: out of memory"),
    ],
)
def test_a_training_that_cannot_go_on_is_pruned(
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr("edspipe.tuning.objectives._train_quietly", fail)
    with pytest.raises(Pruned, match=reason):
        objective_of(config, tmp_path)({"train.lr": 0.01}, 0, [1], TrialScores(lambda *_: False))


def test_a_training_that_is_interrupted_interrupts_the_search(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = Finished(tmp_path, tmp_path, {}, 3, "interrupted", signal=15)
    monkeypatch.setattr("edspipe.tuning.objectives._train_quietly", lambda *_: finished)
    with pytest.raises(Interrupted) as caught:
        objective_of(config, tmp_path)({"train.lr": 0.01}, 0, [1], TrialScores(lambda *_: False))
    assert caught.value.signal == 15


def test_a_bad_training_is_pruned_after_a_validation(
    config: dict[str, Any], tmp_path: Path
) -> None:
    scores = TrialScores(lambda step, mean: True)
    with pytest.raises(Pruned, match="worse than other trials at report 1"):
        objective_of(config, tmp_path)({"train.lr": 0.01}, 7, [1], scores)
    run = json.loads((tmp_path / "trials/trial-0007/seed-1/run.json").read_text())
    assert (run["stopped_by"], run["last_step"]) == ("worse than other trials at report 1", 2)
    assert run["status"] == "pruned"


def test_the_last_validation_is_never_pruned(config: dict[str, Any], tmp_path: Path) -> None:
    config["train"] |= {"max_steps": 1}
    scores = TrialScores(lambda step, mean: True)
    objective_of(config, tmp_path)({"train.lr": 0.01}, 0, [1], scores)
    assert list(scores.scores) == [1]
