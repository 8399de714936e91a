"""Converter "omop": notes and their entities under the names of the OMOP tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer, text_of
from edspipe.data.converters.late import MORE, find_kinds, to_json, with_room
from edspipe.doc.alignment import TokenOffsets
from edspipe.doc.attributes import keep_span_attribute, plain_attribute, span_attributes
from edspipe.doc.span_access import get_spans, set_spans
from edspipe.errors import DataError
from edspipe.types import SpanGetter, SpanSetter

ALL_SPANS: Any = ("ents", "*")
ENTITY_KEYS = ("note_nlp_id", "start_char", "end_char", "lexical_variant", "note_nlp_source_value")


@registry.converters.register("omop")
class OmopConverter:
    """Records of OMOP's NOTE and NOTE_NLP tables to Docs, and back.

    A record is `{"note_id", "note_text", "note_datetime", "entities": [...]}`, an entity
    `{"note_nlp_id", "start_char", "end_char", "lexical_variant", "note_nlp_source_value"}` (the
    last one is its label), with further keys as attributes. Offsets inside a word are widened to
    the word. In tables, an attribute that is a dict or nested is JSON. In parquet files, whose
    columns are fixed by the first rows, `more_attributes` holds, as JSON, the attributes that come
    later and have no column, or that their column cannot hold; with `span_attributes`, each of
    these has a column, of texts if the first rows have no value of it.

    Args:
        tokenizer: Text to Doc; None takes that of `edspipe.blank("eds")`.
        span_setter: Where entities go when reading.
        span_getter: Which spans are written; all by default.
        span_attributes: Attributes that are read and written; None takes all that there are.
    """

    def __init__(
        self,
        tokenizer: Any = None,
        span_setter: SpanSetter = "ents",
        span_getter: SpanGetter = ALL_SPANS,
        span_attributes: Sequence[str] | None = None,
    ) -> None:
        self.tokenizer = default_tokenizer(tokenizer)
        self.span_setter = span_setter
        self.span_getter = list(span_getter) if isinstance(span_getter, tuple) else span_getter
        self.span_attributes = None if span_attributes is None else list(span_attributes)

    def to_doc(self, record: Any) -> Doc:
        """Turn a record into a Doc.

        Raises:
            DataError: The record has no text, or an entity no valid offsets.
        """
        doc = self.tokenizer(text_of(record, "note_text"))
        doc._.note_id = record.get("note_id")
        doc._.note_datetime = record.get("note_datetime")
        offsets = TokenOffsets(doc)
        entities = record.get("entities") or []
        spans = [self._span(doc, offsets, entity, i) for i, entity in enumerate(entities)]
        set_spans(doc, [span for span in spans if span is not None], self.span_setter)
        return doc

    def _span(self, doc: Doc, offsets: TokenOffsets, entity: Any, i: int) -> Span | None:
        start, end = (
            (entity.get("start_char"), entity.get("end_char"))
            if isinstance(entity, dict)
            else (None, None)
        )
        valid = isinstance(start, int) and isinstance(end, int)
        if not valid or not 0 <= start < end <= len(doc.text):  # type: ignore[operator]
            raise DataError(
                f"entity {i}: expected start_char and end_char with 0 <= start < end <= "
                f"{len(doc.text)}, got {_shown(start)} and {_shown(end)}",
                id=None if doc._.note_id is None else str(doc._.note_id),
            )
        snapped = offsets.snap(start, end)  # type: ignore[arg-type]
        if snapped is None:
            return None
        label = str(entity.get("note_nlp_source_value") or "")
        ident = entity.get("note_nlp_id")
        span = Span(
            doc, snapped[0], snapped[1], label=label, span_id="" if ident is None else str(ident)
        )
        for key, value in entity.items():
            wanted = self.span_attributes is None or key in self.span_attributes
            if wanted and key not in ENTITY_KEYS:
                keep_span_attribute(span, key, value)
        return span

    def to_record(self, doc: Doc) -> dict[str, Any]:
        """Turn a Doc into a record."""
        return {
            "note_id": doc._.note_id,
            "note_datetime": doc._.note_datetime,
            "note_text": doc.text,
            "entities": [
                self._entity(span, i) for i, span in enumerate(get_spans(doc, self.span_getter))
            ],
        }

    def to_row(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record for a table: an attribute with keys of its own is JSON there."""
        return {**record, "entities": [_with_json(entity) for entity in record["entities"]]}

    def from_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Undo `to_row`, and what a table does to a record: attributes that are absent are null."""
        entities = row.get("entities")
        if not isinstance(entities, list):
            return row
        return {**row, "entities": [_from_table(entity) for entity in entities]}

    def arrow_schema(self) -> pa.Schema:
        """Return the columns; attributes have no type before a value is seen."""
        kinds = (pa.string(), pa.int64(), pa.int64(), pa.string(), pa.string())
        fields = list(zip(ENTITY_KEYS, kinds, strict=True))
        fields += [(name, pa.null()) for name in self.span_attributes or ()]
        texts = [(name, pa.string()) for name in ("note_id", "note_datetime", "note_text")]
        return pa.schema([*texts, ("entities", pa.list_(pa.struct(fields)))])

    def late_schema(self) -> pa.Schema:
        """Return the columns that take what comes after the columns were fixed."""
        names = [*(self.span_attributes or ()), MORE]
        fields = [(name, pa.string()) for name in names if name not in ENTITY_KEYS]
        return pa.schema([("entities", pa.list_(pa.struct(fields)))])

    def fit_row(self, row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
        """Return a row that fits columns which were fixed before it came."""
        entities = schema.field("entities").type if "entities" in schema.names else pa.null()
        if not pa.types.is_list(entities) or not pa.types.is_struct(entities.value_type):
            return row
        kinds = find_kinds(entities.value_type)
        asked = self.span_attributes is not None
        fitted = [with_room(entity, kinds, texts_first=asked) for entity in row["entities"]]
        return {**row, "entities": fitted}

    def _entity(self, span: Span, i: int) -> dict[str, Any]:
        entity: dict[str, Any] = {
            "note_nlp_id": span.id_ or str(i),
            "start_char": span.start_char,
            "end_char": span.end_char,
            "lexical_variant": span.text,
            "note_nlp_source_value": span.label_,
        }
        if self.span_attributes is None:
            entity.update(span_attributes(span))
        else:
            entity.update({key: plain_attribute(span, key) for key in self.span_attributes})
        return entity


def _with_json(entity: dict[str, Any]) -> dict[str, Any]:
    """Write as JSON what would need a column for each of its keys, or is nested."""
    return {key: to_json(value) if _is_nested(value) else value for key, value in entity.items()}


def _is_nested(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(isinstance(one, (dict, list, tuple)) for one in value)
    return isinstance(value, dict)


def _from_table(entity: Any) -> Any:
    if not isinstance(entity, dict):
        return entity
    more = _from_json(entity.get(MORE))
    entity = {**entity, **more, MORE: None} if isinstance(more, dict) else entity
    return {
        key: value if key in ENTITY_KEYS else _from_json(value)
        for key, value in entity.items()
        if value is not None or key in ENTITY_KEYS
    }


def _from_json(value: Any) -> Any:
    """Read the JSON of `_with_json`; any other text stays as it is."""
    if not (isinstance(value, str) and value.startswith(("{", "[")) and value[-1] in "}]"):
        return value
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return read if _is_nested(read) else value


def _shown(value: Any) -> str:
    """Return a number as it is, and of anything else, which may be clinical text, its type."""
    return repr(value) if isinstance(value, (int, float, type(None))) else type(value).__name__
