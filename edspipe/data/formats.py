"""Formats by path: which reader and writer a file or a folder wants, with Docs in between."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.data.paths import list_files, suffix_of
from edspipe.errors import DataError, did_you_mean
from edspipe.stream.account import RunReport
from edspipe.stream.stream import Stream
from edspipe.types import SpanSetter


@dataclass(frozen=True)
class Format:
    """What is known of a format.

    Attributes:
        suffixes: Suffixes of its files; the first is the most usual.
        writes: The converter from Docs to its records; None where it takes Docs.
        takes_tokenizer: Whether its reader makes the tokens.
    """

    suffixes: tuple[str, ...]
    writes: str | None = None
    takes_tokenizer: bool = True


FORMATS = {
    "standoff": Format((".ann", ".a1")),
    "json": Format((".jsonl", ".ndjson", ".json"), writes="standoff"),
    "parquet": Format((".parquet", ".pq"), writes="standoff"),
    "csv": Format((".csv", ".tsv"), writes="text"),
    "conll": Format((".conll", ".conllu", ".conllup", ".bio", ".iob"), takes_tokenizer=False),
    "docbin": Format((".spacy",), takes_tokenizer=False),
    "text": Format((".txt",)),
}
"""Formats by the name of their reader and writer. In a folder, the first that has a file there."""

ALL_PLACES = ("ents", "*")

RECORDS = ("json", "parquet", "csv")
"""Formats of records, which may be made by several converters."""


def find_format(path: str | Path, name: str | None = None) -> str:
    """Return the name of a format: the one given, or that of an input path.

    Raises:
        ValueError: There is no such format, or nothing of the kind lies there.
    """
    if name is not None:
        return _known(name)
    by_suffix = _of_suffix(path)
    if by_suffix is not None and not Path(path).is_dir():
        return "standoff" if by_suffix == "text" and _has_annotations(path) else by_suffix
    for candidate, one in FORMATS.items():
        try:
            list_files(path, one.suffixes)
            return candidate
        except FileNotFoundError:
            continue
    known = ", ".join(suffix for one in FORMATS.values() for suffix in one.suffixes)
    raise ValueError(f"{path}: found no file of a known format ({known}); name it")


def find_target_format(path: str | Path, name: str | None = None) -> str:
    """Return the name of a format: the one given, or that of an output path.

    A path without a suffix is a folder of brat files.
    """
    if name is not None:
        return _known(name)
    suffix = suffix_of(path)
    found = _of_suffix(path) if suffix else "standoff"
    if found is None:
        known = ", ".join(suffix for one in FORMATS.values() for suffix in one.suffixes)
        raise ValueError(f"{path}: expected a folder or one of {known}; or name the format")
    return found


def read_docs(
    path: str | Path,
    *,
    format: str | None = None,
    converter: str | None = None,
    tokenizer: Any = None,
    span_setter: SpanSetter = ALL_PLACES,  # type: ignore[assignment]
    **options: Any,
) -> Stream:
    """Read Docs from any file or folder of a known format.

    Args:
        path: What to read.
        format: Name of the format; None finds it by the path.
        converter: For records: how they become Docs. None takes `"omop"` where the first record
            has a `note_text`, else `"standoff"`.
        tokenizer: Text to Doc, where the format does not say the words.
        span_setter: Where entities go. By default into `doc.ents`, and into a group by label too,
            as `doc.ents` has no room for overlaps.
        **options: Further arguments of the reader.

    Raises:
        ValueError: The format is not known.
    """
    name = find_format(path, format)
    read = registry.readers.get(name)
    if name in RECORDS:
        options["converter"] = converter or _sniff(read, path)
    elif converter is not None:
        options["converter"] = converter
    if FORMATS[name].takes_tokenizer:
        options["tokenizer"] = tokenizer
    if name == "standoff" or options.get("converter") in ("standoff", "omop"):
        options["span_setter"] = list(ALL_PLACES) if span_setter == ALL_PLACES else span_setter
    return read(path, **options)


def write_docs(
    stream: Stream,
    path: str | Path,
    *,
    format: str | None = None,
    converter: str | None = None,
    **options: Any,
) -> RunReport:
    """Write Docs to a file or folder of any known format.

    Args:
        stream: Docs.
        path: What to write; without a suffix, a folder of brat files.
        format: Name of the format; None finds it by the path.
        converter: For records: how Docs become records. None takes `"standoff"`, which keeps all
            that brat files keep, and `"text"` for tables.
        **options: Further arguments of the writer: `overwrite`, `resume`, ...

    Raises:
        ValueError: The format is not known.
    """
    name = find_target_format(path, format)
    converter = converter or FORMATS[name].writes
    if converter is not None:
        options["converter"] = converter
    return registry.writers.get(name)(stream, path, **options)


def _known(name: str) -> str:
    if name not in FORMATS:
        raise ValueError(
            f"no format '{name}'.{did_you_mean(name, FORMATS)} Formats are: {', '.join(FORMATS)}"
        )
    return name


def _of_suffix(path: str | Path) -> str | None:
    suffix = suffix_of(path)
    return next((name for name, one in FORMATS.items() if suffix in one.suffixes), None)


def _has_annotations(path: str | Path) -> bool:
    return any(Path(path).with_suffix(suffix).exists() for suffix in FORMATS["standoff"].suffixes)


def _sniff(read: Any, path: str | Path) -> str:
    """Return the converter that the first record wants."""
    with iter(read(path)) as records:
        first = next(islice(records, 1), None)
    if first is not None and not ({"note_text", "text"} & set(first)):
        raise DataError(
            f"expected records with 'note_text' or 'text', got: {', '.join(sorted(first))}; say "
            "which converter reads them",
            file=path,
        )
    return "omop" if first is not None and "note_text" in first else "standoff"
