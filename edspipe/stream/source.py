"""Where the items of a stream come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
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

    def __post_init__(self) -> None:
        items = self.items
        if isinstance(items, (str, bytes)) or not (callable(items) or isinstance(items, Iterable)):
            raise TypeError(
                f"a stream reads a list or another iterable, or a function that returns one; "
                f"got {type(items).__name__}"
            )

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
        weights = np.array(self.weights, dtype=float)
        index = 0
        with ExitStack() as stack:
            seeded = [_with_seed(stream, int(rng.integers(2**63))) for stream in self.streams]
            iterators = [stack.enter_context(iter(stream)) for stream in seeded]
            while weights.any():
                chosen = int(rng.choice(len(iterators), p=weights / weights.sum()))
                for value in iterators[chosen]:
                    yield Item(value, epoch, index)
                    index += 1
                    break
                else:
                    weights[chosen] = 0

    def check_repeatable(self) -> None:
        """Refuse to loop over what can be read only once."""
        for stream in self.streams:
            stream.source.check_repeatable()


def _with_seed(stream: Any, seed: int) -> Any:
    """Return a stream whose random ops depend on the mix; a seed of its own stays."""
    return stream if stream.settings.seed is not None else stream.set_processing(seed=seed)


Source = IterableSource | MixSource
