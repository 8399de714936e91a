"""Where the items of a stream come from, and how each source is found again at a position.

A source is a description; `read` returns a `Reading`, which holds the position. A position is
small plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np

from edspipe.errors import DataError
from edspipe.stream.hooks import id_of, identity_of
from edspipe.stream.markers import EndOfFragment, Event, Item


class Reading(Protocol):
    """One epoch of a source, being read."""

    def __iter__(self) -> Iterator[Event]: ...
    def __next__(self) -> Event: ...

    def get_state(self) -> Any:
        """Return the position behind the last item, as plain data."""

    def set_state(self, state: Any) -> None:
        """Go to a position, before the first item is read."""

    def close(self) -> None:
        """Close files."""


class Source(Protocol):
    """Where items come from."""

    def read(self, epoch: int, seed: int) -> Reading:
        """Begin an epoch."""

    def check_repeatable(self) -> None:
        """Refuse to loop over what can be read only once."""

    def num_items(self) -> int | None:
        """Return how many items an epoch has, None where that takes reading them."""


@dataclass(frozen=True)
class IterableSource:
    """Items of any iterable; a list can be read again and again, a generator only once.

    Attributes:
        items: The iterable, or a function without arguments that returns a fresh one.
    """

    items: Iterable[Any] | Callable[[], Iterable[Any]] = field(repr=False)

    def __post_init__(self) -> None:
        items = self.items
        if isinstance(items, (str, bytes)) or not (callable(items) or isinstance(items, Iterable)):
            raise TypeError(
                f"a stream reads a list or another iterable, or a function that returns one; "
                f"got {type(items).__name__}"
            )

    def read(self, epoch: int, seed: int) -> Reading:
        return _IterableReading(self, epoch)

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

    def num_items(self) -> int | None:
        return len(self.items) if isinstance(self.items, Sequence) else None


class _IterableReading:
    def __init__(self, source: IterableSource, epoch: int) -> None:
        self._source = source
        self._epoch = epoch
        self._index = 0
        self._values: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._values is None:
            items = self._source.items
            self._values = iter(items() if callable(items) else items)
        value = next(self._values)
        self._index += 1
        return Item(value, self._epoch, self._index - 1)

    def get_state(self) -> Any:
        return self._index

    def set_state(self, state: Any) -> None:
        items = self._source.items
        if isinstance(items, Iterator):
            raise TypeError(
                "a generator cannot be read again from a position: pass a list, or a function "
                "that returns a fresh generator"
            )
        self._index = state
        if isinstance(items, Sequence):
            self._values = iter(items[state:])  # a slice: what came before is not touched
        else:
            self._values = islice(items() if callable(items) else items, state, None)

    def close(self) -> None:
        if isinstance(self._values, Iterator) and hasattr(self._values, "close"):
            self._values.close()


class Fragment(Protocol):
    """A part of a source that is read on its own: a file, or a group of its rows."""

    name: str

    def read(self, start: int = 0) -> Iterator[Any]:
        """Yield the items from a number on; what comes before is skipped as cheaply as it can."""

    def num_items(self) -> int | None:
        """Return how many items it has, None where that takes reading them."""


@dataclass(frozen=True)
class FragmentSource:
    """Items of files, or of other fragments, one fragment after the other.

    Attributes:
        fragments: The fragments.
        shuffled: Read them in another order each epoch, which depends on seed and epoch only.
        seed: Seed of that order; None takes the seed of the run.
    """

    fragments: Sequence[Fragment]
    shuffled: bool = False
    seed: int | None = None

    def read(self, epoch: int, seed: int) -> Reading:
        order: list[int] = list(range(len(self.fragments)))
        if self.shuffled:
            base = seed if self.seed is None else self.seed
            order = np.random.default_rng([base, epoch]).permutation(len(order)).tolist()
        return _FragmentReading([self.fragments[i] for i in order], epoch)

    def check_repeatable(self) -> None:
        """Files can be read again."""

    def num_items(self) -> int | None:
        counts = [fragment.num_items() for fragment in self.fragments]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None


class _FragmentReading:
    """Reads fragments in turn. Position: number of the fragment, items of it, items in all."""

    def __init__(self, fragments: Sequence[Fragment], epoch: int) -> None:
        self._fragments = fragments
        self._epoch = epoch
        self._number = self._start = self._index = 0
        self._values: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._number == len(self._fragments):
            raise StopIteration
        if self._values is None:
            self._values = self._fragments[self._number].read(self._start)
        for value in self._values:
            self._start += 1
            self._index += 1
            return Item(value, self._epoch, self._index - 1)
        self._number, self._start, self._values = self._number + 1, 0, None
        return EndOfFragment(self._epoch, self._number - 1)

    def get_state(self) -> Any:
        return [self._number, self._start, self._index]

    def set_state(self, state: Any) -> None:
        self.close()
        self._number, self._start, self._index = state
        self._values = None

    def close(self) -> None:
        close = getattr(self._values, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True)
class OnlySource:
    """Some items of another source, with the places that they have there.

    Attributes:
        source: The source.
        wanted: The sha256 of each wanted item by its index, None where it is not known.
    """

    source: Source
    wanted: Mapping[int, str | None]

    def read(self, epoch: int, seed: int) -> Reading:
        return _OnlyReading(self.source.read(epoch, seed), self.wanted)

    def check_repeatable(self) -> None:
        """Refuse to loop over what can be read only once."""
        self.source.check_repeatable()

    def num_items(self) -> int | None:
        return len(self.wanted)


class _OnlyReading:
    def __init__(self, reading: Reading, wanted: Mapping[int, str | None]) -> None:
        self._reading = reading
        self._wanted = wanted

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        for event in self._reading:
            if not isinstance(event, Item):
                return event
            if event.source_index in self._wanted:
                self._check(event)
                return event
        raise StopIteration

    def _check(self, item: Item) -> None:
        expected = self._wanted[item.source_index]
        found = identity_of(item.value).sha256
        if expected is not None and found is not None and found != expected:
            raise DataError(
                f"item {item.source_index} of the source is not the one that was left out (another "
                "sha256): the source has changed since then",
                id=id_of(item.value),
            )

    def get_state(self) -> Any:
        return self._reading.get_state()

    def set_state(self, state: Any) -> None:
        self._reading.set_state(state)

    def close(self) -> None:
        self._reading.close()


@dataclass(frozen=True)
class MixSource:
    """Items of several streams, drawn at random by weight until all have ended.

    Attributes:
        streams: The streams, each read in this process.
        weights: How often each is drawn, relative to the others.
    """

    streams: Sequence[Any]
    weights: Sequence[float]

    def read(self, epoch: int, seed: int) -> Reading:
        return _MixReading(self, epoch, seed)

    def check_repeatable(self) -> None:
        """Refuse to loop over what can be read only once."""
        for stream in self.streams:
            stream.source.check_repeatable()

    def num_items(self) -> int | None:
        return None


class _MixReading:
    """Draws from each stream in its own order. Position: those of the streams, and what is left."""

    def __init__(self, source: MixSource, epoch: int, seed: int) -> None:
        self._epoch = epoch
        self._rng = np.random.default_rng([seed, epoch])
        self._weights = np.array(source.weights, dtype=float)
        seeds = [int(self._rng.integers(2**63)) for _ in source.streams]
        streams = [_with_seed(s, i) for s, i in zip(source.streams, seeds, strict=True)]
        self._index = 0
        with ExitStack() as stack:
            self._iterators = [stack.enter_context(iter(stream)) for stream in streams]
            self._stack = stack.pop_all()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while self._weights.any():
            weights = self._weights / self._weights.sum()
            chosen = int(self._rng.choice(len(weights), p=weights))
            for value in self._iterators[chosen]:
                self._index += 1
                return Item(value, self._epoch, self._index - 1)
            self._weights[chosen] = 0
        raise StopIteration

    def get_state(self) -> Any:
        return {
            "streams": [iterator.get_state() for iterator in self._iterators],
            "weights": self._weights.tolist(),
            "rng": self._rng.bit_generator.state,
            "index": self._index,
        }

    def set_state(self, state: Any) -> None:
        for iterator, one in zip(self._iterators, state["streams"], strict=True):
            iterator.set_state(one)
        self._weights = np.array(state["weights"])
        self._rng.bit_generator.state = state["rng"]
        self._index = state["index"]

    def close(self) -> None:
        self._stack.close()


def _with_seed(stream: Any, seed: int) -> Any:
    """Return a stream whose random ops depend on the mix; a seed of its own stays."""
    return stream if stream.settings.seed is not None else stream.set_processing(seed=seed)
