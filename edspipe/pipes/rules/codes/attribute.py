"""Span attributes that are small records, kept as plain data."""

from __future__ import annotations

from typing import Any, Protocol

from spacy.tokens import Span

from edspipe.doc.attributes import SPAN_TABLE, span_attributes, span_key


class Record(Protocol):
    """What has a plain form."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """Return the record of plain data."""


def declare_record(name: str, kind: type[Record]) -> None:
    """Make `span._.<name>` exist: a record of this kind, or None.

    It is kept beside the other attributes of the span, as plain data, and so survives `to_bytes`.
    """
    if Span.has_extension(name):
        return

    def get(span: Span) -> Record | None:
        stored = span_attributes(span).get(name)
        return None if stored is None else kind.from_dict(stored)

    def set_(span: Span, value: Record | dict[str, Any] | None) -> None:
        plain = value if value is None or isinstance(value, dict) else value.to_dict()
        span.doc.user_data.setdefault(SPAN_TABLE, {}).setdefault(span_key(span), {})[name] = plain

    Span.set_extension(name, getter=get, setter=set_)
