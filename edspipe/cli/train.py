"""edspipe train --config CONFIG: a training with all that is around it; or one that goes on."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edspipe.cli.register import register_with, say
from edspipe.cli.training_config import TrainingCli, has_config
from edspipe.errors import ConfigError
from edspipe.training.finishing import Finished
from edspipe.training.processes import is_main_process
from edspipe.training.run_files import CONFIG, RUN
from edspipe.training.trainer import train


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_config(command)
    command.add_argument(
        "--resume", metavar="RUN_DIR", help="go on with a run, or from one of its checkpoints"
    )


def add_config(command: argparse.ArgumentParser) -> None:
    """Say what commands take that read the config of a training."""
    command.epilog = (
        "All other options go to the config: --train.max_steps=500, --nlp.components.ner.window=40"
    )
    command.allow_abbrev = False
    command.set_defaults(overrides=[])
    command.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="a config with the blocks nlp and train; later ones change earlier ones",
    )


def words_of(options: argparse.Namespace) -> list[str]:
    """Return the options that the config is read and changed by."""
    return [*(f"--config={file}" for file in options.config), *options.overrides]


def run(options: argparse.Namespace) -> int:
    """Train; return 130 or 143 after Ctrl-C or SIGTERM, as a shell expects."""
    finished = train_config(words_of(options), resume=options.resume)
    if is_main_process():
        say_end(finished)
    return 128 + (finished.signal or signal.SIGTERM) if finished.interrupted else 0


def say_end(finished: Finished, command: str = "edspipe train") -> None:
    """Print how the training ended, and how it goes on.

    Args:
        finished: What came out of it.
        command: What goes on with it.
    """
    print(f"{finished.stopped_by} at step {finished.step}: {finished.output_dir}", file=sys.stderr)
    if finished.interrupted:
        how = f"{command} --resume {finished.output_dir}"
        if not (finished.output_dir / RUN).is_file():  # in phases
            how = "the same command again"
        print(f"Go on with: {how}", file=sys.stderr)


def train_config(words: Sequence[str], resume: str | Path | None = None) -> Finished:
    """Train what a config describes.

    Args:
        words: Options: `--config=FILE`, `--train.max_steps=500`, ...
        resume: A run folder, or a checkpoint in it; its own config is taken where none is given.

    Raises:
        ConfigError: The config or an option is wrong.
    """
    if resume is None:
        return train_and_register(words)
    if has_config(words):
        return train_and_register(words, resume=resume, init_from=None)
    config = _config_of(Path(resume))
    fixed = {} if _sets_output(words) else {"output_dir": config.parent}  # it may have been moved
    return train_and_register(
        [f"--config={config}", *words], resume=resume, init_from=None, **fixed
    )


def train_and_register(words: Sequence[str], **fixed: Any) -> Finished:
    """Train; then register the chosen model, if the config has a block `register:`.

    What a registration needs is looked for before the training. One that was interrupted registers
    nothing; it does once it went on to its end.

    Args:
        words: As of `train_config`.
        **fixed: Arguments of the training, which stand above those of the config.

    Raises:
        ConfigError: The config is wrong, or the registry cannot be reached.
        MissingExtraError: A library is not installed.
    """

    def action(*args: Any, **settings: Any) -> Finished:
        wanted = cli.register
        if wanted is not None:
            wanted.check()
        finished = train(*args, **settings)
        if wanted is not None and not finished.interrupted and is_main_process():
            say(register_with(wanted, finished.model))
        return finished

    cli = TrainingCli(action, fixed)
    return cli.main(list(words))


def _sets_output(words: Sequence[str]) -> bool:
    names = ("--output_dir", "--output-dir", "--train.output_dir", "--train.output-dir")
    return any(word.partition("=")[0] in names for word in words)


def _config_of(path: Path) -> Path:
    """Return the config of a run, given its folder or a checkpoint in it."""
    for folder in (path, path.parent.parent):
        if (folder / CONFIG).is_file() and (folder / RUN).is_file():
            return folder / CONFIG
    raise ConfigError(f"--resume {path}: expected the folder of a run, with {CONFIG}; found none")
