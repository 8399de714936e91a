"""edspipe pretrain-char-lm --data FOLDER --output DIR: a character language model of plain text."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

from edspipe.cli.train import say_end
from edspipe.config.files import read_config
from edspipe.errors import ConfigError
from edspipe.pipes.trainable.char_lm import DIRECTIONS
from edspipe.pretraining.char_lm import pretrain_char_lm, read_options
from edspipe.training.processes import is_main_process
from edspipe.training.run_files import CONFIG, RUN

BLOCK = "pretrain"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes; what is not given is as in the config, or its default."""
    command.argument_default = None
    command.add_argument("--config", metavar="FILE", help=f"a config with the block {BLOCK}")
    command.add_argument("--data", metavar="FOLDER", help="has train/*, valid.txt and test.txt")
    command.add_argument("--output", dest="output_dir", metavar="DIR", help="folder of the run")
    command.add_argument("--resume", metavar="DIR", help="go on with a run, or a checkpoint")
    command.add_argument(
        "--from", dest="init_from", metavar="MODEL", help="keep its alphabet, directions and sizes"
    )
    command.add_argument("--vocab", metavar="F", help="an alphabet of edspipe char-vocab")
    command.add_argument("--hidden-size", type=int, metavar="N")
    command.add_argument("--num-layers", type=int, metavar="N")
    command.add_argument("--directions", nargs="+", choices=DIRECTIONS)
    command.add_argument("--window", type=int, metavar="N", help="characters of a gradient")
    command.add_argument("--columns", type=int, metavar="N", help="texts that are read at once")
    command.add_argument("--optimizer", choices=("sgd", "adam"))
    command.add_argument("--lr", type=float)
    command.add_argument("--max-epochs", type=int, metavar="N")
    command.add_argument("--max-steps", type=int, metavar="N")
    command.add_argument("--evaluate-every", metavar="N", help="'200 steps', '1 epoch'")
    command.add_argument("--seed", type=int)
    command.add_argument("--overwrite", action="store_true", default=None, help="replace a run")


def run(options: argparse.Namespace) -> int:
    """Train; return 130 or 143 after Ctrl-C or SIGTERM, as a shell expects."""
    given = {key: value for key, value in vars(options).items() if value is not None}
    finished = pretrain_char_lm(**read_arguments(given))
    if is_main_process():
        say_end(finished, "edspipe pretrain-char-lm")
    return 128 + (finished.signal or signal.SIGTERM) if finished.interrupted else 0


def read_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Put options above the config: one that is given, or that of the run that goes on.

    Args:
        given: The options of the command line.

    Raises:
        ConfigError: Data or output is missing, or the config is wrong.
    """
    ours = {key: value for key, value in given.items() if key not in ("command", "run", "config")}
    block: dict[str, Any] = {}
    if "config" in given:
        block = _block_of(Path(given["config"]))
    elif "resume" in given:
        block = _block_of_run(Path(given["resume"]))
    for length, other in (("max_steps", "max_epochs"), ("max_epochs", "max_steps")):
        if length in ours:
            block.pop(other, None)
    merged = read_options({**block, **ours})
    if "resume" in merged:
        merged.pop("init_from", None)
    for key in ("data", "output_dir"):
        if key not in merged:
            raise ConfigError(f"{BLOCK}.{key}: missing; give it, or a config with it")
    return merged


def _block_of_run(path: Path) -> dict[str, Any]:
    for folder in (path, path.parent.parent):
        if (folder / CONFIG).is_file() and (folder / RUN).is_file():
            return {"output_dir": str(folder), **_block_of(folder / CONFIG)}
    raise ConfigError(f"--resume {path}: expected the folder of a run, with {CONFIG}; found none")


def _block_of(file: Path) -> dict[str, Any]:
    block = read_config(file).get(BLOCK)
    if not isinstance(block, dict):
        raise ConfigError(f"{file}: expected a block '{BLOCK}', found none")
    return dict(block)
