"""Records to batches of Arrow, strictly: no key is dropped, no value changes its kind unseen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
from pyarrow import types

from edspipe.data.parquet.arrow_types import (
    NULL,
    Misfit,
    filled,
    has_leaf,
    joined,
    misfit,
    union_of_schemas,
    without_empty_structs,
)
from edspipe.data.rows import BATCH_ROWS
from edspipe.errors import DataError
from edspipe.stream.hooks import id_of

Records = Sequence[dict[str, Any]]

_CURE = "pass schema= (a pyarrow.Schema of all columns) that covers it, or change the record"
_REFUSED = (pa.ArrowException, UnicodeError, TypeError, ValueError, OverflowError)
"""What Arrow raises for values that it cannot hold; its messages may quote them."""


def check_record(record: Any, stage: str) -> None:
    """Refuse what is not a record.

    Raises:
        TypeError: It is not a dict.
    """
    if not isinstance(record, dict):
        raise TypeError(
            f"{stage} writes records (dicts), got a {type(record).__name__}; "
            "pass converter='omop', 'standoff' or a function"
        )


class SchemaFinder:
    """Finds the columns that records need, chunk by chunk.

    Args:
        hint: Types for what the records leave open, because it is null or empty in all of them.
    """

    def __init__(self, hint: pa.Schema | None = None) -> None:
        self.hint = hint
        self._types: dict[str, pa.DataType] = {}

    def add(self, records: Records) -> pa.RecordBatch:
        """Look at more records; return them as a batch with types of its own.

        Raises:
            DataError: A record has a value that does not go with those before it.
        """
        arrays: dict[str, pa.Array] = {}
        for name in dict.fromkeys(key for record in records for key in record):
            if not isinstance(name, str):
                kind = type(name).__name__
                raise DataError(f"names of columns are texts, got a key of type {kind}")
            before = self._types.get(name, NULL)
            try:
                arrays[name] = _to_array([record.get(name) for record in records])
                self._types[name] = joined(before, arrays[name].type)
            except _REFUSED:
                raise _first_odd(name, records, before) from None
        return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))

    def schema(self) -> pa.Schema:
        """Return the columns: those of the hint first, then the others as they appeared."""
        found = pa.schema(list(self._types.items()))
        if self.hint is not None:
            found = union_of_schemas(self.hint, found, lambda told, seen: filled(seen, told))
        return pa.schema([(field.name, without_empty_structs(field.type)) for field in found])


def _first_odd(name: str, records: Records, known: pa.DataType) -> DataError:
    """Return an error for the first record that does not go with those before it."""
    for record in records:
        value = record.get(name)
        found = _type_of(value)
        if found is None:
            return _not_holdable(record, name, value)
        try:
            known = joined(known, found)
        except _REFUSED:
            return _error(record, Misfit(name, found, known))
    return DataError(f"column '{name}' holds values of several kinds; {_CURE}")


class RecordEncoder:
    """Turns records into batches of one schema.

    Attributes:
        schema: The columns.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._names = set(schema.names)

    def encode(self, records: Records) -> pa.RecordBatch:
        """Return the batch of these records; a key that a record does not have is null.

        Raises:
            DataError: A record does not fit; the message names its id and the column.
        """
        if not self._names.issuperset(set().union(*records)):
            raise self._unknown_key(records)
        columns = [self._column(field, records) for field in self.schema]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def fit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch that has types of its own in this schema."""
        return batch if batch.schema.equals(self.schema) else self.encode(batch.to_pylist())

    def _unknown_key(self, records: Records) -> DataError:
        pairs = ((record, key) for record in records for key in record)
        record, key = next((r, key) for r, key in pairs if key not in self._names)
        return _error(record, Misfit(str(key), None, None))

    def _column(self, field: pa.Field, records: Records) -> pa.Array:
        values = [record.get(field.name) for record in records]
        try:
            array = _to_array(values)  # by itself first: with a type, Arrow drops keys and decimals
            if array.type.equals(field.type):
                return array
            if misfit(array.type, field.type, field.name) is None:
                return _to_array(values, field.type)
        except _REFUSED:
            pass
        raise self._first_misfit(field, records)

    def _first_misfit(self, field: pa.Field, records: Records) -> DataError:
        for record in records:
            value = record.get(field.name)
            found = _type_of(value)
            if found is None:
                return _not_holdable(record, field.name, value)
            if (wrong := misfit(found, field.type, field.name)) is not None:
                return _error(record, wrong)
            try:
                _to_array([value], field.type)
            except _REFUSED:
                return _error(record, Misfit(field.name, found, field.type))
        return DataError(f"column '{field.name}' holds values of several kinds; {_CURE}")


def to_table(
    records: Iterable[Any], stage: str, hint: pa.Schema | None = None, schema: Any = None
) -> pa.Table:
    """Return records as one table in memory.

    Args:
        records: Dicts.
        stage: The name of the writer, for errors.
        hint: Types for what the records leave open.
        schema: The columns; None takes what all the records need.

    Raises:
        DataError: A record does not fit.
        TypeError: An item is not a dict.
    """
    finder, encoder = SchemaFinder(hint), RecordEncoder(schema or pa.schema([]))
    batches = []
    remaining = iter(records)
    while chunk := list(islice(remaining, BATCH_ROWS)):
        for record in chunk:
            check_record(record, stage)
        batches.append(finder.add(chunk) if schema is None else encoder.encode(chunk))
    if schema is None:
        encoder = RecordEncoder(finder.schema())
    return pa.Table.from_batches([encoder.fit(batch) for batch in batches], encoder.schema)


def _to_array(values: list[Any], type_: pa.DataType | None = None) -> pa.Array:
    """Return values as an array, of the type that they have by themselves where none is given.

    Raises:
        TypeError: Arrow would take a text for bytes, a time for its day, or drop a time zone.
    """
    array = pa.array(values, type=type_)
    if has_leaf(array.type, _is_risky):
        for value, kept in zip(values, array.to_pylist(maps_as_pydicts="strict"), strict=True):
            if not _is_same(value, kept):
                raise TypeError("Arrow changed a value")
    return array


def _is_risky(type_: pa.DataType) -> bool:
    return types.is_temporal(type_) or types.is_binary(type_)


def _is_same(value: Any, kept: Any) -> bool:
    """Whether a value is what is kept of it; a key that is not there is kept as null."""
    if isinstance(value, dict) and isinstance(kept, dict):
        return all(_is_same(one, kept.get(key)) for key, one in value.items())
    if isinstance(value, (list, tuple)) and isinstance(kept, list):
        return all(map(_is_same, value, kept))
    return bool(value == kept) or value != value  # NaN is not itself


def _type_of(value: Any) -> pa.DataType | None:
    """Return the type of one value, None where Arrow has none for it."""
    try:
        return _to_array([value]).type
    except _REFUSED:
        return None


def _not_holdable(record: Any, path: str, value: Any) -> DataError:
    """Return an error for a value that no column can hold, whatever its type."""
    return DataError(
        f"column '{path}': no column of a table can hold such a {type(value).__name__} (values of "
        "several kinds in it, or what is not plain data); pass a converter that makes it plain",
        id=id_of(record),
    )


def _error(record: Any, wrong: Misfit) -> DataError:
    if wrong.wanted is None:
        text = f"column '{wrong.path}' is not among those that were fixed before the first write"
    elif types.is_null(wrong.wanted):
        text = f"column '{wrong.path}' was empty in all the first records, so it has no type"
    else:
        found, wanted = _named(wrong.found), _named(wrong.wanted)
        text = f"column '{wrong.path}' holds {wanted}, and here is {found}"
    return DataError(f"{text}; {_CURE}", id=id_of(record))


def _named(type_: Any) -> str:
    """Name a type; nested ones in short."""
    if types.is_struct(type_):
        return "a struct"
    return f"a list of {_named(type_.value_type)}" if types.is_list(type_) else str(type_)
