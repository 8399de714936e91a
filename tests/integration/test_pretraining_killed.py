"""A pretraining that is killed at any moment, and goes on: no bit differs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_killed_and_resumed_every_bit_is_the_same(tmp_path: Path, num_workers: int) -> None:
    words = [str(tmp_path), "20", str(num_workers), "1", "5"]
    finished = subprocess.run(
        [sys.executable, "-m", "tests.char_lm_legs", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(finished.stdout.splitlines()[-1])
    assert found["num_kills"] == 5
    assert found["num_steps"] == 20
    assert found["same_losses"]
    assert found["same_weights"]
