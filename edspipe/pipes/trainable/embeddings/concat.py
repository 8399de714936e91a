"""eds.concat: vectors of several embeddings, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.pipeline.torch_component import Batch, Features
from edspipe.pipes.trainable.embeddings.base import WordEmbedding, context_sizes


@registry.factory.register("eds.concat")
class Concat(WordEmbedding):
    """Gives every word the vectors of several embeddings, one after the other.

    ```python
    eds.concat(
        embeddings=[
            eds.word_vectors(path="vectors.vec"),
            eds.transformer(model="path/to/encoder"),
        ]
    )
    ```

    Each embedding reads the same contexts and prompts. One that stands elsewhere in the pipeline
    too is computed once a batch.

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        embeddings: The embeddings, in the order of their vectors.

    Raises:
        ConfigError: There is none.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        embeddings: Sequence[WordEmbedding],
    ) -> None:
        super().__init__(nlp, name)
        if not embeddings:
            raise ConfigError("embeddings: expected one embedding at least")
        self.embeddings = torch.nn.ModuleList(embeddings)
        self.output_size = sum(embedding.output_size for embedding in embeddings)

    def preprocess(
        self,
        doc: Doc,
        *,
        contexts: Sequence[Span] | None = None,
        prompts: Sequence[str] = (),
    ) -> Features:
        """Turn a Doc into the features of each embedding."""
        read: dict[str, Any] = {"contexts": contexts, "prompts": prompts}
        if contexts is None and not prompts:
            read = {}  # only calls without arguments are remembered for embeddings that are shared
        return {"embeddings": [below.preprocess(doc, **read) for below in self._below()]}

    def collate(self, batch: Sequence[Features]) -> Batch:
        return {
            "embeddings": [
                below.collate([sample["embeddings"][number] for sample in batch])
                for number, below in enumerate(self._below())
            ]
        }

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Compute the vectors of the words.

        Returns:
            `embeddings`, *Shape* `(words, output_size)`, `lengths`, *Shape* `(contexts,)`, and
            `sizes`.

        Raises:
            ValueError: The embeddings do not see the same words.
        """
        parts = zip(self._below(), batch["embeddings"], strict=True)
        results = [below(part) for below, part in parts]
        sizes = [context_sizes(result) for result in results]
        if any(other != sizes[0] for other in sizes):
            counts = ", ".join(f"{sum(one)} in {len(one)} contexts" for one in sizes)
            raise ValueError(
                f"{self.name}: its embeddings give vectors of different words: {counts}. Each must "
                "give one vector for each word of each context"
            )
        vectors = [result["embeddings"] for result in results]
        return {
            "embeddings": torch.cat(vectors, dim=1) if len(vectors) > 1 else vectors[0],
            "lengths": results[0]["lengths"],
            "sizes": sizes[0],
        }

    def _below(self) -> list[Any]:
        return list(self.embeddings)
