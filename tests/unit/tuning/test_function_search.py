"""Searches with a function, in memory."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from edspipe.errors import ConfigError, MissingExtraError
from edspipe.tuning.read_space import read_space
from edspipe.tuning.search import Search
from edspipe.tuning.settings import TuneSettings
from edspipe.tuning.study import Study
from edspipe.tuning.tuner import Tuned, tune

SPACE = {
    "lr": {"kind": "log_uniform", "low": 1e-4, "high": 1e-1},
    "net": {
        "kind": "choice",
        "choices": {
            "deep": {"value": {"layers": 2}, "space": {"layers": {"int": [2, 4]}}},
            "flat": {"layers": 1},
        },
    },
}
GRID = {"a": {"int": [0, 2]}, "b": {"choice": ["x", "y"]}}


def quiet(function: Callable[..., Any], space: Any = None, n_trials: Any = 3, **more: Any) -> Tuned:
    return tune(function, space or SPACE, n_trials, **{"progress": False, **more})


def score_of(parameters: dict[str, Any], seed: int, report: Any) -> float:
    return parameters["net"]["layers"] + parameters["lr"] + seed / 10


def test_a_function_gets_values_and_a_seed() -> None:
    seen: list[Any] = []

    def objective(parameters: dict[str, Any], seed: int, report: Any) -> float:
        seen.append((parameters, seed))
        return score_of(parameters, seed, report)

    quiet(objective, training_seeds=[3, 5])
    assert [seed for _, seed in seen] == [3, 5] * 3
    for parameters, _ in seen:
        assert 1e-4 <= parameters["lr"] <= 1e-1
        assert parameters["net"]["layers"] in (1, 2, 3, 4)


def test_the_score_is_the_mean_over_seeds_and_the_spread_is_kept() -> None:
    tuned = quiet(score_of, training_seeds=2)
    for row in tuned.trials:
        assert list(row.scores) == [0, 1]
        assert row.score == pytest.approx((row.scores[0] + row.scores[1]) / 2)
        assert row.spread == pytest.approx(0.1 / math.sqrt(2))


@pytest.mark.parametrize(("direction", "best"), [("max", max), ("min", min)])
def test_the_best_trial_is_chosen_by_the_direction(direction: str, best: Any) -> None:
    tuned = quiet(score_of, n_trials=6, direction=direction)
    assert tuned.score == best(row.score for row in tuned.trials)
    assert tuned.score == score_of(tuned.parameters, 0, None)


def test_of_equal_trials_the_first_is_best() -> None:
    assert quiet(lambda *_: 1.0).best.number == 0  # type: ignore[union-attr]


def test_parameters_are_listed_with_names_of_choices() -> None:
    tuned = quiet(score_of, n_trials=8)
    assert {row.parameters["net"] for row in tuned.trials} == {"deep", "flat"}
    for row in tuned.trials:
        inner = {"net[deep].layers"} if row.parameters["net"] == "deep" else set()
        assert set(row.parameters) == {"lr", "net"} | inner


def test_bad_trials_are_pruned_at_a_report_and_count() -> None:
    seen = 0

    def objective(parameters: Any, seed: int, report: Callable[[int, float], None]) -> float:
        nonlocal seen
        seen += 1
        value = 1.0 if seen <= 2 else -1.0
        for step in range(4):
            report(step, value)
        return value

    tuned = quiet(objective, n_trials=4, pruner={"kind": "median", "n_startup_trials": 2})
    assert [row.state for row in tuned.trials] == ["completed"] * 2 + ["pruned"] * 2
    last = tuned.trials[-1]
    assert (last.note, last.last_report) == ("worse than other trials at report 1", -1.0)


def test_no_pruner_prunes_nothing() -> None:
    values = iter([1.0, -1.0, -1.0])

    def objective(parameters: Any, seed: int, report: Callable[[int, float], None]) -> float:
        value = next(values)
        report(0, value)
        return value

    tuned = quiet(objective, pruner="none")
    assert {row.state for row in tuned.trials} == {"completed"}


def test_a_function_may_give_a_trial_up_itself() -> None:
    def objective(parameters: Any, seed: int, report: Any) -> float:
        raise optuna.TrialPruned

    tuned = quiet(objective, n_trials=2)
    assert [row.state for row in tuned.trials] == ["pruned"] * 2
    assert tuned.best is None


def test_a_score_that_is_no_number_counts_as_pruned() -> None:
    tuned = quiet(lambda *_: math.nan, n_trials=2)
    assert [row.note for row in tuned.trials] == ["the score with seed 0 is nan"] * 2


def test_something_else_than_a_number_is_refused() -> None:
    with pytest.raises(TypeError, match="returns a number, its score; got NoneType"):
        quiet(lambda *_: None)


# Trials that fail


def failing(at: set[int]) -> Callable[..., float]:
    count = iter(range(100))

    def objective(parameters: Any, seed: int, report: Any) -> float:
        if next(count) in at:
            raise RuntimeError("Mme Invented, 83 years")
        return 1.0

    return objective


def test_an_error_of_the_first_trial_ends_the_search() -> None:
    with pytest.raises(RuntimeError, match="Mme Invented"):
        quiet(failing({0}))


def test_a_later_error_does_not_and_is_kept_without_what_it_says(log: list[str]) -> None:
    tuned = quiet(failing({1}))
    assert [row.state for row in tuned.trials] == ["completed", "failed", "completed", "completed"]
    assert tuned.trials[1].note.startswith("RuntimeError at test_function_search.py:")
    said = [message for message in log if message.startswith("ERROR trial 1 failed")]
    assert len(said) == 1
    assert "Invented" not in "".join(log)


def test_three_errors_one_after_another_end_it() -> None:
    seen: list[int] = []
    objective = failing({1, 2, 4, 5, 6})
    with pytest.raises(RuntimeError, match="Mme Invented"):
        quiet(lambda *args: seen.append(1) or objective(*args), n_trials=9)
    assert len(seen) == 7


# Samplers


def test_a_grid_tries_every_point_once() -> None:
    tuned = quiet(lambda p, *_: p["a"], GRID, None, sampler="grid")
    points = [(row.parameters["a"], row.parameters["b"]) for row in tuned.trials]
    assert points == [(a, b) for a in (0, 1, 2) for b in "xy"]


def test_a_grid_may_end_earlier() -> None:
    assert len(quiet(lambda p, *_: p["a"], GRID, 4, sampler="grid").trials) == 4


def test_a_point_that_fails_is_not_tried_again() -> None:
    tuned = quiet(failing({2}), GRID, None, sampler="grid")
    assert [row.state for row in tuned.trials].count("failed") == 1
    assert len({str(row.parameters) for row in tuned.trials}) == len(tuned.trials) == 6


@pytest.mark.parametrize("sampler", ["tpe", "random", {"kind": "tpe", "n_startup_trials": 2}])
def test_the_same_seed_gives_the_same_trials(sampler: Any) -> None:
    first, again = (quiet(score_of, n_trials=6, sampler=sampler).trials for _ in range(2))
    other = quiet(score_of, n_trials=6, sampler=sampler, seed=1).trials
    assert [row.parameters for row in first] == [row.parameters for row in again]
    assert [row.parameters for row in first] != [row.parameters for row in other]


def test_time_ends_a_search() -> None:
    tuned = quiet(score_of, n_trials=10**6, timeout_s=0.05)
    assert 1 <= len(tuned.trials) < 10**4


# What is said


def test_a_line_tells_of_each_trial_and_a_block_of_the_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tuned = quiet(score_of, training_seeds=2, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + 1 + len(tuned.best.parameters)  # type: ignore[union-attr]
    first = tuned.trials[0]
    assert lines[0].startswith(f"trial 0: {first.score:.4f} ± 0.0707  best {first.score:.4f} ± ")
    assert f"lr={first.parameters['lr']:.4g}" in lines[0]
    assert lines[3].startswith(f"Best of all: trial {tuned.best.number}, score ")  # type: ignore[union-attr]


def test_a_search_that_is_to_be_quiet_says_nothing(
    capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    quiet(score_of)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert log == []


def test_logging_of_optuna_is_as_before_afterwards() -> None:
    theirs = logging.getLogger("optuna")
    before = theirs.handlers[:], theirs.level, theirs.propagate
    quiet(score_of, n_trials=1)
    assert (theirs.handlers[:], theirs.level, theirs.propagate) == before


def test_warnings_of_optuna_are_passed_on(log: list[str]) -> None:
    def objective(parameters: Any, seed: int, report: Any) -> float:
        logging.getLogger("optuna.storages").warning("the disk is full")
        return 1.0

    quiet(objective, n_trials=1)
    assert log == ["WARNING optuna: the disk is full"]


# What is wrong


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_trials": None}, r"tune\.n_trials: missing; say how many trials, or how long"),
        ({"n_trials": 0}, r"tune\.n_trials: expected 1 or more, got 0"),
        ({"n_trails": 3}, r"tune\.n_trails: unknown\. Did you mean 'n_trials'\?"),
        ({"direction": "up"}, r"tune\.direction: expected min or max, got 'up'"),
        ({"timeout_s": -1}, r"tune\.timeout_s: expected seconds, more than 0; got -1"),
        ({"seed": -1}, r"tune\.seed: expected 0 to 2147483647, got -1"),
        ({"training_seeds": 0}, r"tune\.training_seeds: expected a number of trainings, 1 or mo"),
        ({"training_seeds": [1, 1]}, r"a list of different seeds; got \[1, 1\]"),
        ({"sampler": "tep"}, r"tune\.sampler: no sampler is called 'tep'\. Did you mean 'tpe'\?"),
        ({"pruner": {"kind": "mean"}}, r"tune\.pruner: no pruner is called 'mean'"),
        (
            {"sampler": {"kind": "tpe", "n_startup": 1}},
            r"tune\.sampler\.n_startup: tpe has no option 'n_startup'\. Did you mean 'n_startup_t",
        ),
        ({"pruner": {"kind": "median", "n_startup_trials": -1}}, r"tune\.pruner: median: "),
        ({"test": True}, r"tune\.test: of configs only; a function trains by itself"),
        ({"keep_weights": True}, r"tune\.keep_weights: of configs only"),
        ({"objective": "val/loss"}, r"tune\.objective and mean_of_last: of configs only"),
        ({"sampler": "grid"}, r"lr: a grid needs values that can be counted"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quiet(score_of, **settings)


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"tuning needs .*pip install 'edspipe\[tune\]'"):
        quiet(score_of)


def test_a_space_is_tried_before_the_function_is_called() -> None:
    block = {"value": {"a": 1}, "space": {"b": {"int": [1, 2]}}}
    with pytest.raises(ConfigError, match="net: space of 'x': b: no 'b' in the value"):
        quiet(score_of, {"net": {"choice": {"x": block}}})


@pytest.mark.parametrize("num_looks", [1, 2, 3])
def test_a_trial_that_ends_while_trials_are_counted_is_counted(num_looks: int) -> None:
    """Of another process: it ends after the nth look at the study."""
    settings = TuneSettings(n_trials=1)
    study = Study(settings, "max", {})
    theirs, looks, look = study.study.ask(), 0, study.trials

    def look_and_end(*states: str) -> list[Any]:
        nonlocal looks
        found, looks = look(*states), looks + 1
        if looks == num_looks:
            study.study.tell(theirs, 1.0)
        return found

    study.trials = look_and_end  # type: ignore[method-assign]
    space = read_space(SPACE)
    search = Search(lambda *_: None, space, settings, study, [0], lambda _: None)  # type: ignore[arg-type]
    assert search._look() != "go"
