"""read_parquet and write_parquet: tables in files, larger than memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from edspipe.config.registry import registry
from edspipe.data.output.writing import write_records
from edspipe.data.parquet.arrow_types import with_late_columns
from edspipe.data.parquet.files import SUFFIXES, list_row_groups
from edspipe.data.parquet.sink import ParquetOptions, ParquetSink
from edspipe.data.paths import suffix_of
from edspipe.data.rows import read_rows, write_rows
from edspipe.data.sources import shape_source
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream


@registry.readers.register("parquet")
def read_parquet(
    path: str | Path | list[str | Path],
    *,
    columns: list[str] | None = None,
    converter: Any = None,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Stream:
    """Read the rows of parquet files, a batch at a time.

    The footers are read at once, and all files must have the same columns of the same types: a
    column that one of them lacks is an error, never a column of nulls. Groups of rows are the
    fragments of the stream.

    Args:
        path: A `.parquet` (or `.pq`) file, a folder, a pattern such as `notes/2020-*.parquet`, an
            address such as `s3://bucket/notes`, or a list of these.
        columns: The columns to read; None reads all.
        converter: How rows become Docs: `"omop"`, `"standoff"`, `"hf_text"`, another registered
            name, or a function; None leaves them as dicts.
        loop: Read again and again.
        shuffle: `"dataset"`, a buffer as `"100 docs"`, or `"fragment"`.
        seed: Seed of the shuffle.
        on_error: `"raise"`, or what else the stream's `on_error` takes, for rows that the converter
            refuses, e.g. because their text is null. None does as the stream does.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: A file is damaged, or has other columns than the first; on reading, with file and
            row (counted from 1), a row that the converter refuses.
        FileNotFoundError: There is no such file or folder.
    """
    stream = Stream(FragmentSource(list_row_groups(path, columns)))
    stream = shape_source(stream, loop=loop, shuffle=shuffle, seed=seed)
    return read_rows(stream, converter, kwargs, "read_parquet", on_error)


@registry.writers.register("parquet")
def write_parquet(
    data: Any,
    path: str | Path,
    *,
    converter: Any = None,
    schema: Any = None,
    compression: str = "zstd",
    rows_per_group: int = 10_000,
    rows_per_file: int = 500_000,
    overwrite: bool | str = False,
    resume: bool = False,
    receipt: bool = True,
    **kwargs: Any,
) -> Any:
    """Run a stream and write its records to a parquet file, or to a folder of such files.

    The columns are fixed before the first row is written. A record with another key or with a value
    of another kind is an error then: nothing is dropped or converted unseen. A key that a record
    does not have is null. The converters `"omop"` and `"note_nlp"` have room for attributes of
    entities that come later.

    Args:
        data: A stream or an iterable of Docs (with a converter) or of dicts.
        path: A `.parquet` (or `.pq`) file; anything else is a folder, in which the rows stand in
            `part-000000.parquet` and so on.
        converter: How Docs become rows: `"omop"`, `"standoff"`, `"text"`, another registered name,
            or a function.
        schema: The columns, as a `pyarrow.Schema`. None takes what the rows of the first group
            need; what they leave open (a list that is empty in all of them) is taken from the
            converter.
        compression: `"zstd"`, `"snappy"`, `"gzip"`, `"lz4"`, `"brotli"` or `"none"`.
        rows_per_group: Rows of a group, which is what is held in memory; fewer where they are long.
        rows_per_file: Rows of a file in a folder; fewer where they are long.
        overwrite: False refuses an existing output, True replaces it, `"append"` adds rows with the
            same columns (to a folder: files).
        resume: Go on with a run that broke off.
        receipt: Leave a ledger of the documents beside the output.
        **kwargs: Arguments of the converter.

    Returns:
        What became of the documents.

    Raises:
        FileExistsError: The output exists, and `overwrite` is False.
        DataError: A record does not fit the columns, or two have the same id; nothing is seen then.
        TypeError: `schema` is no schema, or an item no record.
        ValueError: A number of rows is not positive.
    """
    if schema is not None and not isinstance(schema, pa.Schema):
        raise TypeError(f"schema is a pyarrow.Schema, got {type(schema).__name__}")
    for name, number in (("rows_per_group", rows_per_group), ("rows_per_file", rows_per_file)):
        if number < 1:
            raise ValueError(f"{name} is 1 or more, got {number}")
    rows = write_rows(data, converter, kwargs, "write_parquet")
    hint, id_key = with_late_columns(rows.hint, rows.late), rows.id_key
    options = ParquetOptions(
        schema, hint, compression, rows_per_group, rows_per_file, id_key, fit=rows.fit
    )
    return write_records(
        rows.stream,
        path,
        ParquetSink(options, _is_folder(path)),
        stage="write_parquet",
        overwrite=overwrite,
        resume=resume,
        receipt=receipt,
        id_key=id_key,
    )


def _is_folder(path: str | Path) -> bool:
    """Whether a target is a folder: other tools also write folders named `x.parquet`."""
    return suffix_of(path) not in SUFFIXES or Path(path).is_dir()
