"""edspipe char-vocab, and edspipe pretrain-char-lm."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from short_runs import losses_of, not_forced_to_disk

import edspipe
from edspipe.cli.main import main
from edspipe.cli.pretrain_char_lm import read_arguments
from edspipe.pipes.trainable.char_vocab import CharVocab
from tests.unit.pretraining.conftest import write_texts

SMALL = ["--hidden-size", "4", "--window", "10", "--columns", "3"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edspipe.training.callbacks.plot_curves.PlotCurves.on_finish", lambda *_: 0)


# ---- char-vocab ------------------------------------------------------------------------------


def test_letters_are_listed_and_the_alphabet_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("aaaaaa bb", encoding="utf-8")
    (tmp_path / "b.txt").write_text("bé\n", encoding="utf-8")
    files = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    out = tmp_path / "vocab.json"
    assert main(["char-vocab", *files, "--coverage", "0.9", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "rank\tletter\tcount\tshare\tcumulative",
        "1\ta\t6\t46.154%\t46.1538%",
        "2\tb\t3\t23.077%\t69.2308%",
        "3\tU+000A\t2\t15.385%\t84.6154%",
        "4\tSPACE\t1\t7.692%\t92.3077%",
        "dropped: 1 letters, 1 characters",
        "5\té\t1\t7.692%\t100.0000%",
        f"{out}: 4 letters, and the unknown",
    ]
    assert CharVocab.load(out).items[1:] == ["a", "b", "\n", " "]


def test_files_without_a_character_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("")
    assert main(["char-vocab", str(tmp_path / "a.txt")]) == 1
    assert "DataError: expected texts, found no character in 1 files" in capsys.readouterr().err


# ---- pretrain-char-lm ------------------------------------------------------------------------


def test_the_command_trains_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = str(write_texts(tmp_path / "texts")), str(tmp_path / "run")
    with not_forced_to_disk():
        words = ["--data", data, "--output", out, *SMALL, "--directions", "forward"]
        assert main(["pretrain-char-lm", *words, "--max-steps", "3"]) == 0
        assert "max_steps at step 3" in capsys.readouterr().err
        assert main(["pretrain-char-lm", "--resume", out, "--max-steps", "5"]) == 0
    assert [step for step, _ in losses_of(tmp_path / "run")] == [1, 2, 3, 4, 5]
    lm = edspipe.load(tmp_path / "run/model-last").pipes.char_lm
    assert lm.directions == ["forward"]


def test_a_config_is_below_the_options(tmp_path: Path) -> None:
    data = str(write_texts(tmp_path / "texts"))
    block = {"data": data, "output_dir": str(tmp_path / "run"), "hidden_size": 6, "max_steps": 2}
    block = {**block, "window": 10, "columns": 3, "progress": False, "report": False}
    (tmp_path / "config.yml").write_text(yaml.safe_dump({"pretrain": block}))
    words = ["--config", str(tmp_path / "config.yml"), "--hidden-size", "3"]
    with not_forced_to_disk():
        assert main(["pretrain-char-lm", *words]) == 0
        again = ["--from", str(tmp_path / "run/model-best"), "--output", str(tmp_path / "two")]
        assert main(["pretrain-char-lm", "--data", data, "--max-steps", "1", *again]) == 0
    lm = edspipe.load(tmp_path / "two/model-last").pipes.char_lm
    assert lm.rnns["forward"].lstm.hidden_size == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "pretrain.data: missing"),
        (["--data", "x"], "pretrain.output_dir: missing"),
        (["--resume", "nothing"], "--resume nothing: expected the folder of a run"),
        (["--config", "config.yml"], "config.yml: expected a block 'pretrain', found none"),
        (["--data", "nothing", "--output", "run"], "expected a folder with train/*"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yml").write_text("train: {}\n")
    assert main(["pretrain-char-lm", *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "dropped"), [("max_steps", "max_epochs"), ("max_epochs", "max_steps")]
)
def test_a_length_of_the_command_line_replaces_the_other_one_of_a_config(
    tmp_path: Path, asked: str, dropped: str
) -> None:
    config = tmp_path / "lm.yml"
    config.write_text(f"pretrain: {{data: texts, output_dir: out, {dropped}: 9}}")
    assert dropped not in read_arguments({"config": str(config), asked: 2})
