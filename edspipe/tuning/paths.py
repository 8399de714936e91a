"""Values of a config, set by their dotted paths."""

from __future__ import annotations

import dataclasses
from copy import deepcopy
from typing import Any

from edspipe.config.paths import follow, keys_of, known_names
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
    block = follow(config, config)
    done: list[str] = []
    key, left = _first_key(block, path, done, path, root)
    while left:
        done.append(str(key))
        block = follow(config, block[key])
        key, left = _first_key(block, left, done, path, root)
    block[key] = deepcopy(value)


def _first_key(block: Any, left: str, done: list[str], path: str, root: str) -> tuple[Any, str]:
    """Return the key that a path begins with, the longest that fits, and the rest of the path."""
    for key in sorted(keys_of(block), key=lambda key: -len(str(key))):
        if f"{left}.".startswith(f"{key}."):
            return key, left[len(str(key)) + 1 :]
    known, takes_any = known_names(block)
    if isinstance(block, dict):
        known += _FIELDS.get(".".join(done), [])
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
