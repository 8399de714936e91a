"""edspipe.tune: a search for good settings, in one call.

    space -> trials: choose, train with each seed, score -> trials.tsv, best.yml, pictures

Several processes may work on one search, and a search that ended, or was killed, goes on where it
was: the same call again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from confit import Config
from loguru import logger

from edspipe.errors import ConfigError
from edspipe.training.callbacks.monitor import Mode, find_mode
from edspipe.tuning.base_config import (
    check_searched,
    first_seed,
    read_base,
    what_counts,
    with_recipe,
)
from edspipe.tuning.objectives import ConfigObjective, FunctionObjective, train_config
from edspipe.tuning.outputs import BEST, TABLE, best_text, trial_line, write_best, write_pictures
from edspipe.tuning.paths import TRAIN
from edspipe.tuning.read_space import read_space
from edspipe.tuning.search import Search
from edspipe.tuning.settings import DEFAULT_OUTPUT, TuneSettings
from edspipe.tuning.space import Space, describe, values
from edspipe.tuning.study import Study, optuna_logs_to_loguru
from edspipe.tuning.trial_rows import TrialRow, write_table

TUNE = "tune"
DEFAULT_MONITOR = "val/micro_f"
TESTED = "tested"
"""Attribute of a study: the trial that was scored on the test data, and its scores."""


@dataclass(frozen=True)
class Tuned:
    """What came out of a search.

    Attributes:
        output_dir: Its folder; None without one.
        trials: All trials, in the order in which they began.
        best: The best trial that was completed, None without one.
        parameters: Its values by path, those of choices too.
        config: The config with these values, None for a function.
        test_scores: What the training with it scored on the test data, if that was asked for.
        interrupted: Whether Ctrl-C or SIGTERM ended the search.
        signal: The number of that signal.
    """

    output_dir: Path | None
    trials: list[TrialRow] = field(repr=False)
    best: TrialRow | None
    parameters: dict[str, Any]
    config: Config | None = field(default=None, repr=False)
    test_scores: dict[str, float] | None = None
    interrupted: bool = False
    signal: int | None = None

    @property
    def score(self) -> float | None:
        """The score of the best trial."""
        return None if self.best is None else self.best.score


def tune(
    config_or_function: str | Path | Mapping[str, Any] | Callable[..., float],
    space: Mapping[str, Any] | None = None,
    n_trials: int | None = None,
    training_seeds: int | Sequence[int] | None = None,
    **settings: Any,
) -> Tuned:
    """Search for the settings that score best.

    ```python
    space = {"lr": {"kind": "log_uniform", "low": 1e-4, "high": 1e-1}}

    def objective(parameters, seed, report):
        return -abs(parameters["lr"] - 0.01)

    tuned = edspipe.tune(objective, space, n_trials=20)
    ```

    The same call goes on with a search that was made before in its folder, and may be made in
    several processes at once.

    Args:
        config_or_function: A config with the blocks `nlp` and `train`, or its file; its block
            `tune` has arguments of this function. Or a function `(parameters, seed, report)` that
            returns a score; it may call `report(step, score)` on its way, and is ended there by an
            exception if other trials did better.
        space: What is searched, see `edspipe.tuning.read_space`; by paths in the config.
        n_trials: Trials that are completed or pruned, in all.
        training_seeds: How many trainings a trial is, or their seeds.
        **settings: As of `TuneSettings`: `objective`, `sampler`, `output_dir`, ...

    Returns:
        The trials, the best one, and its config.

    Raises:
        ConfigError: The config, the space, or a setting is wrong; or the folder has another search.
        MissingExtraError: Optuna is not installed.
    """
    given = {"space": space, "n_trials": n_trials, "training_seeds": training_seeds, **settings}
    given = {key: value for key, value in given.items() if value is not None}
    with optuna_logs_to_loguru():
        if callable(config_or_function):
            return _tune_function(config_or_function, TuneSettings.of(given))
        config = read_base(config_or_function)
        block = config.pop(TUNE, None) or {}
        if not isinstance(block, Mapping):
            raise ConfigError(f"{TUNE}: expected a block, got {type(block).__name__}")
        return _tune_config(config, TuneSettings.of({**block, **given}))


def _tune_function(function: Callable[..., float], settings: TuneSettings) -> Tuned:
    for name in ("test", "keep_weights"):
        if getattr(settings, name):
            raise ConfigError(f"tune.{name}: of configs only; a function trains by itself")
    if settings.mean_of_last != 1 or settings.objective is not None:
        raise ConfigError(
            "tune.objective and mean_of_last: of configs only; a function returns its score"
        )
    space = read_space(settings.space, "tune.space")
    mode = settings.direction or "max"
    name = getattr(function, "__qualname__", type(function).__name__)
    facts = _facts(space, settings, mode, settings.seeds(0), function=name)
    return _Tuner(FunctionObjective(function, space), space, settings, mode, facts).tune()


def _tune_config(config: Config, settings: TuneSettings) -> Tuned:
    space = read_space(settings.space, "tune.space")
    check_searched(space)
    config = with_recipe(config, space)
    block = config.get(TRAIN)
    block = block if isinstance(block, Mapping) else Config()
    if settings.test and block.get("test_data") is None:
        raise ConfigError("tune.test: there is no train.test_data to score the best config on")
    monitor = settings.objective or block.get("monitor") or DEFAULT_MONITOR
    mode = find_mode(monitor, settings.direction)
    folder = settings.output_dir or Path(DEFAULT_OUTPUT)
    settings = replace(settings, output_dir=folder)
    objective = ConfigObjective(config, space, monitor, folder, settings.keep_weights)
    seeds = settings.seeds(first_seed(config))
    facts = _facts(space, settings, mode, seeds, objective=monitor, config=what_counts(config))
    return _Tuner(objective, space, settings, mode, facts).tune()


class _Tuner:
    """Puts a search together, and writes down what comes out.

    Args:
        objective: What a trial does.
        space: What is searched.
        settings: What is asked for.
        mode: Whether less or more is better.
        facts: What all trials have in common.
    """

    def __init__(
        self,
        objective: ConfigObjective | FunctionObjective,
        space: Space,
        settings: TuneSettings,
        mode: Mode,
        facts: dict[str, Any],
    ) -> None:
        self.objective, self.space, self.settings, self.facts = objective, space, settings, facts
        self.folder = settings.output_dir
        self.about = facts.get("objective", "score")
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.study = Study(settings, mode, facts)
        self.search = Search(
            objective, space, settings, self.study, facts["seeds"], self._after_trial
        )
        self._best: TrialRow | None = None

    def tune(self) -> Tuned:
        """Do everything."""
        try:
            signal = self._search()
            rows = self._write()
            test = self._test() if self.settings.test and signal is None else None
            if self.folder is not None:
                write_pictures(self.folder, rows, self.study, self.space, self.about)
            best = self._find_best(rows)
            self._say(best_text(best, self.about))
            if test is not None:
                self._say(f"On the test data: {_scores_text(test)}")
            found = {} if best is None else values(self.space, best.parameters)
            config = self._best_config(best)
            stopped = signal is not None
            return Tuned(self.folder, rows, best, found, config, test, stopped, signal)
        finally:
            self.study.close()

    def _search(self) -> int | None:
        """Run trials; return the signal that ended it."""
        try:
            self.search.run()
        except KeyboardInterrupt as error:
            self.study.unlock()
            logger.warning("the search was interrupted; the same command goes on with it")
            return getattr(error, "signal", 2)
        return None

    def _after_trial(self, row: TrialRow) -> None:
        rows = self._write()
        self._say(trial_line(row, self._find_best(rows)))

    def _find_best(self, rows: Sequence[TrialRow]) -> TrialRow | None:
        best = self.study.best()
        return None if best is None else rows[best.number]

    def _say(self, text: str) -> None:
        if self.settings.progress:
            print(text, flush=True)

    # ---- what is written -------------------------------------------------------------------

    def _write(self) -> list[TrialRow]:
        """Write the table, and the best config if it is another one."""
        rows = self.search.rows()
        if self.folder is None:
            return rows
        write_table(self.folder / TABLE, rows, self.space, self.facts["seeds"])
        best = self._find_best(rows)
        config = self._best_config(best)
        if config is not None and best is not None and best != self._best:
            write_best(self.folder / BEST, config, best, self.about)
            self._best = best
        return rows

    def _best_config(self, best: TrialRow | None, folder: str = "best") -> Config | None:
        if best is None or self.folder is None or not isinstance(self.objective, ConfigObjective):
            return None
        return self.objective.changed(
            best.parameters, seed=self.facts["seeds"][0], output_dir=str(self.folder / folder)
        )

    def _test(self) -> dict[str, float] | None:
        """Train with the best config, and score it on the test data, once in all processes."""
        self.study.lock()
        try:
            best = self._find_best(self.search.rows())
            config = self._best_config(best, "test")
            if best is None or config is None:
                return None
            before = self.study.study.user_attrs.get(TESTED)
            if before is not None and before["trial"] == best.number:
                return before["scores"]
            if before is not None:
                logger.warning(
                    "the test data were looked at before, with trial {}: what is chosen by their "
                    "scores is chosen too well",
                    before["trial"],
                )
            quiet = {"progress": False, "overwrite": True}
            finished = train_config(config, partial(_update, more=quiet))
            if finished.interrupted:
                return None
            scores = finished.scores["test"]
            self.study.study.set_user_attr(TESTED, {"trial": best.number, "scores": scores})
            return scores
        finally:
            self.study.unlock()


def _facts(
    space: Space, settings: TuneSettings, mode: Mode, seeds: list[int], **more: Any
) -> dict[str, Any]:
    facts = {
        "space": describe(space),
        "seeds": seeds,
        "mean_of_last": settings.mean_of_last,
        "direction": mode,
        **more,
    }
    return json.loads(json.dumps(facts, default=str))


def _update(block: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {**block, **more}


def _scores_text(scores: Mapping[str, float]) -> str:
    """Return the scores that sum up, or all where none is called so."""
    shown = {name: v for name, v in scores.items() if name.rpartition("/")[2].startswith("micro_")}
    return "  ".join(f"{name}={value:.4f}" for name, value in (shown or dict(scores)).items())
