"""Values of span attributes as values of brat attributes: flags, numbers, lines of text, lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from typing import Any

import numpy as np
from spacy.tokens import Span

from edspipe.doc.attributes import plain_attribute
from edspipe.errors import ConfigError


def value_of(span: Span, name: str) -> Any:
    """Return an attribute that is not kept as it is shown: a record as a dict, a span as a line."""
    value = span._.get(name)
    if isinstance(value, Span):
        return " ".join(value.text.split())
    return plain(plain_attribute(span, name))


def record_of(name: str) -> str:
    """Return the attribute that a field is one of: `date` of `date_value`.

    Raises:
        ConfigError: No attribute is declared that it could be of.
    """
    ends = [place for place, char in enumerate(name) if char == "_"]
    for end in reversed(ends):
        if Span.has_extension(name[:end]):
            return name[:end]
    declared = "declare it, or leave it out of span_attributes"
    raise ConfigError(f"no span has an attribute '{name}': {declared}")


def check_field(record: str, name: str, value: Any) -> None:
    """Refuse a field that a record cannot have.

    A record of a class has the fields that its class declares. A dict may leave out what is empty,
    so that it does not tell what there may be.

    Args:
        record: The attribute.
        name: The field that was asked for, behind the name of the attribute: `date_value`.
        value: What a span has as this attribute.

    Raises:
        ConfigError: The value has no such field.
    """
    if value is None or isinstance(value, dict):
        return
    known = {f"{record}_{one.name}": one.name for one in _fields(value)}
    if name in known:
        return
    above = [one for one in known if name.startswith(f"{one}_")]
    if above:
        longest = max(above, key=len)
        check_field(longest, name, getattr(value, known[longest]))
        return
    what = f"has the fields {', '.join(known)}" if known else "has no fields"
    raise ConfigError(f"span_attributes: no span has an attribute '{name}': '{record}' {what}")


def _fields(value: Any) -> tuple[Field[Any], ...]:
    return fields(value) if is_dataclass(value) else ()


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a value, or, of a dict, each of its fields that is set, as `name_field`."""
    if not isinstance(value, dict):
        yield name, value
        return
    for key, one in value.items():
        if one is not None:
            yield from leaves(f"{name}_{key}", one)


def spread(name: str, value: Any) -> dict[str, Any]:
    """Return the attributes that a value which was asked for becomes; nested lists are JSON."""
    return {key: _to_json(one) if _is_nested(one) else one for key, one in leaves(name, value)}


def plain(value: Any) -> Any:
    """Return a value as plain data: Python's numbers, lists, dicts with texts as keys."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def is_writable(value: Any) -> bool:
    """Whether brat can hold a value: a flag, a number, a line of text, or a list of these."""
    if isinstance(value, list):
        return all(not isinstance(one, list) and is_writable(one) for one in value)
    if isinstance(value, str):
        return value == value.strip(" ") != "" and not re.search(r"[\t\r\n]", value)
    return value is None or isinstance(value, (bool, int, float))


def _is_nested(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, (list, dict)) for one in value)


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
