"""Nested dicts and lists, walked in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return a copy of a tree of dicts, lists and tuples with a function applied to its leaves.

    A dict that stands in several places is one dict in the copy as well.
    """
    return _map(function, tree, {})


def _map(function: Callable[[Any], Any], tree: Any, seen: dict[int, Any]) -> Any:
    if isinstance(tree, dict):
        if id(tree) not in seen:
            seen[id(tree)] = {key: _map(function, item, seen) for key, item in tree.items()}
        return seen[id(tree)]
    if isinstance(tree, (list, tuple)):
        return type(tree)(_map(function, item, seen) for item in tree)
    return function(tree)


def iter_dicts(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every dict of a tree, outer ones first."""
    if isinstance(tree, dict):
        yield tree
        for item in tree.values():
            yield from iter_dicts(item)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from iter_dicts(item)
