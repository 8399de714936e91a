"""`span._.date`: the value of a date, kept as plain data."""

from __future__ import annotations

from typing import Any

from spacy.tokens import Doc, Span

from edspipe.doc.attributes import SPAN_TABLE, span_attributes, span_key
from edspipe.pipes.rules.dates.value import DateValue

ATTRIBUTE = "date"


def declare_date() -> None:
    """Make `span._.date` exist: a `DateValue`, or None."""
    if Span.has_extension(ATTRIBUTE):
        return

    def get(span: Span) -> DateValue | None:
        stored = span_attributes(span).get(ATTRIBUTE)
        return None if stored is None else DateValue.from_dict(stored)

    def set_(span: Span, value: DateValue | dict[str, Any] | None) -> None:
        write_date(span.doc, span, value)

    Span.set_extension(ATTRIBUTE, getter=get, setter=set_)


def write_date(doc: Doc, span: Span, value: DateValue | dict[str, Any] | None) -> None:
    """Keep a value beside the other attributes of a span."""
    plain = value.to_dict() if isinstance(value, DateValue) else value
    doc.user_data.setdefault(SPAN_TABLE, {}).setdefault(span_key(span), {})[ATTRIBUTE] = plain


declare_date()
