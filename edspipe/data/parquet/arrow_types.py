"""Arrow types: what values need, how needs are joined, and whether values fit a type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import types

NULL = pa.null()


def is_open(type_: pa.DataType) -> bool:
    """Whether values left their type open: they were all null, or dicts without keys."""
    return types.is_null(type_) or (types.is_struct(type_) and type_.num_fields == 0)


def has_leaf(type_: pa.DataType, check: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type, or one inside it, is of a kind."""
    return check(type_) or any(
        has_leaf(type_.field(i).type, check) for i in range(type_.num_fields)
    )


def joined(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """Return a type for the values of both; integers and numbers with a point become the latter.

    Raises:
        pa.ArrowInvalid, pa.ArrowTypeError: There is none.
    """
    if first.equals(second) or is_open(second):
        return first
    if is_open(first):
        return second
    if types.is_struct(first) and types.is_struct(second):
        return _union(first, second, joined)
    if types.is_list(first) and types.is_list(second):
        return pa.list_(joined(first.value_type, second.value_type))
    if types.is_string(first) != types.is_string(second):
        raise pa.ArrowTypeError("text joins with text only")
    if types.is_timestamp(first) and types.is_timestamp(second) and first.tz and second.tz:
        second = pa.timestamp(second.unit, first.tz)  # the same moments, said for one place
    schemas = [pa.schema([("x", type_)]) for type_ in (first, second)]
    return pa.unify_schemas(schemas, promote_options="permissive").field(0).type


def filled(found: pa.DataType, hint: pa.DataType) -> pa.DataType:
    """Return the type that was found, with a hint in the places that it leaves open."""
    if is_open(found):
        return hint
    if types.is_struct(found) and types.is_struct(hint):
        return _union(hint, found, lambda told, seen: filled(seen, told))
    if types.is_list(found) and types.is_list(hint):
        return pa.list_(filled(found.value_type, hint.value_type))
    return found


def _union(
    first: pa.StructType,
    second: pa.StructType,
    join: Callable[[pa.DataType, pa.DataType], pa.DataType],
) -> pa.StructType:
    """Return a struct with the fields of both, those of the first one first."""
    fields = {field.name: field.type for field in first}
    for field in second:
        known = fields.get(field.name)
        fields[field.name] = field.type if known is None else join(known, field.type)
    return pa.struct(list(fields.items()))


def union_of_schemas(
    first: pa.Schema,
    second: pa.Schema,
    join: Callable[[pa.DataType, pa.DataType], pa.DataType] = joined,
) -> pa.Schema:
    """Return a schema with the columns of both."""
    return pa.schema(list(_union(pa.struct(first), pa.struct(second), join)))


def with_late_columns(hint: pa.Schema | None, late: pa.Schema | None) -> pa.Schema | None:
    """Return a hint with columns for what comes late; they have their types from the start."""
    if hint is None or late is None:
        return hint
    return union_of_schemas(hint, late, lambda told, seen: filled(seen, told))


def without_empty_structs(type_: pa.DataType) -> pa.DataType:
    """Return a type that a parquet file can hold: a struct without fields is all null there."""
    if is_open(type_):
        return NULL
    if types.is_struct(type_):
        return pa.struct([(field.name, without_empty_structs(field.type)) for field in type_])
    if types.is_list(type_):
        return pa.list_(without_empty_structs(type_.value_type))
    return type_


class Misfit(NamedTuple):
    """Values that do not fit a column.

    Attributes:
        path: The column, e.g. `entities[].score`.
        found: What the values are; None for a key that the column does not have.
        wanted: What the column holds.
    """

    path: str
    found: pa.DataType | None
    wanted: pa.DataType | None


_KINDS: Sequence[tuple[Callable[[Any], bool], tuple[Callable[[Any], bool], ...]]] = (
    (types.is_integer, (types.is_integer, types.is_floating, types.is_decimal)),
    (types.is_floating, (types.is_floating,)),
    (types.is_decimal, (types.is_decimal,)),
    (types.is_string, (types.is_string, types.is_large_string, types.is_string_view)),
    (types.is_binary, (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)),
    (types.is_date, (types.is_date,)),
    (types.is_time, (types.is_time,)),
    (types.is_duration, (types.is_duration,)),
)
"""What a column may be for values of a kind; bool fits bool only, text fits text only."""


def misfit(found: pa.DataType, wanted: pa.DataType, path: str) -> Misfit | None:
    """Return the first place where values of one type do not fit another, None where all do.

    Args:
        found: The type that the values have by themselves.
        wanted: The type of the column.
        path: The name of the column.
    """
    if found.equals(wanted) or types.is_null(found):
        return None
    if types.is_struct(found) and types.is_struct(wanted):
        for field in found:
            inner = f"{path}.{field.name}"
            place = wanted.get_field_index(field.name)
            if place < 0:
                return Misfit(inner, None, None)
            if (wrong := misfit(field.type, wanted.field(place).type, inner)) is not None:
                return wrong
        return None
    if types.is_list(found) and _is_list(wanted):
        return misfit(found.value_type, wanted.value_type, f"{path}[]")
    if types.is_map(wanted) and (types.is_list(found) or types.is_struct(found)):
        return None
    if types.is_timestamp(found) and types.is_timestamp(wanted):
        return None if bool(found.tz) == bool(wanted.tz) else Misfit(path, found, wanted)
    target = wanted.value_type if types.is_dictionary(wanted) else wanted
    for is_kind, allowed in _KINDS:
        if is_kind(found):
            fits = any(check(target) for check in allowed)
            return None if fits else Misfit(path, found, wanted)
    return Misfit(path, found, wanted)


def _is_list(type_: pa.DataType) -> bool:
    return any(
        check(type_) for check in (types.is_list, types.is_large_list, types.is_fixed_size_list)
    )


def plain(type_: pa.DataType) -> pa.DataType:
    """Return a type without what is a matter of storage: large, dictionary, view, nullable."""
    if types.is_dictionary(type_):
        return plain(type_.value_type)
    if types.is_large_string(type_) or types.is_string_view(type_):
        return pa.string()
    if types.is_large_binary(type_) or types.is_binary_view(type_):
        return pa.binary()
    if types.is_list(type_) or types.is_large_list(type_):
        return pa.list_(plain(type_.value_type))
    if types.is_struct(type_):
        return pa.struct([(field.name, plain(field.type)) for field in type_])
    return type_
