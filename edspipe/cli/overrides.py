"""Dotted overrides on the command line: `--nlp.components.ner.window=40`, checked by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confit import Config
from confit.utils.xjson import Reference

from edspipe.config.files import parse_value
from edspipe.config.paths import follow, known_names
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
        block = follow(config, block)
        known = known_names(block)[0] + (parameters if parts[:depth] == [command] else [])
        if part not in known:
            raise _unknown(key, part, known)
        block = block.setdefault(part, Config()) if isinstance(block, dict) else block[int(part)]
    block = follow(config, block)
    known, takes_any = known_names(block)
    known += parameters if parts[:-1] == [command] else []
    if parts[-1] not in known and not takes_any:
        raise _unknown(key, parts[-1], known)
    try:
        block[int(parts[-1]) if isinstance(block, list) else parts[-1]] = parse_value(value)
    except ValueError as error:
        raise ConfigError(f"--{key}: {error}") from None


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
