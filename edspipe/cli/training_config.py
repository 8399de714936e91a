"""Configs of trainings: read, changed by options, written out, and given to a function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from confit import Config

from edspipe.cli.app import Cli
from edspipe.cli.register import read_block
from edspipe.config.paths import parameters_of
from edspipe.config.registry import registry
from edspipe.config.schema import link
from edspipe.errors import ConfigError
from edspipe.pipeline.pipeline import Pipeline
from edspipe.serving.settings import REGISTER, RegisterSettings
from edspipe.training.recipes import expand_recipe
from edspipe.training.settings import Settings
from edspipe.training.tutorial_keys import KEYS, resolve_tutorial_keys

NAME = "train"
DEFAULT_OUTPUT = "artifacts/run"


def with_config(words: Sequence[str], action: Callable[..., Any], **fixed: Any) -> Any:
    """Build what a config of a training describes, and call a function with it.

    Args:
        words: Options: `--config=FILE`, `--train.max_steps=500`, ...
        action: Gets `nlp`, `train_data`, `val_data`, `test_data`, `output_dir`, the settings, and
            the whole config as `config`.
        **fixed: More arguments, which stand above those of the config.

    Raises:
        ConfigError: The config or an option is wrong.
    """
    return TrainingCli(action, fixed).main(list(words))


def has_config(words: Sequence[str]) -> bool:
    """Whether options name a config."""
    return any(word == "--config" or word.startswith("--config=") for word in words)


class TrainingCli(Cli):
    """A command whose config is written out before anything is built.

    Args:
        action: As of `with_config`.
        fixed: As of `with_config`.

    Attributes:
        resolved: The config, written out.
        register: What its block `register:` asks for.
    """

    def __init__(self, action: Callable[..., Any], fixed: dict[str, Any]) -> None:
        super().__init__()
        self.fixed = fixed
        self.resolved: Config = Config()
        self.register: RegisterSettings | None = None

        @self.command(name=NAME, registry=registry)
        def train(
            nlp: Pipeline,
            train_data: Any,
            val_data: Any = None,
            test_data: Any = None,
            seed: int = Settings.seed,
            **settings: Any,
        ) -> Any:
            """Train the trainable pipes of a pipeline, score it, and save it."""
            return action(
                nlp,
                train_data,
                val_data,
                test_data=test_data,
                config=self.resolved,
                **{"seed": seed, **settings, **self.fixed},
            )

    def complete(self, name: str, config: Config) -> Config:
        """Write out recipes and the keys of `train.py`, and leave out what a run begins with."""
        config = resolve_tutorial_keys(config)
        config.pop("tune", None)  # a search begins with a config that can be trained with too
        self.register = read_block(link(config)) if REGISTER in config else None
        registered = config.pop(REGISTER, None)
        block = config[NAME]
        block.setdefault("output_dir", DEFAULT_OUTPUT)
        if block.get("recipe") is not None:
            block = Config(expand_recipe(block.pop("recipe"), block))
        for key in self.fixed:
            block.pop(key, None)
        if self.fixed.get("resume") is not None and "train_data" not in block:
            raise ConfigError(
                f"--resume {self.fixed['resume']}: its config does not name the training data, as "
                "for a run that was started from Python: go on with edspipe.train(..., resume=...),"
                " or give a --config that does"
            )
        config[NAME] = block
        kept = {} if registered is None else {REGISTER: registered}  # for a run that goes on
        self.resolved = Config({**config, **kept})
        return config

    def parameters(self, function: Callable[..., Any]) -> list[str]:
        """Return the names of arguments, settings, and keys of `train.py`."""
        settings = [field.name for field in dataclasses.fields(Settings)]
        return [*parameters_of(function), *settings, *KEYS]
