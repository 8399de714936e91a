"""map_gpu: prepare in workers, one device step in the main process, then finish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edspipe.stream.batching import BatchSize, group
from edspipe.stream.markers import Item
from edspipe.stream.ops.map_batches import apply_to_batch
from edspipe.stream.ops.op import LocalOp, Run, batch_chunk, name_of


class MapDevice(LocalOp):
    """Runs `forward` on groups of prepared items, then `postprocess` on what went in and came out.

    Args:
        prepare: Item -> features, or None.
        forward: List of features -> result.
        postprocess: `(items, result)` -> items; None takes the result's members as items.
        size: Items a device step.
    """

    def __init__(
        self,
        prepare: Callable[[Any], Any] | None,
        forward: Callable[[list[Any]], Any],
        postprocess: Callable[[list[Any], Any], Any] | None,
        size: BatchSize,
    ) -> None:
        self.prepare = prepare
        self.forward = forward
        self.postprocess = postprocess
        self.size = size
        self.stage = f"map_gpu({name_of(forward)})"
        self.chunk_items = batch_chunk(size)

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        out: list[Item] = []
        for batch in group(items, self.size, key=lambda item: item.value):
            out.extend(apply_to_batch(self, batch, run))
        return out

    def call(self, batch: list[Item], run: Run) -> list[Item]:
        """Run the three steps on one batch."""
        values = [item.value for item in batch]
        features = values if self.prepare is None else [self.prepare(value) for value in values]
        result = self.forward(features)
        if self.postprocess is not None:
            result = self.postprocess(values, result)
        return [item._replace(value=value) for item, value in zip(batch, result, strict=True)]
