"""eds.span_pooler: one vector a span."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.pipeline.torch_component import Batch, Features, TorchComponent
from edspipe.pipes.trainable.embeddings.base import WordEmbedding


@registry.factory.register("eds.span_pooler")
class SpanPooler(TorchComponent):
    """Pools the vectors of a span's words into one.

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        embedding: Gives each word a vector.
        pooling_mode: `"mean"`, `"max"` or `"sum"`.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        embedding: WordEmbedding,
        pooling_mode: Literal["mean", "max", "sum"] = "mean",
    ) -> None:
        super().__init__(nlp, name)
        self.embedding = embedding
        self.pooling_mode = pooling_mode
        self.output_size = embedding.output_size

    def preprocess(
        self,
        doc: Doc,
        *,
        spans: Sequence[Span] | None = None,
        contexts: Sequence[Span] | None = None,
    ) -> Features:
        """Turn a Doc and spans of it into features.

        Args:
            doc: The Doc.
            spans: What is pooled; None takes `doc.ents`.
            contexts: What is read; None reads the whole Doc.

        Raises:
            ValueError: A span lies in no context; the message gives its place.
        """
        spans = list(doc.ents) if spans is None else list(spans)
        places = [_place(span, [doc[:]] if contexts is None else contexts) for span in spans]
        below = (
            self.embedding.preprocess(doc)
            if contexts is None
            else self.embedding.preprocess(doc, contexts=contexts)
        )
        return {
            "embedding": below,
            "starts": np.array([start for start, _ in places], dtype=np.int64),
            "ends": np.array([end for _, end in places], dtype=np.int64),
            "num_words": len(doc) if contexts is None else sum(len(c) for c in contexts),
        }

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Collate the embedding, and the words of all spans, span by span.

        Returns:
            `embedding`; `words`, *Shape* `(pairs,)`; `spans`, the span of each, *Shape* `(pairs,)`;
            `num_spans`.
        """
        num_words = np.cumsum([0, *(sample["num_words"] for sample in batch)])
        parts = list(zip(batch, num_words[:-1], strict=True))
        starts = np.concatenate([sample["starts"] + first for sample, first in parts])
        ends = np.concatenate([sample["ends"] + first for sample, first in parts])
        sizes = ends - starts
        spans = np.repeat(np.arange(len(sizes)), sizes)
        words = np.arange(len(spans)) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        return {
            "embedding": self.embedding.collate([sample["embedding"] for sample in batch]),
            "words": torch.from_numpy(words),
            "spans": torch.from_numpy(spans),
            "num_spans": len(sizes),
        }

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Pool.

        Returns:
            `embeddings`, *Shape* `(spans, output_size)`.
        """
        vectors = self.embedding(batch["embedding"])["embeddings"][batch["words"]]
        index = batch["spans"].unsqueeze(1).expand_as(vectors)
        reduce = {"mean": "mean", "max": "amax", "sum": "sum"}[self.pooling_mode]
        pooled = vectors.new_zeros(batch["num_spans"], self.output_size)
        return {"embeddings": pooled.scatter_reduce(0, index, vectors, reduce, include_self=False)}


def _place(span: Span, contexts: Sequence[Span]) -> tuple[int, int]:
    """Return the words of a span, counted over all contexts."""
    before = 0
    for context in contexts:
        if context.start <= span.start and span.end <= context.end:
            shift = before - context.start
            return span.start + shift, span.end + shift
        before += len(context)
    raise ValueError(
        f"the span of words {span.start} to {span.end} ({span.label_}) lies in none of the "
        f"{len(contexts)} contexts that are read"
    )
