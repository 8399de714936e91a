"""edspipe split PATH: documents parted into train, dev and test, kept in a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.cli.describe import add_source, group_by
from edspipe.corpus.splits import METHODS, RATIOS, train_dev_test_split
from edspipe.data.formats import read_docs
from edspipe.stream.shares import MISSING


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_source(command)
    command.add_argument(
        "--output", type=Path, required=True, metavar="FILE.tsv", help="ids and their sides"
    )
    command.add_argument(
        "--ratios", type=float, nargs=3, default=RATIOS, metavar=("TRAIN", "DEV", "TEST")
    )
    command.add_argument("--no-groups", action="store_true", help="part documents one by one")
    command.add_argument(
        "--missing",
        choices=MISSING,
        default="error",
        help="what becomes of those without a patient",
    )
    command.add_argument("--method", choices=METHODS, default="hash")
    command.add_argument("--labels", metavar="LAYER", help="what is stratified; all spans")
    command.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> None:
    """Read, split, write, and print what is on each side.

    Raises:
        ValueError: Groups are both given and switched off.
    """
    given = group_by(options)
    if options.no_groups and given is not None:
        raise ValueError("--no-groups: leave it out, or --group-by and --group-pattern")
    groups = None if options.no_groups else given or "patient_id"
    corpus = train_dev_test_split(
        read_docs(options.path, format=options.format, converter=options.converter),
        options.ratios,
        group_by=groups,
        method=options.method,
        labels=options.labels,
        seed=options.seed,
        missing=options.missing,
        save=options.output,
    )
    print(f"{options.output}: {corpus}\n\n{corpus.describe(group_by=groups)}")
