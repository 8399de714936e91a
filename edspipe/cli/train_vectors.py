"""edspipe train-vectors TEXTS: small word vectors of one's own texts."""

from __future__ import annotations

import argparse
from pathlib import Path

from edspipe.data.formats import FORMATS, read_docs
from edspipe.pipes.trainable.embeddings.vector_files import check_target, write_vectors
from edspipe.pipes.trainable.embeddings.vector_training import train_vectors


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("texts", metavar="TEXTS", help="folder of .txt, file, pattern or address")
    command.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help=".vec, .txt or .safetensors"
    )
    command.add_argument("--overwrite", action="store_true", help="replace the output")
    command.add_argument("--format", choices=FORMATS, help="format of TEXTS")
    command.add_argument("--converter", metavar="NAME", help="how records become documents")
    command.add_argument(
        "--columns", nargs="+", metavar="NAME", help="of column files, e.g. text tag_"
    )
    command.add_argument("--size", type=int, default=100, metavar="N", help="numbers of a vector")
    command.add_argument("--window", type=int, default=5, metavar="N", help="words to each side")
    command.add_argument(
        "--min-count", type=int, default=5, metavar="N", help="rarer words get no vector"
    )
    command.add_argument("--epochs", type=int, default=5, metavar="N", help="readings of TEXTS")
    command.add_argument("--kind", choices=("skipgram", "cbow"), default="skipgram")
    command.add_argument("--lowercase", action="store_true", help="take words in lower case")
    command.add_argument("--seed", type=int, default=0, help="another seed, other vectors")
    command.add_argument(
        "--num-workers", type=int, default=1, metavar="N", help="threads; more than 1 is not exact"
    )


def run(options: argparse.Namespace) -> None:
    """Read, train, write, and say what was written."""
    check_target(options.output)
    if options.output.exists() and not options.overwrite:
        raise FileExistsError(f"{options.output} exists; --overwrite replaces it")
    columns = {} if options.columns is None else {"columns": options.columns}
    docs = read_docs(options.texts, format=options.format, converter=options.converter, **columns)
    table = train_vectors(
        docs,
        size=options.size,
        window=options.window,
        min_count=options.min_count,
        epochs=options.epochs,
        kind=options.kind,
        lowercase=options.lowercase,
        seed=options.seed,
        num_workers=options.num_workers,
    )
    write_vectors(options.output, table.words, table.vectors)
    print(f"{options.output}: {len(table.words):,} vectors of {options.size} numbers")
