"""edspipe train: from a config, with overrides, and again from what a run wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from short_runs import files_below, losses_of, not_forced_to_disk, same_tensors, weights_of

import edspipe
from edspipe.cli.main import main
from edspipe.training.checkpoint import find_checkpoint

CONFIG = """\
nlp:
  "@core": pipeline
  lang: eds
  components:
    ner:
      "@factory": eds.ner_crf
      mode: joint
      target_span_getter: gold-ner
      embedding:
        "@factory": eds.transformer
        model: {encoder}
        window: 32
        stride: 24
train:
  nlp: ${{ nlp }}
  train_data_path: data/train
  val_data_path: data/dev
  batch_size: 80
  max_steps: 3
  lr: 0.001
  loggers: [jsonl]
  progress: false
  report: false
  ci: null
"""


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with not_forced_to_disk():
        yield


@pytest.fixture(scope="module")
def place(encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, notes, and the run `first`; only to be read."""
    folder = tmp_path_factory.mktemp("cli-train")
    for split, number in (("train", 5), ("dev", 2)):
        (folder / "data" / split).mkdir(parents=True)
        for i in range(number):
            text = f"Patient {i} has fever.\n\nNo cough, no pain in the chest since {i} days.\n"
            (folder / f"data/{split}/n{i}.txt").write_text(text)
            (folder / f"data/{split}/n{i}.ann").write_text("T1\tSIGN 14 19\tfever\n")
    (folder / "config.yml").write_text(CONFIG.format(encoder=encoder_dir))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "--config", "config.yml", "--train.output_dir=first"]) == 0
    return folder


