"""Converter "text": a string, or a record with a text and an id."""

from __future__ import annotations

from typing import Any

from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer, text_of


@registry.converters.register("text")
class TextConverter:
    """Texts to Docs without annotations, and back.

    Args:
        tokenizer: Text to Doc; None takes that of `edspipe.blank("eds")`.
    """

    def __init__(self, tokenizer: Any = None) -> None:
        self.tokenizer = default_tokenizer(tokenizer)

    def to_doc(self, record: Any) -> Doc:
        """Turn a string or `{"note_text", "note_id"}` into a Doc."""
        if isinstance(record, str):
            return self.tokenizer(record)
        doc = self.tokenizer(text_of(record, "note_text", "text"))
        doc._.note_id = record.get("note_id", record.get("doc_id"))
        return doc

    def to_record(self, doc: Doc) -> dict[str, Any]:
        """Turn a Doc into `{"note_id", "note_text"}`."""
        return {"note_id": doc._.note_id, "note_text": doc.text}
