"""Saved and hostile models, and one process that loads them all: starting one takes seconds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile_models import HOSTILE, LISTED
from saved_models import MODELS, fingerprint

from edspipe import atomic
from edspipe.errors import CheckpointError

_SCRIPT = """
import runpy, sys
sys.path[:0] = sys.argv[2:5]
sys.argv = [sys.argv[1], *sys.argv[5:]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="session")
def saved(
    encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A folder with a model of each kind, and the fingerprints of what was saved."""
    folder = tmp_path_factory.mktemp("saved")
    prints = {}
    for name, build in MODELS.items():
        nlp = build(encoder_dir)
        prints[name] = fingerprint(nlp)
        nlp.to_disk(folder / name)
    return folder, prints


@pytest.fixture(scope="session")
def hostile(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of hostile models, and the file that appears if one of them runs its code."""
    folder = tmp_path_factory.mktemp("hostile")
    marker = folder.with_name("marker")
    for name, (edit, _) in {**HOSTILE, **LISTED}.items():
        model = shutil.copytree(model_dir, folder / name)
        edit(model, marker)
        if name in HOSTILE:
            _write_manifest(model)
    return folder, marker


def _write_manifest(model: Path) -> None:
    try:
        atomic.write_manifest(model)
    except CheckpointError:  # a link or a special file, which a manifest cannot list
        return


@pytest.fixture(scope="session")
def other_process(
    saved: tuple[Path, dict[str, Any]],
    hostile: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What a fresh process, in another folder, found in the saved and the hostile models."""
    here = Path(__file__).parent
    script = str(here / "other_process.py")
    paths = [str(here), str(here.parents[1]), str(here.parents[2])]
    done = subprocess.run(
        [sys.executable, "-I", "-c", _SCRIPT, script, *paths, str(saved[0]), str(hostile[0])],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path_factory.mktemp("elsewhere"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)
