"""What all metrics share: reading documents side by side, and counting, one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator
from itertools import zip_longest
from typing import Any

from spacy.tokens import Doc

import edspipe.doc.attributes  # noqa: F401  (declares doc._.note_id, which messages name)
from edspipe.metrics.bootstrap import Bootstrap, Counts, CountTable


class CountingDocs(ABC):
    """A metric that follows from counts in each document, so that it has intervals.

    Args:
        ci: Options of the bootstrap: `n_iterations`, `percentile`, `seed`, `group_by` (see
            `Bootstrap`); `{}` takes the defaults. None gives no intervals.

    Raises:
        ValueError: `ci` has a wrong option.
    """

    def __init__(self, ci: Any = None) -> None:
        self.ci = Bootstrap.from_options(ci)

    def __call__(self, gold_docs: Iterable[Doc], predicted_docs: Iterable[Doc]) -> dict[str, Any]:
        """Return the report of `report`.

        Raises:
            TypeError: A single Doc came instead of an iterable of Docs.
            ValueError: There are more of the one than of the other, texts at the same position
                have different lengths, or a label has the name of another entry.
        """
        (table,) = self.count_tables(gold_docs, predicted_docs, ci=self.ci)
        return self.report(table)

    def count_tables(
        self, gold_docs: Iterable[Doc], *systems: Iterable[Doc], ci: Bootstrap | None
    ) -> list[CountTable]:
        """Return a table of counts for each system, over the same units.

        Args:
            gold_docs: Gold documents.
            *systems: The predicted documents of each system.
            ci: What a unit is: a document or a group; with None, all documents are one.
        """
        tables = [CountTable() for _ in systems]
        for position, (gold, *predictions) in enumerate(read_aligned(gold_docs, *systems)):
            unit = 0 if ci is None else find_unit(gold, position, ci.group_by)
            for table, predicted in zip(tables, predictions, strict=True):
                table.add(unit, self.count(gold, predicted))
        return tables

    @abstractmethod
    def count(self, gold: Doc, predicted: Doc) -> Counts:
        """Return true positives, support and positives of each label in one document."""

    @abstractmethod
    def report(self, table: CountTable) -> dict[str, Any]:
        """Return the figures that follow from counts."""


def read_aligned(gold_docs: Iterable[Doc], *systems: Iterable[Doc]) -> Iterator[tuple[Doc, ...]]:
    """Yield each gold document with the predicted documents at the same position.

    Raises:
        TypeError: A single Doc came instead of an iterable of Docs.
        ValueError: There are more of the one than of the other, or texts at the same position
            have different lengths.
    """
    for docs in (gold_docs, *systems):
        if isinstance(docs, Doc):
            raise TypeError("expected an iterable of Docs, got a single Doc: put it into a list")
    sources = [iter(docs) for docs in (gold_docs, *systems)]
    missing: Any = object()
    for position, row in enumerate(zip_longest(*sources, fillvalue=missing)):
        if any(doc is missing for doc in row):
            rest = [sum(1 for _ in source) for source in sources]
            gold, *others = (
                position + (doc is not missing) + more for doc, more in zip(row, rest, strict=True)
            )
            raise ValueError(
                f"there are {gold} gold documents, but {' and '.join(map(str, others))} predicted; "
                "every gold document needs its prediction at the same position"
            )
        for predicted in row[1:]:
            _check_texts(row[0], predicted, position)
        yield row


def _check_texts(gold: Doc, predicted: Doc, position: int) -> None:
    expected, came = _num_chars(gold), _num_chars(predicted)
    if expected != came:
        raise ValueError(
            f"{name_doc(gold, position)} has {expected} characters in gold and {came} in the "
            "predictions; expected the same text. Are both in the same order?"
        )


def _num_chars(doc: Doc) -> int:
    return doc[-1].idx + len(doc[-1].text_with_ws) if len(doc) else 0


def name_doc(doc: Doc, position: int) -> str:
    """Return what messages call a document: its position and id, never its text."""
    return f"the document at position {position} (note id: {doc._.note_id})"


def find_unit(doc: Doc, position: int, group_by: Any) -> Hashable:
    """Return the unit of the bootstrap that a gold document belongs to."""
    if group_by is None:
        return position
    if isinstance(group_by, str) and not Doc.has_extension(group_by):
        raise ValueError(
            f"ci.group_by is '{group_by}', but no such document attribute is declared; expected "
            f"doc._.{group_by} to exist"
        )
    unit: Hashable = getattr(doc._, group_by) if isinstance(group_by, str) else group_by(doc)
    if unit is None:
        raise ValueError(
            f"{name_doc(doc, position)} belongs to no group: ci.group_by gave None; every gold "
            "document needs a group"
        )
    return unit
