"""map_pipeline: a pipeline over texts or documents, models in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from edspipe.stream.batching import BatchSize
from edspipe.stream.markers import Item
from edspipe.stream.ops.grouping import BatchOp
from edspipe.stream.ops.op import Run
from edspipe.stream.settings import Settings


class PipelineLike(Protocol):
    """What this op needs of a pipeline."""

    def process_batch(
        self, values: list[Any], *, names: Sequence[str], precision: str
    ) -> list[Any]:
        """Run the named pipes over texts or documents."""

    def worker_init(self) -> None:
        """Prepare a worker process."""


class MapPipeline(BatchOp):
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

    def batch_size(self, settings: Settings) -> BatchSize:
        return self.size or settings.model_batch

    def call(self, batch: list[Item], run: Run) -> list[Item]:
        docs = self.nlp.process_batch(
            [item.value for item in batch],
            names=self.names,
            precision=run.settings.precision,
        )
        return [item._replace(value=doc) for item, doc in zip(batch, docs, strict=True)]

    def worker_init(self) -> None:
        self.nlp.worker_init()
