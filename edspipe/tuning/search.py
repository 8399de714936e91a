"""The loop of a search: one trial after another, until there are enough in all processes."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from loguru import logger

from edspipe.errors import EdspipeError
from edspipe.tuning.locks import Lock
from edspipe.tuning.objectives import Objective
from edspipe.tuning.scores import Pruned, TrialScores
from edspipe.tuning.settings import GRID, TuneSettings
from edspipe.tuning.space import Space, draw, every_point
from edspipe.tuning.study import Study
from edspipe.tuning.trial_rows import ERROR, NOTE, PLACE, SCORES, SECONDS, SPREAD, TrialRow, to_row

POLL_S = 1.0
"""Between two looks at whether other processes have finished their trials."""
MAX_FAILURES = 3
"""Trials that may fail one after another before the search ends with the error of the last."""
GO, WAIT, DONE = "go", "wait", "done"


class Search:
    """Runs trials.

    Args:
        objective: What a trial does.
        space: What is searched.
        settings: What is asked for.
        study: The trials of all processes.
        seeds: The seeds of a trial's trainings.
        on_trial: Called after each trial of this process.
    """

    def __init__(
        self,
        objective: Objective,
        space: Space,
        settings: TuneSettings,
        study: Study,
        seeds: list[int],
        on_trial: Callable[[TrialRow], None],
    ) -> None:
        self.objective, self.space, self.settings = objective, space, settings
        self.study, self.seeds, self.on_trial = study, seeds, on_trial
        is_grid = settings.sampler_kind[0] == GRID
        self._grid = every_point(space) if is_grid else None
        self._num_failures = 0
        self._number: int | None = None
        self._lock: Lock | None = None
        self._began = perf_counter()

    def run(self) -> None:
        """Run trials until there are enough, or no time is left."""
        is_waiting = False
        while (what := self._begin()) != DONE:
            if what == WAIT:
                if not is_waiting:
                    logger.info("waiting for the trials that other processes work on")
                is_waiting = True
                sleep(POLL_S)

    def rows(self) -> list[TrialRow]:
        """Return all trials so far."""
        return [to_row(self.space, trial) for trial in self.study.trials()]

    # ---- one trial -------------------------------------------------------------------------

    def _begin(self) -> str:
        """Run a trial if one is wanted; no other process of the search chooses meanwhile."""
        timeout_s = self.settings.timeout_s
        if timeout_s is not None and perf_counter() - self._began >= timeout_s:
            return DONE
        self.study.lock()
        try:
            what = self._look()
            if what == GO:
                self._one_trial()
            return what
        finally:
            self.study.unlock()

    def _look(self) -> str:
        """Say what is to be done; trials of dead processes are given up before."""
        for number in self.study.give_up_dead():
            self.objective.clean(number)
        wanted = self.settings.n_trials
        # One look for all counts: a trial of another process may end between two of them.
        count = Counter(trial.state.name for trial in self.study.trials())
        num_done, num_running = count["COMPLETE"] + count["PRUNED"], count["RUNNING"]
        enough = wanted is not None and num_done >= wanted
        full = wanted is not None and num_done + num_running >= wanted
        if self._grid is not None and not self.study.trials("waiting"):
            full = full or not self.study.untried(self._grid)
            enough = enough or (full and not num_running)
        return DONE if enough else WAIT if full else GO

    def _one_trial(self) -> None:
        number = len(self.study.trials())
        if self._grid is not None and not self.study.trials("waiting"):
            self.study.study.enqueue_trial(self.study.untried(self._grid)[0])
        self.study.study.sampler = self.study.sampler(number)
        self._number = None
        try:
            self.study.study.optimize(self._run, n_trials=1)
        except Exception as error:
            self._failed(error)
        else:
            self._num_failures = 0
        finally:  # only now does the database know how it ended
            self.study.unlock()
            if self._lock is not None:
                self._lock.give_back(remove=True)
        if self._number is not None:
            self.on_trial(to_row(self.space, self.study.trials()[self._number]))

    def _failed(self, error: Exception) -> None:
        """Go on after a trial that failed, if others did not."""
        if self._number is None:
            raise error
        if ERROR not in self.study.trials()[self._number].user_attrs:
            logger.warning(
                "trial {} was given up by another process, as this one gave no sign of life",
                self._number,
            )
            return
        self._num_failures += 1
        none_yet = not self.study.trials("complete", "pruned")
        if none_yet or self._num_failures >= MAX_FAILURES:
            raise error
        logger.error("trial {} failed; the search goes on: {}", self._number, say_error(error))

    def _run(self, trial: Any) -> float:
        """Do a trial of Optuna; return its score."""
        self._number = trial.number
        drawn = draw(self.space, trial)
        self._lock = self.study.trial_lock(trial.number)
        if self._lock is not None:
            self._lock.try_to_take()
            trial.set_user_attr(PLACE, self.study.place(self._lock))
        self.study.unlock()
        scores = TrialScores(
            lambda step, mean: _tell(trial, step, mean), self.settings.mean_of_last
        )
        start = perf_counter()
        try:
            self.objective(drawn, trial.number, self.seeds, scores)
            return scores.mean
        except Pruned as reason:
            trial.set_user_attr(NOTE, str(reason))
            raise self.study.optuna.TrialPruned(str(reason)) from None
        except KeyboardInterrupt:
            trial.set_user_attr(NOTE, "interrupted")
            raise
        except Exception as error:
            if not isinstance(error, self.study.optuna.exceptions.OptunaError):
                trial.set_user_attr(ERROR, say_error(error))
            raise
        finally:
            _keep(trial, scores, perf_counter() - start)


def _tell(trial: Any, step: int, mean: float) -> bool:
    trial.report(mean, step)
    return trial.should_prune()


def _keep(trial: Any, scores: TrialScores, seconds: float) -> None:
    trial.set_user_attr(SCORES, {str(seed): score for seed, score in scores.scores.items()})
    trial.set_user_attr(SPREAD, scores.spread)
    trial.set_user_attr(SECONDS, seconds)


def say_error(error: BaseException) -> str:
    """Return type and place of an error; what it says only if it is ours, and quotes no text."""
    name = type(error).__name__
    if isinstance(error, EdspipeError):
        return f"{name}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{name} at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else name
