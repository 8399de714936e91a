"""train_dev_test_split: documents parted so that no patient is on two sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from loguru import logger
from spacy.tokens import Doc

from edspipe.corpus.corpus import Corpus
from edspipe.corpus.layers import ALL_SPANS, CATS, Layer
from edspipe.corpus.split_file import name_some, read_split, write_split
from edspipe.corpus.stratify import stratify
from edspipe.errors import DataError
from edspipe.stream.hooks import id_of
from edspipe.stream.shares import (
    CURE,
    OWN,
    SIDES,
    GroupBy,
    bounds,
    check_missing,
    check_ratios,
    group_of,
    key_in_group,
    name_group_by,
    share_of,
)
from edspipe.types import SpanGetter

METHODS = ("hash", "stratified")
RATIOS = (0.8, 0.1, 0.1)


def train_dev_test_split(
    docs: Iterable[Doc],
    ratios: Sequence[float] = RATIOS,
    *,
    group_by: GroupBy = "patient_id",
    method: Literal["hash", "stratified"] = "hash",
    labels: SpanGetter | None = None,
    seed: int = 0,
    missing: Literal["error", "own"] = "error",
    save: str | Path | None = None,
    from_file: str | Path | None = None,
) -> Corpus:
    """Part documents into those to train on, to choose on, and to test on.

    A group, such as a patient, is never on two sides, whatever the method. Documents stay in their
    order.

    Args:
        docs: Documents, or a stream of them; they are read once and kept in memory.
        ratios: Of train, dev and test; they add up to 1. A side of ratio 0 gets nothing.
        group_by: An attribute `doc._.<name>`, or a function that returns the group of a document;
            None parts documents one by one.
        method: `"hash"`: a group's side depends on the group and the seed alone, so that further
            documents move no others; small corpora get sides of uneven sizes. `"stratified"`: each
            side gets its share of every label and of the documents, within 2% where the groups
            allow it; further documents may move others.
        labels: The layer whose labels are stratified: see `LabelVocab.from_docs`. None takes all
            spans, or `doc.cats` where there are no spans.
        seed: Another seed, another split.
        missing: What becomes of documents without a group: `"error"`, or `"own"` to make each one
            a group of its own.
        save: Keep the split in this file: the ids of documents and their sides.
        from_file: Take the split that was kept in this file; ratios, method and seed do not count.

    Raises:
        DataError: Documents have no group, no id or one id where a file is to name them; a file
            does not name them all, or puts a group on two sides.
        ValueError: An argument is none of its values.
    """
    check_ratios(ratios)
    check_missing(missing)
    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}, got {method!r}")
    if save is not None and from_file is not None:
        raise ValueError("give save= or from_file=, not both")
    read = list(docs)
    if not read:
        raise DataError("expected documents to split, found none")
    keys = _group_keys(read, group_by, missing)
    if from_file is not None:
        sides = _sides_from_file(read, keys, Path(from_file))
    elif method == "hash":
        sides = _sides_by_hash(keys, ratios, seed)
    else:
        sides = _sides_by_labels(read, keys, ratios, seed, labels)
    if save is not None:
        write_split(save, dict(zip(_unique_ids(read), sides, strict=True)))
    _warn_of_empty_sides(sides, ratios if from_file is None else ())
    parts: dict[str, list[Doc]] = {name: [] for name in SIDES}
    for doc, side in zip(read, sides, strict=True):
        parts[side].append(doc)
    return Corpus(**parts)


def _group_keys(docs: Sequence[Doc], group_by: GroupBy, missing: str) -> list[str]:
    """Return what decides the side of each document.

    Raises:
        DataError: Some have no group; the message says how many.
        TypeError: One is no document.
    """
    groups = [group_of(doc, group_by) for doc in docs]
    without = [id_of(doc) for doc, group in zip(docs, groups, strict=True) if group is None]
    if without and group_by is not None and missing != OWN:
        raise DataError(
            f"{name_some(without, 'document')} of {len(docs):,} have no group: "
            f"{name_group_by(group_by)} is empty; {CURE}"
        )
    keys: list[str] = []
    for doc, group in zip(docs, groups, strict=True):
        key = key_in_group(doc, group)
        if key is None:
            raise TypeError(f"expected documents to split, got a {type(doc).__name__}")
        keys.append(key)
    return keys


def _sides_by_hash(keys: Iterable[str], ratios: Sequence[float], seed: int) -> list[str]:
    ends = [end for _, end in bounds(ratios)]
    shares = (share_of("split", seed, key) for key in keys)
    return [next(s for s, end in zip(SIDES, ends, strict=True) if x < end) for x in shares]


def _sides_by_labels(
    docs: Sequence[Doc],
    keys: Sequence[str],
    ratios: Sequence[float],
    seed: int,
    labels: SpanGetter | None,
) -> list[str]:
    """Stratify; the groups stand in the order of their hashes, whatever that of the documents."""
    layer = Layer(labels if labels is not None else _usual_layer(docs))
    by_doc = [Counter(layer.labels_of(doc)) for doc in docs]
    names = sorted({name for counts in by_doc for name in counts})
    if not names:
        raise DataError(
            f"no labels in the layer '{layer}' of {len(docs):,} documents to stratify; give "
            'labels= another one, or take method="hash"'
        )
    order = sorted(set(keys), key=lambda key: (share_of("stratify", seed, key), key))
    rows = {key: row for row, key in enumerate(order)}
    columns = {name: column for column, name in enumerate(names)}
    counts_GL = np.zeros((len(rows), len(columns) + 1), dtype=np.int64)
    for key, counts in zip(keys, by_doc, strict=True):
        counts_GL[rows[key], -1] += 1
        for name, count in counts.items():
            counts_GL[rows[key], columns[name]] += count
    sides = stratify(counts_GL, np.array(ratios, dtype=np.float64), seed)
    return [SIDES[sides[rows[key]]] for key in keys]


def _usual_layer(docs: Sequence[Doc]) -> SpanGetter:
    spans = Layer(list(ALL_SPANS))
    return list(ALL_SPANS) if any(spans.labels_of(doc) for doc in docs) else CATS


def _sides_from_file(docs: Sequence[Doc], keys: Sequence[str], file: Path) -> list[str]:
    kept = read_split(file)
    ids = _unique_ids(docs)
    unknown = [ident for ident in ids if ident not in kept]
    if unknown:
        raise DataError(
            f"{name_some(unknown, 'document')} of {len(ids):,} are not in this file; leave them "
            "out, add lines for them, or split anew",
            file=file,
        )
    extra = sorted(set(kept).difference(ids))
    if extra:
        logger.warning("{}: no document for {}", file, name_some(extra, "line"))
    sides = [kept[ident] for ident in ids]
    sides_of: dict[str, set[str]] = {}
    for key, side in zip(keys, sides, strict=True):
        sides_of.setdefault(key, set()).add(side)
    torn = [i for i, key in zip(ids, keys, strict=True) if len(sides_of[key]) > 1]
    if torn:
        raise DataError(
            f"{name_some(torn, 'document')} are of groups that this file puts on several sides; "
            "put all documents of a group on one side",
            file=file,
        )
    return sides


def _unique_ids(docs: Sequence[Doc]) -> list[str]:
    """Return the ids of documents, for a file.

    Raises:
        DataError: Some have none, or share one.
    """
    ids = [id_of(doc) for doc in docs]
    num_without = ids.count(None)
    if num_without:
        raise DataError(
            f"{num_without:,} of {len(ids):,} documents have no id, and a file names documents by "
            "their ids; set doc._.note_id"
        )
    twice = sorted(str(ident) for ident, n in Counter(ids).items() if n > 1)
    if twice:
        raise DataError(
            f"{name_some(twice, 'id')} belong to several documents, and a file names documents by "
            "their ids; give each document an id of its own (doc._.note_id)"
        )
    return [str(ident) for ident in ids]


def _warn_of_empty_sides(sides: Sequence[str], ratios: Sequence[float]) -> None:
    for name, ratio in zip(SIDES, ratios, strict=False):
        if ratio > 0 and name not in sides:
            logger.warning(
                "{} got no documents, though its ratio is {:g}: there are too few groups; take "
                'method="stratified", or another seed',
                name,
                ratio,
            )
