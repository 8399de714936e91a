"""edspipe export: a trained classifier in a format that runs without torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.cli.modules import import_module
from edspipe.serving.onnx_export import export_onnx


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("--format", choices=("onnx",), default="onnx", help="the only one")
    command.add_argument("--model", type=Path, required=True, help="folder of a saved pipeline")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for it")
    command.add_argument("--pipe", metavar="NAME", help="which classifier, if there are several")
    command.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        metavar="P",
        help="largest difference of probabilities; above it nothing is written",
    )
    command.add_argument("--overwrite", action="store_true", help="replace the folder")
    command.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE")


def run(options: argparse.Namespace) -> None:
    """Export, and print how near the export is to the model."""
    for module in options.modules:
        import_module(module)
    found = export_onnx(
        options.model,
        options.output,
        pipe=options.pipe,
        tolerance=options.tolerance,
        overwrite=options.overwrite,
    )
    print(found)
