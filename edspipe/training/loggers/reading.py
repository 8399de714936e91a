"""Loggers from what a config says: names, blocks, or objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.training.records import Logger

DEFAULT = ("console", "jsonl", "csv")


def read_loggers(loggers: Sequence[Any] | str | None) -> list[Logger]:
    """Build loggers.

    Args:
        loggers: Names (`"tensorboard"`) or loggers, or one; None is the console and both files.

    Raises:
        ConfigError: A name is not registered, or something is no logger.
    """
    found: list[Logger] = []
    if isinstance(loggers, str):
        loggers = [loggers]
    for one in DEFAULT if loggers is None else loggers:
        logger = registry.loggers.get(one)() if isinstance(one, str) else one
        if not all(hasattr(logger, name) for name in ("start", "write", "close")):
            raise ConfigError(f"loggers: expected names or loggers, got a {type(one).__name__}")
        found.append(logger)
    return found
