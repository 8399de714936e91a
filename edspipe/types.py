"""Type aliases that several rooms share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

AttributeValue: TypeAlias = Any
"""Plain data only: numbers, strings, booleans, None, and lists or dicts of these."""

SpanFilter: TypeAlias = "bool | str | list[str]"
SpanGetter: TypeAlias = (
    "str | list[str] | dict[str, SpanFilter] | Callable[[Doc], list[Span]]"
)
"""A group's name, names, `{group: True | label | [labels]}`, or a callable Doc -> spans."""

SpanSetter: TypeAlias = (
    "str | list[str] | dict[str, SpanFilter] | Callable[[Doc, list[Span]], None]"
)
"""Where spans go: as a getter, or a callable (Doc, spans)."""
