"""Settings: what a search is asked for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edspipe.errors import ConfigError, did_you_mean, refuse_unknown

GRID = "grid"
SAMPLERS = ("tpe", "random", GRID)
PRUNERS = ("median", "hyperband", "none")
DEFAULT_OUTPUT = "artifacts/tune"
STUDY_FILE = "study.db"


@dataclass(frozen=True)
class TuneSettings:
    """What a search is asked for: the block `tune:` of a config, or arguments of `tune`.

    Attributes:
        space: What is searched, see `edspipe.tuning.read_space`.
        n_trials: Trials that are completed or pruned, in all processes and runs together. None is
            all of a grid, and needs `timeout_s` otherwise.
        training_seeds: How many trainings a trial is (with the seed of the config, the one after
            it, ...), or their seeds.
        objective: What is best, a record of validation as `"val/micro_f"` or `"val/loss"`; None is
            what `train.monitor` says, or `"val/micro_f"`. Not used with a function.
        direction: `"min"` or `"max"`; None is `"min"` for losses, `"max"` for the rest.
        mean_of_last: The score of a training is the mean of its last validations, this many.
        sampler: `"tpe"`, `"random"`, `"grid"`; or a dict of `kind` and options of Optuna's class.
        pruner: `"median"`, `"hyperband"`, `"none"`; or a dict likewise.
        timeout_s: No trial begins after so many seconds of this process; one that goes on is
            finished.
        storage: The URL of a database; None is the file `study.db` in `output_dir`.
        study_name: The name of the search in the database.
        output_dir: The folder for everything; None, with a function, keeps all in memory.
        keep_weights: Keep the models of every trial.
        seed: Seed of the sampler.
        test: Train with the best config once more at the end, and score that on the test data.
        progress: Print a line for each trial.
    """

    space: Mapping[str, Any] = field(default_factory=dict)
    n_trials: int | None = None
    training_seeds: int | Sequence[int] = 1
    objective: str | None = None
    direction: Literal["min", "max"] | None = None
    mean_of_last: int = 1
    sampler: str | Mapping[str, Any] = "tpe"
    pruner: str | Mapping[str, Any] | None = "median"
    timeout_s: float | None = None
    storage: str | None = None
    study_name: str = "tune"
    output_dir: Path | None = None
    keep_weights: bool = False
    seed: int = 42
    test: bool = False
    progress: bool = True

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> TuneSettings:
        """Read settings.

        Raises:
            ConfigError: One does not exist, or is out of its range.
        """
        known = [each.name for each in dataclasses.fields(cls)]
        refuse_unknown(given, known, "tune", "The settings are")
        values = dict(given)
        if values.get("output_dir") is not None:
            values["output_dir"] = Path(values["output_dir"])
        return cls(**values)

    def __post_init__(self) -> None:
        for name in ("n_trials", "mean_of_last"):
            value = getattr(self, name)
            if value is not None and (not _is_whole(value) or value < 1):
                raise ConfigError(f"tune.{name}: expected 1 or more, got {value!r}")
        if self.direction not in ("min", "max", None):
            raise ConfigError(f"tune.direction: expected min or max, got {self.direction!r}")
        timeout_s = self.timeout_s
        if timeout_s is not None and not (_is_number(timeout_s) and timeout_s > 0):
            raise ConfigError(f"tune.timeout_s: expected seconds, more than 0; got {timeout_s!r}")
        if not _is_whole(self.seed) or not 0 <= self.seed < 2**31:
            raise ConfigError(f"tune.seed: expected 0 to {2**31 - 1}, got {self.seed!r}")
        _kind(self.sampler, SAMPLERS, "tune.sampler")
        _kind(self.pruner, PRUNERS, "tune.pruner")
        self.seeds(0)
        if self.n_trials is None and timeout_s is None and self.sampler_kind[0] != GRID:
            raise ConfigError(
                "tune.n_trials: missing; say how many trials, or how long (timeout_s)"
            )

    @property
    def sampler_kind(self) -> tuple[str, dict[str, Any]]:
        """Name and options of the sampler."""
        return _kind(self.sampler, SAMPLERS, "tune.sampler")

    @property
    def pruner_kind(self) -> tuple[str, dict[str, Any]]:
        """Name and options of the pruner."""
        return _kind(self.pruner, PRUNERS, "tune.pruner")

    def seeds(self, first: int) -> list[int]:
        """Return the seeds of a trial's trainings.

        Args:
            first: The seed of the config.
        """
        given = self.training_seeds
        if isinstance(given, int) and not isinstance(given, bool):
            seeds = list(range(first, first + given))
        else:
            seeds = list(given) if isinstance(given, (list, tuple)) else []
        if not seeds or not all(map(_is_whole, seeds)) or len(set(seeds)) < len(seeds):
            raise ConfigError(
                "tune.training_seeds: expected a number of trainings, 1 or more, or a list of "
                f"different seeds; got {given!r}"
            )
        return seeds


def _kind(value: Any, known: Sequence[str], where: str) -> tuple[str, dict[str, Any]]:
    options = dict(value) if isinstance(value, Mapping) else {}
    kind = options.pop("kind", None) if isinstance(value, Mapping) else value
    kind = "none" if kind is None and "none" in known else kind
    if kind not in known:
        raise ConfigError(
            f"{where}: no {where.rpartition('.')[2]} is called {kind!r}."
            f"{did_you_mean(str(kind), known)} They are: {', '.join(known)}"
        )
    return str(kind), options


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
