"""The learning-rate finder: a short training whose learning rate grows, to see which one works.

(Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.)

The steps are those of `edspipe.train`: the same batches, optimizer, clipping and precision. They
are taken on a copy of the pipeline; afterwards weights and generators are what they were.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from loguru import logger

from edspipe import atomic
from edspipe.errors import ConfigError, TrainingError
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.callbacks.callback import Callback
from edspipe.training.callbacks.checkpoint import Checkpoint
from edspipe.training.optimizer import OptimizerRecipe
from edspipe.training.processes import Processes
from edspipe.training.randomness import rng_state, set_rng_state, set_seed
from edspipe.training.recipes import expand_recipe
from edspipe.training.run import Run
from edspipe.training.schedules import Progress, Schedule
from edspipe.training.settings import DEFAULT_LR, Settings
from edspipe.training.trainer import Trainer
from edspipe.viz.learning_rate import (
    BELOW_MINIMUM,
    HEADER,
    STEEPEST,
    LearningRates,
    plot_learning_rate,
    suggest_learning_rates,
)

FILE = "learning_rate.tsv"
PICTURE = "learning_rate.png"
_UNUSED = ("resume", "init_from", "callbacks", "loggers", "max_epochs", "recipe")


@dataclass(frozen=True)
class Exponential(Schedule):
    """Grows from one value to another, by the same factor each step.

    Attributes:
        start: The value after no step.
        end: The value after all steps.
    """

    start: float
    end: float

    @property
    def peak(self) -> float:
        return self.end

    def value(self, progress: Progress) -> float:
        """Return the value for the update that comes next: after `n` of them, that of step `n`."""
        total = progress.total_steps or 1
        return self.start * (self.end / self.start) ** (min(total, progress.step + 1) / total)


class Sweep(Callback):
    """Notes the loss of each step, and ends the sweep where it has gone up far.

    The mean is exponential and bias-corrected (Kingma and Ba 2015, section 3), so that a constant
    loss is drawn as that constant.

    Args:
        smoothing: Weight of the mean of before, 0 to below 1.
        stop_factor: The sweep ends where the mean is this much above its lowest.
    """

    def __init__(self, smoothing: float, stop_factor: float) -> None:
        self.smoothing, self.stop_factor = smoothing, stop_factor
        self.rows: list[tuple[int, float, float, float]] = []
        self._mean, self._lowest = 0.0, math.inf

    def on_step(self, run: Run) -> None:
        loss = run.records.latest("train/loss")
        lr = max(v for name, v in run.optimizer.values().items() if name.split("/")[0] == "lr")
        assert loss is not None
        smoothed = self.add(run.step, lr, loss.value)
        if smoothed > self.stop_factor * self._lowest:
            run.stop(f"the loss is {self.stop_factor:g} times its lowest")

    def add(self, step: int, lr: float, loss: float) -> float:
        """Take the loss of a step; return the mean."""
        self._mean = self.smoothing * self._mean + (1 - self.smoothing) * loss
        smoothed = self._mean / (1 - self.smoothing ** (len(self.rows) + 1))
        self._lowest = min(self._lowest, smoothed)
        self.rows.append((step, lr, loss, smoothed))
        return smoothed

    def table(self) -> LearningRates:
        """Return what was seen."""
        columns = np.array([row[1:] for row in self.rows], dtype=float).reshape(-1, 3).T
        return LearningRates(*columns)


@dataclass(frozen=True)
class FoundLearningRates:
    """What the finder saw.

    Attributes:
        table: Learning rate, loss and smoothed loss of each step.
        steepest: The learning rate where the loss fell fastest; None where it never fell.
        below_minimum: A tenth of the one with the lowest loss; None where it never fell.
        stopped_by: Why the sweep ended.
    """

    table: LearningRates
    steepest: float | None
    below_minimum: float | None
    stopped_by: str

    def __str__(self) -> str:
        if self.steepest is None or self.below_minimum is None:
            return f"the loss never fell ({self.stopped_by}): try a lower start"
        return (
            f"{len(self.table.lr)} steps ({self.stopped_by}); the loss falls fastest at "
            f"{self.steepest:.1e}, and is lowest at {10 * self.below_minimum:.1e}: try "
            f"{self.steepest:.1e} or {self.below_minimum:.1e}"
        )

    def write(self, folder: str | Path) -> list[Path]:
        """Write `learning_rate.tsv` and, where matplotlib is installed, `learning_rate.png`."""
        folder = Path(folder)
        lines = ["\t".join(HEADER)]
        columns = (self.table.lr, self.table.loss, self.table.smoothed)
        for step, row in enumerate(zip(*columns, strict=True), start=1):
            lines.append("\t".join([str(step), *(repr(float(value)) for value in row)]))
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write_text(folder / FILE, "\n".join(lines) + "\n")
        if find_spec("matplotlib") is None:
            return [folder / FILE]
        return [folder / FILE, plot_learning_rate(self.table, folder / PICTURE)]


def find_learning_rate(
    nlp: Pipeline,
    train_data: Any,
    *,
    start: float = 1e-7,
    end: float = 10.0,
    iterations: int = 100,
    smoothing: float = 0.9,
    stop_factor: float = 4.0,
    output_dir: str | Path | None = None,
    **settings: Any,
) -> FoundLearningRates:
    """Try learning rates from `start` to `end`, one a step, each larger by the same factor.

    With groups of parameters, the learning rate is that of the group whose own is largest, and the
    others keep their share of it. The pipeline, and all generators, are left as they were.

    Args:
        nlp: The pipeline.
        train_data: As of `edspipe.train`.
        start: The learning rate before the first step.
        end: That of the last step.
        iterations: Steps.
        smoothing: Weight of the losses of before in the mean that is looked at, 0 to below 1.
        stop_factor: It ends early where the mean is this many times its lowest, or is not finite.
        output_dir: Where `learning_rate.tsv` and `learning_rate.png` go; None writes nothing.
        **settings: As of `edspipe.train`; those on length, validation and files have no effect.

    Raises:
        ConfigError: A setting is wrong.
    """
    if not 0 < start < end or iterations < 2 or not 0 <= smoothing < 1 or not stop_factor > 1:
        raise ConfigError(
            "expected 0 < start < end, iterations of 2 or more, smoothing from 0 to below 1, and "
            f"stop_factor above 1; got start={start}, end={end}, iterations={iterations}, "
            f"smoothing={smoothing}, stop_factor={stop_factor}"
        )
    sweep = Sweep(smoothing, stop_factor)
    generators = rng_state()
    try:
        with TemporaryDirectory() as folder:
            if settings.get("recipe") is not None:
                settings = expand_recipe(settings["recipe"], settings)
            given = {key: value for key, value in settings.items() if key not in _UNUSED}
            chosen = Settings.of(
                {
                    **given,
                    "output_dir": folder,
                    "max_steps": iterations,
                    "loggers": [],
                    "progress": settings.get("progress", False),
                    "callbacks": [sweep, Checkpoint(None, save_last=False)],
                    "log_every": 1,
                }
            )
            optimizer = growing(chosen.make_optimizer(), start, end)
            chosen = replace(chosen, optimizer=optimizer, lr=None)
            stopped_by = _sweep(deepcopy(nlp), train_data, chosen)
    finally:
        set_rng_state(*generators)
    table = sweep.table()
    suggestions = suggest_learning_rates(table)
    found = FoundLearningRates(
        table, suggestions.get(STEEPEST), suggestions.get(BELOW_MINIMUM), stopped_by
    )
    if output_dir is not None:
        found.write(output_dir)
    return found


def _sweep(nlp: Pipeline, train_data: Any, settings: Settings) -> str:
    """Take the steps; return why they ended."""
    set_seed(settings.seed)
    run, _ = Trainer(nlp, train_data, None, None, settings).prepare(Processes(settings.device))
    try:
        run.loop()
    except TrainingError as error:
        logger.debug("the sweep ended: {}", error)
        return "the loss is not finite"
    return "all iterations" if run.stopped_by == "max_steps" else str(run.stopped_by)


def growing(recipe: OptimizerRecipe, start: float, end: float) -> OptimizerRecipe:
    """Return an optimizer with learning rates that grow; the largest of them to `end`."""
    largest = max(_rates(recipe))

    def grow(values: Mapping[str, Any]) -> dict[str, Any]:
        if "lr" not in values or _peak(values["lr"]) == 0:  # held still
            return dict(values)
        share = _peak(values["lr"]) / largest
        return {**values, "lr": Exponential(start * share, end * share)}

    groups = {pattern: grow(values) for pattern, values in recipe.groups.items()}
    return replace(recipe, defaults=grow(recipe.defaults), groups=groups)


def _rates(recipe: OptimizerRecipe) -> list[float]:
    blocks = [recipe.defaults, *recipe.groups.values()]
    rates = [_peak(values["lr"]) for values in blocks if "lr" in values]
    return [rate for rate in rates if rate > 0] or [DEFAULT_LR]


def _peak(value: Any) -> float:
    return value.peak if isinstance(value, Schedule) else float(value)
