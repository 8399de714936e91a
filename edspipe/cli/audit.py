"""edspipe audit OUTPUT: is an output what its receipt says?"""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.data.output.receipt import audit


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    help_ = "a file or folder that a writer made, with its receipt"
    command.add_argument("output", type=Path, metavar="OUTPUT", help=help_)


def run(options: argparse.Namespace) -> int:
    """Print the report; the exit code is 1 if something is wrong."""
    report = audit(options.output)
    print(report)
    return 0 if report.ok else 1
