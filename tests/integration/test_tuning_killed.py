"""Searches that are killed, and go on; and processes that share one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL


def run(script: str, folder: Path) -> dict[str, Any]:
    """Run the legs of a search; return what they say of themselves."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.{script}", str(folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def legs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run("tuning_legs", tmp_path_factory.mktemp("tuning"))


def test_a_killed_search_goes_on_to_the_number_of_trials(legs: dict[str, Any]) -> None:
    found = legs["killed"]
    assert found["statuses"] == [KILLED, 0]
    assert sum(found["states"].values()) == 7
    assert found["states"]["failed"] == 1
    assert found["states"].get("running", 0) == 0
    assert found["notes"] == ["its process ended"]
    assert found["numbers"] == list(range(7))


def test_two_processes_share_a_search(legs: dict[str, Any]) -> None:
    found = legs["shared"]
    assert found["statuses"] == [0, 0]
    assert found["states"] == {"completed": 6}
    assert len(found["trials_of"]) == 2
    assert min(found["trials_of"]) >= 1
    assert found["num_values"] == 6


@pytest.mark.slow
def test_a_search_killed_within_a_training_goes_on_and_its_best_config_is_exact(
    tmp_path: Path,
) -> None:
    found = run("tuning_training_legs", tmp_path)
    assert found["statuses"] == [KILLED, 0, 0]
    assert found["states"]["completed"] + found["states"].get("pruned", 0) == 12
    assert found["states"]["failed"] == 1
    assert (found["num_before"], found["kept"]) == (4, True)
    assert found["notes"] == ["its process ended"]
    assert found["again"] == found["best"]
    assert found["num_weights"] == 0
