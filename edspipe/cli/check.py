"""edspipe check CORPUS: every bad line of a brat folder, before any training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edspipe.data.check import check_corpus


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("check", help="list every bad line of a brat folder")
    command.add_argument("corpus", type=Path, metavar="CORPUS", help="folder of .txt and .ann")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the report; the exit code is 1 if a line is bad."""
    report = check_corpus(options.corpus)
    print(report)
    return 0 if report.ok else 1
