"""Dropout with one mask a context (Gal and Ghahramani 2016, "A theoretically grounded application
of dropout in recurrent neural networks")."""

from __future__ import annotations

import torch

from edspipe.pipes.trainable.layers.word_dropout import check_share


class LockedDropout(torch.nn.Module):
    """Drops the same components of the vectors of all words of a context, in training.

    What is kept is scaled, so that the mean stays.

    Args:
        share: The share of components that is dropped, from 0 to below 1.

    Raises:
        ConfigError: The share is not in this range.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = check_share("locked_dropout", share)

    def forward(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Drop components.

        Args:
            words: Vectors of all words, context by context. *Shape* `(words, size)`
            lengths: Words of each context. *Shape* `(contexts,)`

        Returns:
            *Shape* `(words, size)`
        """
        if not self.training or self.share == 0.0:
            return words
        drawn = torch.rand(len(lengths), words.shape[1], device=words.device)
        masks = (drawn >= self.share).to(words.dtype) / (1.0 - self.share)
        contexts = torch.arange(len(lengths), device=lengths.device)
        context_of = torch.repeat_interleave(contexts, lengths, output_size=len(words))
        return words * masks.index_select(0, context_of)

    def extra_repr(self) -> str:
        return f"share={self.share}"
