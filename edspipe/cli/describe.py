"""edspipe describe PATH: what is in a corpus, in numbers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edspipe.cli.label_reports import parse_options
from edspipe.corpus.describe import ALL_SPANS, describe
from edspipe.corpus.id_pattern import IdPattern
from edspipe.data.formats import FORMATS, read_docs
from edspipe.data.label_files import IDS, WAYS, has_labels, stream_labelled
from edspipe.stream.stream import Stream


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_source(command)
    command.add_argument("--spans", metavar="GROUP", help="spans to count; all by default")
    command.add_argument(
        "--labels", metavar="NAME", help="where labels of documents are: cats, or _.name"
    )
    command.add_argument(
        "--option",
        dest="options",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="how records with labels are read: label_column=topic",
    )
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
    docs, group, labels = _read(options)
    found = describe(docs, options.spans or ALL_SPANS, group_by=group, labels=labels)
    print(found)
    if options.json is not None:
        found.to_json(options.json)
        print(f"\nwritten to {options.json}")


def _read(options: argparse.Namespace) -> tuple[Stream, Any, str]:
    """Return the documents, what a group of them is, and where their labels are."""
    group, labels = group_by(options) or "patient_id", options.labels or "cats"
    given = parse_options(options.options)
    reads_labels = options.converter in (None, "labels") and (
        any(way in given for way in WAYS) or has_labels(options.path, options.format)
    )
    if not reads_labels:
        docs = read_docs(options.path, format=options.format, converter=options.converter, **given)
        return docs, group, labels
    if options.group_by not in (None, *IDS):
        given, group = {"group_column": options.group_by, **given}, "group"
    docs = stream_labelled(options.path, format=options.format, options=given)
    return docs, group, options.labels or labels_of(docs)


def labels_of(docs: Stream) -> str:
    """Return where the first document with labels has them."""
    first = next((doc for doc in docs if doc.cats or doc._.gold_labels is not None), None)
    return "cats" if first is None or first.cats else "_.gold_labels"


def group_by(options: argparse.Namespace) -> Any:
    """Return what a group is, None where the options do not say."""
    return options.group_by if options.group_pattern is None else IdPattern(options.group_pattern)
