"""Dotted paths into a config: where they lead, and which names may stand there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from confit.utils.xjson import Reference

from edspipe.config.registry import Registry, registry


def follow(config: Any, block: Any) -> Any:
    """Go where a plain reference points: `train.nlp.lang` is `nlp.lang`.

    Args:
        config: The whole config.
        block: A block of it, or a reference to one; one that points nowhere is returned.
    """
    while isinstance(block, Reference):
        target: Any = config
        for part in block.value.strip().split("."):
            target = target.get(part) if isinstance(target, dict) else None
        if target is None:
            return block
        block = target
    return block


def parameters_of(function: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that a config may give."""
    names = inspect.signature(function).parameters
    return [key for key in names if key not in ("self", "name")]


def keys_of(block: Any) -> list[Any]:
    """Return the keys of a block, or the indices of a list."""
    if isinstance(block, list):
        return list(range(len(block)))
    return list(block) if isinstance(block, dict) else []


def known_names(block: Any) -> tuple[list[str], bool]:
    """Return the names that may stand in a block: what it holds, and what its factory takes.

    Returns:
        The names, and whether the factory takes arguments of any name, as optimizers do.
    """
    takes_any = False
    known = [str(key) for key in keys_of(block)]
    for key, value in block.items() if isinstance(block, dict) else ():
        kind = getattr(registry, str(key)[1:], None) if str(key).startswith("@") else None
        if isinstance(kind, Registry) and isinstance(value, str) and value in kind:
            function = getattr(kind, "get_class", kind.get)(value)
            parameters = inspect.signature(function).parameters.values()
            takes_any = takes_any or any(p.kind is p.VAR_KEYWORD for p in parameters)
            known += [name for name in parameters_of(function) if name != "nlp"]
    return [name for name in dict.fromkeys(known) if not name.startswith("@")], takes_any
