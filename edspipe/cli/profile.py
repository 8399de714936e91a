"""edspipe profile --config CONFIG: where the time of a training run goes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edspipe import atomic
from edspipe.cli.app import Cli
from edspipe.config.registry import registry
from edspipe.data.standoff.streams import read_standoff
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipes.rules.split import Split
from edspipe.stream.stream import Stream
from edspipe.training.profile_report import ProfileReport
from edspipe.training.profile_steps import RunSettings
from edspipe.training.profiling import profile_run

NUM_VAL_DOCS = 100
"""Validation documents, if nothing else is said: enough to tell the stages apart."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.epilog = (
        "All other options go to the config, as those of train.py: --train.batch_size=8"
    )
    command.allow_abbrev = False
    command.set_defaults(overrides=[])
    config_help = "a config of train.py; later ones change earlier ones"
    command.add_argument(
        "--config", action="append", required=True, metavar="FILE", help=config_help
    )
    command.add_argument("--steps", type=int, default=10, metavar="N", help="steps to measure")
    docs_help = f"documents to read of each folder (all, and {NUM_VAL_DOCS} for validation)"
    command.add_argument("--docs", type=int, metavar="N", help=docs_help)
    command.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON too")


def run(options: argparse.Namespace) -> None:
    """Measure, print, and write."""
    files = [f"--config={file}" for file in options.config]
    report = profile_config(
        [*files, *options.overrides], num_steps=options.steps, num_docs=options.docs
    )
    print(report)
    if options.out is not None:
        atomic.write_json(options.out, report.to_dict())


def profile_config(
    words: Sequence[str], *, num_steps: int = 10, num_docs: int | None = None
) -> ProfileReport:
    """Profile what a config of `train.py` describes.

    Args:
        words: Options as of `train.py`: `--config=FILE`, `--train.batch_size=1024`, ...
        num_steps: Training steps to measure.
        num_docs: Documents to read of each folder; None reads all for training, and
            `NUM_VAL_DOCS` for validation.

    Raises:
        ConfigError: The config or an option is wrong.
        ValueError: A number is below 1, or there are no documents to learn from.
    """
    if num_docs is not None and num_docs < 1:
        raise ValueError(f"docs: expected 1 or more, got {num_docs}")
    app = Cli()

    @app.command(name="train", registry=registry)
    def train(
        nlp: Pipeline,
        train_data_path: str,
        val_data_path: str,
        output_dir: Path | None = None,
        batch_size: int = 32 * 128,
        max_steps: int = 400,
        max_words: int = 0,
        lr: float = 1e-3,
        grad_max_norm: float = 5.0,
        evaluate_every: int = 100,
        num_preprocessing_workers: int = 0,
        precision: str = "fp32",
        seed: int = 42,
    ) -> ProfileReport:
        """Take the arguments of `train.py`; those that don't bear on the time are left unread."""
        return profile_run(
            nlp,
            read_corpus(train_data_path, nlp, max_words, num_docs).map_batches(skip_empty),
            read_corpus(val_data_path, nlp, 0, num_docs or NUM_VAL_DOCS),
            RunSettings(
                batch_size=batch_size,
                lr=lr,
                grad_max_norm=grad_max_norm,
                num_preprocessing_workers=num_preprocessing_workers,
                precision=precision,
            ),
            num_steps=num_steps,
        )

    return app.main(list(words))


def read_corpus(path: str, nlp: Pipeline, max_words: int, num_docs: int | None) -> Stream:
    """Read a brat folder as `train.py` does, or the first documents of it."""
    stream = read_standoff(path, tokenizer=nlp.tokenizer, span_setter=["ents", "gold-ner"])
    if num_docs is not None:
        stream = stream.take(num_docs)
    return stream.map(Split(regex="\n\n", max_length=max_words))


def skip_empty(docs: list[Any]) -> Iterator[Any]:
    """Leave out documents without entities, as `train.py` does."""
    return (doc for doc in docs if len(doc.ents) > 0)
