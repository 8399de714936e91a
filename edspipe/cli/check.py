"""edspipe check CORPUS: every bad line of a brat folder, before any training."""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.data.check import check_corpus


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("corpus", type=Path, metavar="CORPUS", help="folder of .txt and .ann")


def run(options: argparse.Namespace) -> int:
    """Print the report; the exit code is 1 if a line is bad."""
    report = check_corpus(options.corpus)
    print(report)
    return 0 if report.ok else 1
