"""The command `edspipe`: one file a command beside this one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from edspipe.cli import apply, check, demo_data, inspect
from edspipe.errors import EdspipeError
from edspipe.version import __version__

COMMANDS = (apply, check, demo_data, inspect)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    main_parser = argparse.ArgumentParser(
        prog="edspipe", description="Clinical NLP: streams, pipelines, trainable components."
    )
    main_parser.add_argument("--version", action="version", version=f"edspipe {__version__}")
    commands = main_parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return main_parser


def main(args: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        args: Words of the command line; None takes those of the process.

    Returns:
        The exit code: 0, or 1 after an error that is printed, or what the command says.
    """
    options = parser().parse_args(args)
    try:
        return options.run(options) or 0
    except (EdspipeError, OSError, ValueError, TypeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # pragma: no cover - the reader of our output left
        return 0
