"""Vectors of words from their letters: convolutions, and the maximum over the word.

A convolution over letters is a sum of rows of tables: letter x at place j of a window adds row x of
`letters @ kernel[j]`. There are about a hundred letters, so the tables cost next to nothing, and a
window is a sum of a few rows in place of a product of matrices (20 times fewer operations).

Letters: W words, N places (letters of all words with their ends), E and C sizes, A letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edspipe.errors import ConfigError
from edspipe.pipes.trainable.layers.dropout import Dropout
from edspipe.pipes.trainable.layers.word_dropout import check_share

NOTHING, BEGIN, END = range(3)
"""What stands beyond a word, before its first letter, and behind its last."""
NUM_SPECIALS = 3


class CharConvolutions(torch.nn.Module):
    """Letters -> vectors -> convolutions of several widths -> maximum over the word -> ReLU.

    Beyond the ends of a word all is zero, and each word is read alone, so that its vector is the
    same in each batch.

    Args:
        num_letters: Numbers of letters, from `NUM_SPECIALS` on, and the specials.
        embedding_size: Size of a letter's vector.
        out_channels: Channels of each convolution.
        kernel_sizes: Widths in letters, from 1 up.
        dropout: Share of the values of the letters' vectors that is dropped in training, the same
            ones for all words of a batch.

    Raises:
        ConfigError: A width or size is below 1, or the share not from 0 to below 1.
    """

    def __init__(
        self,
        num_letters: int,
        embedding_size: int,
        out_channels: int,
        kernel_sizes: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        if not kernel_sizes or min(kernel_sizes) < 1:
            raise ConfigError(f"kernel_sizes: expected widths from 1 up, got {list(kernel_sizes)}")
        if min(embedding_size, out_channels) < 1:
            raise ConfigError(
                "embedding_size and out_channels are 1 or more, got "
                f"{embedding_size} and {out_channels}"
            )
        self.kernel_sizes = list(kernel_sizes)
        self.output_size = out_channels * len(self.kernel_sizes)
        self.letters_AE = torch.nn.Parameter(torch.randn(num_letters, embedding_size))
        self.convolutions = torch.nn.ModuleList(
            torch.nn.Conv1d(embedding_size, out_channels, size) for size in self.kernel_sizes
        )
        self.dropout = Dropout(check_share("char_dropout", dropout))

    @property
    def gap(self) -> int:
        """How many places `NOTHING` must stand before and behind a word."""
        return max(self.kernel_sizes) - 1

    def forward(self, ids: Tensor, places_N: Tensor, groups: Sequence[tuple[int, int]]) -> Tensor:
        """Compute the vectors.

        Args:
            ids: All words, one behind the other, each with its ends, and `gap` times `NOTHING`
                before and behind each. *Shape* `(all,)`
            places_N: Where the letters and ends of words stand in `ids`.
            groups: How many words there are of which length, ends included, in order.

        Returns:
            *Shape* `(words, output_size)`
        """
        letters_AE = self.dropout(self.letters_AE)
        letters_AE = torch.cat([torch.zeros_like(letters_AE[:1]), letters_AE[1:]])
        found = [self._convolve(x, letters_AE, ids, places_N, groups) for x in self.convolutions]
        return torch.cat(found, dim=1)

    def _convolve(
        self,
        convolution: Any,
        letters_AE: Tensor,
        ids: Tensor,
        places_N: Tensor,
        groups: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Apply one convolution, and take the maximum over each word. *Shape* `(W, C)`"""
        num_channels, _, size = convolution.weight.shape
        tables_JAC = letters_AE @ convolution.weight.permute(2, 1, 0)
        step_J = torch.arange(size, device=ids.device)
        windows_NJ = ids[places_N[:, None] + (step_J - (size - 1) // 2)]
        rows_NJ = windows_NJ + step_J * len(letters_AE)
        values_NC = F.embedding_bag(rows_NJ, tables_JAC.flatten(0, 1), mode="sum")
        sizes = [length * number for length, number in groups]
        best = [
            part.view(number, length, num_channels).max(1).values
            for part, (length, number) in zip(values_NC.split(sizes), groups, strict=True)
        ]
        if not best:
            return values_NC.new_zeros(0, num_channels)
        return F.relu(torch.cat(best) + convolution.bias)


def lay_out_words(
    words: Sequence[np.ndarray], gap: int
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Lay the letters of words out as `CharConvolutions` reads them.

    Args:
        words: The letters of each word, from `NUM_SPECIALS` on; shorter words come first.
        gap: How many places of `NOTHING` to leave before and behind each.

    Returns:
        `ids`, `places` and `groups`.
    """
    lengths = np.array([len(word) + 2 for word in words], dtype=np.int64)
    starts = gap + np.cumsum(lengths + gap) - lengths - gap
    ids = np.full(gap + int((lengths + gap).sum()), NOTHING, dtype=np.int64)
    ids[starts] = BEGIN
    ids[starts + lengths - 1] = END
    rank = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.repeat(starts, lengths) + rank
    if len(words):
        inner = (rank > 0) & (rank < np.repeat(lengths, lengths) - 1)
        ids[places[inner]] = np.concatenate(words)
    sizes, numbers = np.unique(lengths, return_counts=True)
    return ids, places, list(zip(sizes.tolist(), numbers.tolist(), strict=True))
