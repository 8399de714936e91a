"""filter: keep the items for which a function is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edspipe.stream.markers import Item
from edspipe.stream.ops.op import LocalOp, Run, name_of


class Filter(LocalOp):
    """Keeps items; the others are counted as filtered.

    Args:
        function: Gets a value, returns whether it stays.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.stage = f"filter({name_of(function)})"

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        out: list[Item] = []
        for item in items:
            with run.guard(self.stage, [item]):
                if self.function(item.value):
                    out.append(item)
                else:
                    run.books.drop(item, "filtered")
        return out
