"""What `edspipe apply` reads for classifiers of documents, and what it writes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger

from edspipe.data.converters.label_scores import LabelScoresConverter
from edspipe.data.formats import find_format
from edspipe.data.label_files import IDS, TEXTS, first_record
from edspipe.errors import DataError
from edspipe.training.evaluation import check_apart, is_doc_classifier


def classifiers_of(nlp: Any) -> list[Any]:
    """Return the pipes that say that they give documents labels, and are switched on.

    Raises:
        ConfigError: One would write over what another has said.
    """
    check_apart(nlp)
    return [pipe for _, pipe in nlp.torch_components() if is_doc_classifier(pipe)]


@dataclass(frozen=True)
class NoteColumns:
    """Which columns of records are read.

    Attributes:
        text: That of the text.
        id: That of the id; None where there is none.
        kept: Those that are written again.
        numbers: Those that classifiers take as features.
    """

    text: str
    id: str | None
    kept: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    def reading(self) -> dict[str, Any]:
        """Return arguments of the converter "labels"."""
        others = dict.fromkeys(self.kept, "any") | dict.fromkeys(self.numbers, "number")
        others.pop(self.id or "", None)
        return {"text_column": self.text, "id_column": self.id, "doc_attributes": others}


def note_columns(
    source: Path,
    text: str | None,
    ident: str | None,
    keep: Sequence[str],
    pipes: Iterable[Any],
) -> NoteColumns | None:
    """Find the columns of records, by the first one; None where there is no record.

    Args:
        source: A file of records.
        text: The column of the text; None looks for the usual names.
        ident: That of the id; likewise.
        keep: Columns to be written again.
        pipes: Classifiers, whose features are columns.

    Raises:
        DataError: A column is not there.
    """
    first = first_record(source, find_format(source))
    if first is None:
        return None
    found = next((name for name in TEXTS if name in first), None) if text is None else text
    ids = next((name for name in IDS if name in first), None) if ident is None else ident
    wanted = [name for name in (found, ids, *keep) if name is not None]
    missing = [name for name in wanted if name not in first]
    if found is None or missing:
        what = ", ".join(missing) or f"{' or '.join(TEXTS)} (else --text-column)"
        raise DataError(
            f"expected the columns {what}; the first record has: {', '.join(sorted(first))}",
            file=source,
        )
    return NoteColumns(found, ids, tuple(keep), _features(pipes, first, source))


def _features(pipes: Iterable[Any], first: Mapping[str, Any], source: Path) -> tuple[str, ...]:
    """Return the columns of features; one may also be made by a pipe, so that it may be missing."""
    names = [
        name.removeprefix("_.")
        for pipe in pipes
        for name in getattr(getattr(pipe, "features", None), "attributes", ())
    ]
    for name in names:
        if name not in first:
            logger.warning("{}: no column {}, which the model takes as a feature", source, name)
    return tuple(name for name in names if name in first)


def label_writer(
    pipes: Sequence[Any], format: str, columns: NoteColumns | None, *, with_text: bool
) -> Any:
    """Return the converter from Docs to records of labels and probabilities.

    Args:
        pipes: The classifiers.
        format: `"csv"`, `"json"` or `"parquet"`.
        columns: Those that were read; None where the source has none.
        with_text: Write the text.
    """
    text = "note_text" if columns is None else columns.text
    return LabelScoresConverter(
        labels=list(dict.fromkeys(label for pipe in pipes for label in pipe.labels)),
        decisions=list(dict.fromkeys(pipe.label_attribute for pipe in pipes)),
        layout="flat" if format == "csv" else "nested",
        id_column=(columns.id if columns is not None else None) or "note_id",
        text_column=text if with_text else None,
        doc_attributes=() if columns is None else columns.kept,
    )


def labels_table(doc: Any, pipe: Any) -> str:
    """Return the labels of a Doc as a table, the most probable first: label, probability, and a
    mark where it is given."""
    found = set(doc._.get(pipe.label_attribute) or ())
    width = max(map(len, pipe.labels))
    order = sorted(pipe.labels, key=lambda label: -doc.cats[label])
    marks = {label: "  *" if label in found else "" for label in order}
    return "\n".join(f"{x:<{width}}  {doc.cats[x]:.3f}{marks[x]}" for x in order)
