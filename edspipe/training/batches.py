"""Batches: from documents to what one optimizer step computes, with a position to go on from.

    documents -> loop, shuffle -> batches -> this process's share -> parts (sub-batches) of tensors

A batch is planned over whole documents, so that it holds the same ones whatever the processes and
workers; each process prepares only its own share of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from spacy.tokens import Doc

from edspipe.pipeline.pipeline import Pipeline
from edspipe.stream.executors.executor import StreamIterator
from edspipe.stream.hooks import count_words
from edspipe.stream.ops.batchify import Batchify
from edspipe.stream.stream import Stream
from edspipe.training.data import DEFAULT_BATCH, SubBatches, TrainingData, measured, share_of


class Part(NamedTuple):
    """What is computed at once.

    Attributes:
        batch: Tensors by pipe, as `nlp.collate` returns them.
        positions: Which documents of the batch are in it.
    """

    batch: dict[str, Any]
    positions: tuple[int, ...]


@dataclass(frozen=True)
class TaskBatch:
    """What one step sees of one `TrainingData`.

    Attributes:
        parts: The parts of this process.
        doc_ids: The documents of all processes, in order.
        num_words: Their words.
        weight: Factor of the loss.
        source_indices: Where the documents stand in the source.
    """

    parts: list[Part]
    doc_ids: list[Any]
    num_words: int
    weight: float = 1.0
    source_indices: tuple[int, ...] = ()


class BatchMaker:
    """Makes a `TaskBatch` of the documents (or the features) of a batch.

    Args:
        nlp: The pipeline.
        data: How batches are cut.
        rank: Number of this process.
        world_size: Number of processes.
        device: Where tensors go.
    """

    def __init__(
        self,
        nlp: Pipeline,
        data: TrainingData,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | None = None,
    ) -> None:
        self.nlp, self.device = nlp, device
        self.rank, self.world_size = rank, world_size
        self.pipe_names = data.pipe_names
        self.weight = data.weight
        self.sub_batches = SubBatches(data.sub_batch_size)
        self.__qualname__ = "make_batch"

    def __call__(self, items: Sequence[Any]) -> TaskBatch:
        sizes = [count_words(item) for item in items]
        positions = share_of(sizes, self.rank, self.world_size)
        samples = [self.sample(items[i]) for i in positions]
        parts = [
            self.part(
                [samples[i] for i in indices],
                tuple(positions[i] for i in indices),
            )
            for indices in self.sub_batches.cut(samples)
        ]
        return TaskBatch(parts, [_id_of(item) for item in items], sum(sizes), self.weight)

    def sample(self, item: Any) -> dict[str, Any]:
        """Return the features of a document with gold annotations; features are left alone."""
        if not isinstance(item, Doc):
            return item
        try:
            return self.nlp.preprocess(item, supervision=True, pipe_names=self.pipe_names)
        except Exception as error:  # the stream only knows which batch it was
            stage = f"preprocess of document '{_id_of(item)}'"
            error.edspipe_stage = stage  # type: ignore[attr-defined]
            raise

    def part(self, samples: Sequence[Any], positions: tuple[int, ...]) -> Part:
        """Collate samples."""
        return Part(self.nlp.collate(samples, device=self.device), positions)

    # ---- in a worker of a stream ------------------------------------------------------------

    def stream_op(self, method: str, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any], Any]:
        """Say how this runs in a worker: without weights, and on the CPU."""
        light = BatchMaker.__new__(BatchMaker)
        light.__dict__.update(self.__dict__, nlp=self.nlp.worker_copy(), device=None)
        return light, kwargs, self.to_device if self.device is not None else None

    def worker_init(self) -> None:
        """Prepare a worker."""
        self.nlp.worker_init()

    def to_device(self, made: TaskBatch) -> TaskBatch:
        """Move the tensors of a batch that a worker made."""
        parts = [Part(self.nlp.to_device(p.batch, self.device), p.positions) for p in made.parts]
        return replace(made, parts=parts)


def _id_of(item: Any) -> Any:
    return item._.note_id if isinstance(item, Doc) else item.get("doc_id")


def describe_batches(
    maker: BatchMaker,
    data: TrainingData,
    source: Stream,
    *,
    seed: int,
    num_workers: int = 0,
    across_epochs: bool = True,
) -> Stream:
    """Return the endless stream of batches of one `TrainingData`.

    Args:
        maker: Makes the batches.
        data: How they are cut.
        source: The documents.
        seed: Seed of the shuffle.
        num_workers: Processes that prepare them.
        across_epochs: Whether a batch may hold documents of two epochs.
    """
    stream = source.loop()
    if data.shuffle:
        stream = stream.shuffle(data.shuffle)
    size, of_features = measured(data.batch_size or DEFAULT_BATCH)
    if of_features:
        kwargs = {"supervision": True, "pipe_names": data.pipe_names}
        stream = stream.map(maker.nlp.preprocess, kwargs=kwargs)
    return (
        stream.with_op(Batchify(size, across_epochs))
        .map(maker)
        .set_processing(
            num_cpu_workers=num_workers,
            precision="fp32",
            seed=seed,
        )
    )


class Batches:
    """The batches of all tasks, one of each a step; knows the step that ends an epoch.

    It is one batch ahead of what it hands out, to see whether that is the last one of an epoch (of
    the first task). A batch across epochs ends the one that it begins in, and all within it.

    Args:
        streams: The batches of each task.

    Attributes:
        epochs_ended: Epochs that the batch handed out last was the last one of.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._iterators: list[StreamIterator] = [iter(stream) for stream in streams]
        self._ahead: list[TaskBatch] | None = None
        self._ahead_epoch = 0
        self._state: list[Any] = []
        self.epoch = 0
        self.epochs_ended = 0

    @property
    def ends_epoch(self) -> bool:
        """Whether the batch that was handed out last was the last of an epoch."""
        return self.epochs_ended > 0

    def __next__(self) -> list[TaskBatch]:
        if self._ahead is None:
            self._read()
        assert self._ahead is not None
        batches, epoch = self._ahead, self._ahead_epoch
        self._state = self._positions()
        self._read()
        self.epoch = epoch
        self.epochs_ended = self._ahead_epoch - epoch
        return batches

    def _read(self) -> None:
        self._ahead = []
        for iterator in self._iterators:
            batch = next(iterator)
            places = tuple(index for _, index, _ in iterator.places)
            self._ahead.append(replace(batch, source_indices=places))
        self._ahead_epoch = self._iterators[0].places[0][0]  # of its first document

    def _positions(self) -> list[Any]:
        return [iterator.get_state() for iterator in self._iterators]

    def get_state(self) -> dict[str, Any]:
        """Return the position behind the batches that were handed out last, as plain data."""
        streams = self._positions() if self._ahead is None else self._state
        return {"streams": streams, "epoch": self.epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go to a position, before the first batch.

        Raises:
            ValueError: It is a position in other streams.
        """
        if len(state["streams"]) != len(self._iterators):
            raise ValueError(
                f"the position is one in {len(state['streams'])} training data, and there are "
                f"{len(self._iterators)}"
            )
        for iterator, position in zip(self._iterators, state["streams"], strict=True):
            iterator.set_state(position)
        self.epoch = state["epoch"]

    def close(self) -> None:
        """Let the workers end."""
        for iterator in self._iterators:
            iterator.close()
