"""Searches in a folder: they go on, and several processes work on one."""

from __future__ import annotations

import csv
import functools
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edspipe.errors import ConfigError
from edspipe.tuning.locks import Lock
from edspipe.tuning.settings import TuneSettings
from edspipe.tuning.study import Study
from edspipe.tuning.trial_rows import PLACE
from edspipe.tuning.tuner import Tuned, tune

SPACE = {"x": {"uniform": [-1, 1]}, "kind": {"choice": ["a", "b"]}}


def score_of(parameters: dict[str, Any], seed: int, report: Callable[[int, float], None]) -> float:
    report(0, parameters["x"])
    return -(parameters["x"] ** 2) + seed / 10


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edspipe.tuning.tuner.write_pictures", lambda *args: None)


def search(
    folder: Path, n_trials: int = 3, function: Any = score_of, space: Any = SPACE, **more: Any
) -> Tuned:
    settings = {"output_dir": folder, "progress": False, "pruner": "none", **more}
    return tune(function, space, n_trials, **settings)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_table_has_all_of_a_trial(tmp_path: Path) -> None:
    tuned = search(tmp_path, 2, training_seeds=[4, 5])
    rows = table(tmp_path)
    assert list(rows[0]) == [
        *("number", "state", "score", "spread", "seconds"),
        *("score seed 4", "score seed 5", "x", "kind", "note"),
    ]
    for row, trial in zip(rows, tuned.trials, strict=True):
        assert row["number"] == str(trial.number)
        assert row["state"] == "completed"
        assert float(row["score"]) == trial.score
        assert float(row["spread"]) == trial.spread
        assert float(row["score seed 5"]) == trial.scores[5]
        assert float(row["x"]) == trial.parameters["x"]
        assert row["kind"] in "ab"
        assert float(row["seconds"]) >= 0


def test_a_search_that_goes_on_does_what_it_would_have_done(tmp_path: Path) -> None:
    sampler = {"kind": "tpe", "n_startup_trials": 2}
    search(tmp_path / "parts", 3, sampler=sampler)
    resumed = search(tmp_path / "parts", 6, sampler=sampler)
    whole = search(tmp_path / "whole", 6, sampler=sampler)
    assert [row.parameters for row in resumed.trials] == [row.parameters for row in whole.trials]
    assert resumed.score == whole.score


def test_enough_trials_are_enough(tmp_path: Path) -> None:
    search(tmp_path, 2)

    @functools.wraps(score_of)
    def refuse(*args: Any) -> float:
        raise AssertionError("called")

    assert len(search(tmp_path, 2, refuse).trials) == 2


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"space": {"x": {"uniform": [-1, 2]}}}, "space"),
        ({"training_seeds": 2}, "seeds"),
        ({"direction": "min"}, "direction"),
    ],
)
def test_another_search_does_not_mix_with_it(
    tmp_path: Path, change: dict[str, Any], difference: str
) -> None:
    search(tmp_path, 1)
    with pytest.raises(ConfigError, match=rf"is another search \({difference} is not what it was"):
        search(tmp_path, 1, **change)
    assert len(search(tmp_path, 1, **change, study_name="other").trials) == 1


def test_the_database_may_be_elsewhere(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    search(tmp_path / "out", 1, storage=url)
    assert not (tmp_path / "out/study.db").exists()
    assert len(search(tmp_path / "other", 2, storage=url).trials) == 2


def test_ctrl_c_leaves_a_search_that_goes_on(tmp_path: Path, log: list[str]) -> None:
    calls: list[int] = []

    def objective(parameters: Any, seed: int, report: Any) -> float:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 1.0

    tuned = search(tmp_path, 3, objective)
    assert (tuned.interrupted, tuned.signal) == (True, 2)
    assert [row.state for row in tuned.trials] == ["completed", "failed"]
    assert tuned.trials[1].note == "interrupted"
    assert "WARNING the search was interrupted; the same command goes on with it" in log
    again = search(tmp_path, 3, objective)
    assert [row.state for row in again.trials].count("completed") == 3
    assert not again.interrupted


# Processes that are gone


@pytest.fixture
def study(tmp_path: Path) -> Any:
    settings = TuneSettings(n_trials=3, output_dir=tmp_path)
    study = Study(settings, "max", {})
    yield study
    study.close()


def ask(study: Study) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Heartbeat of storage")
        return study.study.ask()


def running_trial(study: Study) -> Lock:
    trial = ask(study)
    lock = study.trial_lock(trial.number)
    assert lock is not None
    trial.set_user_attr(PLACE, study.place(lock))
    return lock


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.trials()]


def test_a_trial_whose_process_is_gone_is_given_up_at_once(study: Study, log: list[str]) -> None:
    lock = running_trial(study)
    study.give_up_dead()
    assert states(study) == ["FAIL"]
    assert not lock.path.exists()
    assert log == ["INFO trial 0: its process is gone; it counts as failed"]


def test_a_trial_whose_process_lives_is_left_alone(study: Study) -> None:
    lock = running_trial(study)
    assert lock.try_to_take()
    study.give_up_dead()
    assert states(study) == ["RUNNING"]
    lock.give_back(remove=True)


def test_a_trial_of_another_machine_is_judged_by_its_signs_of_life(
    study: Study, tmp_path: Path
) -> None:
    trial = ask(study)
    trial.set_user_attr(PLACE, "elsewhere:/a/lock")
    study._storage.record_heartbeat(trial._trial_id)
    study.give_up_dead()
    assert states(study) == ["RUNNING"]
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'")
    database.close()
    study.give_up_dead()
    assert states(study) == ["FAIL"]


def test_the_search_goes_on_after_a_trial_was_given_up_by_others(
    tmp_path: Path, log: list[str]
) -> None:
    calls: list[int] = []

    def objective(parameters: Any, seed: int, report: Any) -> float:
        calls.append(1)
        if len(calls) == 2:  # as another process would, after this one slept for long
            with sqlite3.connect(tmp_path / "study.db") as database:
                database.execute("UPDATE trials SET state = 'FAIL' WHERE number = 1")
            database.close()
        return 1.0

    tuned = search(tmp_path, 3, objective)
    assert [row.state for row in tuned.trials] == ["completed", "failed", "completed", "completed"]
    assert any("trial 1 was given up by another process" in message for message in log)


# Locks


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "a/lock"), Lock(tmp_path / "a/lock")
    assert first.try_to_take()
    assert not second.try_to_take()
    first.give_back()
    with second:
        assert not first.try_to_take()
    assert first.try_to_take()
    first.give_back(remove=True)
    assert not first.path.exists()


def test_giving_a_lock_back_twice_does_nothing(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    lock.give_back(remove=True)
    lock.take()
    lock.give_back()
    lock.give_back()
