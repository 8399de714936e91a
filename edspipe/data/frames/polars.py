"""from_polars and to_polars: frames of Polars as streams, and back."""

from __future__ import annotations

from typing import Any

from edspipe.config.registry import registry
from edspipe.data.frames.base import SlicedTable, check_kind, read_table
from edspipe.data.parquet.arrow_batches import to_table
from edspipe.data.rows import write_rows
from edspipe.errors import DataError
from edspipe.optional import require
from edspipe.stream.stream import Stream


@registry.readers.register("polars")
def from_polars(
    frame: Any,
    converter: Any = None,
    *,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Stream:
    """Return a stream over the rows of a DataFrame of Polars, a slice at a time.

    A LazyFrame is refused, as it would have to be collected as a whole, and again each epoch:
    collect it, or write it with `sink_parquet` and use `read_parquet`.

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
        MissingExtraError: Polars is not installed.
        TypeError: It is no DataFrame.
    """
    polars = require("polars", "polars", "from_polars")
    cure = "collect() a LazyFrame, or write it with sink_parquet() and use read_parquet"
    check_kind(frame, polars.DataFrame, "from_polars", cure)
    table = SlicedTable("DataFrame", frame.height, _Slices(frame))
    return read_table(
        table,
        converter,
        kwargs,
        stage="from_polars",
        loop=loop,
        shuffle=shuffle,
        seed=seed,
        on_error=on_error,
    )


class _Slices:
    """Rows of a DataFrame as records."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def __call__(self, first: int, behind: int) -> list[dict[str, Any]]:
        return self.frame.slice(first, behind - first).to_dicts()


@registry.writers.register("polars")
def to_polars(data: Any, converter: Any = None, *, schema: Any = None, **kwargs: Any) -> Any:
    """Run a stream, and return its records as a DataFrame of Polars.

    Args:
        data: A stream or an iterable of Docs (with a converter) or of dicts.
        converter: How Docs become rows: `"omop"`, `"text"`, another registered name, or a function.
        schema: `{column: type of Polars}` of columns that are to have another type.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: A column holds values of several kinds, or that do not fit `schema`.
        MissingExtraError: Polars is not installed.
        TypeError: An item is no record.
    """
    polars = require("polars", "polars", "to_polars")
    rows = write_rows(data, converter, kwargs, "to_polars")
    with iter(rows.stream) as records:
        frame = polars.from_arrow(to_table(records, "to_polars", rows.hint))
    for name, type_ in (schema or {}).items():
        try:
            frame = frame.with_columns(polars.col(name).cast(type_))
        except polars.exceptions.PolarsError as error:
            kind = type(error).__name__
            raise DataError(f"column '{name}' holds values that are no {type_} ({kind})") from None
    return frame
