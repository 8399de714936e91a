"""Converter "labels": documents for classification, from tables and JSON with labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer
from edspipe.data.converters.label_fields import (
    LabelField,
    LabelList,
    NoLabels,
    OneLabel,
    ScoreTable,
    TruthColumns,
    shown,
)
from edspipe.doc.attributes import declare_doc_attribute
from edspipe.errors import DataError

KINDS = ("any", "number")
"""What a column that becomes an attribute of documents may hold."""

declare_doc_attribute("group")


@registry.converters.register("labels")
class LabelsConverter:
    """Records with a text and labels to Docs with `doc.cats`, and back.

    Labels stand in one of four ways, which are written as they are read:

    - `labels_columns`: a column of 0 and 1 for each label. Truth values are 0, 1, true, false, 0.0
      or 1.0, as numbers or as text; anything else is an error, a missing value too. A score of a
      model that is neither 0 nor 1 is written as it is.
    - `label_column`: a column that names the one label that holds. The label with the highest
      score is written.
    - `list_column`: a list of the labels that hold, `["flu", "cold"]`, or with a `separator` a
      text, `flu;cold`. An empty list (or text) says that no label holds, which is not the same as
      a null. Labels with a score of 0.5 and more are written.
    - `scores_column`: a dict of scores from 0 to 1, `{"flu": 0.9, "cold": 0}`.

    Read: `doc.cats` gets a score by label; `doc._.note_id` the id; `doc._.group` the group, e.g.
    the patient, whose documents belong together when data are split. A single list does not say
    which other labels there are: with `labels` those that it lacks get 0.0. Without, the list
    itself goes to `doc._.gold_labels`, and `eds.doc_classifier(attribute="_.gold_labels")` learns
    from it; in `doc.cats`, an empty list would say that nothing is known. Columns that are not
    asked for are not kept.

    Args:
        text_column: The column of the text.
        labels_columns: Columns of 0 and 1, each named by its label.
        label_column: The column of the one label.
        labels: The labels that may stand in `label_column`, `list_column` or `scores_column`; each
            gets a score in `doc.cats`, and others are an error. None takes any.
        id_column: The column of the id.
        group_column: The column of the group.
        tokenizer: Text to Doc; None takes that of `edspipe.blank("eds")`.
        list_column: The column of lists of labels.
        separator: Stands between the labels of `list_column` where it holds texts, as in CSV.
        missing: What a null in `list_column` means: `"error"`; `"none"`, no label holds; or
            `"unknown"`, nothing is known of the document, which nobody learns from.
        scores_column: The column of dicts of scores.
        doc_attributes: Further columns, kept as `doc._.<column>` and written again. As a dict,
            `{"age": "number"}` makes numbers of texts, which CSV has, and `"any"` does not.

    Raises:
        ValueError: Labels are asked for in two ways, two columns have one name, or an option
            belongs to a column that is not given.
    """

    def __init__(
        self,
        text_column: str = "text",
        labels_columns: Sequence[str] | None = None,
        label_column: str | None = None,
        labels: Sequence[str] | None = None,
        id_column: str | None = None,
        group_column: str | None = None,
        tokenizer: Any = None,
        *,
        list_column: str | None = None,
        separator: str | None = None,
        missing: Literal["error", "none", "unknown"] = "error",
        scores_column: str | None = None,
        doc_attributes: Sequence[str] | Mapping[str, str] = (),
    ) -> None:
        ways = {
            "labels_columns": labels_columns,
            "label_column": label_column,
            "list_column": list_column,
            "scores_column": scores_column,
        }
        _check_ways([name for name, value in ways.items() if value is not None], labels, separator)
        self.field: LabelField = NoLabels()
        if labels_columns is not None:
            self.field = TruthColumns(labels_columns)
        elif label_column is not None:
            self.field = OneLabel(label_column, labels)
        elif list_column is not None:
            self.field = LabelList(list_column, labels, separator, missing)
        elif scores_column is not None:
            self.field = ScoreTable(scores_column, labels)
        self.text_column = text_column
        self.id_column = id_column
        self.group_column = group_column
        self.doc_attributes = _read_kinds(doc_attributes)
        self._declare()
        self.tokenizer = default_tokenizer(tokenizer)
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"a column is asked for twice: {', '.join(self.columns)}")

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._declare()  # in a worker nobody else does

    def _declare(self) -> None:
        for name in self.doc_attributes:
            declare_doc_attribute(name)

    @property
    def columns(self) -> list[str]:
        """The columns of a record, in the order in which they are written."""
        one = [self.id_column, self.group_column, *self.doc_attributes, self.text_column]
        return [name for name in one if name is not None] + self.field.columns

    @property
    def id_key(self) -> str:
        """The key of the id in written records."""
        return self.id_column or "note_id"

    def arrow_schema(self) -> pa.Schema:
        """Return the columns; only lists of labels have a type before a value is seen."""
        is_list = isinstance(self.field, LabelList) and self.field.separator is None
        types = dict.fromkeys(self.field.columns, pa.list_(pa.string())) if is_list else {}
        return pa.schema([(name, types.get(name, pa.null())) for name in self.columns])

    def to_doc(self, record: Any) -> Doc:
        """Turn a record into a Doc.

        Raises:
            DataError: A column is missing, the text or a label has no value, or the value of a
                label is unknown.
        """
        self._check_columns(record)
        text = record[self.text_column]
        if not isinstance(text, str):
            message = f"expected a text under {self.text_column}, got {shown(text)}"
            raise DataError(message, id=self._id_of(record))
        doc = self.tokenizer(text)
        if self.id_column is not None:
            doc._.note_id = record[self.id_column]
        if self.group_column is not None:
            doc._.group = record[self.group_column]
        try:
            for name, kind in self.doc_attributes.items():
                doc._.set(name, _number(record[name], name) if kind == "number" else record[name])
            self.field.read(record, doc)
        except DataError as error:
            raise DataError(error.message, id=self._id_of(record)) from None
        return doc

    def _check_columns(self, record: Any) -> None:
        if not isinstance(record, dict):
            raise DataError(f"expected a record (a dict), got a {type(record).__name__}")
        missing = [name for name in self.columns if name not in record]
        if missing:
            found = ", ".join(sorted(map(str, record))) or "nothing"
            message = f"expected the columns {', '.join(missing)}; the record has: {found}"
            raise DataError(message, id=self._id_of(record))

    def to_record(self, doc: Doc) -> dict[str, Any]:
        """Turn a Doc into a record.

        Raises:
            DataError: A label of `labels_columns` has no score in `doc.cats`, or one holds the
                separator.
        """
        record: dict[str, Any] = {}
        if self.id_column is not None:
            record[self.id_column] = doc._.note_id
        if self.group_column is not None:
            record[self.group_column] = doc._.group
        for name in self.doc_attributes:
            record[name] = doc._.get(name) if Doc.has_extension(name) else None
        record[self.text_column] = doc.text
        try:
            return record | self.field.write(doc)
        except DataError as error:
            ident = None if doc._.note_id is None else str(doc._.note_id)
            raise DataError(error.message, id=ident) from None

    def _id_of(self, record: dict[str, Any]) -> str | None:
        ident = None if self.id_column is None else record.get(self.id_column)
        return None if ident is None else str(ident)


def _check_ways(given: Sequence[str], labels: Sequence[str] | None, separator: str | None) -> None:
    if len(given) > 1:
        raise ValueError(f"give {'= or '.join(given)}=, not both")
    one_column = set(given) - {"labels_columns"}
    if labels is not None and not one_column:
        raise ValueError(
            "labels= says what may stand in label_column=, list_column= or scores_column=, which is"
            " not given"
        )
    if separator is not None and "list_column" not in given:
        raise ValueError("separator= cuts the texts of list_column=, which is not given")


def _read_kinds(columns: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    kinds = dict(columns) if isinstance(columns, Mapping) else dict.fromkeys(columns, "any")
    for name, kind in kinds.items():
        if kind not in KINDS:
            known = ", ".join(KINDS)
            raise ValueError(f"doc_attributes: expected one of {known} for {name}, got {kind!r}")
    return kinds


def _number(value: Any, column: str) -> float | None:
    """Return a number, None for a value that is missing."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"expected a number under {column}, got {shown(value)}")
    return found
