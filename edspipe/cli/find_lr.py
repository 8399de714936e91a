"""edspipe find-lr --config CONFIG: which learning rate a training should have."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edspipe.cli.train import add_config, words_of
from edspipe.cli.training_config import with_config
from edspipe.training.lr_finder import FoundLearningRates, find_learning_rate


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_config(command)
    command.add_argument("--start", type=float, default=1e-7, metavar="LR", help="the lowest")
    command.add_argument("--end", type=float, default=10.0, metavar="LR", help="the highest")
    command.add_argument("--iterations", type=int, default=100, metavar="N", help="steps")
    command.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the table and the picture"
    )


def run(options: argparse.Namespace) -> None:
    """Find, print, and write."""
    found = find_lr_config(
        words_of(options),
        output=options.output,
        start=options.start,
        end=options.end,
        iterations=options.iterations,
    )
    print(found)


def find_lr_config(
    words: Sequence[str], *, output: Path | None = None, **sweep: Any
) -> FoundLearningRates:
    """Find a learning rate for what a config describes.

    Args:
        words: Options: `--config=FILE`, `--train.batch_size=32 docs`, ...
        output: Where table and picture go; None is the run's `output_dir`.
        **sweep: As of `find_learning_rate`: `start`, `end`, `iterations`.

    Raises:
        ConfigError: The config or an option is wrong.
    """

    def find(nlp: Any, train_data: Any, val_data: Any, **settings: Any) -> FoundLearningRates:
        for key in ("test_data", "config"):
            settings.pop(key)
        own_folder = settings.pop("output_dir")
        folder = output or own_folder
        found = find_learning_rate(nlp, train_data, **{**settings, **sweep})
        for path in found.write(folder):
            print(path)
        return found

    return with_config(words, find)
