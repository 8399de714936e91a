"""map_batches: a function, group by group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from edspipe.stream.batching import BatchSize
from edspipe.stream.hooks import WrongValue
from edspipe.stream.markers import Item
from edspipe.stream.ops.batchify import as_batch
from edspipe.stream.ops.grouping import BatchOp
from edspipe.stream.ops.op import Run, name_of
from edspipe.stream.settings import Settings


class MapBatches(BatchOp):
    """Calls a function on lists of items; what it returns or yields becomes items.

    Groups are made inside chunks whose size does not depend on the workers. How items are grouped
    should not show in the result.

    Args:
        function: Gets a list of values.
        size: How large the lists are.
        kwargs: Further arguments of each call.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        size: BatchSize,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.size = size
        self.kwargs = dict(kwargs or {})
        self.stage = f"map_batches({name_of(function)})"

    def batch_size(self, settings: Settings) -> BatchSize:
        return self.size

    def call(self, batch: list[Item], run: Run) -> list[Item]:
        result = self.function([item.value for item in batch], **self.kwargs)
        if not isinstance(result, Iterable) or isinstance(result, (str, bytes, dict)):
            raise WrongValue(
                f"map_batches expects a list or generator back, got {type(result).__name__}"
            )
        values = list(result)
        if len(values) == len(batch):
            return [item._replace(value=v) for item, v in zip(batch, values, strict=True)]
        whole = as_batch(batch)
        run.books.branch(whole, len(values))
        return [whole._replace(value=v, sub=(*whole.sub, i)) for i, v in enumerate(values)]
