"""Batch sizes with units, and the one rule for closing a batch.

`"32 docs"`, `"2000 words"`, `"4096 padded_words"`, `"dataset"`, `"fragment"`, or a number with
`batch_by=` a unit or a function that measures an item. A batch closes *before* the item that
would overflow it; an item larger than the limit goes alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

from edspipe.errors import did_you_mean
from edspipe.stream.hooks import WrongValue, count_words
from edspipe.stream.markers import Item

BatchBy = str | Callable[[Any], float]

DATASET = "dataset"
FRAGMENT = "fragment"

UNITS = ("docs", "items", "words", "padded_words", DATASET, FRAGMENT)
_ALIASES = {"doc": "docs", "item": "items", "word": "words", "padded_word": "padded_words"}


class BatchSize:
    """A limit and how items count towards it.

    Args:
        batch_size: A number, or a string `"<number> <unit>"` or `"dataset"`.
        batch_by: A unit, or a function item -> size, where `batch_size` is a number.

    Raises:
        ValueError: The size is not positive, or the unit does not exist.
    """

    def __init__(self, batch_size: int | str | None, batch_by: BatchBy | None = None) -> None:
        limit, unit = _parse(batch_size)
        if unit is not None and batch_by is not None:
            raise ValueError(
                f"batch_size={batch_size!r} has a unit already; leave out batch_by={batch_by!r}"
            )
        by = batch_by if batch_by is not None else unit if unit is not None else "docs"
        if isinstance(by, str):
            by = _ALIASES.get(by, by)
            if by not in UNITS:
                raise ValueError(
                    f"no unit '{by}' for batches.{did_you_mean(by, UNITS)} "
                    f"Units are: {', '.join(UNITS)}"
                )
        self.by: BatchBy = by
        self.whole_epoch = by in (DATASET, FRAGMENT)
        self.limit = math.inf if self.whole_epoch else limit

    def __repr__(self) -> str:
        if self.whole_epoch:
            return str(self.by)
        name = self.by if isinstance(self.by, str) else getattr(self.by, "__name__", "custom")
        return f"{self.limit:g} {name}"

    def measure(self, value: Any) -> float:
        """Return how much an item counts.

        Raises:
            WrongValue: It cannot be measured.
        """
        if self.whole_epoch or self.by in ("docs", "items"):
            return 1
        if not callable(self.by):
            return count_words(value)
        measure = self.by(value)
        if not isinstance(measure, Real) or not measure >= 0:
            raise WrongValue(
                f"batch_by= returns the size of an item, a number that is 0 or more; "
                f"it returned a {type(measure).__name__}"
            )
        return float(measure)

    def total(self, count: int, total: float, largest: float, size: float) -> float:
        """Return the size of a batch once an item of `size` joins `count` items."""
        if self.by == "padded_words":
            return (count + 1) * max(largest, size)
        return total + size


def _parse(batch_size: int | str | None) -> tuple[float, str | None]:
    if batch_size is None:
        return 32, None
    if isinstance(batch_size, str):
        text = batch_size.strip()
        if text in (DATASET, FRAGMENT):
            return math.inf, text
        number, _, unit = text.partition(" ")
        try:
            value: float = int(number.replace("_", ""))
        except ValueError:
            raise ValueError(
                f"a batch size is a number and a unit, as '32 docs' or '2000 words', or "
                f"'dataset'; got {batch_size!r}"
            ) from None
        name: str | None = unit.strip() or None
    else:
        value, name = batch_size, None
    if not value > 0:
        raise ValueError(f"a batch size is positive, got {batch_size!r}")
    return value, name


class OpenBatch:
    """A batch that is being filled.

    Args:
        size: The limit.
    """

    def __init__(self, size: BatchSize) -> None:
        self.size = size
        self.items: list[Item] = []
        self.total = self.largest = 0.0

    def has_room(self, measure: float) -> bool:
        """Whether an item of this measure may join; an empty batch takes any."""
        total = self.size.total(len(self.items), self.total, self.largest, measure)
        return not self.items or total <= self.size.limit

    def add(self, item: Item, measure: float) -> None:
        """Take an item in."""
        self.items.append(item)
        self.total += measure
        self.largest = max(self.largest, measure)


class StatSize:
    """Measures features by one of their statistics; a class, so that it pickles.

    Args:
        name: The statistic, e.g. `"tokens"`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.__name__ = name

    def __call__(self, features: Any) -> float:
        stats = features.get("stats") if isinstance(features, dict) else None
        if not isinstance(stats, dict) or self.name not in stats:
            known = sorted(stats) if isinstance(stats, dict) else []
            raise WrongValue(
                f"stat_batchify('{self.name}') measures features by stats['{self.name}'], which "
                f"this {type(features).__name__} does not have; it has: {', '.join(known) or '-'}."
                " Put .map(nlp.preprocess, ...) before .batchify(...)"
            )
        return stats[self.name]


def stat_batchify(name: str) -> StatSize:
    """Return a measure for `batch_by=` that sums the features' statistic of that name.

    ```python
    stream.map(nlp.preprocess).batchify(batch_size=4096, batch_by=stat_batchify("tokens"))
    ```
    """
    return StatSize(name)
