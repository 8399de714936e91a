"""Attributes on Docs and Spans: `doc._.note_id`, `span._.negation`, and where they are kept.

spaCy keeps the custom attributes of a span under its start and end only, so two spans that cover
the same words share one value. Clinical corpora have many such spans (an event and a disorder on
one mention). edspipe therefore declares span attributes with a getter and a setter that keep each
value under (start, end, label, id) of the span, in `doc.user_data`, as plain data: it survives
`to_bytes`, DocBin and pickle.
"""

from __future__ import annotations

from typing import Any

from spacy.tokens import Doc, Span

from edspipe.types import AttributeValue

SPAN_TABLE = "edspipe.spans"
"""Key of `doc.user_data` that holds the span attributes."""


def declare_doc_attribute(name: str, default: AttributeValue = None) -> None:
    """Make `doc._.<name>` exist; an attribute that somebody declared before is left alone."""
    if not Doc.has_extension(name):
        Doc.set_extension(name, default=default)


def span_key(span: Span) -> str:
    """Return the key of a span in the table: start and end (characters), label, id."""
    return f"{span.start_char}:{span.end_char}:{span.label_}:{span.id_}"


def declare_span_attribute(name: str, default: AttributeValue = None) -> None:
    """Make `span._.<name>` exist; an attribute that somebody declared before is left alone.

    Two spans on the same words keep values of their own as long as label or `id_` differ.
    """
    if Span.has_extension(name):
        return

    def get(span: Span) -> Any:
        values = span.doc.user_data.get(SPAN_TABLE, {}).get(span_key(span))
        return default if values is None else values.get(name, default)

    def set_(span: Span, value: AttributeValue) -> None:
        table = span.doc.user_data.setdefault(SPAN_TABLE, {})
        table.setdefault(span_key(span), {})[name] = value

    Span.set_extension(name, getter=get, setter=set_)


def keep_span_attribute(span: Span, name: str, value: Any) -> None:
    """Write plain data as an attribute of a span, also where `span._.<name>` can only be read."""
    if not Span.has_extension(name):
        declare_span_attribute(name)
    _, _, getter, setter = Span.get_extension(name)
    if getter is not None and setter is None:
        table = span.doc.user_data.setdefault(SPAN_TABLE, {})
        table.setdefault(span_key(span), {})[name] = value
    else:
        span._.set(name, value)


def plain_attribute(span: Span, name: str) -> Any:
    """Return an attribute as plain data: what is kept of a record, the text of a span.

    None stands for what is not declared.
    """
    value = span._.get(name) if span._.has(name) else None
    if isinstance(value, Span):
        return value.text
    return span_attributes(span).get(name, value)


def span_attributes(span: Span) -> dict[str, Any]:
    """Return the attributes that were set on this very span, by name (a copy)."""
    return dict(span.doc.user_data.get(SPAN_TABLE, {}).get(span_key(span), {}))


declare_doc_attribute("note_id")
declare_doc_attribute("note_datetime")
declare_doc_attribute("patient_id")
