"""edspipe plot RUN_DIR | METRICS_FILE: pictures and the report of a run, or of one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.data.standoff.streams import read_standoff
from edspipe.viz.plotting import plot_file
from edspipe.viz.report import plot_run


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    source_help = "folder of a run, or a file: metrics.jsonl, metrics.csv, learning_rate.tsv, ..."
    command.add_argument("source", type=Path, metavar="RUN_DIR|METRICS_FILE", help=source_help)
    output_help = "folder to write to (the run's own, or that of the file)"
    command.add_argument("--output", type=Path, metavar="DIR", help=output_help)
    text_help = "show errors in their context, in the report: it then holds clinical text"
    command.add_argument("--with-text", action="store_true", help=text_help)
    data_help = "brat folder of the evaluated documents, for --with-text"
    command.add_argument("--data", type=Path, metavar="DIR", help=data_help)


def run(options: argparse.Namespace) -> None:
    """Draw, and print what was written."""
    for path in plot(options.source, options.output, data=text_folder(options)):
        print(path)


def text_folder(options: argparse.Namespace) -> Path | None:
    """Return the folder of texts, or None if none are to be shown.

    Raises:
        ValueError: One of `--with-text` and `--data` is there without the other.
    """
    if options.with_text and options.data is None:
        raise ValueError("--with-text: expected --data DIR too, the brat folder with the texts")
    if options.data is not None and not options.with_text:
        raise ValueError("--data is only read with --with-text; add it, or leave --data out")
    return options.data


def plot(source: Path, output: Path | None = None, *, data: Path | None = None) -> list[Path]:
    """Draw a run or a file.

    Args:
        source: The folder of a run, or a file of numbers.
        output: The folder to write to; None is the run's own, or that of the file.
        data: A brat folder, to show errors in their context; None shows no text.

    Returns:
        The paths that were written.

    Raises:
        ValueError: Texts are given for a file, which has no report to show them in.
        DataError: The source or a file of it is wrong.
        FileNotFoundError: There is no such source.
    """
    if source.is_dir():
        return plot_run(source, texts=None if data is None else read_texts(data), output=output)
    if data is not None:
        raise ValueError(f"{source}: --with-text needs the folder of a run: a file has no report")
    return plot_file(source, output=output)


def read_texts(folder: Path) -> dict[str, str]:
    """Return the texts of a brat folder by document id."""
    return {doc._.note_id: doc.text for doc in read_standoff(folder, on_error="skip")}
