"""Type aliases that several rooms share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

AttributeValue = Any
"""Plain data only: numbers, strings, booleans, None, and lists or dicts of these."""

SpanFilter = bool | str | list[str]

SpanGetter = str | list[str] | dict[str, SpanFilter] | Callable[..., Any]
"""A group's name, names, `{group: True | label | [labels]}`, or a callable Doc -> spans."""

SpanSetter = str | list[str] | dict[str, SpanFilter] | Callable[..., Any]
"""Where spans go: as a getter, or a callable (Doc, spans)."""
