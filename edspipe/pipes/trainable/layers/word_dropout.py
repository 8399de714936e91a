"""Dropout of whole words: the model learns to do without any one of them."""

from __future__ import annotations

import torch

from edspipe.errors import ConfigError


def check_share(name: str, share: float) -> float:
    """Return a share that is dropped.

    Args:
        name: The argument, for the message.
        share: From 0 to below 1.

    Raises:
        ConfigError: It is not.
    """
    if not 0.0 <= share < 1.0:
        raise ConfigError(f"{name}: expected a share from 0 to below 1, got {share}")
    return share


class WordDropout(torch.nn.Module):
    """Sets the vectors of some words to zero, in training.

    The other vectors are not scaled up: a dropped word looks as a word without a vector does.

    Args:
        share: The share of words that is dropped, from 0 to below 1.

    Raises:
        ConfigError: The share is not in this range.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = check_share("word_dropout", share)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Drop words.

        Args:
            words: Vectors of words. *Shape* `(words, size)`

        Returns:
            *Shape* `(words, size)`
        """
        if not self.training or self.share == 0.0:
            return words
        kept = torch.rand(len(words), 1, device=words.device) >= self.share
        return words * kept.to(words.dtype)

    def extra_repr(self) -> str:
        return f"share={self.share}"