@pytest.fixture
def work(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, with the same config and notes."""
    for name in ("data", "config.yml", "first"):
        (tmp_path / name).symlink_to(place / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*words: str) -> int:
    return main(["train", *words])


# ---- a run -----------------------------------------------------------------------------------


def test_the_config_is_written_out_with_training_data(place: Path) -> None:
    written = yaml.safe_load((place / "first/config.yml").read_text())["train"]
    assert not {"train_data_path", "val_data_path", "max_words", "resume"} & set(written)
    data = written["train_data"]
    assert data["batch_size"] == "80 tokens"
    assert data["only_with"] == "ents"
    assert data["stream"]["@readers"] == "standoff"
    assert data["stream"]["path"] == "data/train"
    assert written["val_data"]["stream"]["path"] == "data/dev"
    assert written["lr"] == 0.001
    assert written["max_steps"] == 3


def test_a_run_leaves_a_model(place: Path) -> None:
    nlp = edspipe.load(place / "first/model-best")
    assert nlp.pipes.ner.labels == ["SIGN"]
    assert len(losses_of(place / "first")) == 3


def test_what_was_written_trains_the_same_again(work: Path) -> None:
    assert train("--config", "first/config.yml", "--train.output_dir=again") == 0
    assert losses_of(work / "again") == losses_of(work / "first")


def test_without_a_seed_it_is_repeatable_too(work: Path) -> None:
    """Fresh weights are drawn before the training starts."""
    assert train("--config", "config.yml", "--train.output_dir=again") == 0
    found, expected = (edspipe.load(work / name / "model-last") for name in ("again", "first"))
    assert same_tensors(weights_of(found), weights_of(expected))
    run = json.loads((work / "again/run.json").read_text())
    assert run["seed"] == 42


@pytest.mark.parametrize("option", ["--train.seed=7", "--seed=7"])
def test_a_seed_can_be_chosen(work: Path, option: str) -> None:
    assert train("--config", "config.yml", "--train.output_dir=other", option) == 0
    assert losses_of(work / "other") != losses_of(work / "first")
    assert json.loads((work / "other/run.json").read_text())["seed"] == 7


def test_options_reach_into_the_config(work: Path) -> None:
    words = [
        "--train.output_dir=run",
        '--train.optimizer={"@optimizers": "sgd", "lr": 0.5}',
        "--train.optimizer.lr=0.25",
        "--train.max_steps=1",
        "--nlp.components.ner.mode=independent",
        "--train.lr=null",
    ]
    assert train("--config=config.yml", *words) == 0
    written = yaml.safe_load((work / "run/config.yml").read_text())
    assert written["train"]["optimizer"] == {"@optimizers": "sgd", "lr": 0.25}
    assert written["nlp"]["components"]["ner"]["mode"] == "independent"
    (row,) = [json.loads(x) for x in (work / "run/metrics.jsonl").read_text().splitlines()][:1]
    assert row["lr"] == 0.25


def test_a_recipe_is_written_out(work: Path) -> None:
    words = ["--train.recipe=finetune", "--train.lr=null", "--train.max_steps=1"]
    assert train("--config=config.yml", "--train.output_dir=run", *words) == 0
    written = yaml.safe_load((work / "run/config.yml").read_text())["train"]
    assert "recipe" not in written
    assert written["optimizer"]["@optimizers"] == "adamw"


def test_callbacks_and_loggers_come_from_a_config(work: Path) -> None:
    more = {
        "train": {
            "callbacks": [{"@callbacks": "early_stopping", "monitor": "val/loss", "patience": 1}],
            "evaluate_every": 1,
            "lr": 0.0,
            "loggers": [{"@loggers": "csv", "file": "figures.csv"}],
        }
    }
    (work / "more.yml").write_text(yaml.safe_dump(more))
    assert train("--config=config.yml", "--config=more.yml", "--train.output_dir=run") == 0
    run = json.loads((work / "run/run.json").read_text())
    assert run["stopped_by"] == "early stopping: val/loss was not better for 1 validations"
    assert run["last_step"] == 2
    assert (work / "run/figures.csv").is_file()


# ---- going on --------------------------------------------------------------------------------


def test_a_run_goes_on_from_its_own_folder_alone(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--config=config.yml", "--train.output_dir=run", "--train.max_steps=2") == 0
    assert train("--resume", "run", "--train.max_steps=3") == 0
    assert losses_of(work / "run") == losses_of(work / "first")
    assert "max_steps at step 3: run" in capsys.readouterr().err


def test_it_goes_on_from_a_checkpoint_into_another_folder(work: Path) -> None:
    before = files_below(work / "first")
    checkpoint = find_checkpoint(Path("first"))
    assert (
        train("--resume", str(checkpoint), "--train.output_dir=other", "--train.max_steps=4") == 0
    )
    assert losses_of(work / "other")[:3] == losses_of(work / "first")
    assert len(losses_of(work / "other")) == 4
    assert files_below(work / "first") == before
    written = yaml.safe_load((work / "other/config.yml").read_text())["train"]
    assert "resume" not in written
    assert "init_from" not in written


def test_a_run_is_replaced_only_if_asked(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--config=config.yml", "--train.output_dir=run", "--train.max_steps=1"]
    assert train(*words) == 0
    assert train(*words) == 1
    error = capsys.readouterr().err
    assert (
        "run holds a run already. Go on with it (resume=, or --resume on the command line)" in error
    )
    assert train(*words, "--train.overwrite=true", "--train.seed=3") == 0


# ---- what is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.max_stps=3"], "Did you mean 'max_steps'?"),
        (["--train.train_data_pth=x"], "Did you mean 'train_data_path'?"),
        (["--nlp.components.ner.widow=3"], "Did you mean 'window'?"),
        (["--train.recipe=finetun"], "Did you mean 'finetune'?"),
        (["--train.max_steps=0"], "max_steps is a whole number, 1 or more, got 0"),
        (["--train.max_steps=three"], "max_steps is a whole number, 1 or more, got 'three'"),
        (["--train.monitor=val/micro_ff"], "Did you mean 'val/micro_f'?"),
        (["--train.device=banana"], "device is auto, cpu, cuda or cuda:<number>, got 'banana'"),
        (["--train.train_data={}"], "train.train_data_path: give either this or train_data"),
    ],
)
def test_a_wrong_option_is_named(
    work: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    before = files_below(work / "first")
    status = train("--config=config.yml", "--train.output_dir=run", *words)
    captured = capsys.readouterr()
    assert status == 1
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not (work / "run").exists()
    assert files_below(work / "first") == before


def test_a_folder_that_is_no_run_cannot_be_gone_on_with(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "empty").mkdir()
    for folder in ("empty", "nowhere", "data"):
        assert train("--resume", folder) == 1
        error = capsys.readouterr().err
        assert f"--resume {folder}: expected the folder of a run, with config.yml" in error


def test_a_run_from_python_says_where_to_go_on(
    work: Path, make_nlp: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from short_runs import data_of, train_shortly

    nlp = make_nlp()
    train_shortly(nlp, data_of(nlp), work / "run", max_steps=1)
    assert train("--resume", "run") == 1
    error = capsys.readouterr().err
    assert "its config does not name the training data" in error
    assert "go on with edspipe.train(..., resume=...)" in error


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "--resume RUN_DIR" in capsys.readouterr().out
