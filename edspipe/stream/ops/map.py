"""map: a function, item by item."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import GeneratorType
from typing import Any

from edspipe.stream.markers import Item
from edspipe.stream.ops.op import Arrive, LocalOp, Run, name_of


class Map(LocalOp):
    """Calls a function on each item.

    A generator's yields become items; a returned list does not. A function with a parameter `rng`
    gets a `numpy.random.Generator` that depends on the seed and the item only.

    Args:
        function: What is called. An object with a method `stream_op` (or a bound method of such
            an object) may say how it wants to run in a stream.
        kwargs: Further arguments of each call.
        on_error: `"raise"`, `"skip"` or a quarantine; None does as the stream does.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        kwargs: Mapping[str, Any] | None = None,
        on_error: str | None = None,
    ) -> None:
        self.on_error = on_error
        self.function = function
        self.kwargs = dict(kwargs or {})
        self.stage = f"map({name_of(function)})"
        self.takes_rng = _takes_rng(function) and "rng" not in self.kwargs

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        out: list[Item] = []
        for item in items:
            with run.guard(self.stage, [item], self.on_error):
                out.extend(self._one(item, run))
        return out

    def _one(self, item: Item, run: Run) -> list[Item]:
        kwargs = self.kwargs
        if self.takes_rng:
            rng = run.rng(None, self.place, item.epoch, item.source_index, *item.sub)
            kwargs = {**kwargs, "rng": rng}
        result = self.function(item.value, **kwargs)
        if not isinstance(result, GeneratorType):
            return [item._replace(value=result)]
        items = [item._replace(value=value, sub=(*item.sub, i)) for i, value in enumerate(result)]
        run.books.branch(item, len(items))
        return items

    def for_worker(self) -> tuple[LocalOp, Arrive | None]:
        hook = getattr(_owner(self.function), "stream_op", None)
        if hook is None:
            return self, None
        method = getattr(self.function, "__name__", "__call__")
        function, kwargs, arrive = hook(method, self.kwargs)
        op = Map(function, kwargs, self.on_error)
        op.place, op.stage = self.place, self.stage
        return op, arrive

    def worker_init(self) -> None:
        getattr(_owner(self.function), "worker_init", lambda: None)()


def _owner(function: Callable[..., Any]) -> Any:
    """Return the object that a method belongs to, or that is called; None for a class."""
    owner = getattr(function, "__self__", function)
    return None if isinstance(owner, type) else owner


def _takes_rng(function: Callable[..., Any]) -> bool:
    try:
        return "rng" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
