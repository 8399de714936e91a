"""Iterators over events that know their position.

All state of a run lies in iterators, one a stage, each of which reads from the one before.
`get_state` returns a position as small plain data (never items); after `set_state` the same events
come as if the iterator had never stopped. Who groups or reorders events goes back to where its
buffer began, and makes it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edspipe.stream.markers import EndOfEpoch, Event, Item


class Events:
    """Iterates over events."""

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Event:
        raise StopIteration

    def get_state(self) -> Any:
        """Return the position behind the event that came last."""
        raise AssertionError(f"{type(self).__name__} has no position")

    def set_state(self, state: Any) -> None:
        """Go to a position; nothing has been read before."""
        raise AssertionError(f"{type(self).__name__} has no position")


class BufferedEvents(Events):
    """Makes a buffer of events from what it reads, hands it out, makes the next.

    The position is that of the source when the buffer was begun, and how many events of the buffer
    were handed out.

    Args:
        source: What is read.
        skip: Told the items that are passed over when a position is restored.
    """

    def __init__(self, source: Events, skip: Callable[[Item], None]) -> None:
        self.source = source
        self._skip = skip
        self._begin: Any = None
        self._buffer: list[Event] = []
        self._taken = 0

    def fill(self) -> list[Event]:
        """Return the next events; an empty list for "nothing came of it, go on".

        Raises:
            StopIteration: There are no more.
        """
        raise AssertionError(f"{type(self).__name__} does not say how it is filled")

    def __next__(self) -> Event:
        while self._taken == len(self._buffer):
            self._refill()
        self._taken += 1
        return self._buffer[self._taken - 1]

    def _refill(self) -> None:
        self._buffer, self._taken = [], 0
        self._begin = self.source.get_state()
        self._buffer = self.fill()

    def get_state(self) -> Any:
        if self._taken == len(self._buffer):
            return [self.source.get_state(), 0]
        return [self._begin, self._taken]

    def set_state(self, state: Any) -> None:
        begin, taken = state
        self.source.set_state(begin)
        if taken:
            self._refill()
        for event in self._buffer[:taken]:
            if isinstance(event, Item):
                self._skip(event)
        self._taken = taken


class RefuseEmptyEpochs(Events):
    """Passes events on as long as each epoch has items.

    Args:
        source: What is read.
    """

    def __init__(self, source: Events) -> None:
        self.source = source
        self._is_empty = True

    def __next__(self) -> Event:
        event = next(self.source)
        if isinstance(event, EndOfEpoch):
            if self._is_empty:
                raise ValueError(
                    "loop() would wait for ever: the source is empty, or no item of it is let "
                    "through"
                )
            self._is_empty = True
        elif isinstance(event, Item):
            self._is_empty = False
        return event

    def get_state(self) -> Any:
        return [self.source.get_state(), self._is_empty]

    def set_state(self, state: Any) -> None:
        position, self._is_empty = state
        self.source.set_state(position)
