"""Pooling: layers to one layer, pieces to words, words to spans. Tensors only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from edspipe.errors import ConfigError


class LayerPooling(torch.nn.Module):
    """Makes one tensor of some of the hidden layers of an encoder.

    Args:
        layers: Indices into the hidden states; -1 is the last layer, 0 the input embeddings.
        mode: `"mean"`, `"concat"`, or `"scalar_mix"`: a learned weighted mean times a learned
            factor (Peters et al. 2018, ELMo).
        num_layers: Layers of the encoder, without the input embeddings.

    Raises:
        ConfigError: A layer does not exist.
    """

    def __init__(self, layers: Sequence[int], mode: str, num_layers: int) -> None:
        super().__init__()
        for layer in layers:
            if not -num_layers - 1 <= layer <= num_layers:
                raise ConfigError(
                    f"layers: the encoder has layers {-num_layers - 1} to {num_layers}, got {layer}"
                )
        if not layers:
            raise ConfigError("layers: expected one layer at least")
        self.layers = list(layers)
        self.mode = mode
        self.is_last = [layer % (num_layers + 1) for layer in layers] == [num_layers]
        if mode == "scalar_mix":
            self.weights = torch.nn.Parameter(torch.zeros(len(layers)))
            self.factor = torch.nn.Parameter(torch.ones(()))

    @property
    def needs_all(self) -> bool:
        """Whether the encoder must return all its hidden states."""
        return not (self.is_last and self.mode != "scalar_mix")

    def output_size(self, hidden_size: int) -> int:
        """Return the size of the pooled vectors."""
        return hidden_size * (len(self.layers) if self.mode == "concat" else 1)

    def forward(self, output: Any) -> torch.Tensor:
        """Pool an encoder's output.

        Returns:
            *Shape* `(windows, width, output_size)`
        """
        if not self.needs_all:
            return output.last_hidden_state
        chosen = [output.hidden_states[layer] for layer in self.layers]
        if self.mode == "concat":
            return torch.cat(chosen, dim=-1)
        stacked = torch.stack(chosen)
        if self.mode == "mean":
            return stacked.mean(dim=0)
        weights = torch.softmax(self.weights, dim=0).to(stacked.dtype)
        return self.factor.to(stacked.dtype) * torch.einsum("l,lwtd->wtd", weights, stacked)


def mean_of_pieces(
    vectors: torch.Tensor, indices: torch.Tensor, starts: torch.Tensor
) -> torch.Tensor:
    """Average groups of vectors; an empty group is zero.

    Args:
        vectors: *Shape* `(cells, size)`
        indices: Members of the groups, one group after the other. *Shape* `(pairs,)`
        starts: Where each group begins in `indices`. *Shape* `(groups,)`

    Returns:
        *Shape* `(groups, size)`
    """
    return F.embedding_bag(indices, vectors, starts, mode="mean")
