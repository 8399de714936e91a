"""Converter "standoff": records of the standoff format, outside brat's own files."""

from __future__ import annotations

from typing import Any

from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer, text_of
from edspipe.data.standoff.docs import doc_to_record, record_to_doc
from edspipe.types import SpanGetter, SpanSetter

ALL_SPANS: Any = ("ents", "*")


@registry.converters.register("standoff")
class StandoffConverter:
    """Records of the standoff format, as plain data (in JSON lines), to Docs and back.

    A record is `{"note_id", "text", "entities": [{"id", "label", "fragments", "attributes"}]}`, and
    what `edspipe.data.standoff.record` shows.

    Args:
        tokenizer: Text to Doc; None takes that of `edspipe.blank("eds")`.
        span_setter: Where entities go when reading.
        span_getter: Which spans are written; all by default.
        span_attributes: Attributes that are read and written; None takes all that there are.
        bool_attributes: Attributes that are False where a record has none.
    """

    def __init__(
        self,
        tokenizer: Any = None,
        span_setter: SpanSetter = "ents",
        span_getter: SpanGetter = ALL_SPANS,
        span_attributes: Any = None,
        bool_attributes: list[str] | None = None,
    ) -> None:
        self.tokenizer = default_tokenizer(tokenizer)
        self.span_setter = span_setter
        self.span_getter = list(span_getter) if isinstance(span_getter, tuple) else span_getter
        self.attributes = {
            "span_attributes": span_attributes,
            "bool_attributes": list(bool_attributes or ()),
        }

    def to_doc(self, record: Any) -> Doc:
        """Turn a record into a Doc.

        Raises:
            DataError: The record has no text, or an entity is not well formed.
        """
        text_of(record, "text")
        record = {"note_id": None, "entities": [], **record}
        return record_to_doc(record, self.tokenizer, self.span_setter, **self.attributes)

    def to_record(self, doc: Doc) -> dict[str, Any]:
        """Turn a Doc into a record."""
        return doc_to_record(doc, self.span_getter, **self.attributes)
