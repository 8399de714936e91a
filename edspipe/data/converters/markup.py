"""Converter "markup": text with spans written into it, as in examples and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer, text_of
from edspipe.doc.alignment import TokenOffsets
from edspipe.doc.attributes import declare_span_attribute, span_attributes
from edspipe.doc.markup import PRESETS, MarkedSpan, parse_markup, render_markup
from edspipe.doc.span_access import get_spans, set_spans
from edspipe.errors import DataError
from edspipe.types import SpanGetter, SpanSetter

ALL_SPANS: Any = ("ents", "*")


@registry.converters.register("markup")
class MarkupConverter:
    """Marked-up texts to Docs, and back: `<ent label=disease negated=true>fracture</ent>`.

    A record is a string, or `{"note_id", "note_text"}` (or `text`). Spans may be nested. Offsets
    inside a word are widened to the word. `edspipe.doc.markup` says how markup is written and
    escaped.

    Args:
        tokenizer: Text to Doc; None takes that of `edspipe.blank("eds")`.
        preset: `"xml"`, or `"md"` for `[fracture](disease negated=true)`.
        text_column: The key of the text in records; None takes `note_text` or `text`.
        span_setter: Where spans go when reading.
        span_getter: Which spans are written; all by default.
        span_attributes: Attributes that are read and written; None takes all that there are.
        bool_attributes: Attributes that are False where the markup has none; False is not written.
        default_label: The label of spans that have none, as `doc.ents` needs one; it is not
            written.
    """

    def __init__(
        self,
        tokenizer: Any = None,
        preset: str = "xml",
        text_column: str | None = None,
        span_setter: SpanSetter = "ents",
        span_getter: SpanGetter = ALL_SPANS,
        span_attributes: Sequence[str] | None = None,
        bool_attributes: Sequence[str] = (),
        default_label: str = "ent",
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f"a preset of markup is one of {', '.join(PRESETS)}; got {preset!r}")
        self.tokenizer = default_tokenizer(tokenizer)
        self.preset = preset
        self.text_columns = ("note_text", "text") if text_column is None else (text_column,)
        self.span_setter = span_setter
        self.span_getter = list(span_getter) if isinstance(span_getter, tuple) else span_getter
        self.span_attributes = None if span_attributes is None else list(span_attributes)
        self.bool_attributes = list(bool_attributes)
        self.default_label = default_label

    def to_doc(self, record: Any) -> Doc:
        """Turn a marked-up text into a Doc.

        Raises:
            DataError: The markup is malformed, or the record has no text.
        """
        marked = record if isinstance(record, str) else text_of(record, *self.text_columns)
        ident = None if isinstance(record, str) else record.get("note_id", record.get("doc_id"))
        try:
            text, spans = parse_markup(marked, self.preset)
        except DataError as error:
            raise DataError(error.message, id=None if ident is None else str(ident)) from None
        doc = self.tokenizer(text)
        doc._.note_id = ident
        offsets = TokenOffsets(doc)
        made = [self._span(doc, offsets, span) for span in spans]
        set_spans(doc, [span for span in made if span is not None], self.span_setter)
        return doc

    def _span(self, doc: Doc, offsets: TokenOffsets, marked: MarkedSpan) -> Span | None:
        snapped = offsets.snap(marked.start, marked.end)
        if snapped is None:
            return None
        span = Span(doc, snapped[0], snapped[1], label=marked.label or self.default_label)
        values = dict.fromkeys(self.bool_attributes, False) | marked.attributes
        for name, value in values.items():
            if self._is_wanted(name):
                declare_span_attribute(name)
                span._.set(name, value)
        return span

    def _is_wanted(self, name: str) -> bool:
        known = self.span_attributes is None or name in self.span_attributes
        return known or name in self.bool_attributes

    def to_record(self, doc: Doc) -> dict[str, Any]:
        """Turn a Doc into `{"note_id", "note_text"}`.

        Raises:
            DataError: Spans cross, or an attribute has a value that markup has not.
        """
        spans = [
            MarkedSpan(span.start_char, span.end_char, self._label(span), self._attributes(span))
            for span in get_spans(doc, self.span_getter)
        ]
        ident = doc._.note_id
        try:
            marked = render_markup(doc.text, spans, self.preset)
        except DataError as error:
            raise DataError(error.message, id=None if ident is None else str(ident)) from None
        return {"note_id": ident, self.text_columns[0]: marked}

    def _label(self, span: Span) -> str:
        return "" if span.label_ == self.default_label else span.label_

    def _attributes(self, span: Span) -> dict[str, Any]:
        values = span_attributes(span)
        if self.span_attributes is not None:
            wanted = [*self.span_attributes, *self.bool_attributes]
            values = {name: values[name] for name in wanted if name in values}
        return {
            name: value
            for name, value in values.items()
            if not (name in self.bool_attributes and value is False)
        }
