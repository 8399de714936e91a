"""The folder of a run: who may write into it, and what its files say."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from short_runs import files_below

from edspipe import atomic
from edspipe.errors import CheckpointError
from edspipe.training.run_files import (
    RunFiles,
    bring_along,
    check_room,
    copy_files,
    make_room,
    plain,
    read_run,
    versions,
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of a run, with something of the user's in it."""
    folder = tmp_path / "old"
    for name in ("run.json", "config.yml", "metrics.jsonl", "metrics.csv", "training.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    for name in ("model-best", "model-best-2", "model-last", "checkpoints/step-00000001"):
        with atomic.write_folder(folder / name) as staging:
            (staging / "config.yml").write_text(name)
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.mark.parametrize("proof", ["run.json", "checkpoints/"])
def test_a_run_is_not_replaced_unless_asked(tmp_path: Path, proof: str) -> None:
    place = tmp_path / proof
    place.mkdir() if proof.endswith("/") else place.write_text("{}")
    for look in (check_room, make_room):
        with pytest.raises(FileExistsError, match=r"holds a run already\. Go on with it \(resume="):
            look(tmp_path, False)
    assert check_room(tmp_path, True) is True


def test_what_is_replaced_is_the_run_alone(old: Path) -> None:
    make_room(old, overwrite=True)
    assert files_below(old) == {"notes.txt": b"mine"}


def test_a_folder_without_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("of something else")
    make_room(tmp_path, overwrite=True)
    make_room(tmp_path / "new", overwrite=False)
    assert files_below(tmp_path) == {"metrics.jsonl": b"of something else"}


def test_a_run_takes_best_models_and_records_along(old: Path, tmp_path: Path) -> None:
    before = files_below(old)
    bring_along(old, tmp_path / "new")
    assert files_below(old) == before
    found = files_below(tmp_path / "new")
    assert {name.split("/")[0] for name in found} == {
        *("metrics.jsonl", "metrics.csv", "model-best", "model-best-2"),
    }
    for name in ("model-best/config.yml", "model-best/manifest.json", "metrics.jsonl"):
        assert found[name] == before[name]


def test_a_copy_has_folders_and_files_but_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "a/b/empty").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"\0\xff")
    (tmp_path / "a/manifest.json").write_text("{}")
    (tmp_path / "a/b/manifest.json").write_text("of somebody else")
    (tmp_path / "c").mkdir()
    copy_files(tmp_path / "a", tmp_path / "c")
    found = sorted(p.relative_to(tmp_path / "c").as_posix() for p in (tmp_path / "c").rglob("*"))
    assert found == ["b", "b/empty", "b/file", "b/manifest.json"]


def test_facts_are_added(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "run")
    files.start({"train": {"lr": 0.1}}, {"seed": 3}, {"train.0": [("a", "00")]})
    assert read_run(tmp_path / "run") == {"seed": 3, "status": "running"}
    files.add(status="failed", best={"value": math.nan})
    assert read_run(tmp_path / "run") == {"seed": 3, "status": "failed", "best": {"value": None}}
    assert json.loads((tmp_path / "run/data.json").read_text()) == {"train.0": [["a", "00"]]}
    assert "lr: 0.1" in (tmp_path / "run/config.yml").read_text()


def test_another_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected the folder of a training, with run\.json"):
        read_run(tmp_path)


class Odd:
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: (1, 2.5)}, {"1": [1, 2.5]}),
        (Path("a/b"), "a/b"),
        (math.nan, None),
        ([math.inf, -math.inf], [None, None]),
        (Odd(), "<Odd>"),
        ({"a": {"b": Odd}}, {"a": {"b": "<type>"}}),
        (None, None),
    ],
)
def test_anything_can_be_said_as_json(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)


def test_versions_of_what_a_result_depends_on() -> None:
    assert {"python", "edspipe", "torch", "transformers", "spacy", "numpy"} <= set(versions())
