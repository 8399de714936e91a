"""Documents before a training: read, counted, and given a fingerprint. Never their text."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from loguru import logger
from spacy.tokens import Doc

from edspipe.doc.span_access import get_spans
from edspipe.errors import DataError
from edspipe.stream.hooks import sha256_of
from edspipe.stream.stream import Stream
from edspipe.training.data import TrainingData
from edspipe.training.records import TRAIN
from edspipe.types import SpanGetter


@dataclass(frozen=True)
class Corpus:
    """The documents of one training data, or of validation.

    Attributes:
        docs: The documents, where they are kept in memory.
        source: A stream over them.
        profile: Counts, labels, and the fingerprint.
        digests: The id and the SHA-256 of the text of each document.
    """

    docs: list[Doc] = field(repr=False)
    source: Stream = field(repr=False)
    profile: dict[str, Any]
    digests: list[tuple[Any, str]] = field(repr=False)


def read_corpus(data: TrainingData, getters: Mapping[str, SpanGetter], role: str) -> Corpus:
    """Read the documents once.

    Args:
        data: What to read.
        getters: Where gold spans are, by pipe, to count their labels.
        role: `"train"`, `"val"` or `"test"`, for messages.

    Raises:
        DataError: There are none, or all to train on are empty.
    """
    profile = _Profile(getters)
    kept: list[Doc] = []
    stream = data.documents()
    for doc in stream:
        profile.add(doc)
        if data.in_memory:
            kept.append(doc)
    if not profile.lengths:
        raise DataError(
            f"{role}: expected documents, found none"
            + (f" that have spans in {data.only_with!r}" if data.only_with is not None else "")
        )
    if role == TRAIN and not any(profile.lengths):  # a batch by words would never be full
        raise DataError(f"{role}: all {len(profile.lengths)} documents are empty")
    source = Stream.from_items(kept) if data.in_memory else stream
    return Corpus(kept, source, profile.to_dict(), profile.digests)


class _Profile:
    """Counts documents as they pass."""

    def __init__(self, getters: Mapping[str, SpanGetter]) -> None:
        all_getters = list(getters.values())  # pipes that learn from the same spans count them once
        self.getters = [g for i, g in enumerate(all_getters) if g not in all_getters[:i]]
        self.lengths: list[int] = []
        self.labels: Counter[str] = Counter()
        self.digests: list[tuple[Any, str]] = []

    def add(self, doc: Doc) -> None:
        """Count a document."""
        self.lengths.append(len(doc))
        note_id = doc._.note_id
        plain_id = note_id if note_id is None or isinstance(note_id, (str, int)) else str(note_id)
        self.digests.append((plain_id, sha256_of(doc.text)))
        for getter in self.getters:
            self.labels.update(span.label_ for span in get_spans(doc, getter))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "num_docs": len(self.lengths),
            "num_words": sum(self.lengths),
            "length_words": {
                "min": min(self.lengths),
                "median": median(self.lengths),
                "max": max(self.lengths),
            },
            "labels": dict(sorted(self.labels.items())),
            "sha256": fingerprint(self.digests),
        }


def fingerprint(digests: Sequence[tuple[Any, str]]) -> str:
    """Return one SHA-256 for documents in their order: of their ids and of those of their texts."""
    digest = hashlib.sha256()
    for doc_id, text in digests:
        digest.update(f"{doc_id}\0{text}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def warn_of_unknown_labels(profile: Mapping[str, Any], known: Collection[str], role: str) -> None:
    """Name gold labels that the pipes were not trained on: they count as missed."""
    unknown = {name: n for name, n in profile["labels"].items() if name not in known}
    if unknown:
        shown = ", ".join(f"{name} ({n} times)" for name, n in unknown.items())
        logger.warning(
            "{}: gold labels that training never saw, and that count as missed: {}", role, shown
        )
