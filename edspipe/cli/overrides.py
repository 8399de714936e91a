"""Dotted overrides on the command line: `--nlp.components.ner.window=40`, checked by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from confit import Config
from confit.utils.xjson import Reference

from edspipe.config.files import parse_value
from edspipe.config.registry import registry
from edspipe.config.schema import walk
from edspipe.errors import ConfigError, did_you_mean


def parse_options(args: list[str]) -> list[tuple[str, str]]:
    """Split `--key=value`, `--key value` and bare `--flag` (true) into pairs.

    Raises:
        ConfigError: Something does not begin with `--`.
    """
    options: list[tuple[str, str]] = []
    queue = list(args)
    while queue:
        word = queue.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise ConfigError(f"expected an option (--name value), got '{word}'")
        key, equals, value = word[2:].partition("=")
        if not equals:
            value = queue.pop(0) if queue and not queue[0].startswith("--") else "true"
        options.append((key.replace("-", "_"), value))
    return options


def parameters_of(function: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that a config may give."""
    hidden = ("self", "nlp", "name")
    names = inspect.signature(function).parameters
    return [key for key in names if key not in hidden or key == "nlp"]


def apply_override(
    config: Config, command: str, key: str, value: str, parameters: Iterable[str]
) -> None:
    """Set one value in a config.

    Args:
        config: The whole config; it is changed.
        command: The section of the command; a key without dots stands there.
        key: The dotted path.
        value: The value, in the notation of configs.
        parameters: The arguments of the command.

    Raises:
        ConfigError: The name does not exist; the message names the nearest that does.
    """
    parameters = list(parameters)
    parts = key.split(".")
    if parts[0] not in config or len(parts) == 1:
        parts = [command, *parts]
    block: Any = config
    for depth, part in enumerate(parts[:-1]):
        block = _follow(config, block)
        known = _names(config, block, parts[:depth], command, parameters)
        if part not in known:
            raise _unknown(key, part, known)
        block = block.setdefault(part, Config()) if isinstance(block, dict) else block[int(part)]
    block = _follow(config, block)
    known = _names(config, block, parts[:-1], command, parameters)
    if parts[-1] not in known and not _takes_any(block):
        raise _unknown(key, parts[-1], known)
    try:
        block[int(parts[-1]) if isinstance(block, list) else parts[-1]] = parse_value(value)
    except ValueError as error:
        raise ConfigError(f"--{key}: {error}") from None


def _follow(config: Config, block: Any) -> Any:
    """Go where a plain reference points, so that `--train.nlp.lang` changes `nlp.lang`."""
    while isinstance(block, Reference):
        target: Any = config
        for part in block.value.strip().split("."):
            target = target.get(part) if isinstance(target, dict) else None
        if target is None:
            return block
        block = target
    return block


def _names(
    config: Config, block: Any, path: list[str], command: str, parameters: list[str]
) -> list[str]:
    """The names that exist in a block: what it holds, and what its factory takes."""
    if isinstance(block, list):
        return [str(i) for i in range(len(block))]
    if not isinstance(block, dict):
        return []
    names = [str(key) for key in block]
    if path == [command]:
        names += parameters
    for key, value in block.items():
        if isinstance(key, str) and key.startswith("@") and isinstance(value, str):
            kind = getattr(registry, key[1:], None)
            if kind is not None and value in kind:
                names += parameters_of(kind.get(value))
    return list(dict.fromkeys(names))


def _takes_any(block: Any) -> bool:
    """Whether the factory of a block takes arguments of any name, e.g. those of an optimizer."""
    for key, value in block.items() if isinstance(block, dict) else ():
        kind = getattr(registry, str(key)[1:], None) if str(key).startswith("@") else None
        if kind is not None and value in kind:
            parameters = inspect.signature(kind.get(value)).parameters.values()
            return any(p.kind is p.VAR_KEYWORD for p in parameters)
    return False


def _unknown(key: str, part: str, known: list[str]) -> ConfigError:
    return ConfigError(
        f"--{key}: no '{part}' there.{did_you_mean(part, known)} "
        f"What exists: {', '.join(known) or 'nothing'}"
    )


def check_sections(config: Config, commands: Iterable[str]) -> None:
    """Refuse a section that is no command and that nothing refers to.

    Raises:
        ConfigError: With the nearest name of a section that is used.
    """
    used = {str(command) for command in commands}
    for _, value in walk(config):
        if isinstance(value, Reference):
            used.update(word for word in config if word in value.value)
    wanted = {
        value.value.strip().split(".")[0]
        for _, value in walk(config)
        if isinstance(value, Reference)
    }
    for section in config:
        if section not in used:
            raise ConfigError(
                f"{section}: nothing uses this section."
                f"{did_you_mean(section, (used | wanted) - {section})}"
            )
