"""From built components back to the config that builds them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from confit import Config
from confit.utils.xjson import Reference

from edspipe.config.draft import Draft, Origin
from edspipe.errors import ConfigError


def to_config(value: Any, path: str, seen: dict[int, str]) -> Any:
    """Describe a value as config; a component that came before becomes a reference to it.

    Args:
        value: A component, draft, or plain value.
        path: Where it will stand in the config.
        seen: Paths of components by identity; filled on the way. The caller keeps the components
            alive as long as the table.

    Raises:
        ConfigError: The value has no description (an object, a lambda).
    """
    origin = value if isinstance(value, Draft) else getattr(value, "_origin", None)
    if isinstance(origin, (Draft, Origin)):
        if id(value) in seen:
            return Reference(seen[id(value)])
        seen[id(value)] = path
        block = {"@factory": origin.factory}
        block.update(
            {key: to_config(item, f"{path}.{key}", seen) for key, item in origin.params.items()}
        )
        return Config(block)
    if isinstance(value, dict):
        return Config({key: to_config(v, f"{path}.{key}", seen) for key, v in value.items()})
    if isinstance(value, (list, tuple)):
        return [to_config(item, f"{path}.{i}", seen) for i, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str, Reference)):
        return value
    if isinstance(value, Path):
        return str(value)
    raise ConfigError(
        f"{path}: a config holds plain values and registered components, and this is a "
        f"{type(value).__name__}. Register what you pass (@edspipe.registry.factory.register) "
        "or pass it by name"
    )
