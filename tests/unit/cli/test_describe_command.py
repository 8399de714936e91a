"""edspipe describe and edspipe split: corpora counted and parted from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edspipe.cli.main import main


@pytest.fixture
def brat(tmp_path: Path) -> Path:
    folder = tmp_path / "brat"
    folder.mkdir()
    for patient in range(20):
        for visit in range(2):
            stem = folder / f"{patient:02}-{visit}"
            stem.with_suffix(".txt").write_text("No fever today.")
            stem.with_suffix(".ann").write_text("T1\tsymptom 3 8\tfever\n")
    return folder


def test_a_corpus_is_counted(
    brat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    words = ["describe", str(brat), "--group-pattern", r"(\d+)-\d", "--json", str(file)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("40 documents of 20 groups, 160 words")
    assert "fever" not in printed
    assert json.loads(file.read_text())["spans"] == {
        "symptom": {"spans": 40, "docs": 40, "groups": 20}
    }


def test_only_some_spans_may_be_counted(brat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(brat), "--spans", "drug"]) == 0
    assert "40 without spans" in capsys.readouterr().out


def test_documents_are_parted_by_patient(
    brat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "splits.tsv"
    words = ["split", str(brat), "--output", str(file), "--group-pattern", r"(\d+)-\d"]
    words += ["--method", "stratified"]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(f"{file}: 32 train + 4 dev + 4 test documents\n")
    rows = [line.split("\t") for line in file.read_text().splitlines()[1:]]
    assert len({(ident[:2], side) for ident, side in rows}) == 20


def test_documents_may_be_parted_one_by_one(brat: Path, tmp_path: Path) -> None:
    file = tmp_path / "splits.tsv"
    words = ["split", str(brat), "--output", str(file), "--no-groups"]
    assert main([*words, "--ratios", "0.5", "0.25", "0.25"]) == 0
    assert len(file.read_text().splitlines()) == 41


def test_documents_without_a_patient_are_an_error(
    brat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["split", str(brat), "--output", str(tmp_path / "splits.tsv")]) == 1
    assert "40 documents (00-0, 00-1, 01-0, 01-1, 02-0, ...) of 40 have no group" in (
        capsys.readouterr().err
    )


def test_groups_are_given_or_switched_off(
    brat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["split", str(brat), "--output", str(tmp_path / "s.tsv"), "--no-groups"]
    assert main([*words, "--group-by", "ward"]) == 1
    assert "--no-groups: leave it out, or --group-by and --group-pattern" in capsys.readouterr().err
