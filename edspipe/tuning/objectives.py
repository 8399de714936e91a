"""What a trial does: trainings of a config, or calls of a function."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol

import torch
from confit import Config

from edspipe import atomic
from edspipe.config.schema import build, link
from edspipe.errors import ConfigError, TrainingError
from edspipe.training.callbacks.checkpoint import Checkpoint
from edspipe.training.finishing import Finished
from edspipe.training.randomness import set_seed
from edspipe.training.run_files import MODELS
from edspipe.training.trainer import train
from edspipe.training.tutorial_keys import resolve_tutorial_keys
from edspipe.tuning.paths import TRAIN, set_path
from edspipe.tuning.reports import ReportValidations
from edspipe.tuning.scores import Pruned, TrialScores
from edspipe.tuning.space import Shown, Space, each_choice, values

TRIALS = "trials"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a training.

    Args:
        number: The signal.
    """

    def __init__(self, number: int | None = None) -> None:
        super().__init__("interrupted")
        self.signal = number or signal.SIGINT


class Objective(Protocol):
    """What a trial does."""

    def __call__(
        self, drawn: Mapping[str, Shown], number: int, seeds: list[int], scores: TrialScores
    ) -> None:
        """Train with each seed, and tell the scores.

        Args:
            drawn: What the trial chose, by name.
            number: Its number.
            seeds: The seeds.
            scores: Gets reports and scores.
        """

    def clean(self, number: int) -> None:
        """Delete what a trial that was killed has left."""


class FunctionObjective:
    """Calls a function `objective(parameters, seed, report) -> score`.

    Args:
        function: The function.
        space: What is searched.
    """

    def __init__(self, function: Callable[..., float], space: Space) -> None:
        self.function, self.space = function, space
        for _, drawn in each_choice(space):
            values(space, drawn)

    def __call__(
        self, drawn: Mapping[str, Shown], number: int, seeds: list[int], scores: TrialScores
    ) -> None:
        for seed in seeds:
            scores.begin()
            score = self.function(values(self.space, drawn), seed, scores.report)
            try:
                number_of = float(score)
            except (TypeError, ValueError):
                raise TypeError(
                    f"the objective returns a number, its score; got {type(score).__name__}"
                ) from None
            scores.finish(seed, number_of)

    def clean(self, number: int) -> None:
        """Do nothing: what a function writes is its own."""


class ConfigObjective:
    """Trains with a config in which values are changed, in a folder for each training.

    Args:
        config: The whole config.
        space: What is searched.
        monitor: The record that is the score, e.g. `"val/micro_f"`.
        folder: Where the folder `trials` is made.
        keep_weights: Keep the models.

    Raises:
        ConfigError: The config is wrong, or the space names what does not exist.
    """

    def __init__(
        self, config: Config, space: Space, monitor: str, folder: Path, keep_weights: bool = False
    ) -> None:
        self.config, self.space, self.monitor = config, space, monitor
        self.folder, self.keep_weights = folder, keep_weights
        _check_blocks(config)
        link(resolve_tutorial_keys(config))
        for said, drawn in each_choice(space):
            changed = self.changed(drawn)
            try:
                link(resolve_tutorial_keys(changed))
            except ConfigError as error:
                raise ConfigError(f"tune.space.{said or 'all'}: {error}") from None

    def changed(self, drawn: Mapping[str, Shown], **train: Any) -> Config:
        """Return the config with the values of a trial.

        Args:
            drawn: What the trial chose, by name.
            **train: More settings of the training.

        Raises:
            ConfigError: The space names what does not exist.
        """
        config = Config(deepcopy(self.config))
        try:
            for path, value in values(self.space, drawn).items():
                set_path(config, path, value)
        except ConfigError as error:
            raise ConfigError(f"tune.space.{error}") from None
        config[TRAIN].update(train)
        return config

    def __call__(
        self, drawn: Mapping[str, Shown], number: int, seeds: list[int], scores: TrialScores
    ) -> None:
        for seed in seeds:
            scores.begin()
            folder = self._folder_of(number) / f"seed-{seed}"
            config = self.changed(drawn, seed=seed, output_dir=str(folder))
            config[TRAIN].pop("test_data", None)
            is_last = seed == seeds[-1]
            callback = ReportValidations(scores.report, self.monitor, spare_last=is_last)
            try:
                finished = _train_quietly(config, callback)
            except TrainingError as error:
                raise Pruned(f"with seed {seed}: {error}") from None
            except torch.OutOfMemoryError:
                raise Pruned(f"with seed {seed}: out of memory") from None
            finally:
                self._clean(folder)
            if finished.interrupted:
                raise Interrupted(finished.signal)
            scores.finish(seed)

    def _folder_of(self, number: int) -> Path:
        return self.folder / TRIALS / f"trial-{number:04d}"

    def clean(self, number: int) -> None:
        """Delete the weights of a trial that was killed."""
        for folder in self._folder_of(number).glob("seed-*"):
            self._clean(folder)

    def _clean(self, folder: Path) -> None:
        """Delete what is large: weights, and what is left of them in memory."""
        for pattern in () if self.keep_weights else MODELS:
            for path in folder.glob(pattern):
                atomic.discard(path)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _train_quietly(config: Config, callback: ReportValidations) -> Finished:
    """Train for the scores of validations only: without checkpoints, pictures and tables."""

    def quietly(block: dict[str, Any]) -> dict[str, Any]:
        given = [
            one
            for one in block.get("callbacks") or ()
            if not isinstance(one, Checkpoint) and one != "checkpoint"
        ]
        return {
            **block,
            "callbacks": [*given, callback, Checkpoint(every=None, save_last=False)],
            "loggers": ["jsonl"],
            "ci": None,
            "progress": False,
            "report": False,
            "overwrite": True,
        }

    return train_config(config, quietly)


def train_config(
    config: Config, change: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> Finished:
    """Train what a config describes, exactly as `edspipe train` does.

    Args:
        config: The config, with a seed and a folder.
        change: Changes the arguments of `train`, after they are built.

    Raises:
        ConfigError: The config is wrong.
    """
    config = resolve_tutorial_keys(config)
    block = link(config)[TRAIN]
    set_seed(block["seed"])
    arguments = change(build(block, (TRAIN,)))
    return train(config=config, **arguments)


def _check_blocks(config: Config) -> None:
    block = config.get(TRAIN)
    if not isinstance(block, Mapping):
        raise ConfigError(f"{TRAIN}: missing; a config of a training has the blocks nlp and train")
    for keys in (("nlp",), ("train_data", "train_data_path"), ("val_data", "val_data_path")):
        if all(block.get(key) is None for key in keys):
            raise ConfigError(f"{TRAIN}.{keys[0]}: missing; trials cannot be scored without it")
