"""Rows of tables: what the readers of parquet files and of tables in memory share.

A row is a record whose keys are columns. Where a converter's records do not fit a table as they
are (a null that means "absent", a dict with keys of its own), it says so with two optional methods:
`from_row(row) -> record` and `to_row(record) -> row`; and with `arrow_schema()` it says which types
its columns have, for those that the first rows leave open. A converter whose records may have keys
that the first ones lack says with `late_schema()` which columns there are for them, and with
`fit_row(row, schema) -> row` how they get there. A converter that counts something has `read` and
`write`, which return what `to_doc` and `to_record` return and the counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import GeneratorType
from typing import Any, NamedTuple

import pyarrow as pa

from edspipe.data.converters.base import make_converter, reading_function, writing_function
from edspipe.data.sources import check_on_error
from edspipe.errors import DataError
from edspipe.stream import hooks
from edspipe.stream.markers import Item
from edspipe.stream.ops.map import Map
from edspipe.stream.ops.op import Run
from edspipe.stream.stream import Stream

FitRow = Callable[[dict[str, Any], pa.Schema], dict[str, Any]]

BATCH_ROWS = 1000
"""Rows that are turned into Python objects at once."""


class Row(NamedTuple):
    """A row that no converter has seen yet.

    Attributes:
        table: The file, or what kind of table it is.
        number: The row, counted from 1.
        record: Its values by column.
    """

    table: str
    number: int
    record: dict[str, Any]


def _identify(row: Row) -> hooks.Identity:
    record = row.record
    text = record.get("note_text", record.get("text"))
    if not isinstance(text, str):  # no column of such a name: the whole row stands for the text
        text = json.dumps(record, sort_keys=True, default=str)
    source = f"{row.table}:{row.number}"
    return hooks.Identity(hooks.id_of(record), source, hooks.sha256_of(text))


hooks.register_identity(Row, _identify)
hooks.register_describer(Row, lambda row: hooks.id_of(row.record) or f"{row.table}:{row.number}")
hooks.register_plain(Row, lambda row: row.record)


def read_rows(
    stream: Stream, converter: Any, kwargs: dict[str, Any], stage: str, on_error: str | None
) -> Stream:
    """Append the op that turns rows into records or Docs.

    Args:
        stream: A stream of `Row`.
        converter: A registered name, a converter or a function; None leaves records.
        kwargs: Arguments of the converter.
        stage: The name in errors.
        on_error: What happens to bad rows; None does as the stream does.
    """
    check_on_error(on_error)
    if isinstance(converter, str):
        converter, kwargs = make_converter(converter, kwargs), {}
    return stream.with_op(ConvertRows(_FromRow(converter, kwargs), stage, on_error))


class ConvertRows(Map):
    """Converts rows to Docs or back; what the converter counts goes to the run.

    What a converter yields are several rows of one Doc.

    Args:
        function: Returns the new value and what is to be counted.
        stage: The name in errors.
        on_error: What happens to bad rows.
    """

    def __init__(
        self, function: Callable[[Any], tuple[Any, Any]], stage: str, on_error: str | None = None
    ) -> None:
        super().__init__(function, None, on_error)
        self.stage = stage

    def _one(self, item: Item, run: Run) -> list[Item]:
        value, counts = self.function(item.value)
        if counts:
            run.counts.update(counts)
        if not isinstance(value, GeneratorType):
            return [item._replace(value=value)]
        rows = [item._replace(value=row, sub=(*item.sub, i)) for i, row in enumerate(value)]
        run.books.branch(item, len(rows))
        return rows


class _FromRow:
    """Reads one row; errors about data name its table and its number."""

    def __init__(self, converter: Any, kwargs: dict[str, Any]) -> None:
        self.from_row = getattr(converter, "from_row", None)
        self.read = getattr(converter, "read", None)
        self.to_doc = reading_function(converter, kwargs)

    def __call__(self, row: Row) -> tuple[Any, Any]:
        if self.to_doc is None:
            return row.record, None
        try:
            record = row.record if self.from_row is None else self.from_row(row.record)
            return (self.to_doc(record), None) if self.read is None else self.read(record)
        except DataError as error:
            ident = error.id or hooks.id_of(row.record)
            raise DataError(error.message, row.table, row.number, ident) from None


class _ToRow:
    """Turns a Doc into a row."""

    def __init__(self, converter: Any, kwargs: dict[str, Any]) -> None:
        self.to_row = getattr(converter, "to_row", None)
        self.write = getattr(converter, "write", None)
        self.to_record = writing_function(converter, kwargs)

    def __call__(self, doc: Any) -> tuple[Any, Any]:
        if self.to_record is None:
            return doc, None
        record, counts = (self.to_record(doc), None) if self.write is None else self.write(doc)
        return record if self.to_row is None else self.to_row(record), counts


class TableWriting(NamedTuple):
    """How Docs become the rows of a table.

    Attributes:
        stream: A stream of rows.
        hint: The types of the converter's columns, if it tells them.
        id_key: The column of the id.
        late: The columns for what comes after the columns were fixed, if the converter has any.
        fit: Returns a row as such columns hold it.
    """

    stream: Stream
    hint: pa.Schema | None
    id_key: str | None
    late: pa.Schema | None = None
    fit: FitRow | None = None


def write_rows(data: Any, converter: Any, kwargs: dict[str, Any], stage: str) -> TableWriting:
    """Return what a writer of tables needs.

    Args:
        data: A stream or an iterable of Docs (with a converter) or of dicts.
        converter: A registered name, a converter or a function; None leaves records.
        kwargs: Arguments of the converter.
        stage: The name in errors.
    """
    stream = data if isinstance(data, Stream) else Stream.from_items(data)
    if isinstance(converter, str):
        converter, kwargs = make_converter(converter, kwargs), {}
    to_row = _ToRow(converter, kwargs)
    if to_row.to_record is not None:
        stream = stream.with_op(ConvertRows(to_row, stage))
    hint, late = (getattr(converter, f"{kind}_schema", _nothing)() for kind in ("arrow", "late"))
    id_key = getattr(converter, "id_key", "note_id")
    return TableWriting(stream, hint, id_key, late, getattr(converter, "fit_row", None))


def _nothing() -> None:
    """Return the schema of a converter that has none."""
