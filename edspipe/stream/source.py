"""Where the items of a stream come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edspipe.stream.markers import Item


@dataclass(frozen=True)
class IterableSource:
    """Items of any iterable; a list can be read again and again, a generator only once.

    Attributes:
        items: The iterable, or a function without arguments that returns a fresh one.
    """

    items: Iterable[Any] | Callable[[], Iterable[Any]]

    def read(self, epoch: int, seed: int) -> Iterator[Item]:
        """Yield the items of an epoch."""
        values = self.items() if callable(self.items) else self.items
        for index, value in enumerate(values):
            yield Item(value, epoch, index)

    def check_repeatable(self) -> None:
        """Refuse to loop over what can be read only once.

        Raises:
            TypeError: The iterable is an iterator.
        """
        if isinstance(self.items, Iterator):
            raise TypeError(
                "loop() reads its source again and again, and a generator can be read only once: "
                "pass a list, or a function that returns a fresh generator"
            )


@dataclass(frozen=True)
class MixSource:
    """Items of several streams, drawn at random by weight until all have ended.

    Attributes:
        streams: The streams, each read in this process.
        weights: How often each is drawn, relative to the others.
    """

    streams: Sequence[Any]
    weights: Sequence[float]

    def read(self, epoch: int, seed: int) -> Iterator[Item]:
        """Yield the mixed items of an epoch; each stream keeps its own order."""
        rng = np.random.default_rng([seed, epoch])
        iterators = [iter(stream) for stream in self.streams]
        weights = np.asarray(self.weights, dtype=float)
        index = 0
        while weights.sum() > 0:
            chosen = int(rng.choice(len(iterators), p=weights / weights.sum()))
            try:
                value = next(iterators[chosen])
            except StopIteration:
                weights[chosen] = 0
                continue
            yield Item(value, epoch, index)
            index += 1

    def check_repeatable(self) -> None:
        for stream in self.streams:
            stream.source.check_repeatable()


Source = IterableSource | MixSource
