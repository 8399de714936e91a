"""Settings: what a training is asked for, besides the pipeline and the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from confit.errors import ConfitValidationError

from edspipe.config.schema import build, link
from edspipe.config.serialize import Config
from edspipe.errors import ConfigError, refuse_unknown
from edspipe.pipeline.precision import DTYPES
from edspipe.training.data import DEFAULT_BATCH
from edspipe.training.optimizer import OptimizerRecipe, adamw
from edspipe.training.recipes import expand_recipe

DEFAULT_LR = 1e-3
STEPS_BETWEEN_VALIDATIONS = 100


@dataclass(frozen=True)
class Settings:
    """What a training is asked for.

    Attributes:
        output_dir: The folder of the run.
        max_steps: Optimizer steps; None where epochs are given.
        max_epochs: Epochs of the first training data; None where steps are given.
        batch_size: Of training data that have none of their own, see `TrainingData`.
        optimizer: The optimizer, e.g. `{"@optimizers": "adamw", "lr": 1e-3}` in a config; None is
            AdamW.
        lr: The learning rate (a number or a schedule), where `optimizer` is None.
        recipe: `"finetune"` or `"scratch"`: a name for several of these settings.
        grad_max_norm: Gradients are clipped to this norm; None leaves them.
        grad_spikes: What becomes of gradients far larger than before: a `GradientSpikes`, or its
            arguments as a dict; None takes them as they come.
        precision: `"auto"`, `"fp32"`, `"bf16"` or `"fp16"`, of the forward pass.
        device: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:0"`.
        seed: Seed of everything that draws at random.
        metrics: A metric, or several by name; None takes what the pipes propose.
        evaluate_every: The interval of validations, `"100 steps"` or `"1 epoch"`; None is 100
            steps, or an epoch where `max_epochs` is given.
        monitor: The record that chooses the best model; None is the first that exists of
            `"val/micro_f"`, `"val/accuracy"` and `"val/loss"`; where there are several metrics, the
            loss, or what is named: `"val/<metric>/micro_f"`.
        checkpoint_every: The interval of checkpoints; None is that of validations.
        keep_checkpoints: How many of them are kept; None keeps all.
        callbacks: What happens besides; a callback replaces the default one of its kind.
        loggers: Names or loggers; None is the console, `metrics.jsonl` and `metrics.csv`.
        log_every: Steps from one record of the training loss to the next.
        progress: Draw a progress bar.
        embedding_cache: Where the vectors of frozen embeddings are kept from one epoch to the next:
            `"cpu"`, `"gpu"`, or the arguments of the callback `embedding_cache` as a dict; None is
            what the pipes say.
        num_preprocessing_workers: Processes that prepare batches; 0 prepares them in this one.
        report: Write pictures and `report.html` at the end, where matplotlib is installed.
        ci: Options of the bootstrap intervals in the final scores; None leaves them out.
        phases: Train pipes that share no parameters one after the other, see
            `edspipe.training.phases`; a call that was broken off goes on where it was.
        overwrite: Whether a new run may replace one that is in `output_dir`.
        resume: A run folder or a checkpoint to go on from.
        schedules_on_resume: With more steps or epochs than before, whether schedules `"stretch"`
            to the new end, or `"keep"` their plan, and their last value after it.
        init_from: A saved pipeline or checkpoint whose weights a new run starts from.
    """

    output_dir: Path
    max_steps: int | None = None
    max_epochs: int | None = None
    batch_size: int | str = DEFAULT_BATCH
    optimizer: Any = None
    lr: Any = None
    recipe: str | None = None
    grad_max_norm: float | None = 5.0
    grad_spikes: Any = None
    precision: str = "fp32"
    device: str = "auto"
    seed: int = 42
    metrics: Any = None
    evaluate_every: int | str | None = None
    monitor: str | None = None
    checkpoint_every: int | str | None = None
    keep_checkpoints: int | None = 2
    callbacks: Sequence[Any] = ()
    loggers: Sequence[Any] | None = None
    log_every: int = 1
    progress: bool = True
    embedding_cache: Any = None
    num_preprocessing_workers: int = 0
    report: bool = True
    ci: Mapping[str, Any] | None = dataclasses.field(default_factory=dict)
    phases: bool = False
    overwrite: bool = False
    resume: Path | None = None
    schedules_on_resume: Literal["stretch", "keep"] = "stretch"
    init_from: Path | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """Read settings, a recipe written out.

        Raises:
            ConfigError: One does not exist, or is out of its range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        refuse_unknown(given, known, "train", "The settings are")
        values = dict(given)
        if values.get("recipe") is not None:
            values = expand_recipe(values.pop("recipe"), values)
        for key in ("output_dir", "resume", "init_from"):
            if values.get(key) is not None:
                values[key] = Path(values[key])
        return cls(**values)

    def __post_init__(self) -> None:
        if (self.max_steps is None) == (self.max_epochs is None):
            raise ConfigError("give either max_steps or max_epochs")
        for name in ("max_steps", "max_epochs", "log_every"):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and value >= 1):
                raise ConfigError(f"{name} is a whole number, 1 or more, got {value!r}")
        if self.grad_max_norm is not None and not self.grad_max_norm > 0:
            raise ConfigError(
                f"grad_max_norm is more than 0, or None for no limit, got {self.grad_max_norm}"
            )
        if self.precision not in ("auto", *DTYPES):
            raise ConfigError(f"precision is auto, {', '.join(DTYPES)}; got {self.precision!r}")
        if self.optimizer is not None and self.lr is not None:
            raise ConfigError("give either optimizer or lr: an optimizer has its own")
        if self.resume is not None and self.init_from is not None:
            raise ConfigError(
                "give either resume (go on with that run) or init_from (a new run from its weights)"
            )
        if self.schedules_on_resume not in ("stretch", "keep"):
            raise ConfigError(
                f"schedules_on_resume is 'stretch' or 'keep', got {self.schedules_on_resume!r}"
            )

    def make_optimizer(self) -> OptimizerRecipe:
        """Return the optimizer that is asked for.

        Raises:
            ConfigError: It is not one of those that are registered.
        """
        found = self.optimizer
        if found is None:
            return _adamw(DEFAULT_LR if self.lr is None else self.lr)
        if isinstance(found, Mapping):
            found = build(link(Config({"optimizer": Config(found)})))["optimizer"]
        if not isinstance(found, OptimizerRecipe):
            raise ConfigError(
                f"optimizer: expected one of @optimizers, got a {type(found).__name__}"
            )
        return found

    @property
    def interval(self) -> int | str:
        """The interval of validations."""
        if self.evaluate_every is not None:
            return self.evaluate_every
        return "1 epoch" if self.max_epochs is not None else f"{STEPS_BETWEEN_VALIDATIONS} steps"


def _adamw(lr: Any) -> OptimizerRecipe:
    try:
        return adamw(lr=lr)
    except ConfitValidationError:
        raise ConfigError(f"lr: expected a number or a schedule, got {lr!r}") from None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
