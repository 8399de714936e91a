"""Converter "note_nlp": a row of OMOP's NOTE_NLP table for each entity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.data.converters.late import find_kinds, to_json, with_room
from edspipe.doc.attributes import plain_attribute, span_attributes
from edspipe.doc.span_access import get_spans, without_layout
from edspipe.errors import DataError
from edspipe.types import SpanGetter
from edspipe.version import __version__

SECTIONS = "sections"
"""The group of `eds.sections`."""

ABSENT = ("negation", "hypothesis", "family")
"""With one of these, the patient does not have what is named."""

PAST = "history"

_TEXT_COLUMNS = (
    "lexical_variant",
    "note_nlp_source_value",
    "note_nlp_source_concept",
    "section",
    "snippet",
    "term_exists",
    "term_temporal",
    "term_modifiers",
    "nlp_system",
)


@registry.converters.register("note_nlp")
class NoteNlpConverter:
    """Docs to rows of OMOP's NOTE_NLP table, one for each entity; it only writes.

    The columns are the same whatever the pipeline finds, so that they fit a table: `note_nlp_id`
    (`<note_id>-0` ...), `note_id`, `start_char`, `end_char`, `lexical_variant` (the text),
    `note_nlp_source_value` (the label), `note_nlp_source_concept` (the code), `section` (the kind
    of the section, where `eds.sections` ran), `snippet` (the words around), `term_exists` (`N` if
    it is negated, supposed or a relative's, `Y` if not, null where nobody looked),
    `term_temporal` (`past` or `present`), `term_modifiers` (all attributes, as JSON) and
    `nlp_system`.

    Args:
        tokenizer: Not used: nothing is read.
        span_getter: Which spans get a row; `"*"` is all groups but those of the layout (`sections`,
            `section_titles`, `tables`, `pollution`), which get rows where they are named.
        span_attributes: Attributes that get a column of their own; what is no text, number or
            truth value is JSON there. In parquet files, a column is one of texts if the first rows
            have no value of it.
        snippet_chars: Characters of the snippet on each side of the entity; 0 leaves it empty.
    """

    id_key = "note_nlp_id"

    def __init__(
        self,
        tokenizer: Any = None,
        span_getter: SpanGetter = "ents",
        span_attributes: Sequence[str] = (),
        snippet_chars: int = 50,
    ) -> None:
        self.span_getter = without_layout(span_getter)
        self.span_attributes = list(span_attributes or ())
        self.snippet_chars = snippet_chars

    def to_doc(self, record: Any) -> Doc:
        """Refuse: rows hold no text of the note.

        Raises:
            DataError: Always.
        """
        raise DataError(
            "rows of 'note_nlp' hold entities without the text of their notes, and cannot be read "
            "as documents; write notes with the converter 'omop'"
        )

    def to_record(self, doc: Doc) -> Iterator[dict[str, Any]]:
        """Yield the rows of a Doc."""
        text = doc.text
        sections = list(doc.spans.get(SECTIONS, ()))
        for number, span in enumerate(get_spans(doc, self.span_getter)):
            yield self._row(text, span, number, sections)

    def arrow_schema(self) -> pa.Schema:
        """Return the columns; attributes have no type before a value is seen."""
        ids = [("note_nlp_id", pa.string()), ("note_id", pa.string())]
        places = [("start_char", pa.int64()), ("end_char", pa.int64())]
        texts = [(name, pa.string()) for name in _TEXT_COLUMNS]
        return pa.schema([*ids, *places, *texts, *((n, pa.null()) for n in self.span_attributes)])

    def late_schema(self) -> pa.Schema:
        """Return the columns that take what comes after the columns were fixed."""
        return pa.schema([(name, pa.string()) for name in self.span_attributes])

    def fit_row(self, row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
        """Return a row that fits columns which were fixed before it came."""
        asked = {name: row[name] for name in self.span_attributes}
        return {**row, **with_room(asked, find_kinds(schema))}

    def _row(self, text: str, span: Span, number: int, sections: list[Span]) -> dict[str, Any]:
        values = span_attributes(span)
        note_id = span.doc._.note_id
        return {
            "note_nlp_id": str(number) if note_id is None else f"{note_id}-{number}",
            "note_id": note_id,
            "start_char": span.start_char,
            "end_char": span.end_char,
            "lexical_variant": span.text,
            "note_nlp_source_value": span.label_,
            "note_nlp_source_concept": span.kb_id_ or None,
            "section": next((s.label_ for s in sections if s.start <= span.start < s.end), None),
            "snippet": self._snippet(text, span),
            "term_exists": _exists(values),
            "term_temporal": _temporal(values),
            "term_modifiers": to_json(values),
            "nlp_system": f"edspipe {__version__}",
            **{name: _plain(plain_attribute(span, name)) for name in self.span_attributes},
        }

    def _snippet(self, text: str, span: Span) -> str | None:
        if self.snippet_chars <= 0:
            return None
        begin = max(0, span.start_char - self.snippet_chars)
        return " ".join(text[begin : span.end_char + self.snippet_chars].split())


def _exists(values: dict[str, Any]) -> str | None:
    looked = [values[name] for name in ABSENT if values.get(name) is not None]
    return ("N" if any(looked) else "Y") if looked else None


def _temporal(values: dict[str, Any]) -> str | None:
    value = values.get(PAST)
    return None if value is None else "past" if value else "present"


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, type(None))) else to_json(value)
