"""edspipe describe PATH: what is in a corpus, in numbers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edspipe.corpus.describe import ALL_SPANS, describe
from edspipe.corpus.id_pattern import IdPattern
from edspipe.data.formats import FORMATS, read_docs


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_source(command)
    command.add_argument("--spans", metavar="GROUP", help="spans to count; all by default")
    command.add_argument("--json", type=Path, metavar="FILE", help="write all figures")


def add_source(command: argparse.ArgumentParser) -> None:
    """Say what is read, and what a group of documents is."""
    command.add_argument("path", metavar="PATH", help="brat folder, .jsonl, .parquet, ...")
    command.add_argument("--format", choices=FORMATS, help="format of PATH")
    command.add_argument("--converter", metavar="NAME", help="how records become documents")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--group-by", metavar="NAME", help="attribute of documents: their patient")
    which.add_argument(
        "--group-pattern", metavar="REGEX", help="the patient in the id, e.g. '(.+)-[0-9]+'"
    )


def run(options: argparse.Namespace) -> None:
    """Read, count, print."""
    docs = read_docs(options.path, format=options.format, converter=options.converter)
    found = describe(docs, options.spans or ALL_SPANS, group_by=group_by(options) or "patient_id")
    print(found)
    if options.json is not None:
        found.to_json(options.json)
        print(f"\nwritten to {options.json}")


def group_by(options: argparse.Namespace) -> Any:
    """Return what a group is, None where the options do not say."""
    return options.group_by if options.group_pattern is None else IdPattern(options.group_pattern)
