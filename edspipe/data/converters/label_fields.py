"""How labels of documents stand in a record: the ways that the converter "labels" knows.

Each way reads its columns into a Doc and gives them back. Messages tell types, numbers and lengths,
and quote no text: a wrong column may hold a note.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from spacy.tokens import Doc

from edspipe.doc.attributes import declare_doc_attribute
from edspipe.doc.document_labels import MIN_SCORE
from edspipe.errors import DataError

TRUTH = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "0.0": 0.0, "1.0": 1.0}
"""How truth values are written in tables; case does not matter, blanks do."""
GOLD_LABELS = "gold_labels"
"""`doc._.gold_labels`: where lists of labels go while nobody says which labels there are."""

declare_doc_attribute(GOLD_LABELS)


class LabelField(Protocol):
    """A way in which labels stand in a record.

    Attributes:
        columns: The columns that it takes.
    """

    columns: list[str]

    def read(self, record: dict[str, Any], doc: Doc) -> None:
        """Put the labels of a record into a Doc."""

    def write(self, doc: Doc) -> dict[str, Any]:
        """Return the columns of a Doc."""


class NoLabels:
    """Records without labels."""

    def __init__(self) -> None:
        self.columns: list[str] = []

    def read(self, record: dict[str, Any], doc: Doc) -> None:
        """Leave the Doc as it is."""

    def write(self, doc: Doc) -> dict[str, Any]:
        """Return nothing."""
        return {}


class TruthColumns:
    """A column of 0 and 1 for each label.

    Args:
        labels: The columns, each named by its label.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.columns = list(labels)

    def read(self, record: dict[str, Any], doc: Doc) -> None:
        doc.cats = {name: self._truth(record[name], name) for name in self.columns}

    def _truth(self, value: Any, column: str) -> float:
        plain = _plain(value)
        if isinstance(plain, str):
            found = TRUTH.get(plain.lower())
        else:
            found = float(plain) if isinstance(plain, (bool, int, float)) else None
        if found not in (0.0, 1.0):
            raise DataError(f"expected 0, 1, true or false under {column}, got {shown(plain)}")
        return found

    def write(self, doc: Doc) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for name in self.columns:
            if name not in doc.cats:
                known = ", ".join(doc.cats) or "nothing"
                raise DataError(f"expected a score of {name} in doc.cats; it has: {known}")
            score = doc.cats[name]
            row[name] = int(score) if score in (0, 1) else float(score)
        return row


class OneLabel:
    """A column that names the one label that holds.

    Args:
        column: Its name.
        labels: The labels that may stand there; None takes any.
    """

    def __init__(self, column: str, labels: Sequence[str] | None) -> None:
        self.columns = [column]
        self.column, self.labels = column, labels

    def read(self, record: dict[str, Any], doc: Doc) -> None:
        label = record[self.column]
        if not isinstance(label, str) or not label:
            raise DataError(f"expected a label under {self.column}, got {shown(label)}")
        check_known([label], self.labels, self.column)
        doc.cats = scores_of([label], self.labels or [label])

    def write(self, doc: Doc) -> dict[str, Any]:
        return {self.column: max(doc.cats, key=doc.cats.get, default=None)}  # type: ignore[arg-type]


