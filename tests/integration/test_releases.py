"""What every release saved can still be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import TEXTS, found_spans

import edspipe
from edspipe.cli.main import main
from edspipe.training.checkpoint import find_checkpoint, read_state
from edspipe.version import __version__

RELEASES = Path(__file__).parents[1] / "releases"
FOLDERS = sorted(folder for folder in RELEASES.iterdir() if folder.is_dir())


def test_this_version_is_kept() -> None:
    assert __version__ in [folder.name for folder in FOLDERS]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("saved", ["model", "checkpoint"])
def test_a_saved_pipeline_loads_and_finds_the_same(folder: Path, saved: str) -> None:
    nlp = edspipe.load(folder / saved)
    found = found_spans(nlp.pipe(TEXTS, precision="fp32"))
    expected = json.loads((folder / "found.json").read_text())
    assert any(expected)
    assert [[list(span) for span in doc] for doc in found] == expected


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_checkpoint_is_read(folder: Path) -> None:
    state = read_state(find_checkpoint(folder / "checkpoint"))
    assert state.plain["step"] == 30
    assert state.optimizer


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_output_agrees_with_its_receipt(folder: Path) -> None:
    assert main(["audit", str(folder / "output.jsonl")]) == 0
