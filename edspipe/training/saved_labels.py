"""Labels and probabilities that were saved, to be compared with gold ones of the same documents.

Of records that hold probabilities (`scores`, `cats`, or columns `p_<label>`) these are read, and
the labels beside them are what was decided for, by thresholds of the model's own: so that what
`edspipe apply` has written is scored as the model is. It leaves texts out; documents are matched by
ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.data.converters.label_fields import LabelList
from edspipe.data.converters.label_scores import PREFIX, SEPARATOR
from edspipe.data.formats import RECORDS, find_format
from edspipe.data.label_files import (
    LISTS,
    SCORES,
    WAYS,
    columns_of,
    first_record,
    read_labelled,
    score_of,
)
from edspipe.errors import DataError
from edspipe.training.scoring import match_docs

READER = ("delimiter", "quote", "columns")
"""Options of readers; the others are the converter's."""
CONVERTER = ("text_column", "id_column", "separator", "labels", "missing", *WAYS)
"""Options of the converter that predictions have too."""


def read_saved(
    path: str | Path,
    gold: Sequence[Doc],
    labels: Sequence[str],
    options: Mapping[str, Any],
    gold_path: str | Path,
) -> list[Doc]:
    """Read predictions, in the order of gold documents.

    Args:
        path: The predictions.
        gold: The gold documents.
        labels: The labels of these.
        options: Arguments of the reader and the converter `labels`; columns that predictions do not
            have are looked for by their usual names.
        gold_path: The file of gold documents, for messages.

    Returns:
        Documents with scores in `doc.cats`, and labels that were decided for in
        `doc._.gold_labels`, None where scores say it.

    Raises:
        DataError: The documents are others, or a record is wrong.
    """
    name = find_format(path)
    if name not in RECORDS:
        docs = read_labelled(path, options=options)
    else:
        reading = {key: value for key, value in options.items() if key in READER}
        records = _SavedRecords(path, name, gold, labels, options)
        docs = list(registry.readers.get(name)(path, **reading).map(records))
    return match_docs(gold, docs, (str(gold_path), str(path)))


class _SavedRecords:
    """Makes Docs of records.

    Args:
        path: The file.
        format: Its format.
        gold: The gold documents, which have the texts that records lack.
        labels: The labels of these.
        options: As of `read_saved`.

    Raises:
        DataError: There is no record, or no column is known to hold labels.
    """

    def __init__(
        self,
        path: str | Path,
        format: str,
        gold: Sequence[Doc],
        labels: Sequence[str],
        options: Mapping[str, Any],
    ) -> None:
        first = first_record(path, format)
        if first is None:
            raise DataError("expected records, found none", file=path)
        self.path = path
        given = columns_of(first, path, *_wanted(first, labels, options))
        self.columns: list[str] = given.pop("labels_columns", [])
        if self.columns:
            given["scores_column"] = SCORES[0]
        self.texts: dict[str, str] = {}
        self.text_column = given.setdefault("text_column", "text")
        self.id_column = given.get("id_column")
        if self.text_column not in first and self.id_column is not None:
            self.texts = {str(doc._.note_id): doc.text for doc in gold}
        self.decisions = self._decisions(first, given)
        self.converter = registry.converters.get("labels")(**given)

    def _decisions(self, first: Mapping[str, Any], given: Mapping[str, Any]) -> LabelList | None:
        """Return the column of labels beside scores, if there is one."""
        name = next((name for name in LISTS if name in first), None)
        if name is None or "scores_column" not in given:
            return None
        separator = SEPARATOR if isinstance(first[name], str) else None
        return LabelList(name, None, separator, "error")

    def __call__(self, record: dict[str, Any]) -> Doc:
        if self.columns:
            scores = {x.removeprefix(PREFIX): score_of(record, x, self.path) for x in self.columns}
            record = {**record, SCORES[0]: scores}
        if self.texts:  # an id that gold does not have is told by its name, later
            text = self.texts.get(str(record.get(self.id_column or "")), "")
            record = {**record, self.text_column: text}
        doc: Doc = self.converter.to_doc(record)
        if self.decisions is not None:
            self.decisions.read(record, doc)
        return doc


def _wanted(
    first: Mapping[str, Any], labels: Sequence[str], options: Mapping[str, Any]
) -> tuple[Sequence[str] | None, dict[str, Any]]:
    """Return the labels to look for as columns, and the options that these records can have."""
    given = {
        key: value
        for key, value in options.items()
        if key in CONVERTER and (not key.endswith(("column", "columns")) or _held(value, first))
    }
    columns = [name for name in first if name.startswith(PREFIX)]
    if not {PREFIX + label for label in labels}.intersection(columns):
        columns = []  # they are called so for another reason
    if not columns and not any(name in first for name in SCORES):
        return labels, given
    given = {key: x for key, x in given.items() if key not in (*WAYS, "separator", "missing")}
    return None, given | ({"labels_columns": columns} if columns else {})


def _held(names: str | Sequence[str], record: Mapping[str, Any]) -> bool:
    return all(name in record for name in ([names] if isinstance(names, str) else names))