class LabelList:
    """A column with a list of the labels that hold; an empty list says that none does.

    Args:
        column: Its name.
        labels: The labels that there are; None takes any, and keeps lists as lists.
        separator: Stands between labels where the column holds texts, as in `flu;cold`.
        missing: What a null means: `"error"`, `"none"` (no label holds), or `"unknown"`.

    Raises:
        ValueError: The separator is empty.
    """

    def __init__(
        self, column: str, labels: Sequence[str] | None, separator: str | None, missing: str
    ) -> None:
        if separator is not None and not separator.strip():
            raise ValueError(f"separator is a mark such as ';', got {separator!r}")
        self.columns = [column]
        self.column, self.labels = column, labels
        self.separator, self.missing = separator, missing

    def read(self, record: dict[str, Any], doc: Doc) -> None:
        found = self._found(record[self.column])
        if found is None:
            return
        check_known(found, self.labels, self.column)
        if self.labels is None:
            doc._.set(GOLD_LABELS, found)
        else:
            doc.cats = scores_of(found, self.labels)

    def _found(self, value: Any) -> list[str] | None:
        """Return the labels, None where nothing is known."""
        value = value.tolist() if hasattr(value, "tolist") else value
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return self._nothing(value)
        if isinstance(value, str) and self.separator is not None:
            parts = (part.strip() for part in value.split(self.separator))
            return list(dict.fromkeys(part for part in parts if part))
        if not isinstance(value, (list, tuple)):
            hint = "; separator= cuts texts" if isinstance(value, str) else ""
            raise DataError(
                f"expected a list of labels under {self.column}, got {shown(value)}{hint}"
            )
        for label in value:
            if not isinstance(label, str) or not label:
                raise DataError(f"expected labels in {self.column}, got {shown(label)} among them")
        return list(dict.fromkeys(value))

    def _nothing(self, value: Any) -> list[str] | None:
        if self.missing == "error":
            raise DataError(
                f"expected a list of labels under {self.column}, got {shown(value)}; missing='none'"
                " says that no label holds then, missing='unknown' that nothing is known"
            )
        return [] if self.missing == "none" else None

    def write(self, doc: Doc) -> dict[str, Any]:
        found = self._held(doc)
        if self.separator is None or found is None:
            return {self.column: found}
        for label in found:
            if self.separator in label:
                raise DataError(
                    f"the label '{label}' holds the separator '{self.separator}'; give another one"
                )
        return {self.column: self.separator.join(found)}

    def _held(self, doc: Doc) -> list[str] | None:
        if self.labels is None and (kept := doc._.get(GOLD_LABELS)) is not None:
            return list(kept)
        if not doc.cats:
            return None
        labels = doc.cats if self.labels is None else self.labels
        return [label for label in labels if doc.cats.get(label, 0.0) >= MIN_SCORE]


class ScoreTable:
    """A column with a dict: a score from 0 to 1 by label.

    Args:
        column: Its name.
        labels: The labels that there are: those that a dict does not name have 0.0. None takes
            those that it names.
    """

    def __init__(self, column: str, labels: Sequence[str] | None) -> None:
        self.columns = [column]
        self.column, self.labels = column, labels

    def read(self, record: dict[str, Any], doc: Doc) -> None:
        value = record[self.column]
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise DataError(
                f"expected a dict of scores by label under {self.column}, got {shown(value)}"
            )
        if not value and self.labels is None:
            raise DataError(
                f"an empty dict under {self.column} says nothing of any label; give labels="
            )
        check_known(value, self.labels, self.column)
        doc.cats = dict.fromkeys(self.labels or (), 0.0) | {
            label: self._score(score) for label, score in value.items()
        }

    def _score(self, value: Any) -> float:
        plain = _plain(value)
        if not isinstance(plain, (bool, int, float)) or not 0 <= plain <= 1:
            raise DataError(f"expected scores from 0 to 1 in {self.column}, got {shown(plain)}")
        return float(plain)

    def write(self, doc: Doc) -> dict[str, Any]:
        if self.labels is not None and doc.cats:
            return {self.column: {label: doc.cats.get(label, 0.0) for label in self.labels}}
        return {self.column: dict(doc.cats)}


def scores_of(found: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Return 1.0 for the labels that hold and 0.0 for the others."""
    return {label: float(label in found) for label in labels}


def check_known(found: Any, labels: Sequence[str] | None, column: str) -> None:
    """Refuse labels that are not among those that there are.

    Raises:
        DataError: With those that there are.
    """
    for label in () if labels is None else found:
        if label not in labels:  # type: ignore[operator]
            raise DataError(
                f"expected one of {', '.join(labels)} under {column}, got {shown(label)}"  # type: ignore[arg-type]
            )


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value  # a number of numpy's


def shown(value: Any) -> str:
    """Return a number as it is, and of a text, which may be clinical, its length."""
    if value is None or isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return f"a {type(value).__name__}"
