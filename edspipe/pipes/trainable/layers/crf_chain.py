"""The scores of a chain, and how batches are laid out for inference.

All rows of a batch share one chain of K tags and have the same number of steps T. Ragged batches
come in through `to_rows`: padding is one more tag, which absorbs. A sequence moves into it at the
cost of its end score, stays there for free, and an empty sequence starts there; so no recursion
needs a mask, and a row without words has Z = 1.

Letters: S sequences, T time, L labels, K tags, N = S x L rows.
The tag axis stands before the row axis, so that every elementwise loop runs over rows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

FORBIDDEN = -1e4
"""The score of what cannot be. Not -inf: a mask that multiplies would make NaN of it."""


class Chain(NamedTuple):
    """The scores of a chain, in log-space.

    Attributes:
        start_K: Of the first tag.
        end_K: Of the last tag.
        moves_KK: From the tag of the row to the tag of the column.
    """

    start_K: Tensor
    end_K: Tensor
    moves_KK: Tensor

    def centred(self) -> Chain:
        """Shift each group of scores so that its best is 0: posteriors and losses don't change."""
        return Chain(*(scores - scores.detach().max() for scores in self))

    def padded(self) -> Chain:
        """Add the padding tag, last: entered at the end score, never left."""
        free, never = self.start_K.new_zeros(1), self.start_K.new_full((1,), FORBIDDEN)
        into = torch.cat([self.end_K, free])
        moves = torch.cat([self.moves_KK, never.expand(1, len(self.start_K))])
        return Chain(
            torch.cat([self.start_K, free]), into, torch.cat([moves, into[:, None]], dim=1)
        )

    def spread(self) -> float:
        """The worst allowed score of a centred chain, as a positive number; read on the host."""
        scores = torch.cat([group.detach().flatten() for group in self])
        return -float(scores[scores > FORBIDDEN / 2].min())


class Posteriors(NamedTuple):
    """What a pass in both directions knows.

    Attributes:
        log_z_TN: The log of the summed weights of all paths, as a sum over steps: what each adds.
        marginals_TKN: The probability of each tag at each step.
        pairs_KK: The expected number of each move, summed over steps and rows.
    """

    log_z_TN: Tensor
    marginals_TKN: Tensor
    pairs_KK: Tensor


def to_rows(emissions_STLK: Tensor, mask_ST: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Lay emissions out for the recursions: a row per sequence and label, centred and padded.

    Args:
        emissions_STLK: A score per tag, of any float type. Those on padding are ignored.
        mask_ST: True on words.
        dtype: The type to work in.

    Returns:
        The emissions with the padding tag, which is certain on padding and impossible on words,
        shape (T, K + 1, N); and the largest distance between two tags on one word, shape (N,).
    """
    num_sequences, num_steps, num_labels, num_tags = emissions_STLK.shape
    rows_TKSL = emissions_STLK.new_empty(
        num_steps, num_tags + 1, num_sequences, num_labels, dtype=dtype
    )
    padding_T1S1 = ~mask_ST.T[:, None, :, None]
    words_TKSL = rows_TKSL[:, :num_tags]
    words_TKSL.copy_(emissions_STLK.permute(1, 3, 0, 2))
    best_T1SL = words_TKSL.detach().amax(1, keepdim=True)
    spread_T1SL = best_T1SL - words_TKSL.detach().amin(1, keepdim=True)
    spread_N = spread_T1SL.masked_fill_(padding_T1S1, 0.0).amax((0, 1)).flatten()
    words_TKSL.sub_(best_T1SL).masked_fill_(padding_T1S1, FORBIDDEN)
    rows_TKSL[:, num_tags:].fill_(FORBIDDEN).masked_fill_(padding_T1S1, 0.0)
    return rows_TKSL.flatten(2), spread_N


def from_rows(values_TKN: Tensor, num_labels: int) -> Tensor:
    """Undo the layout of `to_rows` and drop the padding tag. Shape (S, T, L, K)."""
    return values_TKN[:, :-1].unflatten(2, (-1, num_labels)).permute(2, 0, 3, 1)


def on_host(tensor: Tensor) -> bool:
    """Whether values can be read without waiting for an accelerator.

    Elsewhere nothing may depend on values: no check of them, no choice between two ways.
    """
    return tensor.device.type == "cpu"
