"""Converter "labels": documents for classification, from tables with labels in columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.data.converters.base import default_tokenizer
from edspipe.doc.attributes import declare_doc_attribute
from edspipe.errors import DataError

TRUTH = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "0.0": 0.0, "1.0": 1.0}
"""How truth values are written in tables; case does not matter, blanks do."""

declare_doc_attribute("group")


@registry.converters.register("labels")
class LabelsConverter:
    """Records with a text and labels to Docs with `doc.cats`, and back.

    Labels stand in several columns of 0 and 1 (any of them may hold), or in one column that names
    the label that holds. Truth values are 0, 1, true, false, 0.0 or 1.0, as numbers or as text;
    anything else is an error, a missing value too. Other columns are not kept.

    Read: `doc.cats` gets 1.0 or 0.0 by label; `doc._.note_id` the id; `doc._.group` the group, e.g.
    the patient, whose documents belong together when data are split. Written: a score of exactly 0
    or 1 as 0 or 1, any other as it is; for one column, the label with the highest score.

    Args:
        text_column: The column of the text.
        labels_columns: Columns of 0 and 1, each named by its label.
        label_column: The column of the one label.
        labels: The labels that may stand in `label_column`; each gets a score in `doc.cats`. None
            takes any, and only the one that holds gets a score.
        id_column: The column of the id.
        group_column: The column of the group.
        tokenizer: Text to Doc; None takes that of `edspipe.blank("eds")`.

    Raises:
        ValueError: Labels are asked for in both ways, or two columns have one name.
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
    ) -> None:
        if labels_columns is not None and label_column is not None:
            raise ValueError("give labels_columns= or label_column=, not both")
        if labels is not None and label_column is None:
            raise ValueError("labels= says what may stand in label_column=, which is not given")
        self.text_column = text_column
        self.labels_columns = list(labels_columns or ())
        self.label_column = label_column
        self.labels = None if labels is None else list(labels)
        self.id_column = id_column
        self.group_column = group_column
        self.tokenizer = default_tokenizer(tokenizer)
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"a column is asked for twice: {', '.join(self.columns)}")

    @property
    def columns(self) -> list[str]:
        """The columns of a record, in the order in which they are written."""
        one = [self.id_column, self.group_column, self.text_column, self.label_column]
        return [name for name in one if name is not None] + self.labels_columns

    @property
    def id_key(self) -> str:
        """The key of the id in written records."""
        return self.id_column or "note_id"

    def to_doc(self, record: Any) -> Doc:
        """Turn a record into a Doc.

        Raises:
            DataError: A column is missing, the text or a label has no value, or the value of a
                label is unknown.
        """
        self._check_columns(record)
        text = record[self.text_column]
        if not isinstance(text, str):
            raise self._problem(record, f"expected a text under {self.text_column}, got", text)
        doc = self.tokenizer(text)
        if self.id_column is not None:
            doc._.note_id = record[self.id_column]
        if self.group_column is not None:
            doc._.group = record[self.group_column]
        doc.cats = self._cats(record)
        return doc

    def _check_columns(self, record: Any) -> None:
        if not isinstance(record, dict):
            raise DataError(f"expected a record (a dict), got a {type(record).__name__}")
        missing = [name for name in self.columns if name not in record]
        if missing:
            found = ", ".join(sorted(map(str, record))) or "nothing"
            message = f"expected the columns {', '.join(missing)}; the record has: {found}"
            raise DataError(message, id=self._id_of(record))

    def _cats(self, record: dict[str, Any]) -> dict[str, float]:
        if self.label_column is None:
            return {name: self._truth(record, name) for name in self.labels_columns}
        label = record[self.label_column]
        if not isinstance(label, str) or not label:
            raise self._problem(record, f"expected a label under {self.label_column}, got", label)
        if self.labels is None:
            return {label: 1.0}
        if label not in self.labels:
            expected = f"expected one of {', '.join(self.labels)} under {self.label_column}, got"
            raise self._problem(record, expected, label)
        return {name: float(name == label) for name in self.labels}

    def _truth(self, record: dict[str, Any], column: str) -> float:
        value = record[column]
        plain = value.item() if hasattr(value, "item") else value  # a number of numpy's
        if isinstance(plain, str):
            found = TRUTH.get(plain.lower())
        else:
            found = float(plain) if isinstance(plain, (bool, int, float)) else None
        if found not in (0.0, 1.0):
            expected = f"expected 0, 1, true or false under {column}, got"
            raise self._problem(record, expected, plain)
        return found

    def to_record(self, doc: Doc) -> dict[str, Any]:
        """Turn a Doc into a record.

        Raises:
            DataError: A label of `labels_columns` has no score in `doc.cats`.
        """
        record: dict[str, Any] = {}
        if self.id_column is not None:
            record[self.id_column] = doc._.note_id
        if self.group_column is not None:
            record[self.group_column] = doc._.group
        record[self.text_column] = doc.text
        if self.label_column is not None:
            record[self.label_column] = max(doc.cats, key=doc.cats.get, default=None)  # type: ignore[arg-type]
        for name in self.labels_columns:
            if name not in doc.cats:
                known = ", ".join(doc.cats) or "nothing"
                ident = None if doc._.note_id is None else str(doc._.note_id)
                raise DataError(
                    f"expected a score of {name} in doc.cats; it has: {known}", id=ident
                )
            score = doc.cats[name]
            record[name] = int(score) if score in (0, 1) else float(score)
        return record

    def _problem(self, record: dict[str, Any], expected: str, value: Any) -> DataError:
        return DataError(f"{expected} {_shown(value)}", id=self._id_of(record))

    def _id_of(self, record: dict[str, Any]) -> str | None:
        ident = None if self.id_column is None else record.get(self.id_column)
        return None if ident is None else str(ident)


def _shown(value: Any) -> str:
    """Return a number as it is, and of a text, which may be clinical, its length."""
    if value is None or isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return f"a {type(value).__name__}"
