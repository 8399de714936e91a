"""edspipe tune: what it reads, writes and says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edspipe.cli.main import main, parser
from edspipe.cli.train import train_config
from edspipe.config.files import read_config
from edspipe.demo import write_corpus
from edspipe.tuning.tuner import Tuned

CONFIG = """\
nlp:
  "@core": pipeline
  lang: eds
  components:
    ner:
      "@factory": eds.ner_crf
      target_span_getter: gold-ner
      window: 10
      embedding: {"@factory": eds.transformer, model: "ENCODER"}
train:
  nlp: ${ nlp }
  train_data_path: "CORPUS/train"
  val_data_path: "CORPUS/dev"
  batch_size: 2 docs
  max_steps: 1
  output_dir: run
tune:
  n_trials: 1
  objective: val/loss
  space:
    train.lr: {kind: log_uniform, low: 1e-3, high: 1e-1}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tune") / "corpus"
    write_corpus(folder, num_train=2, num_dev=2)
    return folder


@pytest.fixture
def config(tmp_path: Path, corpus: Path, encoder_dir: Path) -> Path:
    text = CONFIG.replace("ENCODER", str(encoder_dir)).replace("CORPUS", str(corpus))
    (tmp_path / "config.yml").write_text(text)
    return tmp_path / "config.yml"


class Seen:
    """Stands for the search; keeps what it was called with."""

    def __init__(self) -> None:
        self.config: Any = None
        self.given: dict[str, Any] = {}
        self.signal: int | None = None

    def __call__(self, config: Any, **given: Any) -> Tuned:
        self.config, self.given = config, given
        stopped = self.signal is not None
        return Tuned(Path("out"), [], None, {}, interrupted=stopped, signal=self.signal)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen()
    monkeypatch.setattr("edspipe.cli.tune.tune", seen)
    return seen


