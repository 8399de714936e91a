"""edspipe char-vocab FILES --out F: the alphabet of texts, and which letters it leaves out."""

from __future__ import annotations

import argparse
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from edspipe.errors import DataError
from edspipe.pipes.trainable.char_vocab import (
    COVERAGE,
    CharVocab,
    Form,
    LetterCount,
    count_letters,
    kept_letters,
    rank_letters,
)
from edspipe.pretraining.splits import SPLIT_SIZE, split_files

HEADER = ("rank", "letter", "count", "share", "cumulative")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("files", metavar="FILES", nargs="+", type=Path, help="texts, in UTF-8")
    command.add_argument(
        "--coverage", type=float, default=COVERAGE, metavar="SHARE", help="of all characters"
    )
    command.add_argument("--max-size", type=int, metavar="N", help="the most letters")
    command.add_argument("--normalise", choices=("NFC", "NFD", "NFKC", "NFKD"))
    command.add_argument("--out", type=Path, metavar="F", help="write the alphabet there, as JSON")
    command.add_argument("--overwrite", action="store_true", help="replace the file of --out")


def run(options: argparse.Namespace) -> None:
    """Count, print, and write."""
    if options.out is not None and options.out.exists() and not options.overwrite:
        raise FileExistsError(f"{options.out} exists; --overwrite replaces it")
    vocab, kept, dropped = letters_of_files(
        options.files, options.coverage, options.max_size, options.normalise
    )
    print("\t".join(HEADER))
    for row in kept:
        print("\t".join(_cells(row)))
    print(f"dropped: {len(dropped)} letters, {sum(row.number for row in dropped)} characters")
    for row in dropped:
        print("\t".join(_cells(row)))
    if options.out is not None:
        vocab.save(options.out)
        print(f"{options.out}: {len(vocab) - 1} letters, and the unknown")


def letters_of_files(
    files: Sequence[Path], coverage: float, max_size: int | None = None, form: Form | None = None
) -> tuple[CharVocab, list[LetterCount], list[LetterCount]]:
    """Count the letters of files.

    Args:
        files: The files; they are read piece by piece.
        coverage: As of `CharVocab.from_stream`, like the next one.
        max_size: The most letters.
        form: The Unicode form.

    Returns:
        The alphabet, its letters, and those that it leaves out.

    Raises:
        DataError: The files hold no character.
    """
    counts = count_letters(_texts(files), form)
    if not counts:
        raise DataError(f"expected texts, found no character in {len(files)} files")
    letters = kept_letters(counts, coverage, max_size)
    rows = list(rank_letters(counts))
    return CharVocab(letters, form), rows[: len(letters)], rows[len(letters) :]


def _texts(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        for split in split_files([file], SPLIT_SIZE, file.parent):
            yield split.read()


def _cells(row: LetterCount) -> tuple[str, ...]:
    letter = row.letter
    printable = letter.isprintable() and not letter.isspace()
    shown = letter if printable else unicodedata.name(letter, f"U+{ord(letter):04X}")
    return (str(row.rank), shown, str(row.number), f"{row.share:.3%}", f"{row.cumulative:.4%}")
