"""map_pipeline: a pipeline over texts or documents, models in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from edspipe.stream.batching import BatchSize, group
from edspipe.stream.markers import Item
from edspipe.stream.ops.map_batches import apply_to_batch
from edspipe.stream.ops.op import LocalOp, Run, batch_chunk


class PipelineLike(Protocol):
    """What this op needs of a pipeline."""

    def process_batch(
        self, values: list[Any], *, names: Sequence[str], precision: str
    ) -> list[Any]:
        """Run the named pipes over texts or documents."""

    def worker_init(self) -> None:
        """Prepare a worker process."""


DEFAULT_SIZE = "32 docs"


class MapPipeline(LocalOp):
    """Runs pipes over documents; models see batches of `set_processing(batch_size=)`.

    Args:
        nlp: The pipeline.
        names: The pipes to run, fixed when the stream is described.
        size: The batch of models; None takes the stream's setting.
    """

    def __init__(self, nlp: PipelineLike, names: Sequence[str], size: BatchSize | None) -> None:
        self.nlp = nlp
        self.names = tuple(names)
        self.size = size
        self.stage = "pipeline"
        self.chunk_items = batch_chunk(size or BatchSize(DEFAULT_SIZE))

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        size = self.size or BatchSize(
            run.settings.batch_size or DEFAULT_SIZE, run.settings.batch_by
        )
        out: list[Item] = []
        for batch in group(items, size, key=lambda item: item.value):
            out.extend(apply_to_batch(self, batch, run))
        return out

    def call(self, batch: list[Item], run: Run) -> list[Item]:
        """Run the pipes on one batch."""
        docs = self.nlp.process_batch(
            [item.value for item in batch],
            names=self.names,
            precision=run.settings.precision,
        )
        return [item._replace(value=doc) for item, doc in zip(batch, docs, strict=True)]

    def worker_init(self) -> None:
        self.nlp.worker_init()
