"""Documents with labels from files of any known format, by the columns that the files have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.data.formats import RECORDS, find_format, read_docs
from edspipe.errors import DataError
from edspipe.stream.stream import Stream

TEXTS, IDS = ("note_text", "text"), ("note_id", "doc_id", "id")
SCORES, LISTS, ONE = ("cats", "scores"), ("labels",), ("label",)
WAYS = ("labels_columns", "label_column", "list_column", "scores_column")
"""Arguments of the converter `labels`: where labels stand."""
CONVERTER = "labels"


def read_labelled(path: str | Path, **reading: Any) -> list[Doc]:
    """Read all documents with labels; arguments as of `stream_labelled`."""
    return list(stream_labelled(path, **reading))


def stream_labelled(
    path: str | Path,
    *,
    tokenizer: Any = None,
    labels: Sequence[str] | None = None,
    format: str | None = None,
    converter: str | None = None,
    options: Mapping[str, Any] | None = None,
    features: Sequence[str] = (),
) -> Stream:
    """Read documents with labels, as they are asked for.

    Records (`.jsonl`, `.csv`, `.parquet`) are read by the converter `labels`. What `options` don't
    say is found by the names of the columns: the text (`text`, `note_text`), the id (`note_id`,
    `id`, `doc_id`), and the labels: a table of scores (`cats`, `scores`), a list (`labels`), one
    (`label`), or a column for each label.

    Args:
        path: The file or folder.
        tokenizer: Text to Doc, where the format does not say the words.
        labels: Labels that may be columns of their own.
        format: Name of the format; None finds it by the path.
        converter: Another converter, with arguments of its own.
        options: Arguments of the reader and the converter.
        features: Columns of records that are read as numbers, where they are there.

    Raises:
        DataError: The columns are others, or a record is wrong.
    """
    given = dict(options or {})
    name = find_format(path, format)
    if name in RECORDS and converter in (None, CONVERTER):
        record = first_record(path, name)
        if record is None:
            raise DataError("expected records, found none", file=path)
        given = columns_of(record, path, labels, given)
        numbers = {column: "number" for column in features if column in record}
        if numbers:
            given.setdefault("doc_attributes", numbers)
        columns = given.get("labels_columns")
        if columns:
            return _read_scored(path, name, columns, given | {"tokenizer": tokenizer})
        converter = CONVERTER
    return read_docs(path, format=name, converter=converter, tokenizer=tokenizer, **given)


def first_record(path: str | Path, format: str) -> Mapping[str, Any] | None:
    """Return the first record of a file, None where it has none."""
    with iter(registry.readers.get(format)(path)) as records:
        return next(islice(records, 1), None)


def has_labels(path: str | Path, format: str | None = None) -> bool:
    """Whether documents of a file have labels, and no spans: by its columns, or its first one."""
    name = find_format(path, format)
    if name in RECORDS:
        columns = set(first_record(path, name) or ())
        return bool(columns.intersection((*SCORES, *LISTS, *ONE))) and "entities" not in columns
    if name != "docbin":
        return False
    first = next(iter(read_docs(path, format=name)), None)
    return first is not None and bool(first.cats) and not first.ents and not first.spans


def columns_of(
    record: Mapping[str, Any],
    path: str | Path,
    labels: Sequence[str] | None,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return arguments of the converter `labels`, by the columns of a record.

    Args:
        record: The first one.
        path: The file, for messages.
        labels: Labels that may be columns of their own.
        given: Arguments that are known; they stand above what the columns say.

    Raises:
        DataError: No column is known to hold labels.
    """
    found: dict[str, Any] = {}
    for key, names in (("text_column", TEXTS), ("id_column", IDS)):
        name = next((name for name in names if name in record), None)
        found |= {} if name is None else {key: name}
    if not any(way in given for way in WAYS):
        found |= _where_labels_are(record, path, labels)
    return found | dict(given)


def _where_labels_are(
    record: Mapping[str, Any], path: str | Path, labels: Sequence[str] | None
) -> dict[str, Any]:
    if labels and set(labels) <= set(record):
        return {"labels_columns": list(labels)}
    ways = {"scores_column": SCORES, "list_column": LISTS, "label_column": ONE}
    for way, names in ways.items():
        for name in names:
            if name in record:
                return {way: name}
    raise DataError(
        "expected labels in the columns cats, scores, labels or label, or in a column for each "
        f"label; got the columns {', '.join(map(str, record))}. Say where they are: --option "
        f"{' or '.join(f'{way}=...' for way in WAYS)}",
        file=path,
    )


def _read_scored(
    path: str | Path, format: str, columns: Sequence[str], options: dict[str, Any]
) -> Stream:
    """Read columns of scores, which a model may have written: from 0 to 1, and truth values."""
    own = ("delimiter", "quote", "columns")
    reading = {key: options.pop(key) for key in own if key in options}
    del options["labels_columns"]
    options |= {"scores_column": SCORES[0]}
    records = registry.readers.get(format)(path, **reading)
    to_doc = registry.converters.get(CONVERTER)(**options).to_doc
    stream: Stream = records.map(_Columns(columns, path)).map(to_doc)
    return stream


class _Columns:
    """Puts a column for each label into one table of scores."""

    def __init__(self, columns: Sequence[str], path: str | Path) -> None:
        self.columns, self.path = list(columns), path

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        scores = {name: score_of(record, name, self.path) for name in self.columns}
        return {**record, SCORES[0]: scores}


def score_of(record: Mapping[str, Any], column: str, path: str | Path) -> float:
    """Return the score in a column; truth values are 1 and 0.

    Raises:
        DataError: There is no such column, or no number in it.
    """
    if column not in record:
        raise DataError(f"expected the columns {column}", file=path)
    value = record[column]
    truth = {"true": 1.0, "false": 0.0}.get(str(value).lower())
    try:
        return float(value) if truth is None else truth
    except (TypeError, ValueError):
        raise DataError(
            "expected a number from 0 to 1, true or false in each column of a label; got a "
            f"{type(value).__name__} that is none",
            file=path,
        ) from None
