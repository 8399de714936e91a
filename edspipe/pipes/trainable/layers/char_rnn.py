"""A recurrent network over characters, in one direction.

Suffixes: B rows (texts, or columns of one), T characters, E embedding, H output, V letters,
L layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from edspipe.errors import ConfigError
from edspipe.pipes.trainable.layers.word_dropout import check_share

State = tuple[torch.Tensor, ...]
"""What an LSTM carries from one character to the next: hidden and cell states, *Shape* `(L, B, H)`
each."""
INIT_RANGE = 0.1
"""Embeddings and the last layer begin uniformly within this, on both sides of 0."""


class CharRnn(torch.nn.Module):
    """Characters -> embedding -> LSTM -> (projection) -> letters.

    It reads from left to right; for the other direction it is given reversed text. It is causal, so
    that padding behind a row never reaches what stands before.

    Args:
        num_chars: Letters of the alphabet, the unknown included.
        embedding_size: Size of a character's vector.
        hidden_size: Size of the LSTM's states.
        num_layers: Layers of the LSTM.
        projection_size: Size that a linear layer brings the outputs to; None leaves them.
        dropout: Share of zeros behind the embedding, between layers, and before the last one.

    Raises:
        ConfigError: A size or the number of layers is below 1, or the share not from 0 to below 1.
    """

    def __init__(
        self,
        num_chars: int,
        embedding_size: int = 100,
        hidden_size: int = 128,
        num_layers: int = 1,
        projection_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = {
            "embedding_size": embedding_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "projection_size": 1 if projection_size is None else projection_size,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ConfigError(f"{name}: expected 1 or more, got {size}")
        self.output_size = hidden_size if projection_size is None else projection_size
        self.dropout = check_share("dropout", dropout)
        self.embedding = torch.nn.Embedding(num_chars, embedding_size)
        self.lstm = torch.nn.LSTM(
            embedding_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.projection = (
            None if projection_size is None else torch.nn.Linear(hidden_size, projection_size)
        )
        self.decoder = torch.nn.Linear(self.output_size, num_chars)
        torch.nn.init.uniform_(self.embedding.weight, -INIT_RANGE, INIT_RANGE)
        torch.nn.init.uniform_(self.decoder.weight, -INIT_RANGE, INIT_RANGE)
        torch.nn.init.zeros_(self.decoder.bias)

    def states(
        self, ids_BT: torch.Tensor, state: State | None = None
    ) -> tuple[torch.Tensor, State]:
        """Read characters.

        Args:
            ids_BT: Numbers of letters, int64. *Shape* `(B, T)`
            state: What the reading before returned; None begins with zeros.

        Returns:
            The vector after each character, *Shape* `(B, T, output_size)`, and the state behind
            the last.
        """
        vectors_BTE = F.dropout(self.embedding(ids_BT), self.dropout, self.training)
        outputs_BTH, new_state = self.lstm(vectors_BTE, state)
        if self.projection is not None:
            outputs_BTH = self.projection(outputs_BTH)
        return outputs_BTH, new_state

    def logits(self, outputs_BTH: torch.Tensor) -> torch.Tensor:
        """Score every letter as the next one. *Shape* `(B, T, V)`"""
        return self.decoder(F.dropout(outputs_BTH, self.dropout, self.training))


def detached(state: Sequence[torch.Tensor]) -> State:
    """Return a state that no gradient flows back through."""
    return tuple(tensor.detach() for tensor in state)
