"""Schedules: hyper-parameters that change while a training goes on.

```yaml
lr: {"@schedules": linear, max_value: 5e-5, warmup: 0.1}
```

A schedule tells its value from how far the run has come. `Progress.step` counts the optimizer steps
that were *already* taken: update number n uses the value at n - 1, as with torch's `LambdaLR`. So
the first update of a warm-up from 0 changes nothing, and the value at the very end is one that no
update uses. Only `Plateau` remembers anything: it looks at scores, not at the progress.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from edspipe.config.registry import registry
from edspipe.errors import CheckpointError, ConfigError


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: Optimizer steps that were already taken.
        total_steps: Steps of the whole run; None where they are not known.
        fraction: Share of the whole run that is done, 0 to 1.
    """

    step: int
    total_steps: int | None
    fraction: float

    @classmethod
    def of(cls, step: int, total_steps: int) -> Progress:
        """Return the progress of a run whose number of steps is known."""
        return cls(step, total_steps, min(1.0, step / max(1, total_steps)))


class Schedule(ABC):
    """A value that depends on the progress of the run.

    A schedule of your own is a dataclass that is registered:
    `@edspipe.registry.schedules.register("my_schedule")`.
    """

    @property
    @abstractmethod
    def peak(self) -> float:
        """The value that the schedule is about: its largest, or the first of a plateau."""

    @abstractmethod
    def value(self, progress: Progress) -> float:
        """Return the value for the update that comes next.

        Raises:
            ConfigError: The schedule needs the number of steps, and it is not known.
        """

    def config(self) -> dict[str, Any]:
        """Return the config block that makes this schedule, with its defaults written out.

        Raises:
            ConfigError: The class is not registered.
        """
        origin = getattr(self, "_origin", None)
        if origin is None:
            raise ConfigError(
                f"{type(self).__name__}: a config can only name a schedule that is registered. "
                'Put @edspipe.registry.schedules.register("...") before its class'
            )
        return {"@schedules": origin.factory, **self._arguments()}

    def _arguments(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """Return what the schedule remembers, as plain data; most remember nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            CheckpointError: It is the state of another kind of schedule.
        """
        known = sorted(self.state_dict())
        if sorted(state) != known:
            raise CheckpointError(
                f"the saved state of a schedule holds {sorted(state)}, and a "
                f"{type(self).__name__} has {known}: resume with the schedules of the run"
            )


@dataclass
class WarmupSchedule(Schedule):
    """What `constant`, `linear` and `cosine` share: the way up, from the start value to the peak.

    Attributes:
        max_value: The value after the warm-up.
        start_value: The value before the first update.
        end_value: The value when the run is over.
        warmup: Share of the run that the warm-up takes, 0 to 1.
        warmup_steps: Steps that it takes, instead of a share.
    """

    max_value: float
    start_value: float = 0.0
    end_value: float = 0.0
    warmup: float = 0.1
    warmup_steps: int | None = None

    def __post_init__(self) -> None:
        _check_share("warmup", self.warmup)
        if self.warmup_steps is not None and self.warmup_steps < 0:
            raise ConfigError(f"warmup_steps: expected 0 or more, got {self.warmup_steps}")

    @property
    def peak(self) -> float:
        """The value after the warm-up."""
        return self.max_value

    def value(self, progress: Progress) -> float:
        """Return the value for the update that comes next.

        Raises:
            ConfigError: There are `warmup_steps`, and nobody knows how many steps the run has.
        """
        done, warmup = progress.fraction, self._warmup_share(progress.total_steps)
        if done < warmup:
            return _between(self.start_value, self.max_value, done / warmup)
        rest = min(1.0, (done - warmup) / (1.0 - warmup)) if warmup < 1.0 else 0.0
        return _between(self.end_value, self.max_value, self._factor(rest))

    def _warmup_share(self, total_steps: int | None) -> float:
        if self.warmup_steps is None:
            return self.warmup
        if total_steps is None:
            raise ConfigError(
                f"warmup_steps={self.warmup_steps}: the number of steps of this run is not known. "
                "Set max_steps, or give the warm-up as a share of the run (warmup: 0.1)"
            )
        return min(1.0, self.warmup_steps / max(1, total_steps))

    def _factor(self, rest: float) -> float:
        """Return how far above the end value (0) towards the peak (1) it is after the warm-up.

        Args:
            rest: Share of what comes after the warm-up that is done, 0 to 1.
        """
        raise NotImplementedError


@registry.schedules.register("constant")
class Constant(WarmupSchedule):
    """One value, if you like after a linear warm-up.

    Args:
        value: The value.
        start_value: The value before the first update of a warm-up.
        warmup: Share of the run that the warm-up takes, 0 to 1.
        warmup_steps: Steps that it takes, instead of a share.
    """

    def __init__(
        self,
        value: float,
        start_value: float = 0.0,
        warmup: float = 0.0,
        warmup_steps: int | None = None,
    ) -> None:
        super().__init__(value, start_value, value, warmup, warmup_steps)

    def _arguments(self) -> dict[str, Any]:
        own = super()._arguments()
        del own["end_value"]
        return {"value": own.pop("max_value"), **own}

    def _factor(self, rest: float) -> float:
        return 1.0


@registry.schedules.register("linear")
@dataclass
class Linear(WarmupSchedule):
    """Up in a straight line, then down in a straight line.

    With its defaults it is `get_linear_schedule_with_warmup` of transformers.

    Attributes:
        max_value: The value after the warm-up.
        start_value: The value before the first update.
        end_value: The value when the run is over.
        warmup: Share of the run that the warm-up takes, 0 to 1.
        warmup_steps: Steps that it takes, instead of a share.
    """

    def _factor(self, rest: float) -> float:
        return 1.0 - rest


@registry.schedules.register("cosine")
@dataclass
class Cosine(WarmupSchedule):
    """Up in a straight line, then down along a cosine.

    With its defaults it is `get_cosine_schedule_with_warmup` of transformers.

    Attributes:
        max_value: The value after the warm-up.
        start_value: The value before the first update.
        end_value: The lowest value after the warm-up.
        warmup: Share of the run that the warm-up takes, 0 to 1.
        warmup_steps: Steps that it takes, instead of a share.
        num_cycles: Waves after the warm-up: half a wave only goes down.
    """

    num_cycles: float = 0.5

    def _factor(self, rest: float) -> float:
        return max(0.0, 0.5 * (1.0 + math.cos(2.0 * math.pi * self.num_cycles * rest)))


@registry.schedules.register("one_cycle")
@dataclass
class OneCycle(Schedule):
    """Up along a cosine, then far down along another (Smith and Topin, 2018).

    Where the number of steps is known it is torch's `OneCycleLR`, which is at its lowest in the
    *last* update. Momentum is not cycled along.

    Attributes:
        max_value: The largest value.
        pct_start: Share of the run that the way up takes, 0 to 1.
        div_factor: The first value is the largest one divided by this.
        final_div_factor: The last value is the first one divided by this.
    """

    max_value: float
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        _check_share("pct_start", self.pct_start)
        for name in ("div_factor", "final_div_factor"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: expected more than 0, got {getattr(self, name)}")

    @property
    def peak(self) -> float:
        """The largest value."""
        return self.max_value

    def value(self, progress: Progress) -> float:
        """Return the value for the update that comes next."""
        first = self.max_value / self.div_factor
        if progress.total_steps is None:
            done, top, last = progress.fraction, self.pct_start, 1.0
        else:
            done, last = float(progress.step), progress.total_steps - 1.0
            top = self.pct_start * progress.total_steps - 1.0
        if done < top:
            return _along_cosine(first, self.max_value, done / top)
        rest = min(1.0, (done - top) / (last - top)) if top < last else 1.0
        return _along_cosine(self.max_value, first / self.final_div_factor, rest)


@registry.schedules.register("plateau")
@dataclass
class Plateau(Schedule):
    """A value that is cut when scores stop getting better.

    The score is looked at after every validation. It is better than the best one so far if it is
    higher (with `mode="min"`: lower), or the same with a lower tie-breaker; a score that is not a
    finite number is worse. The value is cut after more than `patience` validations in a row that
    were no better, so a score that never changes is cut at validations 5, 9, 13 with a patience of
    3.

    Attributes:
        start_value: The value before the first cut.
        factor: What a cut multiplies the value by, between 0 and 1.
        patience: Validations in a row that may be no better.
        initial_extra_patience: More of these before the first cut.
        min_value: A cut below this is the last one, and the training may end: `exhausted`.
        monitor: The score, as it is recorded.
        mode: Whether a higher score is better (`"max"`) or a lower one (`"min"`).
        tie_breaker: What decides between equal scores: lower is better; None for nothing.
    """

    start_value: float
    factor: float = 0.5
    patience: int = 3
    initial_extra_patience: int = 0
    min_value: float = 1e-4
    monitor: str = "val/micro_f"
    mode: Literal["max", "min"] = "max"
    tie_breaker: str | None = "val/loss"
    _current: float = field(init=False, repr=False, compare=False)
    _best: list[float] | None = field(default=None, init=False, repr=False, compare=False)
    _num_bad: int = field(default=0, init=False, repr=False, compare=False)
    _num_cuts: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._current = self.start_value
        if not 0 < self.factor < 1:
            raise ConfigError(f"factor: expected a number between 0 and 1, got {self.factor}")
        if not self.start_value >= self.min_value:
            raise ConfigError(
                f"start_value: {self.start_value} is below min_value ({self.min_value}), where a "
                "plateau ends: lower min_value"
            )
        for name in ("patience", "initial_extra_patience"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}: expected 0 or more, got {getattr(self, name)}")

    @property
    def peak(self) -> float:
        """The value before the first cut."""
        return self.start_value

    @property
    def num_cuts(self) -> int:
        """How often the value was cut."""
        return self._num_cuts

    @property
    def exhausted(self) -> bool:
        """Whether the last cut went below the minimum, and there are no more."""
        return self._current < self.min_value

    def value(self, progress: Progress) -> float:
        """Return the value after the cuts so far, whatever the progress."""
        return self._current

    def observe(self, score: float, loss: float | None = None) -> bool:
        """Look at the scores of a validation.

        Args:
            score: What `monitor` names.
            loss: What `tie_breaker` names, if anything.

        Returns:
            Whether the value was cut.
        """
        if self._is_better(score, loss):
            self._num_bad = 0
            return False
        self._num_bad += 1
        patience = self.patience + (0 if self._num_cuts else self.initial_extra_patience)
        if self._num_bad <= patience or self.exhausted:
            return False
        self._current *= self.factor
        self._num_cuts += 1
        self._num_bad = 0
        return True

    def _is_better(self, score: float, loss: float | None) -> bool:
        """Compare with the best so far, and keep what is better; lower is better inside."""
        if not math.isfinite(score):
            return False
        has_loss = loss is not None and math.isfinite(loss)
        item = [-score if self.mode == "max" else score, *([loss] if has_loss else [])]
        best = self._best
        # a score whose loss is known is better than the same one whose loss is not
        if best is not None and (*item, math.inf) >= (*best, math.inf):
            return False
        self._best = item  # type: ignore[assignment]
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the value, the best scores and the counts, as plain data."""
        return {
            "value": self._current,
            "best": self._best,
            "num_bad": self._num_bad,
            "num_cuts": self._num_cuts,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            CheckpointError: It is the state of another kind of schedule.
        """
        super().load_state_dict(state)
        self._current, self._best = state["value"], state["best"]
        self._num_bad, self._num_cuts = state["num_bad"], state["num_cuts"]


def _between(low: float, high: float, share: float) -> float:
    """Return the value between two, exactly these at 0 and 1."""
    return low * (1.0 - share) + high * share


def _along_cosine(first: float, last: float, share: float) -> float:
    """Return the value on the way from one to another, as torch's `OneCycleLR` does."""
    return last + (first - last) / 2.0 * (math.cos(math.pi * share) + 1.0)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigError(f"{name}: expected a share of the run, 0 to 1, got {value}")
