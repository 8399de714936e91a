"""take: the first items."""

from __future__ import annotations

from collections.abc import Iterator

from edspipe.stream.markers import EndOfEpoch, Event
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

    def run(self, events: Iterator[Event], run: Run) -> Iterator[Event]:
        left, epoch = self.number, 0
        goes_on = self.per_epoch and run.looping  # then each epoch is read to its end
        while left > 0 or goes_on:
            event = next(events, None)
            if event is None:
                return
            epoch = event.epoch
            if isinstance(event, EndOfEpoch):
                left = self.number if self.per_epoch else left
                yield event
            elif left > 0:
                left -= 1
                yield event
        yield EndOfEpoch(epoch)
