"""Documents before a training: read, counted, and given a fingerprint. Never their text."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from loguru import logger
from spacy.tokens import Doc

from edspipe.config.schema import walk
from edspipe.doc.document_labels import gold_labels, named_labels
from edspipe.doc.span_access import get_spans
from edspipe.doc.token_tags import get_word_tags
from edspipe.errors import DataError
from edspipe.stream.hooks import count_words, sha256_of
from edspipe.stream.stream import Stream
from edspipe.training.data import DEFAULT_BATCH, TrainingData, measured
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


@dataclass(frozen=True)
class Corpora:
    """All documents of a training.

    Attributes:
        train: Of each training data.
        others: Of validation and test (`"val"`, `"test"`), where there are any.
    """

    train: list[Corpus]
    others: dict[str, Corpus]

    @property
    def val_docs(self) -> Sequence[Any]:
        """The documents of validation."""
        return self.others["val"].docs if "val" in self.others else ()

    def digests(self) -> dict[str, Any]:
        """Return the id and the SHA-256 of the text of every document."""
        found = {f"train.{i}": corpus.digests for i, corpus in enumerate(self.train)}
        return {**found, **{role: corpus.digests for role, corpus in self.others.items()}}


def holds_all(data: TrainingData, corpus: Corpus) -> bool:
    """Whether a batch has room for all documents: it would hold each of them many times."""
    size, of_features = measured(data.batch_size or DEFAULT_BATCH)
    num_docs, num_words = corpus.profile["num_docs"], corpus.profile["num_words"]
    return not of_features and size.limit >= (
        num_docs if size.by in ("docs", "items") else num_words
    )


def read_corpus(
    data: TrainingData,
    getters: Mapping[str, SpanGetter],
    role: str,
    attributes: Collection[str] = (),
    doc_attributes: Collection[str] = (),
) -> Corpus:
    """Read the documents once.

    Args:
        data: What to read.
        getters: Where gold spans are, by pipe, to count their labels.
        role: `"train"`, `"val"` or `"test"`, for messages.
        attributes: Attributes of tokens with gold tags, which are counted as labels too.
        doc_attributes: Likewise, where gold labels of documents are: `"cats"` or `"_.<name>"`.

    Raises:
        DataError: There are none, or all to train on are empty.
    """
    profile = _Profile(getters, attributes, doc_attributes)
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

    def __init__(
        self,
        getters: Mapping[str, SpanGetter],
        attributes: Collection[str] = (),
        doc_attributes: Collection[str] = (),
    ) -> None:
        all_getters = list(getters.values())  # pipes that learn from the same spans count them once
        self.getters = [g for i, g in enumerate(all_getters) if g not in all_getters[:i]]
        self.attributes = sorted(set(attributes))
        self.doc_attributes = sorted(set(doc_attributes))
        self.lengths: list[int] = []
        self.labels: Counter[str] = Counter()
        self.digests: list[tuple[Any, str]] = []

    def add(self, doc: Doc | Mapping[str, Any]) -> None:
        """Count a document, or features: `doc_id`, `stats` with `words`, and arrays."""
        self.lengths.append(count_words(doc))
        if not isinstance(doc, Doc):
            self.digests.append((doc["doc_id"], digest_of_arrays(doc)))
            return
        note_id = doc._.note_id
        plain_id = note_id if note_id is None or isinstance(note_id, (str, int)) else str(note_id)
        self.digests.append((plain_id, sha256_of(doc.text)))
        for getter in self.getters:
            self.labels.update(span.label_ for span in get_spans(doc, getter))
        for attribute in self.attributes:
            self.labels.update(tag for tag in get_word_tags(doc, attribute) if tag)
        for attribute in self.doc_attributes:
            self.labels.update(gold_labels(doc, attribute) or ())
            self.labels.update(dict.fromkeys(named_labels(doc, attribute), 0))

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


def digest_of_arrays(features: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the arrays in features, and of their places there."""
    digest = hashlib.sha256()
    for path, value in walk(features):
        if isinstance(value, np.ndarray):
            digest.update(f"{'.'.join(path)}{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()


def fingerprint(digests: Sequence[tuple[Any, str]]) -> str:
    """Return one SHA-256 for documents in their order: of their ids and of those of their texts."""
    digest = hashlib.sha256()
    for doc_id, text in digests:
        digest.update(f"{doc_id}\0{text}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def warn_of_unknown_labels(profile: Mapping[str, Any], known: Collection[str], role: str) -> None:
    """Name gold labels that the pipes were not trained on: they count as missed."""
    unknown = {name: n for name, n in profile["labels"].items() if n and name not in known}
    if unknown:
        shown = ", ".join(f"{name} ({n} times)" for name, n in unknown.items())
        logger.warning(
            "{}: gold labels that training never saw, and that count as missed: {}", role, shown
        )
