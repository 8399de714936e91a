"""map_gpu: prepare in workers, one device step in the main process, then finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from edspipe.stream.batching import BatchSize
from edspipe.stream.hooks import id_of, register_describer
from edspipe.stream.markers import EndOfEpoch, Event, Item
from edspipe.stream.ops.grouping import apply_to_batch, batches
from edspipe.stream.ops.op import LocalOp, OrderedOp, Run, name_of


class Prepared(NamedTuple):
    """An item and its features."""

    value: Any
    features: Any


register_describer(Prepared, lambda prepared: id_of(prepared.value))


class Prepare(LocalOp):
    """Computes the features of each item.

    Args:
        function: Item -> features; None takes the item itself.
    """

    def __init__(self, function: Callable[[Any], Any] | None) -> None:
        self.function = function
        self.stage = "map_gpu" if function is None else f"map_gpu({name_of(function)})"

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        out: list[Item] = []
        for item in items:
            with run.guard(self.stage, [item]):
                features = item.value if self.function is None else self.function(item.value)
                out.append(item._replace(value=Prepared(item.value, features)))
        return out


class DeviceStep(OrderedOp):
    """Runs `forward` on groups of features, then `postprocess` on what went in and came out.

    Args:
        forward: List of features -> result.
        postprocess: `(items, result)` -> items; None takes the result's members as items.
        size: Items a step.
    """

    def __init__(
        self,
        forward: Callable[[list[Any]], Any],
        postprocess: Callable[[list[Any], Any], Any] | None,
        size: BatchSize,
    ) -> None:
        self.forward = forward
        self.postprocess = postprocess
        self.size = size
        self.stage = f"map_gpu({name_of(forward)})"

    def run(self, events: Iterator[Event], run: Run) -> Iterator[Event]:
        for batch in batches(events, self.size, self.stage, run):
            if isinstance(batch, EndOfEpoch):
                yield batch
            else:
                yield from apply_to_batch(self, batch, run)

    def call(self, batch: list[Item], run: Run) -> list[Item]:
        """Run both steps on one batch."""
        result = self.forward([item.value.features for item in batch])
        if self.postprocess is not None:
            result = self.postprocess([item.value.value for item in batch], result)
        return [item._replace(value=value) for item, value in zip(batch, result, strict=True)]
