"""flatten: the members of each item become items."""

from __future__ import annotations

from collections.abc import Iterable

from edspipe.stream.hooks import WrongValue
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
            with run.guard(self.stage, [item]):
                members = self._members(item)
                if not _is_unbatched(item, members):
                    run.books.branch(item, len(members))
                out.extend(members)
        return out

    def _members(self, item: Item) -> list[Item]:
        if not isinstance(item.value, Iterable) or isinstance(item.value, (str, bytes, dict)):
            raise WrongValue(f"{self.stage} un-groups lists, got {type(item.value).__name__}")
        values = list(item.value)
        if len(values) == len(item.members):
            pairs = zip(values, item.members, strict=True)
            return [Item(value, *place) for value, place in pairs]
        return [item._replace(value=value, sub=(*item.sub, i)) for i, value in enumerate(values)]


def _is_unbatched(item: Item, members: list[Item]) -> bool:
    """Whether each member has become the item again that it was before it was batched."""
    return bool(item.members) and len(item.members) == len(members)
