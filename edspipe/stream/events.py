"""Iterators over events that know their position.

All state of a run lies in iterators, one a stage, each of which reads from the one before.
`get_state` returns a position as small plain data (never items); after `set_state` the same events
come as if the iterator had never stopped. Who groups or reorders events goes back to where its
buffer began, and makes it again.
"""

from __future__ import annotations

from math import inf
from typing import Any

from edspipe.stream.account import Account
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

    The position is that of the source when the buffer was begun, how many events of the buffer were
    handed out, and of how many items it was made: another executor, which makes buffers of other
    sizes, may go on from the position of this one.

    Args:
        source: What is read.
        account: The books: told of the items that are passed over when a position is restored.
        size: Items that a buffer is made of.
    """

    def __init__(self, source: Events, account: Account, size: int | float) -> None:
        self.source = source
        self.size = size
        self._account = account
        self._begin: Any = None
        self._made_of = size
        self._restored_size: int | float | None = None
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
            return [self._next_begin(), 0, None if self.size == inf else self.size]
        return [self._begin, self._taken, None if self._made_of == inf else self._made_of]

    def _next_begin(self) -> Any:
        """Return the position of the source at which the next buffer begins."""
        return self.source.get_state()

    def next_size(self) -> int | float:
        """Return of how many items the next buffer is made: as it was while a position is being
        restored, else as usual."""
        restored = self._restored_size if self._account.muted else None
        return self.size if restored is None else restored

    def set_state(self, state: Any) -> None:
        begin, taken, size = state
        self.source.set_state(begin)
        self._restored_size = inf if size is None else size
        if taken:
            self._make_again()
        for event in self._buffer[:taken]:
            if isinstance(event, Item):
                self._account.deliver(event)
        self._taken = taken

    def _make_again(self) -> None:
        """Make the buffer of a restored position, and no more."""
        self._refill()


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
