"""Packages: a wheel that pip installs, the same bytes each time, and a card without any text."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib
import json
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from support import TEXTS, found_spans

import edspipe
from edspipe.cli.main import main
from edspipe.errors import CheckpointError
from edspipe.pipeline.model_card import model_card, read_records
from edspipe.pipeline.packaging import check_name, check_version, package_model

RUN = {
    "seed": 7,
    "versions": {"edspipe": "0.1.0", "torch": "2.9"},
    "data": {
        "train": {"num_docs": 1200, "num_words": 90_000, "sha256": "a" * 64, "labels": {"A": 31}},
        "val": {"num_docs": 100, "num_words": 8000, "sha256": "b" * 64, "secret": "Mme Durand"},
    },
    "note": "Mme Durand, 54 ans",
}
SCORES: dict[str, Any] = {
    "num_docs": 100,
    "scores": {
        "A": {"p": 0.75, "r": 0.5, "f": 0.6, "tp": 3, "support": 6, "positives": 4},
        "micro": {"p": 0.75, "r": 0.5, "f": 0.6, "tp": 3, "support": 6, "positives": 4},
        "ci": {"micro": {"p": [0.5, 1.0], "r": [0.25, 0.75], "f": [0.4, 0.8]}},
    },
    "errors": {"counts": {"correct": 3, "missed": 3}, "examples": [{"doc_id": "Mme Durand"}]},
}
MEMORISATION = {"exposure": {"1": 0.5, "4": 3.25}, "num_twins": 1000, "twins": ["Mme Durand"]}


@pytest.fixture
def run_dir(model_dir: Path, tmp_path: Path) -> Path:
    """The folder of a training run."""
    folder = tmp_path / "My Run-2"
    shutil.copytree(model_dir, folder / "model-best")
    return folder


def write(folder: Path, **files: Any) -> None:
    for name, data in files.items():
        file = folder / f"{name.replace('__', '/')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(data))


# ---- the wheel ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package_model(
        model_dir, tmp_path_factory.mktemp("dist"), name="tiny_finder_4711", version="1.2"
    )


def test_an_installed_package_predicts_as_the_model(
    wheel: Path, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command = [*pip, "--disable-pip-version-check", f"--target={tmp_path}", str(wheel)]
    subprocess.run(command, check=True, timeout=100)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    nlp, expected = edspipe.load("tiny_finder_4711"), edspipe.load(model_dir)
    assert found_spans([nlp(text) for text in TEXTS]) == found_spans(
        [expected(text) for text in TEXTS]
    )
    assert any(found_spans([nlp(text) for text in TEXTS]))
    assert "tiny_finder_4711" not in sys.modules


def test_the_record_lists_every_file_with_its_hash(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        record = archive.read("tiny_finder_4711-1.2.dist-info/RECORD").decode()
        rows = list(csv.reader(record.splitlines()))
        assert [row[0] for row in rows] == names
        assert rows[-1] == [names[-1], "", ""]
        for name, digest, size in rows[:-1]:
            data = archive.read(name)
            hashed = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={hashed}", str(len(data)))


def test_the_wheel_holds_the_model_and_its_card(wheel: Path, model_dir: Path) -> None:
    files = {f.relative_to(model_dir).as_posix() for f in model_dir.rglob("*") if f.is_file()}
    info = "tiny_finder_4711-1.2.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == {
            *(f"tiny_finder_4711/model/{name}" for name in files),
            "tiny_finder_4711/__init__.py",
            "tiny_finder_4711/MODEL_CARD.md",
            *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD")),
        }
        card = archive.read("tiny_finder_4711/MODEL_CARD.md").decode()
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
    assert wheel.name == "tiny_finder_4711-1.2-py3-none-any.whl"
    assert (metadata["Name"], metadata["Version"]) == ("tiny_finder_4711", "1.2")
    assert metadata["Requires-Dist"] == f"edspipe>={edspipe.__version__}"
    assert metadata.get_payload() == card
    assert card.startswith("# tiny_finder_4711 1.2\n")


def test_one_model_gives_the_same_bytes(model_dir: Path, wheel: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "model"
    shutil.copytree(model_dir, copy)
    for file in copy.rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.touch()
    again = package_model(copy, tmp_path, name="tiny_finder_4711", version="1.2")
    assert again.read_bytes() == wheel.read_bytes()


def test_a_model_of_a_run_is_called_as_the_run(run_dir: Path, tmp_path: Path) -> None:
    wheel = package_model(run_dir / "model-best", tmp_path / "dist")
    assert wheel.name == "my_run_2-0.1.0-py3-none-any.whl"


def test_name_and_version_of_the_model_are_taken(make_nlp: Any, tmp_path: Path) -> None:
    nlp = make_nlp()
    nlp.meta.update(name="signs", version="3.1", description="Finds\nsigns", edspipe_version="?")
    nlp.to_disk(tmp_path / "m")
    wheel = package_model(tmp_path / "m", tmp_path)
    assert wheel.name == "signs-3.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read("signs-3.1.dist-info/METADATA").decode())
    assert metadata["Summary"] == "Finds signs"
    assert metadata["Requires-Dist"] == f"edspipe>={edspipe.__version__}"


def test_a_wheel_is_replaced_only_if_told_to(model_dir: Path, tmp_path: Path) -> None:
    package_model(model_dir, tmp_path, name="x")
    with pytest.raises(FileExistsError, match=r"x-0\.1\.0-py3-none-any\.whl exists: give another"):
        package_model(model_dir, tmp_path, name="x")
    package_model(model_dir, tmp_path, name="x", overwrite=True)


def test_a_damaged_model_is_not_packaged(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "model-best" / "meta.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"meta\.json"):
        package_model(run_dir / "model-best", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("name", ["", "Ab", "a-b", "1a", "a__b", "_a", "a.b", "é", "class"])
def test_names_that_cannot_be_installed_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name: expected small letters, digits and single"):
        check_name(name)


@pytest.mark.parametrize("name", ["edspipe", "json", "torch"])
def test_names_of_other_packages_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"name: '{name}' is the name of another package"):
        check_name(name)


@pytest.mark.parametrize("version", ["1", "1.0", "2.1.0rc1", "1.0.post1", "1.0a2.dev3"])
def test_versions_of_pep_440_are_taken(version: str) -> None:
    assert check_version(version) == version


@pytest.mark.parametrize("version", ["", "v1", "1.", "1-2", "1.0\nName: x", "latest"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(ValueError, match=r"version: expected one as 1\.0 or 2\.1\.0rc1"):
        check_version(version)


def test_the_command_says_how_to_use_the_wheel(
    model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["package", str(model_dir), "--output", str(tmp_path), "--name", "signs"]
    assert main([*words, "--version", "2.0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    wheel = tmp_path / "signs-2.0-py3-none-any.whl"
    assert lines == [
        f"{wheel}: {wheel.stat().st_size:,} bytes",
        f"pip install {wheel}",
        'edspipe.load("signs")',
    ]
    assert main([*words, "--version", "new"]) == 1
    assert "version: expected one as" in capsys.readouterr().err


# ---- the card -------------------------------------------------------------------------------


def section(card: str, title: str) -> str:
    return card.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_a_card_says_what_the_model_does(run_dir: Path) -> None:
    card = model_card(run_dir / "model-best", "signs", "1.0")
    assert "| `ner` | `eds.ner_crf` | `A`, `B` |" in section(card, "What it does")
    assert 'edspipe.load("signs")' in card
    assert "- Language: `not said`" in card
    assert "no medical device" in section(card, "Intended use and limits")


def test_a_card_says_what_is_not_known(run_dir: Path) -> None:
    card = model_card(run_dir / "model-best", "signs", "1.0")
    assert section(card, "Trained on").strip() == "Not recorded."
    assert section(card, "Scores").strip() == "Not measured."
    assert section(card, "Memorisation").strip() == "Not measured."


def test_a_card_says_what_lies_beside_the_model(run_dir: Path) -> None:
    write(run_dir, run=RUN, evaluation__test=SCORES, evaluation__memorisation=MEMORISATION)
    card = model_card(run_dir / "model-best", "signs", "1.0")
    data = section(card, "Trained on")
    assert f"| `train` | 1,200 | 90,000 | {'a' * 64} |" in data
    assert "Spans in `train`: `A` 31." in data
    assert "Seed 7; `edspipe` `0.1.0`, `torch` `2.9`." in data
    scores = section(card, "Scores")
    assert "Exact matches on 100 documents of test." in scores
    assert "| `A` | 0.750 | 0.500 | 0.600 | 6 |" in scores
    assert (
        "| `micro` | 0.750 [0.500 1.000] | 0.500 [0.250 0.750] | 0.600 [0.400 0.800] | 6 |"
        in scores
    )
    assert "Spans by kind: `correct` 3, `missed` 3." in scores
    memorisation = section(card, "Memorisation")
    assert "| `4` | 3.250 |" in memorisation
    assert "against 1,000 twins" in memorisation


def test_only_names_numbers_and_hashes_get_onto_a_card(run_dir: Path) -> None:
    write(run_dir, run=RUN, evaluation__val=SCORES, memorisation=MEMORISATION)
    assert "Durand" not in model_card(run_dir / "model-best", "signs", "1.0")


def test_scores_of_the_test_come_before_those_of_the_validation(run_dir: Path) -> None:
    write(run_dir, evaluation__val=SCORES)
    assert read_records(run_dir / "model-best").part == "val"
    assert "validation (also used to choose" in model_card(run_dir / "model-best", "x", "1")
    write(run_dir, evaluation__test=SCORES)
    assert read_records(run_dir / "model-best").part == "test"


@pytest.mark.parametrize(
    "run",
    [
        {"data": []},
        {"data": {"train": None}, "seed": True, "versions": 3},
        {"data": {"train": {"num_docs": "Mme Durand", "sha256": "Mme Durand", "labels": [1]}}},
    ],
)
def test_records_of_another_shape_are_left_out(run_dir: Path, run: Any) -> None:
    write(run_dir, run=run, evaluation__val={"scores": 3}, memorisation={"exposure": 3})
    card = model_card(run_dir / "model-best", "x", "1")
    assert "Durand" not in card
    assert section(card, "Scores").strip() == "Not measured."


def test_names_cannot_break_the_card(make_nlp: Any, tmp_path: Path) -> None:
    nlp = make_nlp(labels=["a|b", "c`d\n# Title"])
    nlp.meta.update(description="x\n\n# Not a title", language="fr")
    nlp.to_disk(tmp_path / "m")
    card = model_card(tmp_path / "m", "x", "1")
    assert "`a/b`, `c'd # Title` |" in card
    assert "- Description: `x # Not a title`" in card
    assert "- Language: `fr`" in card


def test_a_pipeline_without_pipes_has_a_card(tmp_path: Path) -> None:
    edspipe.blank("eds").to_disk(tmp_path / "m")
    assert "it has no pipes" in model_card(tmp_path / "m", "x", "1")


def test_code_of_others_is_named(run_dir: Path) -> None:
    config = run_dir / "model-best" / "config.yml"
    config.write_text(config.read_text().replace("eds.ner_crf", "my.ner"))
    card = model_card(run_dir / "model-best", "x", "1")
    assert "It needs code that is not of edspipe for: `my.ner`." in card


def test_a_damaged_record_is_named(run_dir: Path) -> None:
    (run_dir / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json: not valid JSON"):
        model_card(run_dir / "model-best", "x", "1")
