"""edspipe inspect MODEL: what a model would run, before it is loaded."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edspipe.pipeline.inspection import inspect_model


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("inspect", help="show what a model would run, without loading it")
    command.add_argument("model", type=Path, metavar="MODEL", help="folder of a saved pipeline")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what there is to know."""
    print(inspect_model(options.model))
