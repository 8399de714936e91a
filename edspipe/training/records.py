"""Records: every number that a training tells about itself, on one bus.

    records.log("loss", 0.31, step=20, split="train")      # anyone may log
    records.latest("val/micro_f")                           # callbacks look things up
    records.flush(step)                                     # loggers get what the step brought

A name is written `split/name` where it stands alone: `train/loss`, `val/micro_f`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

TRAIN, VAL, TEST, WEIGHTS = "train", "val", "test", "weights"


@dataclass(frozen=True)
class Record:
    """One number.

    Attributes:
        name: What it is, e.g. `"loss"` or `"micro_f"`.
        value: The number.
        step: Optimizer steps that were taken before or with it, from 1.
        split: `"train"`, `"val"`, `"test"` or `"weights"`.
    """

    name: str
    value: float
    step: int
    split: str = TRAIN

    @property
    def key(self) -> str:
        """The name with its split, e.g. `"val/micro_f"`."""
        return f"{self.split}/{self.name}"


class Logger(Protocol):
    """Takes records somewhere. The trainer calls `start`, `write` after every step, and `close`.

    A logger may have a method `check(info)` too: it is called before documents are read, and raises
    where what the logger writes to cannot be used.
    """

    def start(self, info: Any) -> None:
        """Begin a run, or go on with one.

        Args:
            info: A `RunInfo`.
        """

    def write(self, records: Sequence[Record]) -> None:
        """Take the records of one step, in the order in which they were logged."""

    def close(self, status: str) -> None:
        """End.

        Args:
            status: `"finished"`, `"interrupted"` or `"failed"`.
        """


@dataclass(frozen=True)
class RunInfo:
    """What a logger knows of the run.

    Attributes:
        output_dir: The folder of the run, as text.
        config: The resolved config, as plain nested data.
        first_step: Steps that were taken before; more than 0 in a run that is resumed. What a
            logger has of later steps is from a run that was killed, and is to be dropped.
    """

    output_dir: str
    config: dict[str, Any]
    first_step: int = 0


class Records:
    """The bus.

    Args:
        loggers: Who reads it.
    """

    def __init__(self, loggers: Iterable[Logger] = ()) -> None:
        self.loggers = list(loggers)
        self._latest: dict[str, Record] = {}
        self._pending: list[Record] = []

    def log(self, name: str, value: float, *, step: int, split: str = TRAIN) -> None:
        """Tell a number."""
        record = Record(name, float(value), step, split)
        self._latest[record.key] = record
        self._pending.append(record)

    def latest(self, key: str) -> Record | None:
        """Return the record of a name (with its split) that came last."""
        return self._latest.get(key)

    def names(self) -> list[str]:
        """Return the names, with their splits, that were recorded so far."""
        return list(self._latest)

    def check(self, info: RunInfo) -> None:
        """Let the loggers look whether they can begin, before anything is read."""
        for logger in self.loggers:
            if hasattr(logger, "check"):
                logger.check(info)

    def start(self, info: RunInfo) -> None:
        """Let the loggers begin."""
        for logger in self.loggers:
            logger.start(info)

    def flush(self) -> None:
        """Hand the loggers what came since the last time."""
        pending, self._pending = self._pending, []
        if pending:
            for logger in self.loggers:
                logger.write(pending)

    def close(self, status: str) -> None:
        """Let the loggers end."""
        self.flush()
        for logger in self.loggers:
            logger.close(status)

    def state_dict(self) -> dict[str, Any]:
        """Return the latest records as plain data."""
        return {key: [record.value, record.step] for key, record in self._latest.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._latest = {}
        for key, (value, step) in state.items():
            split, _, name = key.partition("/")
            self._latest[key] = Record(name, value, step, split)
