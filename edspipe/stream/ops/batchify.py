"""batchify: groups become items."""

from __future__ import annotations

from collections.abc import Iterator

from edspipe.stream.batching import BatchSize
from edspipe.stream.markers import EndOfEpoch, Event
from edspipe.stream.ops.grouping import batches
from edspipe.stream.ops.op import OrderedOp, Run


class Batchify(OrderedOp):
    """Groups the ordered items, so that batches are the same whatever the workers.

    In a loop, a batch may cross the end of an epoch (but not one of `"dataset"`); it carries the
    place of its last item.

    Args:
        size: How large the batches are.
    """

    stage = "batchify"
    spans_epochs = True

    def __init__(self, size: BatchSize) -> None:
        self.size = size

    def run(self, events: Iterator[Event], run: Run) -> Iterator[Event]:
        across = run.looping and not self.size.whole_epoch
        for batch in batches(events, self.size, self.stage, run, across_epochs=across):
            if isinstance(batch, EndOfEpoch):
                yield batch
            else:
                yield batch[-1]._replace(value=[item.value for item in batch])
