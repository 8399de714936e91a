"""edspipe register, and the block `register:` of a config."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from short_runs import not_forced_to_disk

from edspipe.cli import register as register_command
from edspipe.cli import train as train_command
from edspipe.cli.main import main
from edspipe.cli.register import read_block, read_tags
from edspipe.errors import ConfigError
from edspipe.serving.register import Registered
from edspipe.serving.settings import RegisterSettings


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with not_forced_to_disk():
        yield


class Calls(list[tuple[Path, dict[str, Any]]]):
    """Stands in for the registration, which takes seconds."""

    def __call__(self, model: Path, **options: Any) -> Registered:
        self.append((model, options))
        name, alias = options["name"], options["alias"]
        return Registered(f"models:/{name}@{alias}", "3", "r1", is_new=len(self) == 1)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr(register_command, "register", calls)
    monkeypatch.setattr(RegisterSettings, "check", lambda self: None)
    return calls


def test_the_command_gives_on_what_it_is_given(calls: Calls, capsys: Any) -> None:
    words = "--name notes --alias champion --description d --tag a=1 --tag b=x=y --with-onnx"
    assert main(["register", "RUN", *words.split(), "--tracking-uri", "sqlite:///x.db"]) == 0
    ((model, options),) = calls
    assert model == Path("RUN")
    assert options == {
        "name": "notes",
        "alias": "champion",
        "description": "d",
        "tags": {"a": "1", "b": "x=y"},
        "with_onnx": True,
        "tracking_uri": "sqlite:///x.db",
    }
    captured = capsys.readouterr()
    assert captured.out == "models:/notes@champion\n"
    assert captured.err == "version 3; run r1\n"


def test_a_version_that_was_there_is_said_to_be(calls: Calls, capsys: Any) -> None:
    for _ in range(2):
        main(["register", "RUN", "--name", "notes"])
    assert "version 3, which is this model already" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["a", "=x", ""])
def test_a_tag_has_a_key_and_a_value(word: str) -> None:
    with pytest.raises(ConfigError, match="--tag: expected key=value"):
        read_tags([word])


# ---- the block of a config ---------------------------------------------------------------------

MLFLOW = {"@loggers": "mlflow", "tracking_uri": "sqlite:///m.db"}


@pytest.mark.parametrize(
    ("block", "train", "uri"),
    [
        ({"tracking_uri": "http://h"}, {}, "http://h"),
        ({}, {"loggers": ["jsonl", MLFLOW]}, "sqlite:///m.db"),
        ({}, {"loggers": ["mlflow"]}, None),
        ({}, {"loggers": "mlflow"}, None),
    ],
)
def test_the_store_is_that_of_the_training(block: Any, train: Any, uri: str | None) -> None:
    found = read_block({"register": {"name": "x", **block}, "train": train})
    assert found == replace(RegisterSettings("x"), tracking_uri=uri)


@pytest.mark.parametrize("train", [{}, {"loggers": ["csv"]}, {"loggers": "mlflow", "phases": True}])
def test_without_a_store_it_is_refused_before_the_training(train: Any) -> None:
    with pytest.raises(ConfigError, match=r"register\.tracking_uri: missing.*sqlite:///mlflow\.db"):
        read_block({"register": {"name": "x"}, "train": train})


def test_without_the_block_nothing_is_asked_for() -> None:
    assert read_block({"train": {}}) is None


CONFIG = """\
nlp:
  "@core": pipeline
  components:
    classifier:
      "@factory": eds.doc_classifier
      embedding: {{"@factory": eds.transformer, model: {encoder}, window: 32, stride: 24}}
register:
  name: notes
  tags:
    seed: ${{ train.seed }}
  alias: champion
  tracking_uri: sqlite:///mlflow.db
train:
  nlp: ${{ nlp }}
  train_data:
    "@readers": csv
    path: notes.csv
    converter: {{"@converters": labels, label_column: labels, labels: [cough, fever]}}
  output_dir: run
  seed: 7
  max_steps: 2
  evaluate_every: 1
  loggers: [jsonl]
  progress: false
  report: false
  ci: null
"""


@pytest.fixture
def work(encoder_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config and labelled notes, as the current one."""
    monkeypatch.chdir(tmp_path)
    rows = [f"n{i},Fever since {i} days.,{'fever' if i % 2 else 'cough'}\n" for i in range(4)]
    Path("notes.csv").write_text("note_id,text,labels\n" + "".join(rows))
    Path("config.yml").write_text(CONFIG.format(encoder=encoder_dir))
    return tmp_path


def test_the_chosen_model_is_registered_after_the_training(work: Path, calls: Calls) -> None:
    assert main(["train", "--config", "config.yml"]) == 0
    ((model, options),) = calls
    assert model == Path("run/model-last")
    assert (options["name"], options["alias"]) == ("notes", "champion")
    assert options["tags"] == {"seed": 7}
    written = yaml.safe_load(Path("run/config.yml").read_text())
    assert written["register"]["alias"] == "champion"
    assert "register" not in written["train"]


def test_a_run_that_goes_on_registers_too(work: Path, calls: Calls) -> None:
    main(["train", "--config", "config.yml"])
    assert main(["train", "--resume", "run", "--train.max_steps=3"]) == 0
    assert [model.parts[-2:] for model, _ in calls] == [("run", "model-last")] * 2


def test_options_reach_into_the_block(work: Path, calls: Calls) -> None:
    assert main(["train", "--config", "config.yml", "--register.alias=second"]) == 0
    assert calls[0][1]["alias"] == "second"


def test_a_training_that_was_interrupted_registers_nothing(
    work: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = train_command.train
    monkeypatch.setattr(
        train_command,
        "train",
        lambda *args, **settings: replace(real(*args, **settings), stopped_by="interrupted"),
    )
    main(["train", "--config", "config.yml"])
    assert calls == []


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--register.name=a/b", "register.name: expected letters"),
        ("--register.nam=x", "register.nam"),
        ("--register.tracking_uri=null", "register.tracking_uri: missing"),
        ("--register.tracking_uri=mlruns", "sqlite:///mlflow.db"),
        ("--register.tracking_uri=http://u:secret@127.0.0.1:9", "127.0.0.1:9 does not answer"),
    ],
)
def test_what_is_wrong_with_the_block_is_said_before_the_training(
    work: Path, option: str, message: str, capsys: Any
) -> None:
    pytest.importorskip("mlflow")
    assert main(["train", "--config", "config.yml", option]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "secret" not in said
    assert not Path("run").exists()
