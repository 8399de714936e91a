"""What a search leaves behind: pictures, importances, lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edspipe.tuning.outputs import best_text, score_text, trial_line
from edspipe.tuning.plots import MAX_BARS, _best_so_far, plot_history, plot_importances
from edspipe.tuning.trial_rows import TrialRow, show
from edspipe.tuning.tuner import Tuned, tune


def search(folder: Path, n_trials: int) -> Tuned:
    space = {"x": {"uniform": [-1, 1]}, "kind": {"choice": ["a", "b"]}}
    settings = {"output_dir": folder, "progress": False, "pruner": "none"}
    return tune(lambda parameters, *_: -(parameters["x"] ** 2), space, n_trials, **settings)


@pytest.mark.usefixtures("drawn")
def test_the_folder_has_pictures_and_importances(tmp_path: Path) -> None:
    search(tmp_path, 4)
    for name in ("history.png", "importances.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "importances.tsv").read_text().splitlines()
    assert lines[0] == "parameter\timportance"
    shares = {line.split("\t")[0]: float(line.split("\t")[1]) for line in lines[1:]}
    assert set(shares) == {"x", "kind"}
    assert sum(shares.values()) == pytest.approx(1)


def test_one_trial_has_no_importances(tmp_path: Path) -> None:
    search(tmp_path, 1)
    assert (tmp_path / "importances.tsv").read_text() == "parameter\timportance\n"


def test_without_matplotlib_the_tables_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    monkeypatch.setattr("edspipe.tuning.outputs.find_spec", lambda name: None)
    search(tmp_path, 2)
    assert not list(tmp_path.glob("*.png"))
    assert "INFO no pictures are drawn without matplotlib: pip install 'edspipe[plot]'" in log


ROWS = [
    TrialRow(0, "completed", {"a.lr": 0.1}, 0.5, 0.01, {1: 0.49, 2: 0.51}),
    TrialRow(1, "pruned", {"a.lr": 0.2}, last_report=0.2, note="worse"),
    TrialRow(2, "failed", {"a.lr": 0.3}),
    TrialRow(3, "completed", {"a.lr": 0.123456789, "b": None, "c": True}, 0.625),
]


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("rows", "mode"), [(ROWS, "min"), (ROWS, "max"), (ROWS[1:2], "max"), ([], "max")]
)
def test_any_history_can_be_drawn(tmp_path: Path, rows: list[TrialRow], mode: Any) -> None:
    path = plot_history(rows, mode, tmp_path / "h.svg", name="val/$micro_f")
    assert path.read_text().startswith("<?xml")


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("number", [0, 1, MAX_BARS + 5])
def test_any_importances_can_be_drawn(tmp_path: Path, number: int) -> None:
    shares = {f"parameter_{i}": 1 / number for i in range(number)}
    assert plot_importances(shares, tmp_path / "i.svg").stat().st_size > 1000


def test_the_best_so_far_only_gets_better() -> None:
    assert _best_so_far(ROWS, "min") == ([0, 1, 2, 3], [0.5, 0.5, 0.5, 0.5])
    assert _best_so_far(ROWS, "max") == ([0, 1, 2, 3], [0.5, 0.5, 0.5, 0.625])
    assert _best_so_far(ROWS[1:], "max") == ([3], [0.625])


def test_a_line_has_number_score_best_and_parameters() -> None:
    line = trial_line(ROWS[3], ROWS[0])
    assert line == "trial 3: 0.6250  best 0.5000 ± 0.0100 (trial 0)  lr=0.1235 b=null c=true"
    assert trial_line(ROWS[1], None) == "trial 1: pruned  lr=0.2  [worse]"


def test_the_best_is_told_with_values() -> None:
    assert best_text(ROWS[3], "val/loss").splitlines() == [
        "Best of all: trial 3, val/loss 0.6250",
        "  a.lr  0.123457",
        "  b     null",
        "  c     true",
    ]
    assert best_text(None, "score") == "No trial was completed."


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (False, "false"), (3, "3"), (0.1, "0.1"), ("a b", "a b")]
)
def test_values_are_shown_as_configs_write_them(value: Any, text: str) -> None:
    assert show(value) == text


def test_scores_are_shown_with_their_spread_where_there_is_one() -> None:
    assert [score_text(row) for row in ROWS[:2]] == ["0.5000 ± 0.0100", "-"]
