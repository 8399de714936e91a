"""A conditional random field over any tags: one chain a sequence, each tag may follow each.

It runs step by step, whatever the number of tags: the products of a step are one product of
matrices (rescaled by the best tag, so that nothing that counts underflows), while a tree over time
would take the third power of the number of tags for each word.

Letters: S sequences, T words, K tags.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edspipe.pipes.trainable.layers.crf_chain import FORBIDDEN, Chain
from edspipe.pipes.trainable.layers.crf_decoding import viterbi

UNKNOWN = -100
"""Stands for the gold tag of a word that has none."""


class TagChain(torch.nn.Module):
    """Loss and decoding of a linear chain (Lafferty, McCallum and Pereira 2001).

    `mask_ST` is true on words, which come first in each row; a row without words counts nothing.
    Sums are done in fp32 at least.

    Args:
        num_tags: The number of tags, K.
    """

    def __init__(self, num_tags: int) -> None:
        super().__init__()
        self.start_K = torch.nn.Parameter(torch.zeros(num_tags))
        self.end_K = torch.nn.Parameter(torch.zeros(num_tags))
        self.moves_KK = torch.nn.Parameter(torch.zeros(num_tags, num_tags))

    def chain(self, dtype: torch.dtype) -> Chain:
        """Return the scores, each group with its best at 0."""
        return Chain(*(x.to(dtype) for x in (self.start_K, self.end_K, self.moves_KK))).centred()

    def loss(
        self, emissions_STK: Tensor, mask_ST: Tensor, tags_ST: Tensor, *, all_known: bool = False
    ) -> Tensor:
        """Return the negative log-likelihood of the gold tags, summed over sequences.

        Words without a gold tag may have any: their tags are summed over (Tsuboi et al. 2008,
        "Training conditional random fields using incomplete annotations").

        Args:
            emissions_STK: A score per tag.
            mask_ST: True on words.
            tags_ST: Gold tags, or `UNKNOWN`; anything on padding.
            all_known: Promises that no word is without a tag, which is faster.

        Returns:
            A scalar in fp32 (fp64 for fp64 emissions).
        """
        with torch.autocast(emissions_STK.device.type, enabled=False):
            emissions_STK = _centred(emissions_STK)
            chain = self.chain(emissions_STK.dtype)
            tags_ST = tags_ST.masked_fill(~mask_ST, UNKNOWN)
            if all_known:
                gold_S = path_scores(emissions_STK, mask_ST, chain, tags_ST.clamp(min=0))
            else:
                free_ST1 = (tags_ST == UNKNOWN)[..., None]
                tag_K = torch.arange(emissions_STK.shape[2], device=tags_ST.device)
                allowed_STK = free_ST1 | (tags_ST[..., None] == tag_K)
                bound_STK = emissions_STK.masked_fill(~allowed_STK, FORBIDDEN)
                gold_S = log_partition(bound_STK, mask_ST, chain)
            return (log_partition(emissions_STK, mask_ST, chain) - gold_S).sum()

    @torch.no_grad()
    def decode(self, emissions_STK: Tensor, mask_ST: Tensor) -> Tensor:
        """Return the best tags (Viterbi), anything on padding. *Shape:* (S, T), int64."""
        if mask_ST.numel() == 0:
            return mask_ST.long()
        with torch.autocast(emissions_STK.device.type, enabled=False):
            emissions_STK = _centred(emissions_STK)
            chain = self.chain(emissions_STK.dtype)
            last_S = (mask_ST.sum(1) - 1).clamp(min=0)
            start_KS = chain.start_K[:, None].expand(-1, len(last_S))
            end_KS = chain.end_K[:, None].expand(-1, len(last_S))
            emissions_KTS = emissions_STK.permute(2, 1, 0).contiguous()
            return viterbi(emissions_KTS, start_KS, end_KS, chain.moves_KK, last_S).T


def log_partition(emissions_STK: Tensor, mask_ST: Tensor, chain: Chain) -> Tensor:
    """Return the log of the summed weights of all paths, 0 for a row without words.

    *Shape:* (S,)
    """
    num_sequences, num_words, _ = emissions_STK.shape
    if num_words == 0:
        return emissions_STK.new_zeros(num_sequences) + 0 * sum(x.sum() for x in chain)
    tiny = torch.finfo(emissions_STK.dtype).tiny
    weights_KK = chain.moves_KK.exp()
    message_SK = chain.start_K + emissions_STK[:, 0]
    words, masks = emissions_STK.unbind(1), mask_ST[..., None].unbind(1)
    for emission_SK, mask_S1 in zip(words[1:], masks[1:], strict=True):
        best_S1 = message_SK.detach().amax(1, keepdim=True)
        reached_SK = (message_SK - best_S1).exp() @ weights_KK
        after_SK = reached_SK.clamp(min=tiny).log() + best_S1 + emission_SK
        message_SK = torch.where(mask_S1, after_SK, message_SK)
    total_S = torch.logsumexp(message_SK + chain.end_K, dim=1)
    return torch.where(mask_ST[:, 0], total_S, 0.0)


def path_scores(emissions_STK: Tensor, mask_ST: Tensor, chain: Chain, tags_ST: Tensor) -> Tensor:
    """Return the score of one given path a row, 0 for a row without words. *Shape:* (S,)"""
    if mask_ST.numel() == 0:
        return emissions_STK.new_zeros(len(mask_ST)) + 0 * sum(x.sum() for x in chain)
    scores_ST = emissions_STK.gather(2, tags_ST[..., None])[..., 0]
    moves_ST = chain.moves_KK[tags_ST[:, :-1], tags_ST[:, 1:]]
    last_S1 = (mask_ST.sum(1, keepdim=True) - 1).clamp(min=0)
    ends_S = chain.start_K[tags_ST[:, 0]] + chain.end_K[tags_ST.gather(1, last_S1)[:, 0]]
    scores_S = scores_ST.masked_fill(~mask_ST, 0.0).sum(1)
    scores_S = scores_S + moves_ST.masked_fill(~mask_ST[:, 1:], 0.0).sum(1)
    return scores_S + ends_S.masked_fill(~mask_ST[:, 0], 0.0)


def _centred(emissions_STK: Tensor) -> Tensor:
    """Shift the scores of each word so that its best is 0: sums stay small."""
    if emissions_STK.dtype != torch.float64:
        emissions_STK = emissions_STK.float()
    return emissions_STK - emissions_STK.detach().amax(2, keepdim=True)
