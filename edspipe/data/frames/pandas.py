"""from_pandas and to_pandas: DataFrames as streams, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from edspipe.config.registry import registry
from edspipe.data.frames.base import SlicedTable, check_kind, read_table
from edspipe.data.parquet.arrow_batches import check_record
from edspipe.data.rows import write_rows
from edspipe.errors import DataError
from edspipe.optional import require
from edspipe.stream.stream import Stream


@registry.readers.register("pandas")
def from_pandas(
    frame: Any,
    converter: Any = None,
    *,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Stream:
    """Return a stream over the rows of a DataFrame, a slice at a time.

    What is missing for pandas (NaN, NA, NaT, None) is None; values keep their kind otherwise, and
    arrays become lists. The index is not read: `frame.reset_index()` makes it a column.

    Args:
        frame: The DataFrame.
        converter: How rows become Docs: `"omop"`, `"hf_text"`, another registered name, or a
            function; None leaves them as dicts.
        loop: Read again and again.
        shuffle: `"dataset"` or a buffer, as `"100 docs"`.
        seed: Seed of the shuffle.
        on_error: `"raise"`, or what else the stream's `on_error` takes, for rows that the converter
            refuses. None does as the stream does.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: On reading, with the row (counted from 1), one that the converter refuses.
        MissingExtraError: pandas is not installed.
        TypeError: It is no DataFrame.
        ValueError: Two columns have one name.
    """
    pandas = require("pandas", "pandas", "from_pandas")
    check_kind(frame, pandas.DataFrame, "from_pandas", "series.to_frame() makes one of a Series")
    if not frame.columns.is_unique:
        raise ValueError(f"columns have one name: {_twice(frame.columns)}; rename them")
    table = SlicedTable("DataFrame", len(frame), _Slices(frame))
    return read_table(
        table,
        converter,
        kwargs,
        stage="from_pandas",
        loop=loop,
        shuffle=shuffle,
        seed=seed,
        on_error=on_error,
    )


class _Slices:
    """Rows of a DataFrame as records."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def __call__(self, first: int, behind: int) -> list[dict[Any, Any]]:
        part = self.frame.iloc[first:behind]
        names = list(part.columns)
        columns = [_values(part.iloc[:, i]) for i in range(len(names))]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: Any) -> list[Any]:
    """Return the values of a column as plain data, None where one is missing."""
    missing = column.isna().tolist()
    values = column.tolist()
    if column.dtype == object:
        values = [plain(value) for value in values]
    return [None if gone else value for value, gone in zip(values, missing, strict=True)]


def plain(value: Any) -> Any:
    """Return a value without numpy in it; lists and dicts are copied."""
    if isinstance(value, (np.ndarray, list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _twice(names: Any) -> str:
    return ", ".join(sorted({str(name) for name in names[names.duplicated()]}))


@registry.writers.register("pandas")
def to_pandas(data: Any, converter: Any = None, *, dtypes: Any = None, **kwargs: Any) -> Any:
    """Run a stream, and return its records as a DataFrame.

    Integers and truth values among which some are missing stay what they are (`Int64`, `boolean`),
    and lists stay lists. A key that a record does not have is missing there.

    Args:
        data: A stream or an iterable of Docs (with a converter) or of dicts.
        converter: How Docs become rows: `"omop"`, `"text"`, another registered name, or a function.
        dtypes: `{column: dtype}` of columns that are to have another one.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: A column of `dtypes` holds values that do not fit.
        MissingExtraError: pandas is not installed.
        TypeError: An item is no record.
    """
    pandas = require("pandas", "pandas", "to_pandas")
    rows = write_rows(data, converter, kwargs, "to_pandas")
    columns: dict[Any, list[Any]] = {name: [] for name in (rows.hint.names if rows.hint else ())}
    num_rows = 0
    with iter(rows.stream) as records:
        for record in records:
            check_record(record, "to_pandas")
            for name in record:
                if name not in columns:
                    columns[name] = [None] * num_rows
            for name, values in columns.items():
                values.append(record.get(name))
            num_rows += 1
    frame = pandas.DataFrame({name: _series(pandas, values) for name, values in columns.items()})
    for name, dtype in (dtypes or {}).items():
        try:
            frame[name] = frame[name].astype(dtype)
        except (TypeError, ValueError) as error:
            kind = type(error).__name__
            raise DataError(f"column '{name}' holds values that are no {dtype} ({kind})") from None
    return frame


def _series(pandas: Any, values: list[Any]) -> Any:
    kinds = {type(value) for value in values} - {type(None)}
    if None in values and kinds in ({int}, {bool}):
        return pandas.Series(values, dtype="Int64" if kinds == {int} else "boolean")
    if kinds & {list, dict, tuple}:
        return pandas.Series(values, dtype=object)
    return pandas.Series(values)
