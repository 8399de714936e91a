"""map_pipeline: a pipeline over texts or documents, models in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from edspipe.stream.batching import BatchSize
from edspipe.stream.markers import Item
from edspipe.stream.ops.grouping import BatchOp
from edspipe.stream.ops.op import Arrive, LocalOp, Run
from edspipe.stream.settings import Settings

ON_CPU, ON_DEVICE = "cpu", "device"


class PipelineLike(Protocol):
    """What this op needs of a pipeline."""

    def process_batch(
        self, values: list[Any], *, names: Sequence[str], precision: str, embedding: str | None
    ) -> list[Any]:
        """Run the named pipes over texts or documents."""

    def worker_init(self) -> None:
        """Prepare a worker process."""

    def runs_on_device(self, name: str) -> bool:
        """Whether a pipe is a model."""

    def to(self, device: str) -> Any:
        """Move the models."""

    def worker_copy(self) -> Any:
        """Return a copy without weights."""


class MapPipeline(BatchOp):
    """Runs pipes over documents; models see batches of `set_processing(batch_size=)`.

    Args:
        nlp: The pipeline.
        names: The pipes to run, fixed when the stream is described.
        size: The batch of models; None takes the stream's setting.
        part: Where this part of a pipeline runs; None for a whole pipeline.
        embedding: The place of an embedding whose vectors come with the documents, as pairs.
    """

    def __init__(
        self,
        nlp: PipelineLike,
        names: Sequence[str],
        size: BatchSize | None,
        part: str | None = None,
        embedding: str | None = None,
    ) -> None:
        self.nlp = nlp
        self.names = tuple(names)
        self.size = size
        self.part = part
        self.embedding = embedding
        self.on_device = part == ON_DEVICE
        self.stage = "pipeline"

    def split(self) -> list[MapPipeline]:
        """Return the op in parts: models for workers with a device, all else for the others.

        Texts become documents in the first part, which is never on a device.
        """
        parts: list[tuple[str, list[str]]] = [(ON_CPU, [])]
        for name in self.names:
            where = ON_DEVICE if self.nlp.runs_on_device(name) else ON_CPU
            if parts[-1][0] != where:
                parts.append((where, []))
            parts[-1][1].append(name)
        if self.embedding is not None and parts[-1][0] != ON_DEVICE:
            parts.append((ON_DEVICE, []))
        ops = [MapPipeline(self.nlp, names, self.size, where) for where, names in parts]
        ops[-1].embedding = self.embedding
        for op in ops:
            op.place = self.place
        return ops

    def for_worker(self) -> tuple[LocalOp, Arrive | None]:
        if self.part != ON_CPU:
            return self, None
        light = MapPipeline(self.nlp.worker_copy(), self.names, self.size, self.part)
        light.place = self.place
        return light, None

    def to_device(self, device: str) -> None:
        """Move the models to the device of a worker."""
        self.nlp.to(device)

    def batch_size(self, settings: Settings) -> BatchSize:
        return self.size or settings.model_batch

    def call(self, batch: list[Item], run: Run) -> list[Item]:
        docs = self.nlp.process_batch(
            [item.value for item in batch],
            names=self.names,
            precision=run.settings.precision,
            embedding=self.embedding,
        )
        return [item._replace(value=doc) for item, doc in zip(batch, docs, strict=True)]

    def worker_init(self) -> None:
        self.nlp.worker_init()
