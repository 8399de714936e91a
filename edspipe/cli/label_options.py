"""Options that say where text, ids and labels stand in the records of a file."""

from __future__ import annotations

import argparse
from typing import Any

WAYS = ("labels_columns", "label_column", "list_column")
"""Arguments of which one says where labels are."""


def add_text_columns(command: argparse.ArgumentParser) -> None:
    """Say where text and id stand."""
    command.add_argument("--text-column", metavar="NAME", help="of records: where the text is")
    command.add_argument("--id-column", metavar="NAME", help="of records: where the id is")


def add_label_columns(command: argparse.ArgumentParser) -> None:
    """Say where labels of documents stand."""
    which = command.add_mutually_exclusive_group()
    which.add_argument("--labels-columns", nargs="+", metavar="NAME", help="columns of 0 and 1")
    which.add_argument("--label-column", metavar="NAME", help="the column of the one label")
    which.add_argument("--list-column", metavar="NAME", help="the column of lists of labels")
    command.add_argument("--separator", metavar="MARK", help="between labels of a list, in tables")
    command.add_argument("--labels", nargs="+", metavar="LABEL", help="the labels that there are")
    command.add_argument("--group-column", metavar="NAME", help="e.g. that of the patient")


def given_columns(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of the converter "labels" that the options give."""
    names = (*WAYS, "separator", "labels", "text_column", "id_column", "group_column")
    given = {name: getattr(options, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def label_columns(options: argparse.Namespace) -> dict[str, Any]:
    """Return the same, where the options must say where labels are.

    Raises:
        ValueError: They don't.
    """
    given = given_columns(options)
    if not any(given.get(name) for name in WAYS):
        raise ValueError("say where labels are: --labels-columns, --label-column or --list-column")
    return given
