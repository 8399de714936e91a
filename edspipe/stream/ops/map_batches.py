"""map_batches: a function, group by group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from edspipe.stream.batching import BatchSize, group
from edspipe.stream.markers import Item
from edspipe.stream.ops.op import LocalOp, Run, batch_chunk, name_of


class MapBatches(LocalOp):
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
        self.chunk_items = batch_chunk(size)

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        out: list[Item] = []
        for batch in group(items, self.size, key=lambda item: item.value):
            out.extend(apply_to_batch(self, batch, run))
        return out

    def call(self, batch: list[Item], run: Run) -> list[Item]:
        """Run the function on one batch."""
        result = self.function([item.value for item in batch], **self.kwargs)
        if not isinstance(result, Iterable) or isinstance(result, (str, bytes, dict)):
            raise TypeError(
                f"{self.stage}: a list or generator is expected back, got {type(result).__name__}"
            )
        values = list(result)
        if len(values) == len(batch):
            return [item._replace(value=v) for item, v in zip(batch, values, strict=True)]
        last = batch[-1]
        return [last._replace(value=v, sub=(*last.sub, i)) for i, v in enumerate(values)]


def apply_to_batch(op: Any, batch: list[Item], run: Run) -> list[Item]:
    """Run a batch op; where it fails, find the item that it fails on.

    The items are tried one by one: those that pass alone are kept under `on_error="skip"`, and the
    first that fails alone is named under `on_error="raise"`. A batch that fails only as a whole
    is reported as a whole.

    Args:
        op: Has `stage` and `call(batch, run)`.
        batch: The items.
        run: The run.
    """
    try:
        return op.call(batch, run)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if len(batch) == 1:
            run.failed(op.stage, batch, error)
            return []
        whole = error
    out: list[Item] = []
    num_failed = 0
    for item in batch:
        try:
            out.extend(op.call([item], run))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            num_failed += 1
            run.failed(op.stage, [item], error)
    if num_failed == 0:
        run.failed(op.stage, batch, whole)
        return []
    return out
