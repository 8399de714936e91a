"""describe: what is in a corpus, in numbers. Never its text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc

from edspipe.atomic import write_text
from edspipe.corpus.layers import ALL_SPANS, CATS, Layer
from edspipe.corpus.tables import table
from edspipe.errors import DataError
from edspipe.stream.shares import GroupBy, group_of
from edspipe.types import SpanGetter

SHOWN_PAIRS = 10
FIGURES = ("min", "median", "p95", "max")


@dataclass(frozen=True)
class Description:
    """What is in a corpus.

    Attributes:
        num_docs: Documents.
        num_groups: Groups that they belong to (patients); None where no document has one.
        num_docs_without_group: Documents that belong to none.
        num_empty: Documents without any character but blanks.
        num_docs_without_spans: Documents without spans.
        num_words: Tokens of all documents.
        num_characters: Characters of all documents.
        length_words: `min`, `median`, `p95` and `max` of the tokens of a document (the percentiles
            by linear interpolation).
        length_characters: Likewise, of characters.
        spans: By label: `spans`, `docs` that have one, `groups` that have one.
        classes: By label of documents: `docs` that have it, `groups`.
        together: By label of spans, by label: documents that have both.
        classes_together: Likewise, by label of documents.
    """

    num_docs: int
    num_groups: int | None
    num_docs_without_group: int
    num_empty: int
    num_docs_without_spans: int
    num_words: int
    num_characters: int
    length_words: dict[str, float]
    length_characters: dict[str, float]
    spans: dict[str, dict[str, int]]
    classes: dict[str, dict[str, int]]
    together: dict[str, dict[str, int]]
    classes_together: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    def to_json(self, path: str | Path) -> None:
        """Write all figures to a JSON file."""
        write_text(Path(path), json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n")

    def __str__(self) -> str:
        parts = [self._summary(), self._lengths()]
        parts += [_labels_table(self.spans, self.num_groups is not None)] if self.spans else []
        parts += [_labels_table(self.classes, self.num_groups is not None)] if self.classes else []
        parts += [_pairs_table(t) for t in (self.together, self.classes_together) if _pairs(t)]
        return "\n\n".join(parts)

    def _summary(self) -> str:
        of_groups = "" if self.num_groups is None else f" of {self.num_groups:,} groups"
        facts = [
            f"{self.num_docs:,} documents{of_groups}",
            f"{self.num_words:,} words",
            f"{self.num_characters:,} characters",
            f"{self.num_empty:,} empty",
            f"{self.num_docs_without_spans:,} without spans",
        ]
        if self.num_groups is not None and self.num_docs_without_group:
            facts.append(f"{self.num_docs_without_group:,} without a group")
        return ", ".join(facts)

    def _lengths(self) -> str:
        rows = [["length", *FIGURES]]
        for name, figures in (("words", self.length_words), ("characters", self.length_characters)):
            rows.append([name, *(f"{figures[key]:,.1f}".removesuffix(".0") for key in FIGURES)])
        return table(rows)


def describe(
    docs: Iterable[Doc],
    span_getter: SpanGetter = ALL_SPANS,
    *,
    group_by: GroupBy = "patient_id",
    labels: str = CATS,
) -> Description:
    """Count what is in a corpus; it can be printed, and holds no text.

    Args:
        docs: Documents, or a stream of them; they are read once and not kept.
        span_getter: Which spans are counted; by default all, those in several groups once.
        group_by: The group (patient) of a document: an attribute `doc._.<name>`, or a function.
            Documents without one are counted.
        labels: Where labels of documents are: `"cats"`, or `"_.<name>"`.

    Raises:
        DataError: There are no documents.
    """
    tally = _Tally(span_getter, group_by, labels)
    for doc in docs:
        tally.add(doc)
    if not tally.words:
        raise DataError("expected documents to describe, found none")
    return tally.description()


class _Tally:
    """Counts documents as they pass."""

    def __init__(self, span_getter: SpanGetter, group_by: GroupBy, labels: str) -> None:
        self.layer, self.cats = Layer(span_getter, "span"), Layer(labels, "document")
        self.group_by = group_by
        self.words: list[int] = []
        self.characters: list[int] = []
        self.groups: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.spans, self.classes = _Labels(), _Labels()

    def add(self, doc: Doc) -> None:
        """Count a document."""
        group = group_of(doc, self.group_by)
        self.words.append(len(doc))
        self.characters.append(len(doc.text))
        self.groups.update(() if group is None else (group,))
        labels = self.layer.labels_of(doc)
        self.spans.add(labels, group)
        self.classes.add(self.cats.labels_of(doc), group)
        self.classes.counts.update(dict.fromkeys(self.cats.known_labels(doc), 0))
        self.counts["without_group"] += group is None
        self.counts["empty"] += not doc.text.strip()
        self.counts["without_spans"] += not labels

    def description(self) -> Description:
        """Return what was counted."""
        spans, classes = self.spans.to_dict(), self.classes.to_dict()
        return Description(
            num_docs=len(self.words),
            num_groups=len(self.groups) or None,
            num_docs_without_group=self.counts["without_group"],
            num_empty=self.counts["empty"],
            num_docs_without_spans=self.counts["without_spans"],
            num_words=sum(self.words),
            num_characters=sum(self.characters),
            length_words=_figures(self.words),
            length_characters=_figures(self.characters),
            spans=spans,
            classes={
                label: {key: n for key, n in row.items() if key != "spans"}
                for label, row in classes.items()
            },
            together=self.spans.together(),
            classes_together=self.classes.together(),
        )


class _Labels:
    """Labels, the documents and groups that have them, and pairs of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.docs: Counter[tuple[str, str]] = Counter()
        self.groups: dict[str, set[str]] = {}

    def add(self, labels: list[str], group: str | None) -> None:
        """Count the labels of a document."""
        self.counts.update(labels)
        unique = sorted(set(labels))
        self.docs.update(combinations_with_replacement(unique, 2))
        for label in unique if group is not None else ():
            self.groups.setdefault(label, set()).add(str(group))

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Return the figures of each label, in the order of their names."""
        return {
            label: {
                "spans": self.counts[label],
                "docs": self.docs[label, label],
                "groups": len(self.groups.get(label, ())),
            }
            for label in sorted(self.counts)
        }

    def together(self) -> dict[str, dict[str, int]]:
        """Return how many documents have both of two labels; a label with itself: that have it."""
        labels = sorted(self.counts)
        return {a: {b: self.docs[min(a, b), max(a, b)] for b in labels} for a in labels}


def _figures(lengths: list[int]) -> dict[str, float]:
    middle, high = np.percentile(lengths, [50, 95]).tolist()
    return {"min": min(lengths), "median": middle, "p95": high, "max": max(lengths)}


def _labels_table(labels: Mapping[str, Mapping[str, int]], with_groups: bool) -> str:
    keys = [key for key in next(iter(labels.values())) if key != "groups" or with_groups]
    titles = {"spans": "spans", "docs": "documents", "groups": "groups"}
    rows = [["label", *(titles[key] for key in keys)]]
    rows += [[label, *(f"{row[key]:,}" for key in keys)] for label, row in labels.items()]
    return table(rows)


def _pairs(together: Mapping[str, Mapping[str, int]]) -> list[tuple[int, str, str]]:
    """Return the pairs of labels that stand in one document, the most frequent first."""
    pairs = [(-n, a, b) for a, row in together.items() for b, n in row.items() if a < b and n]
    return sorted(pairs)


def _pairs_table(together: Mapping[str, Mapping[str, int]]) -> str:
    pairs = _pairs(together)
    rows = [["in one document", "documents"]]
    rows += [[f"{a} + {b}", f"{-n:,}"] for n, a, b in pairs[:SHOWN_PAIRS]]
    more = len(pairs) - SHOWN_PAIRS
    return table(rows) + (f"\nand {more:,} more pairs" if more > 0 else "")
