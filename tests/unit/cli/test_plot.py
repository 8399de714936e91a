"""edspipe plot: a run or one file, where pictures go, and when texts are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edspipe.cli.main import main

NOTE = "Pas de fièvre. Toux depuis 3 jours.\n"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run of three steps, with an evaluation that has one error."""
    folder = tmp_path / "run"
    (folder / "evaluation").mkdir(parents=True)
    rows = [{"step": step, "split": "train", "loss": 1 / step} for step in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    error = {"doc_id": "one", "kind": "missed", "found": None}
    error["gold"] = {"start": 15, "end": 19, "label": "SIGN"}  # type: ignore[assignment]
    data = {
        "format": 1,
        "scores": {"SIGN": {"p": 0.5, "r": 0.5, "f": 0.5, "support": 2, "positives": 2}},
        "errors": {"counts": {"correct": 1, "missed": 1}, "examples": [error]},
    }
    (folder / "evaluation" / "test.json").write_text(json.dumps(data))
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "one.txt").write_text(NOTE, encoding="utf-8")
    (folder / "one.ann").write_text("T1\tSIGN 15 19\tToux\n", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("drawn")
def test_what_was_written_is_printed(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(run_dir)]) == 0
    written = [run_dir / name for name in ("training.png", "labels.png", "report.html")]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in written]
    assert all(path.stat().st_size > 1000 for path in written)
    assert "Toux" not in (run_dir / "report.html").read_text(encoding="utf-8")


def test_a_file_and_another_folder(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pictures"
    assert main(["plot", str(run_dir / "metrics.jsonl"), "--output", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(out / "training.png")]
    assert not (run_dir / "training.png").exists()


def test_a_table_of_the_finder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "learning_rate.tsv"
    file.write_text("step\tlr\tloss\tsmoothed_loss\n0\t1e-5\t2\t2\n1\t1e-4\t1\t1\n2\t1e-3\t3\t3\n")
    assert main(["plot", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "learning_rate.png")]


def test_texts_are_shown_when_they_are_asked_for(run_dir: Path, corpus: Path) -> None:
    assert main(["plot", str(run_dir), "--with-text", "--data", str(corpus)]) == 0
    report = (run_dir / "report.html").read_text(encoding="utf-8")
    assert '<span class="gold">Toux</span> depuis 3 jours.' in report
    assert "This report holds clinical text" in report


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--with-text"], "--with-text: expected --data DIR too"),
        (["run", "--data", "corpus"], "--data is only read with --with-text"),
        (["run/metrics.jsonl", "--with-text", "--data", "corpus"], "a file has no report"),
        (["none"], "No such file or directory: 'none'"),
        (["corpus"], "expected a run: metrics.jsonl"),
        (["corpus/one.txt"], "the first line is none of their headers"),
    ],
)
def test_what_is_wrong_is_said(
    run_dir: Path,
    corpus: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(run_dir.parent)
    assert main(["plot", *words]) == 1
    assert message in capsys.readouterr().err
