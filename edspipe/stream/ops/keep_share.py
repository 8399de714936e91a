"""sample and train_dev_test_split: keep the items whose share lies in a range."""

from __future__ import annotations

from typing import Any

from edspipe.stream.markers import Item
from edspipe.stream.ops.op import LocalOp, Run
from edspipe.stream.shares import GroupBy, group_key, own_key, share_of


class KeepShare(LocalOp):
    """Keeps some of the items, the same ones in each epoch; the others are counted as filtered.

    What has neither an id nor a text is known by its index in the source.

    Args:
        purpose: `"sample"` or `"split"`: shares of different purposes are independent.
        seed: Another seed, other items.
        low: The share from which on items are kept.
        high: The share below which they are.
    """

    def __init__(self, purpose: str, seed: int, low: float, high: float) -> None:
        self.purpose = purpose
        self.stage = purpose
        self.seed = seed
        self.low = low
        self.high = high

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        out: list[Item] = []
        for item in items:
            with run.guard(self.stage, [item]):
                key = self.key(item.value) or f"index {item.source_index}"
                if self.low <= share_of(self.purpose, self.seed, key) < self.high:
                    out.append(item)
                else:
                    run.books.drop(item, "filtered")
        return out

    def key(self, value: Any) -> str | None:
        """Return what decides about a value."""
        return own_key(value)


class KeepSide(KeepShare):
    """Keeps the items of one side of a split.

    Args:
        side: Its share begins and ends there.
        seed: The seed of the split.
        group_by: What group an item belongs to.
        missing: What becomes of items without a group.
    """

    def __init__(
        self, side: tuple[float, float], seed: int, group_by: GroupBy, missing: str
    ) -> None:
        super().__init__("split", seed, *side)
        self.group_by = group_by
        self.missing = missing

    def key(self, value: Any) -> str | None:
        """Return the group of a value."""
        return group_key(value, self.group_by, self.missing)
