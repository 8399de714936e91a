"""edspipe register RUN_DIR --name NAME: the chosen model of a training, into MLflow's registry."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edspipe.errors import ConfigError
from edspipe.serving.register import Registered, register
from edspipe.serving.settings import REGISTER, RegisterSettings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument(
        "run_dir", type=Path, metavar="RUN_DIR", help="folder of a training, or of a saved pipeline"
    )
    command.add_argument("--name", required=True, help="name of the registered model")
    command.add_argument("--alias", help="name for this version, as champion")
    command.add_argument("--description", help="of this version")
    command.add_argument(
        "--tag", action="append", default=[], metavar="K=V", help="tag of this version; repeatable"
    )
    command.add_argument("--with-onnx", action="store_true", help="keep an ONNX file beside it")
    command.add_argument(
        "--tracking-uri", metavar="URI", help="the store; by default that of the training"
    )


def run(options: argparse.Namespace) -> None:
    """Register, and print what the model is loaded by."""
    registered = register(
        options.run_dir,
        name=options.name,
        alias=options.alias,
        description=options.description,
        tags=read_tags(options.tag),
        tracking_uri=options.tracking_uri,
        with_onnx=options.with_onnx,
    )
    say(registered)


def read_tags(words: list[str]) -> dict[str, str]:
    """Read tags.

    Args:
        words: Each `key=value`.

    Raises:
        ConfigError: One has no `=`, or no key.
    """
    pairs = [word.partition("=") for word in words]
    for word, (key, separator, _) in zip(words, pairs, strict=True):
        if not key or not separator:
            raise ConfigError(f"--tag: expected key=value, got {word!r}")
    return {key: value for key, _, value in pairs}


def say(registered: Registered) -> None:
    """Print what a registered model is loaded by; what is told about it goes to stderr."""
    known = "" if registered.is_new else ", which is this model already"
    print(registered.uri)
    print(f"version {registered.version}{known}; run {registered.run_id}", file=sys.stderr)


# ---- the block `register:` of a config --------------------------------------------------------


def read_block(config: Mapping[str, Any]) -> RegisterSettings | None:
    """Read the block of the config of a training.

    Args:
        config: The whole config, its references followed.

    Returns:
        What is asked for, with the store that the training logs to where no other is given; None
        without the block.

    Raises:
        ConfigError: A value is wrong, or no store is known.
    """
    if config.get(REGISTER) is None:
        return None
    settings = RegisterSettings.of(config[REGISTER])
    if settings.tracking_uri is not None:
        return settings
    train = config.get("train") or {}
    logger = _mlflow_logger(train.get("loggers"))
    if logger is None or (train.get("phases") and logger.get("tracking_uri") is None):
        raise ConfigError(
            f"{REGISTER}.tracking_uri: missing, and the training does not log to one store of "
            "MLflow. Give it, as sqlite:///mlflow.db, or add the logger mlflow to train.loggers"
        )
    return replace(settings, tracking_uri=logger.get("tracking_uri"))


def _mlflow_logger(loggers: Any) -> Mapping[str, Any] | None:
    """Return the block of the logger among those of a config."""
    for one in [loggers] if isinstance(loggers, str) else loggers or ():
        if one == "mlflow":
            return {}
        if isinstance(one, Mapping) and one.get("@loggers") == "mlflow":
            return one
    return None


def register_with(settings: RegisterSettings, model: Path) -> Registered:
    """Register a model as a config asks for."""
    return register(model, **vars(settings))
