"""The script of the fault matrix runs, and says what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # runs a script that measures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page and the measurements of two faults."""
    folder = tmp_path_factory.mktemp("faults")
    command = [sys.executable, "-m", "benchmarks.faults", "--tools", "edspipe"]
    command += ["--faults", "two_args", "disk", "--repeats", "1", "--limit", "10"]
    command += [f"--keep={folder / 'kept.json'}", f"--out={folder / 'page.md'}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=110)
    return folder


def test_a_fault_on_a_document_is_measured(made: Path) -> None:
    (run,) = json.loads((made / "kept.json").read_text("utf-8"))["edspipe"]["runs"]["two_args"]
    assert (run["outcome"], run["type"]) == ("error", "PipeError")
    assert run["names_document"] is True
    assert 0 <= run["seconds"] < 10
    assert run["delivered"] <= 100
    assert (run["doubled"], run["attempts"]) == (0, 1)


def test_a_fault_around_the_run_is_measured(made: Path) -> None:
    (run,) = json.loads((made / "kept.json").read_text("utf-8"))["edspipe"]["runs"]["disk"]
    assert (run["outcome"], run["type"]) == ("error", "OSError")
    assert run["facts"]["intact"] is True
    assert run["facts"]["readable"] == 50


@pytest.mark.parametrize("key", ["left_running", "shared_memory", "temporary_files"])
def test_what_a_run_leaves_is_counted(made: Path, key: str) -> None:
    runs = json.loads((made / "kept.json").read_text("utf-8"))["edspipe"]["runs"]
    assert [run[key] for name in runs for run in runs[name]] == [0, 0]


def test_the_page_has_a_row_for_each_fault(made: Path) -> None:
    lines = (made / "page.md").read_text("utf-8").splitlines()
    wanted = ("| Exception whose", "| Full disk")
    rows = [line.split(" | ") for line in lines if line.startswith(wanted)]
    assert [len(row) for row in rows] == [2, 2]
    assert rows[0][1].startswith(("< 0.01 s", "0."))
    assert "`PipeError`, names the document" in rows[0][1]
    assert rows[1][1].startswith("`OSError`; earlier dataset intact")


def test_measurements_hold_no_path_of_the_machine(made: Path) -> None:
    assert str(ROOT) not in (made / "kept.json").read_text("utf-8")
