"""flatten: the members of each item become items."""

from __future__ import annotations

from collections.abc import Iterable

from edspipe.stream.markers import Item
from edspipe.stream.ops.op import LocalOp, Run


class Flatten(LocalOp):
    """Un-groups one level: a list of documents becomes documents.

    Args:
        stage: The name in errors, `"flatten"` or `"unbatch"`.
    """

    def __init__(self, stage: str = "flatten") -> None:
        self.stage = stage

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        out: list[Item] = []
        for item in items:
            if not isinstance(item.value, Iterable) or isinstance(item.value, (str, bytes)):
                found = TypeError(f"{self.stage} un-groups lists, got {type(item.value).__name__}")
                run.failed(self.stage, [item], found)
                continue
            out.extend(
                item._replace(value=value, sub=(*item.sub, i)) for i, value in enumerate(item.value)
            )
        return out
