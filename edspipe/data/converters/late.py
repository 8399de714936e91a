"""Attributes that come after the columns of a table were fixed: where there is room for them.

The columns of a file are fixed by its first rows, and an attribute may be rare. So that it does not
end a run of a million notes, what has no column is kept as JSON, in a column that there is for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, TypeAlias

import pyarrow as pa
from pyarrow import types

MORE = "more_attributes"
"""The column of attributes without a column: a JSON object."""

Holds: TypeAlias = Callable[[Any], bool]
"""Tells whether a column can hold a value as it is; of null, this is not asked."""

_WHOLE = {16: 1 << 11, 32: 1 << 24, 64: 1 << 53}
"""By the bits of a number with a point: up to where it holds each whole number."""


def find_kinds(columns: Iterable[pa.Field]) -> dict[str, Holds]:
    """Return for each column what tells its values; one without a type has none."""
    return {field.name: _holds(field.type) for field in columns}


@lru_cache(maxsize=1024)
def _holds(type_: pa.DataType) -> Holds:
    """Return what tells whether a value is one of a type, with all that is in it."""
    if types.is_boolean(type_):
        return partial(_is_of, bool)
    if types.is_integer(type_):
        signed = types.is_signed_integer(type_)
        high = 1 << (type_.bit_width - signed)
        return partial(_is_whole, -high if signed else 0, high - 1)
    if types.is_floating(type_):
        return partial(_is_number, _WHOLE[type_.bit_width])
    if types.is_string(type_) or types.is_large_string(type_):
        return is_text
    if types.is_list(type_) or types.is_large_list(type_):
        return partial(_is_list, _holds(type_.value_type))
    if types.is_struct(type_):
        return partial(_is_record, find_kinds(type_))
    return _is_nothing


def is_text(value: Any) -> bool:
    """Tell a text; as a kind of column, one of texts."""
    return type(value) is str


def _is_of(kind: type, value: Any) -> bool:
    return type(value) is kind


def _is_whole(low: int, high: int, value: Any) -> bool:
    return type(value) is int and low <= value <= high


def _is_number(whole: int, value: Any) -> bool:
    return type(value) is float or _is_whole(-whole, whole, value)


def _is_list(holds: Holds, value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(one is None or holds(one) for one in value)


def _is_record(kinds: Mapping[str, Holds], value: Any) -> bool:
    return isinstance(value, dict) and all(
        key in kinds and (one is None or kinds[key](one)) for key, one in value.items()
    )


def _is_nothing(_: Any) -> bool:
    return False


def with_room(
    values: Mapping[str, Any], kinds: Mapping[str, Holds], *, texts_first: bool = False
) -> dict[str, Any]:
    """Return values as columns can hold them.

    What a column cannot hold, or has no column, goes to `more_attributes`, as JSON. Where there is
    no such column, a column of texts takes it as JSON, and else it stays as it is.

    Args:
        values: Values, by column.
        kinds: As of `find_kinds`.
        texts_first: Whether a column of texts takes JSON rather than `more_attributes`.
    """
    found: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for name, value in values.items():
        holds = kinds.get(name)
        if value is None and holds is None:
            continue
        if value is None or (holds is not None and holds(value)):
            found[name] = value
        elif holds is is_text and (texts_first or MORE not in kinds):
            found[name] = to_json(value)
        else:
            (more if MORE in kinds else found)[name] = value
    return {**found, MORE: to_json(more)} if more else found


def to_json(value: Any) -> str:
    """Write plain data; what is none, as its text."""
    return json.dumps(value, ensure_ascii=False, default=str)
