"""A training that is killed in mid-run and resumed is one run of MLflow, without any text."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_killed_resumed_and_registered_it_is_one_run_without_texts(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    finished = subprocess.run(
        [sys.executable, "-m", "tests.tracked_trainings", str(tmp_path / "work")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(finished.stdout.splitlines()[-1])
    assert found["statuses"] == [-signal.SIGKILL, 0]
    assert found["runs"] == [["FINISHED", "x"]]
    assert found["canaries"] == []
    assert found["events"] == 2, "a file of events a leg"
    assert "ZZCANARY" not in finished.stdout + finished.stderr
