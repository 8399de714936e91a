"""edspipe baseline: TF-IDF and logistic regression, on the documents of a training."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edspipe.pipeline.loading as loading
from edspipe.cli.label_options import add_label_columns, add_text_columns, label_columns
from edspipe.cli.modules import import_module
from edspipe.cli.train import add_config, words_of
from edspipe.cli.training_config import with_config
from edspipe.data.converters.label_fields import GOLD_LABELS
from edspipe.data.formats import read_docs
from edspipe.training.baseline import BaselineSettings, LabelTask, find_labels
from edspipe.training.baseline_report import BaselineData, run_baseline

ROLES = ("train", "val", "test")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_config(command)
    for role, what in zip(ROLES, ("fit", "choose", "be scored"), strict=True):
        command.add_argument(
            f"--{role}", type=Path, metavar="FILE", help=f"without a config: documents to {what} on"
        )
    add_text_columns(command)
    add_label_columns(command)
    command.add_argument("--pipe", metavar="NAME", help="of several classifiers of the config, one")
    command.add_argument("--group-by", metavar="NAME", help="attribute of documents: their patient")
    command.add_argument("--compare", metavar="MODEL", help="a saved model, to test against")
    command.add_argument("--output", type=Path, metavar="DIR", help="write figures and predictions")
    command.add_argument("--overwrite", action="store_true", help="replace those of DIR")
    command.add_argument("--no-ci", dest="ci", action="store_false", help="leave out intervals")
    add_settings(command)


def add_settings(command: argparse.ArgumentParser) -> None:
    """Say how the baseline is fitted."""
    command.add_argument("--ngrams", type=int, nargs=2, default=(1, 2), metavar=("MIN", "MAX"))
    command.add_argument("--char-ngrams", type=int, nargs=2, metavar=("MIN", "MAX"))
    command.add_argument("--min-df", type=int, default=BaselineSettings.min_df, metavar="N")
    command.add_argument("--balanced", action="store_true", help="rare labels weigh more")
    command.add_argument("--folds", type=int, default=BaselineSettings.num_folds, metavar="N")
    command.add_argument("--seed", type=int, default=BaselineSettings.seed, metavar="N")
    command.add_argument("--import", dest="modules", action="append", default=[], metavar="MODULE")


def run(options: argparse.Namespace) -> None:
    """Fit, score, compare, print, write."""
    for module in options.modules:
        import_module(module)
    data = _from_files(options) if options.train is not None else _from_config(options)
    report = run_baseline(
        data,
        _settings(options),
        group_by=options.group_by,
        ci=options.ci,
        model=None if options.compare is None else loading.load(options.compare),
        model_name=options.compare,
    )
    print(report.text())
    if options.output is not None:
        report.write(options.output, overwrite=options.overwrite)
        print(f"\nFigures and predictions are in {options.output}")


def baseline_config(words: Sequence[str], pipe: str | None = None) -> BaselineData:
    """Read the documents of a training, and what its classifier is to tell.

    Args:
        words: Options: `--config=FILE`, `--train.train_data.path=FILE`, ...
        pipe: The name of the classifier, where there are several.

    Raises:
        ConfigError: The config or an option is wrong, or it has no classifier of documents.
    """

    def read(nlp: Any, train_data: Any, val_data: Any, **settings: Any) -> BaselineData:
        return BaselineData.of_training(nlp, train_data, val_data, pipe=pipe, **settings)

    return with_config(words, read)


def _from_config(options: argparse.Namespace) -> BaselineData:
    if not words_of(options):
        raise ValueError("give --config of a training, or --train with --test")
    if options.val is not None or options.test is not None:
        raise ValueError("--val and --test go with --train, in place of a --config")
    return baseline_config(words_of(options), options.pipe)


def _from_files(options: argparse.Namespace) -> BaselineData:
    if words_of(options):
        found = " ".join(words_of(options))
        raise ValueError(f"--train stands in place of a config; got {found} too")
    columns = label_columns(options)
    docs = {
        role: list(read_docs(path, converter="labels", **columns))
        for role in ROLES
        if (path := getattr(options, role)) is not None
    }
    as_lists = "list_column" in columns and "labels" not in columns
    attribute = f"_.{GOLD_LABELS}" if as_lists else "cats"
    mode = "single_label" if "label_column" in columns else "multi_label"
    labels = options.labels or find_labels(docs["train"], attribute)
    return BaselineData(docs, LabelTask(labels, mode, attribute))


def _settings(options: argparse.Namespace) -> BaselineSettings:
    return BaselineSettings(
        ngrams=tuple(options.ngrams),
        char_ngrams=None if options.char_ngrams is None else tuple(options.char_ngrams),
        min_df=options.min_df,
        class_weight="balanced" if options.balanced else None,
        num_folds=options.folds,
        seed=options.seed,
    )
