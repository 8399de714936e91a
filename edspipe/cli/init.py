"""edspipe init: a first config for a folder of annotations."""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.training.first_config import ENCODERS, write_first_config


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("--data", type=Path, required=True, help="brat folder, or train/ and dev/")
    command.add_argument(
        "--lang", required=True, help=f"language of the notes: {', '.join(ENCODERS)}"
    )
    command.add_argument("--dev", type=Path, metavar="DIR", help="folder to validate on")
    command.add_argument("--output", type=Path, default=Path("config.yml"), metavar="FILE")
    command.add_argument("--model", metavar="ENCODER", help="a folder, or a name of the model hub")


def run(options: argparse.Namespace) -> None:
    """Look, write, and say what was found."""
    found = write_first_config(
        options.data,
        options.output,
        lang=options.lang,
        dev=options.dev,
        model=options.model,
    )
    print("\n".join(found))
    print(f"\nThe config is in {options.output}; read it, then:")
    print(f"python train.py --config {options.output}")
