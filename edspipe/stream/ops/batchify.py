"""batchify: groups become items."""

from __future__ import annotations

from collections.abc import Iterator

from edspipe.stream.batching import BatchSize, group_events
from edspipe.stream.markers import Event
from edspipe.stream.ops.op import OrderedOp, Run


class Batchify(OrderedOp):
    """Groups the ordered items, so that batches are the same whatever the workers.

    Args:
        size: How large the batches are.
    """

    stage = "batchify"

    def __init__(self, size: BatchSize) -> None:
        self.size = size

    def run(self, events: Iterator[Event], run: Run) -> Iterator[Event]:
        return group_events(events, self.size)
