"""The config that a search begins with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confit import Config
from confit.utils.xjson import Reference

from edspipe.config.expressions import References
from edspipe.config.files import parse_json, read_config
from edspipe.errors import ConfigError
from edspipe.training.recipes import expand_recipe
from edspipe.training.settings import Settings
from edspipe.tuning.paths import TRAIN
from edspipe.tuning.space import Space

NOT_SEARCHED = {
    "seed": "give tune.training_seeds",
    "output_dir": "each training has its own",
    "test_data": "it is left out of trials",
    "resume": "each training begins anew",
}
"""Settings that a search sets itself, and what to do instead."""


def read_base(config: str | Path | Mapping[str, Any]) -> Config:
    """Read a config from its file, or from nested dicts, where `"${ nlp }"` refers to a block."""
    if isinstance(config, (str, Path)):
        return read_config(config)
    if not isinstance(config, Mapping):
        raise ConfigError(
            f"tune: expected a config, its file, or a function; got a {type(config).__name__}"
        )
    return parse_json(json.dumps(config, default=_as_text), "<config>")


def _as_text(value: Any) -> str:
    if isinstance(value, (Reference, Path)):
        return str(value)
    raise ConfigError(
        f"tune: a config holds plain values, and this one has a {type(value).__name__}; tune a "
        "function to train with objects of your own"
    )


def with_recipe(config: Config, space: Space) -> Config:
    """Write a recipe out, so that what it says can be searched, unless it is searched itself."""
    block = config.get(TRAIN)
    if not isinstance(block, Mapping) or block.get("recipe") is None:
        return config
    if any(parameter.path == f"{TRAIN}.recipe" for parameter in space):
        return config
    block = dict(block)
    return Config({**config, TRAIN: expand_recipe(block.pop("recipe"), block)})


def what_counts(config: Config) -> dict[str, Any]:
    """Return what scores depend on, as plain data."""
    left_out = ("output_dir", "test_data", "seed")
    block = {key: value for key, value in config[TRAIN].items() if key not in left_out}
    return {**config, TRAIN: block}


def check_searched(space: Space) -> None:
    """Refuse to search what a search sets itself.

    Raises:
        ConfigError: The space has such a setting.
    """
    for key, cure in NOT_SEARCHED.items():
        if any(parameter.path == f"{TRAIN}.{key}" for parameter in space):
            raise ConfigError(f"tune.space.{TRAIN}.{key}: is not searched; {cure}")


def first_seed(config: Config) -> int:
    """Return the seed of a config."""
    seed = References(config).follow(config[TRAIN].get("seed"))
    return Settings.seed if seed is None else seed
