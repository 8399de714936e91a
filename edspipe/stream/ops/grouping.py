"""Groups of items, and the ops that work group by group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from edspipe.stream.batching import BatchSize, OpenBatch
from edspipe.stream.markers import Item
from edspipe.stream.ops.op import LocalOp, Run
from edspipe.stream.settings import Settings

MIN_CHUNK = 128
"""Items in which groups are made: enough that most batches of words come out full."""


class BatchOp(LocalOp):
    """Works on groups that are made inside fixed chunks, so that workers do not change them."""

    def batch_size(self, settings: Settings) -> BatchSize:
        """Return how large the groups are."""
        raise AssertionError(f"{type(self).__name__} does not say how large its groups are")

    def call(self, batch: list[Item], run: Run) -> list[Item]:
        """Return what becomes of one group."""
        raise AssertionError(f"{type(self).__name__} does not say what it does")

    def chunk_items(self, settings: Settings) -> int | float:
        size = self.batch_size(settings)
        if size.whole_epoch:
            return math.inf
        if size.by in ("docs", "items"):
            return int(size.limit) * math.ceil(MIN_CHUNK / size.limit)
        return MIN_CHUNK

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        out: list[Item] = []
        for batch in batches(items, self.batch_size(run.settings), self.stage, run):
            out.extend(apply_to_batch(self, batch, run))
        return out


def batches(items: Iterable[Item], size: BatchSize, stage: str, run: Run) -> Iterator[list[Item]]:
    """Group items under a limit.

    Args:
        items: Items of one chunk.
        size: The limit.
        stage: The op, for items that cannot be measured.
        run: The run.
    """
    batch = OpenBatch(size)
    for item in items:
        measure = 0.0
        with run.guard(stage, [item]) as guard:
            measure = size.measure(item.value)
        if guard.caught:
            continue
        if not batch.has_room(measure):
            yield batch.items
            batch = OpenBatch(size)
        batch.add(item, measure)
    if batch.items:
        yield batch.items


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
    if run.watch is not None:
        run.watch(batch)
    try:
        return op.call(batch, run)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        whole = error
    out: list[Item] = []
    num_failed = 0
    for item in batch if len(batch) > 1 else []:
        with run.guard(op.stage, [item]) as guard:
            out.extend(op.call([item], run))
        num_failed += guard.caught
    if num_failed == 0:
        run.failed(op.stage, batch, whole)
        return []
    return out
