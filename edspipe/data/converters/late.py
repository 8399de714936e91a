"""Attributes that come after the columns of a table were fixed: where there is room for them.

The columns of a file are fixed by its first rows, and an attribute may be rare. So that it does not
end a run of a million notes, what has no column is kept as JSON, in a column that there is for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa
from pyarrow import types

MORE = "more_attributes"
"""The column of attributes without a column: a JSON object."""

_HELD: tuple[tuple[Callable[[Any], bool], tuple[type, ...]], ...] = (
    (types.is_boolean, (bool,)),
    (types.is_integer, (int,)),
    (types.is_floating, (int, float)),
    (types.is_string, (str,)),
    (types.is_list, (list, tuple)),
)


def find_kinds(columns: Iterable[pa.Field]) -> dict[str, tuple[type, ...]]:
    """Return what Python's types are held by each column; nothing by one without a type."""
    return {
        field.name: next((kinds for check, kinds in _HELD if check(field.type)), ())
        for field in columns
    }


def with_room(values: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    """Return values as columns can hold them.

    What a column cannot hold, or has no column, goes to `more_attributes`, as JSON. Where there is
    no such column, a column of texts takes it as JSON, and else it stays as it is.

    Args:
        values: Values, by column.
        kinds: As of `find_kinds`.
    """
    found: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for name, value in values.items():
        if value is None and name not in kinds:
            continue
        if value is None or type(value) in kinds.get(name, ()):
            found[name] = value
        elif MORE in kinds:
            more[name] = value
        else:
            found[name] = to_json(value) if kinds.get(name) == (str,) else value
    return {**found, MORE: to_json(more)} if more else found


def to_json(value: Any) -> str:
    """Write plain data; what is none, as its text."""
    return json.dumps(value, ensure_ascii=False, default=str)
