"""edspipe demo-data OUT: synthetic notes and a small encoder, to train on at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.demo import write_demo


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("out", type=Path, metavar="OUT", help="folder: train/, dev/, encoder/")
    command.add_argument("--seed", type=int, default=7, help="another seed, another corpus")


def run(options: argparse.Namespace) -> None:
    """Write the folder and print what is in it."""
    summary = write_demo(options.out, seed=options.seed)
    print(f"{options.out}: {summary}")