def test_a_search_leaves_a_config_that_can_be_trained(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["tune", "--config", str(config), "--output", str(out), "--trials=2"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["trial 0", "trial 1", "Best of all"]
    assert lines[3].startswith("  train.lr  ")
    assert captured.err == f"{out}\n"
    best = read_config(out / "best.yml")
    assert lines[3].split()[1] == f"{best['train']['lr']:.6g}"
    words = [f"--config={out / 'best.yml'}", "--train.ci=null", "--train.report=false"]
    train_config([*words, "--train.progress=false", '--train.loggers=["jsonl"]'])
    records = map(json.loads, (out / "best/metrics.jsonl").read_text().splitlines())
    (loss,) = (record["loss"] for record in records if record["split"] == "val")
    assert f"42: {loss!r}." in (out / "best.yml").read_text()


CLASSIFIER = """
nlp:
  "@core": pipeline
  components:
    classifier:
      "@factory": eds.doc_classifier
      embedding: {"@factory": eds.text_cnn, embedding: {"@factory": eds.char_cnn}}
train:
  nlp: ${ nlp }
  train_data: {"@readers": json, path: NOTES, converter: {"@converters": labels, PLACES}}
  val_data: ${ train.train_data }
  max_steps: 2
  batch_size: 4 docs
  evaluate_every: 1
  callbacks:
    - {"@callbacks": calibrate, min_positives: 1, min_predictions: 1}
register: {name: topics}
tune:
  n_trials: 2
  space:
    train.lr: {kind: log_uniform, low: 1e-3, high: 1e-1}
    nlp.components.classifier.pooling: {kind: choice, choices: [mean, attention]}
"""


def test_a_classifier_of_documents_is_searched_by_its_micro_f1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [{"A": i % 2, "B": 1 - i % 2} for i in range(8)]
    rows = [{"text": f"word{i % 2} and more", "cats": one} for i, one in enumerate(labels)]
    (tmp_path / "notes.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    text = CLASSIFIER.replace("NOTES", str(tmp_path / "notes.jsonl"))
    (tmp_path / "config.yml").write_text(text.replace("PLACES", "scores_column: cats"))
    out = tmp_path / "out"
    assert main(["tune", "--config", str(tmp_path / "config.yml"), "--output", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].partition(",")[2].startswith(" val/micro_f ")
    assert read_config(out / "best.yml")["register"] == {"name": "topics"}
    assert len(list(out.glob("trials/*/seed-*/metrics.jsonl"))) == 2


def test_options_stand_above_the_config(config: Path, seen: Seen) -> None:
    words = ["--trials", "9", "--timeout", "60", "--output", "there", "--test"]
    assert main(["tune", "--config", str(config), *words]) == 0
    given = {"n_trials": 9, "timeout_s": 60.0, "output_dir": Path("there"), "test": True}
    assert seen.given == given


def test_without_options_the_config_decides(config: Path, seen: Seen) -> None:
    main(["tune", "--config", str(config)])
    assert set(seen.given.values()) == {None}
    assert seen.config["tune"]["n_trials"] == 1


def test_dotted_options_change_the_config(config: Path, seen: Seen) -> None:
    words = ["--train.max_steps=7", "--tune.n_trials=5", "--tune.sampler", "random"]
    words += ["--nlp.components.ner.window=20", "--train.grad_max_norm=1.0", "--seed=3"]
    assert main(["tune", "--config", str(config), *words]) == 0
    assert seen.config["train"]["max_steps"] == 7
    assert seen.config["train"]["grad_max_norm"] == 1.0
    assert seen.config["train"]["seed"] == 3
    assert seen.config["tune"] | {"space": None} == {
        "n_trials": 5,
        "objective": "val/loss",
        "sampler": "random",
        "space": None,
    }
    assert seen.config["nlp"]["components"]["ner"]["window"] == 20


def test_later_configs_change_earlier_ones(config: Path, tmp_path: Path, seen: Seen) -> None:
    (tmp_path / "more.yml").write_text("tune:\n  n_trials: 4\n")
    main(["tune", f"--config={config}", f"--config={tmp_path / 'more.yml'}"])
    assert seen.config["tune"]["n_trials"] == 4
    assert seen.config["tune"]["objective"] == "val/loss"


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_an_interrupted_search_says_how_it_goes_on(
    config: Path, seen: Seen, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    seen.signal = number
    assert main(["tune", "--config", str(config)]) == code
    assert capsys.readouterr().err.endswith("Go on with the same command\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tune.n_trails=3"], "--tune.n_trails: no 'n_trails' there. Did you mean 'n_trials'?"),
        (["--train.max_step=3"], "--train.max_step: no 'max_step' there. Did you mean 'max_steps'"),
        (["--tune.n_trials=no"], "config.yml:18: tune.n_trials: expected 1 or more, got 'no'"),
    ],
)
def test_a_wrong_option_is_named(
    config: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["tune", "--config", str(config), *words]) == 1
    assert message in capsys.readouterr().err


def test_an_error_in_the_space_is_named_with_its_line(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace("train.lr:", "train.lrr:"))
    assert main(["tune", "--config", str(config)]) == 1
    place = "config.yml:21: tune.space.train.lrr: no 'lrr' in train. Did you mean 'lr'?"
    assert place in capsys.readouterr().err


def test_a_config_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune"]) == 1
    assert "--config is missing: a config with the blocks nlp" in capsys.readouterr().err


def test_a_config_of_a_search_can_be_trained_with_too(config: Path, tmp_path: Path) -> None:
    words = [f"--config={config}", f"--train.output_dir={tmp_path / 'run'}", "--train.ci=null"]
    finished = train_config([*words, "--train.progress=false", "--train.report=false"])
    assert finished.step == 1
    assert "tune" not in read_config(tmp_path / "run/config.yml")


def test_help_names_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser(["tune"]).parse_args(["tune", "--help"])
    text = capsys.readouterr().out
    for option in ("--config", "--trials", "--timeout", "--output", "--test"):
        assert option in text
