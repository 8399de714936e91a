"""shuffle: the items of an epoch in random order, all of them or within a bounded buffer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edspipe.stream.batching import BatchSize
from edspipe.stream.markers import EndOfEpoch, Event, Item
from edspipe.stream.ops.op import OrderedOp, Run


class Shuffle(OrderedOp):
    """Shuffles within each epoch; the order depends on seed and epoch only.

    Args:
        size: The buffer, `"100 docs"`, or `"dataset"`, which holds a whole epoch in memory.
        seed: Seed of its own; None takes the seed of the run.
    """

    stage = "shuffle"

    def __init__(self, size: BatchSize, seed: int | None) -> None:
        if not (size.whole_epoch or size.by in ("docs", "items")):
            raise ValueError(f"shuffle takes 'dataset' or a number of docs, got {size!r}")
        self.limit = size.limit
        self.seed = seed

    def run(self, events: Iterator[Event], run: Run) -> Iterator[Event]:
        buffer: list[Item] = []
        rng = None
        for event in events:
            if rng is None:
                rng = run.rng(self.seed, self.place, event.epoch)
            if isinstance(event, EndOfEpoch):
                yield from _in_random_order(buffer, rng)
                buffer, rng = [], None
                yield event
                continue
            buffer.append(event)
            if len(buffer) > self.limit:
                i = int(rng.integers(len(buffer)))
                buffer[i], buffer[-1] = buffer[-1], buffer[i]
                yield buffer.pop()
        if rng is not None:  # a batch that no later epoch could fill
            yield from _in_random_order(buffer, rng)


def _in_random_order(items: list[Item], rng: np.random.Generator) -> list[Item]:
    return [items[i] for i in rng.permutation(len(items))]
