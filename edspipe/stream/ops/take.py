"""take: the first items."""

from __future__ import annotations

from typing import Any

from edspipe.stream.events import Events
from edspipe.stream.markers import EndOfEpoch, Event, Item
from edspipe.stream.ops.op import OrderedOp, Run


class Take(OrderedOp):
    """Lets the first items through.

    Args:
        number: How many.
        per_epoch: Count anew in each epoch, rather than end the stream.
    """

    stage = "take"

    def __init__(self, number: int, per_epoch: bool) -> None:
        if number < 0:
            raise ValueError(f"take expects a number of items, 0 or more, got {number}")
        self.number = number
        self.per_epoch = per_epoch
        self.spans_epochs = not per_epoch

    def iterate(self, events: Events, run: Run) -> Events:
        return _Taken(self, events, run)


class _Taken(Events):
    """Position: that of the source, and how many items may still pass."""

    def __init__(self, op: Take, source: Events, run: Run) -> None:
        self.op = op
        self.source = source
        self.run = run
        self._left = op.number
        self._epoch = 0
        self._ended = False

    def __next__(self) -> Event:
        goes_on = self.op.per_epoch and self.run.looping  # then each epoch is read to its end
        while not self._ended:
            if self._left == 0 and not goes_on:
                self._ended = self.run.cut_short = True
                return EndOfEpoch(self._epoch)
            event = next(self.source)
            self._epoch = event.epoch
            if isinstance(event, EndOfEpoch):
                self._left = self.op.number if self.op.per_epoch else self._left
                return event
            if not isinstance(event, Item):
                return event
            if self._left > 0:
                self._left -= 1
                return event
            self.run.books.drop(event, "filtered")
        raise StopIteration

    def get_state(self) -> Any:
        return [self.source.get_state(), self._left, self._epoch, self._ended]

    def set_state(self, state: Any) -> None:
        position, self._left, self._epoch, self._ended = state
        self.run.cut_short = self._ended
        self.source.set_state(position)
