"""map_gpu: prepare in workers, one device step, then finish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from edspipe.stream.batching import BatchSize
from edspipe.stream.hooks import id_of, register_describer
from edspipe.stream.markers import Item
from edspipe.stream.ops.grouping import BatchOp
from edspipe.stream.ops.op import LocalOp, Run, name_of
from edspipe.stream.settings import Settings


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


class DeviceStep(BatchOp):
    """Runs `forward` on groups of features, then `postprocess` on what went in and came out.

    Args:
        forward: List of features -> result.
        postprocess: `(items, result)` -> items; None takes the result's members as items.
        size: Items a step.
    """

    on_device = True

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

    def batch_size(self, settings: Settings) -> BatchSize:
        return self.size

    def call(self, batch: list[Item], run: Run) -> list[Item]:
        """Run both steps on one batch."""
        result = self.forward([item.value.features for item in batch])
        if self.postprocess is not None:
            result = self.postprocess([item.value.value for item in batch], result)
        return [item._replace(value=value) for item, value in zip(batch, result, strict=True)]

    def worker_init(self) -> None:
        for function in (self.forward, self.postprocess):
            getattr(getattr(function, "__self__", function), "worker_init", lambda: None)()
