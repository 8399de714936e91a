"""`span._.quantity`: what a quantity says, kept as plain data."""

from __future__ import annotations

from typing import Any

from spacy.tokens import Doc, Span

from edspipe.doc.attributes import SPAN_TABLE, span_attributes, span_key
from edspipe.pipes.rules.quantities.value import Quantity

ATTRIBUTE = "quantity"


def declare_quantity() -> None:
    """Make `span._.quantity` exist: a `Quantity`, or None."""
    if Span.has_extension(ATTRIBUTE):
        return

    def get(span: Span) -> Quantity | None:
        stored = span_attributes(span).get(ATTRIBUTE)
        return None if stored is None else Quantity.from_dict(stored)

    def set_(span: Span, value: Quantity | dict[str, Any] | None) -> None:
        write_quantity(span.doc, span, value)

    Span.set_extension(ATTRIBUTE, getter=get, setter=set_)


def write_quantity(doc: Doc, span: Span, value: Quantity | dict[str, Any] | None) -> None:
    """Keep a quantity beside the other attributes of a span."""
    plain = value.to_dict() if isinstance(value, Quantity) else value
    doc.user_data.setdefault(SPAN_TABLE, {}).setdefault(span_key(span), {})[ATTRIBUTE] = plain


declare_quantity()
