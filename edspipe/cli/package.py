"""edspipe package MODEL: a wheel of a saved model, to install and to share."""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.pipeline.packaging import package_model


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("model", type=Path, metavar="MODEL", help="folder of a saved pipeline")
    command.add_argument("--output", type=Path, default=Path("."), metavar="DIR", help="for it")
    command.add_argument("--name", help="what to load it by; that of the folder")
    command.add_argument("--version", help="its version; 0.1.0")
    command.add_argument("--overwrite", action="store_true", help="replace the wheel")


def run(options: argparse.Namespace) -> None:
    """Write the wheel, and say how to use it."""
    wheel = package_model(
        options.model,
        options.output,
        name=options.name,
        version=options.version,
        overwrite=options.overwrite,
    )
    name = wheel.name.partition("-")[0]
    print(f"{wheel}: {wheel.stat().st_size:,} bytes")
    print(f"pip install {wheel}")
    print(f'edspipe.load("{name}")')
