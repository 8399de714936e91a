"""Values of a config, set by their dotted paths."""

from __future__ import annotations

import dataclasses
import inspect
from copy import deepcopy
from typing import Any

from confit.utils.xjson import Reference

from edspipe.config.registry import Registry, registry
from edspipe.errors import ConfigError, did_you_mean
from edspipe.training.data import TrainingData
from edspipe.training.settings import Settings
from edspipe.training.tutorial_keys import KEYS

TRAIN = "train"
_DATA = ("train_data", "val_data", "test_data")
_FIELDS = {
    TRAIN: ["nlp", *_DATA, *(field.name for field in dataclasses.fields(Settings)), *KEYS],
    **{
        f"{TRAIN}.{name}": [field.name for field in dataclasses.fields(TrainingData)]
        for name in _DATA
    },
}
"""Names that may stand in blocks without an `@` name."""


def set_path(config: Any, path: str, value: Any, root: str = "the config") -> None:
    """Set one value in a config; references on the way are followed.

    Args:
        config: The whole config, or a block or list; it is changed.
        path: The dotted path, e.g. `"nlp.components.ner.embedding.kernel_sizes.0"`; names may hold
            dots themselves.
        value: The value; a copy of it is set.
        root: What `config` is, for messages.

    Raises:
        ConfigError: There is no such place; the message names the nearest one.
    """
    block = _follow(config, config)
    done: list[str] = []
    key, left = _first_key(block, path, done, path, root)
    while left:
        done.append(str(key))
        block = _follow(config, block[key])
        key, left = _first_key(block, left, done, path, root)
    block[key] = deepcopy(value)


def _follow(config: Any, block: Any) -> Any:
    """Go where a plain reference points: `train.nlp.lang` is `nlp.lang`."""
    while isinstance(block, Reference):
        target: Any = config
        for part in block.value.strip().split("."):
            target = target.get(part) if isinstance(target, dict) else None
        if target is None:
            return block
        block = target
    return block


def _keys(block: Any) -> list[Any]:
    if isinstance(block, list):
        return list(range(len(block)))
    return list(block) if isinstance(block, dict) else []


def _first_key(block: Any, left: str, done: list[str], path: str, root: str) -> tuple[Any, str]:
    """Return the key that a path begins with, the longest that fits, and the rest of the path."""
    for key in sorted(_keys(block), key=lambda key: -len(str(key))):
        if f"{left}.".startswith(f"{key}."):
            return key, left[len(str(key)) + 1 :]
    known, takes_any = _known(block, ".".join(done))
    if isinstance(block, dict) and (left in known or (takes_any and "." not in left)):
        return left, ""
    part = left.partition(".")[0]
    place = ".".join(done) or root
    if not known and isinstance(block, (dict, list)):
        raise ConfigError(f"{path}: no '{part}' in {place}, which is empty")
    if not known:
        raise ConfigError(f"{path}: {place} is a value and has no '{part}'")
    raise ConfigError(
        f"{path}: no '{part}' in {place}.{did_you_mean(part, known)} What exists: "
        f"{', '.join(known)}"
    )


def _known(block: Any, place: str) -> tuple[list[str], bool]:
    """Return the names that may stand in a block, and whether its factory takes any name.

    They are those that it holds, and the arguments of its factory.
    """
    takes_any = False
    known = [str(key) for key in _keys(block)]
    if isinstance(block, dict):
        known += _FIELDS.get(place, [])
        for key, value in block.items():
            kind = getattr(registry, key[1:], None) if str(key).startswith("@") else None
            if isinstance(kind, Registry) and isinstance(value, str) and value in kind:
                function = getattr(kind, "get_class", kind.get)(value)
                parameters = inspect.signature(function).parameters
                takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
                known += [key for key in parameters if key not in ("nlp", "name")]
    return [name for name in dict.fromkeys(known) if not name.startswith("@")], takes_any
