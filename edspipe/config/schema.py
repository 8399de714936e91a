"""Configs checked before anything is built, and built; every error with its path.

A config is data: it names what is registered, and code is never loaded because a config says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from confit import Config
from confit.errors import ConfitValidationError

from edspipe.config.draft import check_arguments, config_error
from edspipe.config.expressions import References, check_size
from edspipe.config.registry import Registry, registry
from edspipe.errors import ConfigError, did_you_mean


def walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every (path, value) of a config, containers before what they hold."""
    yield path, value
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, item in items:
        yield from walk(item, (*path, str(key)))


def merge(old: Any, new: Any) -> Config:
    """Return a config changed by another: blocks are merged, other values are replaced.

    A block that names another `@factory` replaces the block that was there.
    """
    result = Config(old)
    for key, value in new.items():
        before = result.get(key)
        if isinstance(before, dict) and isinstance(value, dict) and not _renames(before, value):
            result[key] = merge(before, value)
        else:
            result[key] = deepcopy(value)
    return result


def _renames(old: Any, new: Any) -> bool:
    names = [key for key in new if isinstance(key, str) and key.startswith("@")]
    return any(old.get(key) != new[key] for key in names)


def registry_kinds() -> list[str]:
    """The names that may follow `@` in a config."""
    return [key for key, value in vars(registry).items() if isinstance(value, Registry)]


def check_names(config: Any) -> None:
    """Check that the registered names of a config and their arguments exist, building nothing.

    Raises:
        ConfigError: With the path of the first that does not.
    """
    kinds = registry_kinds()
    for where, value in walk(config):
        loc = ".".join(where)
        if not isinstance(value, dict):
            continue
        marked = [key for key in value if isinstance(key, str) and key.startswith("@")]
        if len(marked) > 1:
            raise ConfigError(f"{loc}: one '@' name at most in a block, got {', '.join(marked)}")
        for key in marked:
            _check_name(key, value[key], kinds, f"{loc}.{key}" if loc else key)
            names = getattr(registry, key[1:])
            function = getattr(names, "get_class", names.get)(value[key])
            check_arguments(value[key], function, (k for k in value if k != key), loc)


def _check_name(key: str, name: Any, kinds: list[str], loc: str) -> None:
    if key[1:] not in kinds:
        raise ConfigError(
            f"{loc}: no registry is called '{key}'."
            f"{did_you_mean(key, ['@' + kind for kind in kinds])}"
        )
    if not isinstance(name, str):
        raise ConfigError(f"{loc}: expected a registered name, got {type(name).__name__}")
    names = getattr(registry, key[1:])
    if name not in names:
        raise ConfigError(
            f"{loc}: no '{name}' among the registered {key[1:]} names."
            f"{did_you_mean(name, names.names())} A component of your own must be imported "
            "before a config can name it (import my_module, or --import my_module)"
        )


def link(config: Any) -> Config:
    """Return a whole config with its references followed and its names checked; nothing is built.

    A block that is referred to is the same object in each place.

    Raises:
        ConfigError: With the path of what is wrong.
    """
    check_names(config)
    try:
        linked = References(config).follow(config)
        check_size(linked)
    except RecursionError:
        raise ConfigError("config: nested too deep once references are followed") from None
    return linked


def build(linked: Any, path: tuple[str, ...] = ()) -> Any:
    """Build what a linked config describes: registered names are called.

    Args:
        linked: The config, or a part of it, as `link` returned it.
        path: Where the part stands, for messages.

    Raises:
        ConfigError: With the full path of what is wrong, the expected type, and the value.
    """
    try:
        return Config.resolve(linked, registry=registry, root=linked)
    except ConfitValidationError as error:
        raise config_error(error, ".".join(path)) from None


def resolve(config: Any) -> Any:
    """Link and build a whole config."""
    return build(link(config))
