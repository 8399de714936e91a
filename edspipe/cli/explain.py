"""edspipe explain: a page with the words that speak for a label of a document."""

from __future__ import annotations

import argparse
from pathlib import Path

import edspipe.pipeline.loading as loading
from edspipe.cli.modules import import_module
from edspipe.errors import DataError
from edspipe.serving.explain import explain
from edspipe.viz.attributions import write_attributions


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("--model", type=Path, required=True, help="folder of a saved pipeline")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--text", help="the text of a document")
    which.add_argument("--input", type=Path, metavar="FILE", help="a file with the text, UTF-8")
    command.add_argument("--label", required=True, help="the label to explain")
    command.add_argument("--output", type=Path, required=True, metavar="FILE.html")
    command.add_argument("--pipe", metavar="NAME", help="which classifier, if there are several")
    command.add_argument("--steps", type=int, default=50, metavar="N", help="gradients to average")
    command.add_argument(
        "--baseline",
        choices=("pad", "mask", "zero"),
        default="pad",
        help="what words are compared with",
    )
    command.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE")


def run(options: argparse.Namespace) -> None:
    """Explain, write the page, and print its figures; never the text."""
    for module in options.modules:
        import_module(module)
    text = read_text(options.input) if options.text is None else options.text.replace("\\n", "\n")
    found = explain(
        loading.load(options.model),
        text,
        options.label,
        pipe=options.pipe,
        num_steps=options.steps,
        baseline=options.baseline,
    )
    print(found)
    print(write_attributions(found, options.output))


def read_text(file: Path) -> str:
    """Return the text of a file, line ends as they are.

    Raises:
        DataError: It is not UTF-8.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"expected UTF-8, got another byte at {error.start}", file=file) from None
