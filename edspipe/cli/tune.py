"""edspipe tune --config CONFIG: a search for the settings that score best."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confit import Config

from edspipe.cli.app import OWN_OPTIONS
from edspipe.cli.modules import import_module
from edspipe.cli.overrides import apply_override, parse_options
from edspipe.cli.train import add_config, words_of
from edspipe.config.files import name_place, read_config
from edspipe.config.schema import merge
from edspipe.errors import ConfigError
from edspipe.training.settings import Settings
from edspipe.training.tutorial_keys import KEYS
from edspipe.tuning.settings import TuneSettings
from edspipe.tuning.tuner import TUNE, Tuned, tune

TRAIN = "train"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_config(command)
    command.add_argument("--trials", type=int, metavar="N", help="trials in all; tune.n_trials")
    command.add_argument(
        "--timeout", type=float, metavar="S", help="no trial begins after so many seconds"
    )
    command.add_argument(
        "--output", type=Path, metavar="DIR", help="folder of the search; tune.output_dir"
    )
    command.add_argument(
        "--test", action="store_true", help="score the best config on the test data at the end"
    )


def run(options: argparse.Namespace) -> int:
    """Search; return 130 or 143 after Ctrl-C or SIGTERM, as a shell expects."""
    tuned = tune_config(
        words_of(options),
        n_trials=options.trials,
        timeout_s=options.timeout,
        output_dir=options.output,
        test=options.test or None,
    )
    print(tuned.output_dir, file=sys.stderr)
    if tuned.interrupted:
        print("Go on with the same command", file=sys.stderr)
        return 128 + (tuned.signal or 2)
    return 0


def tune_config(words: Sequence[str], **given: Any) -> Tuned:
    """Search what a config describes.

    Args:
        words: Options: `--config=FILE`, `--tune.n_trials=20`, `--train.max_steps=500`, ...
        **given: As of `tune`; None leaves it to the config.

    Raises:
        ConfigError: The config or an option is wrong.
    """
    options = parse_options(list(words))
    for key, value in options:
        if key == "import":
            import_module(value)
    files = [value for key, value in options if key == "config"]
    if not files:
        raise ConfigError("--config is missing: a config with the blocks nlp, train and tune")
    config = Config()
    for file in files:
        config = merge(config, read_config(file))
    for key, value in options:
        if key not in OWN_OPTIONS:
            _override(config, key, value)
        elif key == "seed":
            _override(config, f"{TRAIN}.seed", value)
    try:
        return tune(config, **given)
    except ConfigError as error:
        raise name_place(error, files) from None


def _override(config: Config, key: str, value: str) -> None:
    section = TRAIN if key.startswith(f"{TRAIN}.") else TUNE
    config.setdefault(section, Config())
    names = [field.name for field in dataclasses.fields(Settings)]
    if section == TRAIN:
        names += ["nlp", "train_data", "val_data", "test_data", *KEYS]
    else:
        names = [field.name for field in dataclasses.fields(TuneSettings)]
    apply_override(config, section, key, value, names)
