"""The command `edspipe`: one file a command beside this one."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from edspipe.errors import EdspipeError
from edspipe.version import __version__

COMMANDS = {
    "apply": "run a pipeline over notes",
    "audit": "check an output against its receipt",
    "baseline": "score TF-IDF and logistic regression on the documents of a training",
    "calibrate": "fit the temperature and thresholds of a model",
    "char-vocab": "count the letters of texts, and write an alphabet",
    "check": "list every bad line of a brat folder",
    "convert": "turn documents from one format into another",
    "demo-data": "write synthetic notes and a small encoder",
    "describe": "count what is in a corpus",
    "evaluate": "score a model, or the agreement of two annotations",
    "explain": "show the words that speak for a label of a document",
    "export": "write a document classifier as ONNX",
    "find-lr": "try learning rates, and suggest one",
    "init": "write a first config for a folder of annotations",
    "inspect": "show what a model would run, without loading it",
    "package": "make a wheel of a saved model",
    "plot": "draw a training run: pictures, and a report in one file",
    "pretrain-char-lm": "train a character language model on plain text",
    "profile": "show where the time of a training run goes",
    "register": "put a trained model into the registry of MLflow",
    "split": "part documents into train, dev and test, by patient",
    "train": "train a pipeline, or go on with a training",
    "train-vectors": "make small word vectors of your own texts",
    "tune": "search for the settings that score best",
}
"""Names and one line of help. The module of a command is imported when it is run: most of them need
torch or spaCy, which take seconds, and `edspipe --help` should not."""


class Parser(argparse.ArgumentParser):
    """Leaves unknown options to a command that has a default for `overrides`, in a list."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        namespace, rest = super().parse_known_args(args, namespace)
        if hasattr(namespace, "overrides"):
            namespace.overrides = [*namespace.overrides, *rest]
            rest = []
        return namespace, rest


def parser(loaded: Iterable[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Args:
        loaded: The commands whose arguments are wanted too.
    """
    main_parser = Parser(
        prog="edspipe", description="Clinical NLP: streams, pipelines, trainable components."
    )
    main_parser.add_argument("--version", action="version", version=f"edspipe {__version__}")
    commands = main_parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    loaded = list(loaded)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if name in loaded:
            module = importlib.import_module(f"edspipe.cli.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return main_parser


def main(args: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        args: Words of the command line; None takes those of the process.

    Returns:
        The exit code: 0, or 1 after an error that is printed, or what the command says.
    """
    words = list(sys.argv[1:] if args is None else args)
    options = parser(words[:1]).parse_args(words)
    try:
        return options.run(options) or 0
    except (EdspipeError, OSError, ValueError, TypeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # pragma: no cover - the reader of our output left
        return 0
