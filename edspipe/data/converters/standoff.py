"""Converter "standoff": records of the standoff format, outside brat's own files."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer, text_of
from edspipe.data.standoff.docs import doc_to_record, record_to_doc
from edspipe.errors import DataError
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

    def to_row(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record for a table: what has keys or types of its own is JSON there."""
        entities = [
            {**entity, "attributes": _to_json(entity["attributes"])}
            for entity in record["entities"]
        ]
        source = record.get("source")
        return {
            **record,
            "entities": entities,
            "source": None if source is None else _to_json(source),
        }

    def from_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Undo `to_row`, and what a table does to a record."""
        record = {key: value for key, value in row.items() if value is not None or key == "text"}
        if "entities" in record:
            record["entities"] = [
                {**entity, "attributes": _from_json(entity.get("attributes"), row)}
                for entity in record["entities"]
            ]
        if "source" in record:
            record["source"] = _from_json(record["source"], row)
        return record

    def arrow_schema(self) -> pa.Schema:
        """Return the columns of `to_row`."""
        text, pairs = pa.string(), pa.list_(pa.list_(pa.string()))
        entity = {
            "id": text,
            "label": text,
            "fragments": pa.list_(pa.list_(pa.int64())),
            "attributes": text,
            "normalizations": pairs,
            "notes": pairs,
        }
        relation = {"id": text, "label": text, "arguments": pairs}
        event = {"id": text, "label": text, "trigger": text, "arguments": pairs}
        columns = {
            "note_id": text,
            "text": text,
            "entities": _structs(entity),
            "relations": _structs(relation),
            "events": _structs(event),
            "source": text,
            "bool_attributes": pa.list_(text),
        }
        return pa.schema(list(columns.items()))


def _structs(fields: dict[str, pa.DataType]) -> pa.DataType:
    return pa.list_(pa.struct(list(fields.items())))


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _from_json(value: Any, row: dict[str, Any]) -> Any:
    """Read a cell of JSON; a dict is one already, a null is empty.

    Raises:
        DataError: It is not JSON.
    """
    if not isinstance(value, str):
        return value or {}
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        ident = row.get("note_id")
        raise DataError(
            "expected JSON in 'attributes' and 'source', as written by the converter 'standoff'",
            id=None if ident is None else str(ident),
        ) from None
