"""TrainingData: what a training learns from, and how it is cut into batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from spacy.tokens import Doc

from edspipe.doc.span_access import get_spans
from edspipe.errors import ConfigError, refuse_unknown
from edspipe.stream.batching import UNITS, BatchSize, stat_batchify
from edspipe.stream.stream import Stream
from edspipe.types import SpanGetter

DEFAULT_BATCH = "2000 words"
_SPLITS = ("split", "splits")


@dataclass(frozen=True)
class TrainingData:
    """Documents with gold annotations, and how a training goes through them.

    Attributes:
        stream: The documents. It is read once, or again each epoch where `in_memory` is False. They
            may also be features already, as `nlp.preprocess` returns them.
        batch_size: What one optimizer step sees of it: `"32 docs"`, `"2000 words"`, or any number
            that the pipes count, as `"4096 tokens"` (word pieces). None is that of the training.
        sub_batch_size: What is computed at once: `"4 splits"`, or a size as above. The gradients of
            the parts add up to exactly that of the batch. None computes a batch at once.
        shuffle: `"dataset"`, `"fragment"` or a block (`"1000 docs"`); None keeps the order.
        pipe_names: The pipes that learn from it; None is all trainable ones that are switched on.
        pipes: What each document goes through before, e.g. `eds.split(...)`.
        only_with: Leave out documents without spans there, e.g. `"gold-ner"`.
        weight: Factor of its loss, where several are trained on together.
        in_memory: Keep the documents in memory.
    """

    stream: Stream = field(repr=False)
    batch_size: int | str | None = None
    sub_batch_size: int | str | None = None
    shuffle: str | None = "dataset"
    pipe_names: Sequence[str] | None = None
    pipes: Sequence[Any] = ()
    only_with: SpanGetter | None = None
    weight: float = 1.0
    in_memory: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.stream, Stream):
            object.__setattr__(self, "stream", Stream.from_items(self.stream))
        measured(self.batch_size or DEFAULT_BATCH)
        SubBatches(self.sub_batch_size)
        if isinstance(self.pipe_names, str) or (
            self.pipe_names is not None and not self.pipe_names
        ):
            raise ValueError(
                f"pipe_names is a list of names of pipes, or None for all, got {self.pipe_names!r}"
            )
        if not self.weight > 0:
            raise ValueError(f"weight is more than 0, got {self.weight}")

    @classmethod
    def of(cls, value: Any, path: str = "train_data") -> TrainingData:
        """Read training data from an argument: itself, a stream, Docs, or a dict of its fields.

        Raises:
            ConfigError: A field does not exist, or its value is wrong.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            return cls(value)
        known = [field.name for field in dataclasses.fields(cls)]
        refuse_unknown(value, known, path, "Its fields are")
        if "stream" not in value:
            raise ConfigError(f"{path}.stream: missing; give the documents, as a reader or a list")
        try:
            return cls(**value)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path}: {error}") from None

    def documents(self) -> Stream:
        """Return the stream of documents, as they are trained on."""
        stream = self.stream
        for pipe in self.pipes:
            stream = stream.map(pipe)
        return stream if self.only_with is None else stream.filter(_Has(self.only_with))


def read_all(value: Any, path: str) -> list[TrainingData]:
    """Read one or several training data from an argument."""
    if isinstance(value, (list, tuple)) and not _are_docs(value):
        if not value:
            raise ConfigError(f"{path}: expected training data, got an empty list")
        return [TrainingData.of(one, f"{path}.{i}") for i, one in enumerate(value)]
    return [TrainingData.of(value, path)]


def _are_docs(values: Sequence[Any]) -> bool:
    return bool(values) and isinstance(values[0], Doc)


class _Has:
    """Whether a document has spans; a class, so that it pickles."""

    def __init__(self, getter: SpanGetter) -> None:
        self.getter = getter

    def __call__(self, doc: Doc) -> bool:
        return len(get_spans(doc, self.getter)) > 0


def measured(batch_size: int | str) -> tuple[BatchSize, bool]:
    """Read a batch size whose unit may be a count of the pipes, as in `"4096 tokens"`.

    Returns:
        The size, and whether it measures features, not documents.

    Raises:
        ValueError: It is not well formed.
    """
    if isinstance(batch_size, str):
        number, _, unit = batch_size.strip().partition(" ")
        unit = unit.strip()
        if unit and not any(known in (unit, f"{unit}s") for known in UNITS):
            return BatchSize(number, stat_batchify(unit)), True
    return BatchSize(batch_size), False


class SubBatches:
    """Cuts a batch into parts that are computed one after the other.

    Args:
        size: `"4 splits"`, a size with a unit, or None for one part.
    """

    def __init__(self, size: int | str | None) -> None:
        number, _, unit = str(size).strip().partition(" ")
        self.num_splits: int | None = None
        if size is None:
            self.num_splits = 1
        elif unit.strip() in _SPLITS:
            self.num_splits = int(BatchSize(number).limit)
        else:
            self.size, _ = measured(size)

    def cut(self, samples: Sequence[Any]) -> list[range]:
        """Return the positions of each part, in order; none of them is empty.

        Args:
            samples: Features, with `stats`.
        """
        if self.num_splits is None:
            return list(_by_size(samples, self.size))
        bounds = [len(samples) * i // self.num_splits for i in range(self.num_splits + 1)]
        return [range(start, end) for start, end in pairwise(bounds) if end > start]


def _by_size(samples: Sequence[Any], size: BatchSize) -> Iterator[range]:
    first, total, largest = 0, 0.0, 0.0
    for i, sample in enumerate(samples):
        measure = size.measure(sample)
        if i > first and size.total(i - first, total, largest, measure) > size.limit:
            yield range(first, i)
            first, total, largest = i, 0.0, 0.0
        total, largest = total + measure, max(largest, measure)
    if len(samples) > first:
        yield range(first, len(samples))


def share_of(sizes: Sequence[float], rank: int, world_size: int) -> list[int]:
    """Return the positions in a batch that one of several processes computes.

    The samples are dealt out from the largest to the smallest, so that shares are about equal.

    Args:
        sizes: The size of each sample of the batch.
        rank: Number of the process.
        world_size: Number of processes.
    """
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))
    return sorted(order[rank::world_size])
