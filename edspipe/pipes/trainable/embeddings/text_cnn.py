"""eds.text_cnn: words that have seen their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from edspipe.config.registry import registry
from edspipe.errors import ConfigError
from edspipe.pipeline.torch_component import Batch
from edspipe.pipes.trainable.embeddings.base import (
    ContextualEmbedding,
    WordEmbedding,
    context_sizes,
)
from edspipe.pipes.trainable.layers.cnn import WordConvolutions


@registry.factory.register("eds.text_cnn")
class TextCnn(ContextualEmbedding):
    """Mixes each word's vector with those of its neighbours by 1-D convolutions.

    Convolutions of several widths are concatenated, activated and projected; the result is added
    to what came in (`residual`), with a layer norm before (`"pre"`), after (`"post"`) or none.
    Convolutions see the real words of one context only.

    ```python
    eds.text_cnn(kernel_sizes=[3], embedding=eds.transformer(model="path/to/encoder"))
    ```

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        embedding: The embedding below.
        kernel_sizes: Widths in words.
        output_size: Size of the result; None keeps the size of the embedding.
        out_channels: Channels of each convolution; None takes the size of the embedding.
        activation: `"relu"`, `"gelu"`, `"silu"`, `"tanh"` or `"sigmoid"`.
        residual: Add what came in.
        normalize: Where the layer norm stands: `"pre"`, `"post"` or `"none"`.

    Raises:
        ConfigError: `residual` with another output size, or an argument does not exist.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        embedding: WordEmbedding,
        kernel_sizes: Sequence[int] = (3, 4, 5),
        output_size: int | None = None,
        out_channels: int | None = None,
        activation: str = "relu",
        residual: bool = True,
        normalize: Literal["pre", "post", "none"] = "pre",
    ) -> None:
        super().__init__(nlp, name, embedding)
        size = embedding.output_size
        self.output_size = size if output_size is None else output_size
        if residual and self.output_size != size:
            raise ConfigError(
                f"{name}: residual=True adds vectors of {size} to vectors of {self.output_size}; "
                "leave output_size out, or set residual=False"
            )
        self.residual = residual
        self.normalize = normalize
        self.convolutions = WordConvolutions(
            size, self.output_size, out_channels or size, kernel_sizes, activation
        )
        norm_size = {"pre": size, "post": self.output_size, "none": None}[normalize]
        self.norm = torch.nn.Identity() if norm_size is None else torch.nn.LayerNorm(norm_size)

    def collate(self, batch: Sequence[dict[str, Any]]) -> Batch:
        return {"embedding": self.embedding.collate([sample["embedding"] for sample in batch])}

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Compute the vectors of the words.

        Returns:
            `embeddings`, *Shape* `(words, output_size)`, `lengths`, *Shape* `(contexts,)`, and
            `sizes`.
        """
        below = self.embedding(batch["embedding"])
        words, lengths = below["embeddings"], below["lengths"]
        inner = self.norm(words) if self.normalize == "pre" else words
        result = self.convolutions(inner, lengths)
        result = words + result if self.residual else result
        if self.normalize == "post":
            result = self.norm(result)
        return {"embeddings": result, "lengths": lengths, "sizes": context_sizes(below)}
