"""edspipe find-lr."""

from __future__ import annotations

from pathlib import Path

import pytest

from edspipe.cli.main import main
from edspipe.demo import write_corpus
from tests.support import tiny_encoder

CONFIG = """
nlp:
  "@core": pipeline
  components:
    ner:
      "@factory": eds.ner_crf
      target_span_getter: gold-ner
      embedding:
        "@factory": eds.transformer
        model: encoder
train:
  nlp: ${ nlp }
  train_data_path: data/train
  output_dir: run
  max_steps: 100
"""


def test_the_command_writes_the_table_and_says_what_to_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path / "data", num_train=4, num_dev=2)
    tiny_encoder(tmp_path / "encoder")
    (tmp_path / "config.yml").write_text(CONFIG)
    words = ["--iterations", "3", "--output", "rates", "--train.batch_size=64"]
    assert main(["find-lr", "--config", "config.yml", *words]) == 0
    assert len((tmp_path / "rates/learning_rate.tsv").read_text().splitlines()) == 4
    printed = capsys.readouterr().out
    assert "learning_rate.png" in printed
    assert "3 steps" in printed or "never fell" in printed
    assert not (tmp_path / "run").exists()


def test_hyper_parameters_that_only_torch_knows_can_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path / "data", num_train=4, num_dev=2)
    tiny_encoder(tmp_path / "encoder")
    optimizer = '  optimizer: {"@optimizers": adamw, lr: 1e-3}\n'
    (tmp_path / "config.yml").write_text(CONFIG + optimizer)
    words = ["find-lr", "--config", "config.yml", "--iterations", "2"]
    assert main([*words, "--train.optimizer.weight_decay=0.1"]) == 0
    assert main([*words, "--train.optimizer.weight_dcay=0.1"]) == 1
    assert "Did you mean 'weight_decay'?" in capsys.readouterr().err
