"""edspipe inspect MODEL: what a model would run, before it is loaded."""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.pipeline.inspection import inspect_model


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("model", type=Path, metavar="MODEL", help="folder of a saved pipeline")


def run(options: argparse.Namespace) -> None:
    """Print what there is to know."""
    print(inspect_model(options.model))
