"""Converter "label_scores": what a classifier says of documents, as records without their text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer
from edspipe.data.converters.label_fields import shown
from edspipe.doc.attributes import declare_doc_attribute
from edspipe.doc.document_labels import gold_labels
from edspipe.errors import DataError

PREFIX = "p_"
SCORES = "scores"
SEPARATOR = ";"


@registry.converters.register("label_scores")
class LabelScoresConverter:
    """Docs that a classifier has seen to records of its labels and probabilities, and back.

    A nested record, for JSON and parquet, is `{"note_id": "n1", "labels": ["flu"], "scores":
    {"flu": 0.91, "cold": 0.07}}`; a flat one, for CSV, `{"note_id": "n1", "labels": "flu", "p_flu":
    0.91, "p_cold": 0.07}`. There is no text in it, unless `text_column` asks for it: a table of
    scores is often given to people who may not read the notes.

    Args:
        labels: The labels with a score, in their order.
        decisions: Attributes of documents that hold the labels that were decided for, each a
            column: the `label_attribute` of each classifier.
        layout: `"nested"` or `"flat"`.
        id_column: The column of `doc._.note_id`.
        text_column: The column of the text; None leaves it out.
        doc_attributes: Attributes of documents that are written too, each a column.
        tokenizer: Text to Doc; None takes that of `edspipe.blank("eds")`.

    Raises:
        ValueError: Two columns have one name.
    """

    def __init__(
        self,
        labels: Sequence[str],
        decisions: Sequence[str] = ("labels",),
        layout: Literal["nested", "flat"] = "nested",
        id_column: str = "note_id",
        text_column: str | None = None,
        doc_attributes: Sequence[str] = (),
        tokenizer: Any = None,
    ) -> None:
        self.labels, self.decisions = list(labels), list(decisions)
        self.layout = layout
        self.id_column, self.text_column = id_column, text_column
        self.doc_attributes = list(doc_attributes)
        self.tokenizer = default_tokenizer(tokenizer)
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"two columns would have one name: {', '.join(self.columns)}")
        self._declare()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._declare()  # in a worker nobody else does

    def _declare(self) -> None:
        for name in (*self.decisions, *self.doc_attributes):
            declare_doc_attribute(name)

    @property
    def columns(self) -> list[str]:
        """The columns of a record, in their order."""
        text = [] if self.text_column is None else [self.text_column]
        scores = [SCORES] if self.layout == "nested" else [PREFIX + label for label in self.labels]
        return [self.id_column, *self.doc_attributes, *text, *self.decisions, *scores]

    @property
    def id_key(self) -> str:
        """The key of the id in written records."""
        return self.id_column

    def arrow_schema(self) -> pa.Schema:
        """Return the columns; the id and attributes have no type before a value is seen."""
        types: dict[str, Any] = {}
        if self.layout == "nested":
            types = dict.fromkeys(self.decisions, pa.list_(pa.string()))
        return pa.schema([(name, types.get(name, pa.null())) for name in self.columns])

    def to_record(self, doc: Doc) -> dict[str, Any]:
        """Turn a Doc into a record.

        Raises:
            DataError: A label has no score, or one that is decided for holds the mark that stands
                between labels.
        """
        record: dict[str, Any] = {self.id_column: doc._.note_id}
        record |= {name: doc._.get(name) for name in self.doc_attributes}
        if self.text_column is not None:
            record[self.text_column] = doc.text
        record |= {name: self._decided(doc, name) for name in self.decisions}
        missing = [label for label in self.labels if label not in doc.cats]
        if missing:
            known = ", ".join(doc.cats) or "nothing"
            raise DataError(
                f"expected scores of {', '.join(missing)} in doc.cats; it has: {known}", id=_id(doc)
            )
        scores = {label: float(doc.cats[label]) for label in self.labels}
        if self.layout == "nested":
            return record | {SCORES: scores}
        return record | {PREFIX + label: score for label, score in scores.items()}

    def _decided(self, doc: Doc, name: str) -> list[str] | str:
        found = gold_labels(doc, f"_.{name}") or set()
        order = [label for label in self.labels if label in found]
        order += sorted(found.difference(order))
        if self.layout == "nested":
            return order
        for label in order:
            if SEPARATOR in label:
                raise DataError(
                    f"the label '{label}' holds '{SEPARATOR}', which stands between labels in a "
                    "table; write JSON",
                    id=_id(doc),
                )
        return SEPARATOR.join(order)

    def to_doc(self, record: Any) -> Doc:
        """Turn a record with a text into a Doc: scores into `doc.cats`, labels into attributes.

        Raises:
            DataError: The record has no text, or lacks a column or a score.
        """
        if self.text_column is None:
            raise DataError("records without a text cannot be read as documents: text_column=")
        missing = [name for name in self.columns if name not in record]
        text = record.get(self.text_column)
        if missing or not isinstance(text, str):
            what = f"the columns {', '.join(missing)}" if missing else "a text"
            raise DataError(f"expected {what}", id=str(record.get(self.id_column)))
        doc = self.tokenizer(text)
        doc._.note_id = record[self.id_column]
        for name in self.doc_attributes:
            doc._.set(name, record[name])
        for name in self.decisions:
            value = record[name] or []
            parts = value.split(SEPARATOR) if isinstance(value, str) else value
            doc._.set(name, list(parts))
        doc.cats = {label: self._score(record, label) for label in self.labels}
        return doc

    def _score(self, record: dict[str, Any], label: str) -> float:
        nested = self.layout == "nested"
        value = record[SCORES].get(label) if nested else record[PREFIX + label]
        try:
            return float(value)
        except (TypeError, ValueError):
            raise DataError(
                f"expected a score of {label}, got {shown(value)}",
                id=str(record.get(self.id_column)),
            ) from None


def _id(doc: Doc) -> str | None:
    return None if doc._.note_id is None else str(doc._.note_id)
