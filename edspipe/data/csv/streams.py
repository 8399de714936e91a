"""read_csv and write_csv: tables in `.csv` and `.tsv` files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.data.converters.base import reading_function, writing_function
from edspipe.data.csv.files import CsvFile, ParseRow
from edspipe.data.csv.format import Dialect
from edspipe.data.csv.sink import CsvSink
from edspipe.data.output.file_sinks import encoded_stream, id_key_of
from edspipe.data.output.writing import write_records
from edspipe.data.paths import list_files, suffix_of
from edspipe.data.sources import read_with, shape_source
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream

DELIMITERS = {".csv": ",", ".tsv": "\t"}


@registry.readers.register("csv")
def read_csv(
    path: str | Path,
    *,
    converter: Any = None,
    columns: Sequence[str] | None = None,
    delimiter: str | None = None,
    quote: str | None = '"',
    max_cell_bytes: int = 1 << 24,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Stream:
    r"""Read rows as records, one at a time, never a whole file.

    Values are text, byte for byte: nothing is guessed to be a number or a date, blanks stay, and so
    do line ends and NUL characters inside quotes. An empty cell is None, a quoted empty cell (`""`)
    is an empty string. Files are UTF-8, with or without a byte-order mark; lines end in \n or \r\n
    (or in \r, in a file without any \n); empty lines are no rows.

    Args:
        path: A file (also packed, `.csv.gz`), a folder of `.csv` and `.tsv` files, a pattern such
            as `notes/*.csv`, or an address of these that fsspec knows.
        converter: How records become Docs: `"labels"`, `"text"`, another registered name, or a
            function; None leaves them as dicts.
        columns: Names of the columns, for files without a header.
        delimiter: What stands between cells; None goes by the suffix: a comma in `.csv`, a
            tabulator in `.tsv`.
        quote: What stands around cells with special characters, doubled inside; None reads quotes
            as characters like others.
        max_cell_bytes: A longer cell is an error: most often a quote was left open.
        loop: Read again and again.
        shuffle: `"dataset"`, a buffer, as `"100 docs"`, or `"fragment"`: the order of the files.
        seed: Seed of the shuffle.
        on_error: What happens to bad rows: `"raise"`, `"skip"` to leave out and count them, or None
            to do as the stream does. A file with a bad header counts as one bad row.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: On reading, with file and line: a row with another number of cells than the
            header, that is not UTF-8, or with a quote that is not closed; a file whose columns are
            not those of the first.
        FileNotFoundError: There is no such file or folder.
        ValueError: The delimiter is not known, or no single character.
    """
    names = None if columns is None else check_columns(columns)
    files = list_files(path, tuple(DELIMITERS))
    dialects = [Dialect(delimiter or _delimiter_of(file), quote, max_cell_bytes) for file in files]
    first = CsvFile(files[0], dialects[0], names)
    others = [
        CsvFile(file, dialect, names, first if names is None else None)
        for file, dialect in zip(files[1:], dialects[1:], strict=True)
    ]
    stream = Stream(FragmentSource([first, *others]))
    stream = shape_source(stream, loop=loop, shuffle=shuffle, seed=seed)
    return read_with(stream, ParseRow(reading_function(converter, kwargs)), "read_csv", on_error)


@registry.writers.register("csv")
def write_csv(
    data: Any,
    path: str | Path,
    *,
    converter: Any = None,
    columns: Sequence[str] | None = None,
    delimiter: str | None = None,
    overwrite: bool | str = False,
    resume: bool = False,
    receipt: bool = True,
    **kwargs: Any,
) -> Any:
    """Run a stream and write its records to one file, which appears when it is whole.

    The first record says what the columns are. Cells hold text, numbers, `true` and `false`; None
    is an empty cell, an empty string is `""`. The file is UTF-8, with a header; quotes stand where
    they are needed.

    Args:
        data: A stream or an iterable of Docs (with a converter) or of dicts.
        path: A `.csv` or `.tsv` file, also packed, `.csv.gz`.
        converter: How Docs become records: `"labels"`, `"text"`, another registered name, or a
            function.
        columns: The columns and their order; None takes the keys of the first record.
        delimiter: What stands between cells; None goes by the suffix.
        overwrite: False refuses an existing file, True replaces it, `"append"` adds rows under the
            columns that are there.
        resume: Go on with a run that was broken off.
        receipt: Leave a receipt beside the file: what became of each document.
        **kwargs: Arguments of the converter.

    Returns:
        What was counted: items read, filtered, skipped, delivered.

    Raises:
        FileExistsError: The file exists, and `overwrite` is False.
        DataError: A record has other keys than the columns, or a value that is no text, number or
            truth value; or two records have the same id. Nothing is written then.
        ValueError: The suffix is not known, or `overwrite` is none of its values.
    """
    kind = suffix_of(path)
    if kind not in DELIMITERS:
        raise ValueError(f"{path}: expected one of {', '.join(DELIMITERS)} (or .csv.gz)")
    to_record = writing_function(converter, kwargs)
    names = None if columns is None else check_columns(columns)
    id_key: str | None = id_key_of(to_record)
    sink = CsvSink(path, Dialect(delimiter or DELIMITERS[kind]), names, id_key)
    # where the columns are given and the id is not among them, rows have no ids
    id_key = id_key if names is None or id_key in names else None
    return write_records(
        encoded_stream(data, to_record, sink.encode, id_key, "write_csv"),
        path,
        sink,
        stage="write_csv",
        overwrite=overwrite,
        resume=resume,
        receipt=receipt,
        id_key=id_key,
    )


def check_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Return names of columns.

    Raises:
        ValueError: There are none, one is empty, or two are the same.
    """
    if isinstance(columns, str) or not columns or "" in columns:
        raise ValueError(f"columns is a list of names, got {columns!r}")
    if len(set(columns)) < len(columns):
        raise ValueError(f"columns has a name twice: {', '.join(columns)}")
    return tuple(columns)


def _delimiter_of(file: str) -> str:
    delimiter = DELIMITERS.get(suffix_of(file))
    if delimiter is None:
        raise ValueError(
            f"{file}: the suffix does not say what stands between cells; pass delimiter=, e.g. ';'"
        )
    return delimiter
