"""console: a table with a row for each validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter

from tqdm import tqdm

from edspipe.config.registry import registry
from edspipe.training.records import TEST, TRAIN, VAL, Record, RunInfo

SCORES = ("micro_p", "micro_r", "micro_f")
"""Shown where there is one metric; of several metrics, the last of these is."""
OF_ONE = ("accuracy", "macro_f")
"""Shown of a metric that has no micro average."""
MAX_SCORES = 4
WIDTH = 10
"""Characters of a column, if its name is not longer."""


@registry.loggers.register("console")
class ConsoleLogger:
    """Prints a row for each validation: step, epoch, losses, scores, learning rate, seconds.

    The training loss is the mean of what was recorded since the row before; the learning rate is
    the largest one, where there are several. A bar of tqdm stays below the table.

    Args:
        scores: Names of scores to show, without their split; None shows the micro average, or
            accuracy and macro F1.
    """

    def __init__(self, scores: list[str] | None = None) -> None:
        self.scores = scores
        self._columns: list[str] = []
        self._losses: list[float] = []
        self._epoch: float | None = None
        self._rates: dict[str, float] = {}
        self._shown: tuple[str, int] | None = None
        self._start = perf_counter()

    def start(self, info: RunInfo) -> None:
        """Begin to count the seconds."""
        self._start = perf_counter()

    def write(self, records: Sequence[Record]) -> None:
        """Take note of the training, and print a row if there are scores."""
        for record in records:
            if record.split == TRAIN:
                self._note(record)
        for split in (VAL, TEST):
            found = {r.name: r.value for r in records if r.split == split}
            step = max((r.step for r in records if r.split == split), default=0)
            if found and self._shown != (split, step):
                self._shown = split, step
                self._print(split, step, found)

    def close(self, status: str) -> None:
        """Do nothing."""

    def _note(self, record: Record) -> None:
        if record.name == "loss":
            self._losses.append(record.value)
        elif record.name == "epoch":
            self._epoch = record.value
        elif record.name.partition("/")[0] == "lr":
            self._rates[record.name] = record.value

    def _print(self, split: str, step: int, found: Mapping[str, float]) -> None:
        scores = self._choose(found)
        row = {
            "split": split,
            "step": str(step),
            "epoch": _format(self._epoch, ".2f"),
            "train loss": _format(_mean(self._losses), ".4f"),
            f"{split} loss": _format(found.get("loss"), ".4f"),
            **{name: _format(found.get(name), ".4f") for name in scores},
            "lr": _format(max(self._rates.values(), default=None), ".2e"),
            "seconds": f"{perf_counter() - self._start:.0f}",
        }
        if split == VAL:
            self._losses.clear()
        if self._columns != list(row):
            self._columns = list(row)
            tqdm.write(_line(self._columns, self._columns))
        tqdm.write(_line(self._columns, row.values()))

    def _choose(self, found: Mapping[str, float]) -> list[str]:
        if self.scores is not None:
            return self.scores
        averages = [name for name in found if name.rpartition("/")[2] == SCORES[-1]]
        if len(averages) == 1:
            prefix = averages[0].removesuffix(SCORES[-1])
            averages = [prefix + name for name in SCORES if prefix + name in found]
        if not averages and all(name in found for name in OF_ONE):
            return list(OF_ONE)
        others = [name for name in found if name.partition("/")[0] != "loss"]
        return (averages or others)[:MAX_SCORES]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _format(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)


def _line(columns: Iterable[str], cells: Iterable[str]) -> str:
    """Return cells, each under its column."""
    pairs = zip(columns, cells, strict=True)
    return " ".join(cell.rjust(max(WIDTH, len(column))) for column, cell in pairs)
