"""Sum-product in many linear chains at once, step by step; and the loss.

Letters as in `crf_chain`; D directions (0 forward, 1 backward), J = K + 1.

Sum-product works on probabilities rescaled at each step (Rabiner 1989, "A tutorial on hidden
Markov models", V.A), both directions in one loop. Why it is safe: centre all scores so that the
best is 0, let emissions lie in [-r, 0] and allowed moves in [-m, 0]. Every tag of a BILOU chain
is reached from every tag in exactly two moves, and no tag has more than three predecessors or
successors, so a rescaled message is at least exp(-r - 2m) / 3 for each tag that is possible at
all, and the sum that normalises a posterior at least exp(-2r - 4m) / 9. While 2r + 4m stays
below -log(tiny), nothing that counts underflows, and sums of positive numbers lose no precision.
Rows beyond that limit are worked in log-space instead. The products follow torch's setting of
`set_float32_matmul_precision`, which is exact by default.

Which rows are beyond the limit is read on the host, and so only on a CPU: an accelerator would be
waited for. There all rows go through `crf_tree`, which is safe for any scores, and takes far fewer
operations; on a CPU it is slower, as it does more arithmetic.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from edspipe.pipes.trainable.layers.crf_chain import (
    FORBIDDEN,
    Chain,
    Posteriors,
    from_rows,
    on_host,
    to_rows,
)
from edspipe.pipes.trainable.layers.crf_tree import tree_messages, tree_posteriors


class ScaledMessages(NamedTuple):
    """What the other steps say of a step, in probability space.

    Attributes:
        weights_TKN: The exponentials of the emissions.
        messages_TDKN: The messages. The backward direction runs over reversed time.
        sums_TD1N: The sums by which the messages were divided; of the first step, anything.
    """

    weights_TKN: Tensor
    messages_TDKN: Tensor
    sums_TD1N: Tensor


def scaled_messages(emissions_TKN: Tensor, chain: Chain) -> ScaledMessages:
    """Run both rescaled recursions in probability space.

    Args:
        emissions_TKN: Centred and padded, T at least 1.
        chain: Centred and padded.
    """
    num_steps, num_tags, num_rows = emissions_TKN.shape
    start_K, end_K, moves_KK = (scores.exp() for scores in chain)
    weights_TDKN = emissions_TKN.new_empty(num_steps, 2, num_tags, num_rows)
    torch.exp(emissions_TKN, out=weights_TDKN[:, 0])
    weights_TDKN[:, 1] = weights_TDKN[:, 0].flip(0)
    # A last row of ones makes the same product give the sum that rescales.
    ones_D1K = moves_KK.new_ones(2, 1, num_tags)
    steps_DJK = torch.cat([torch.stack([moves_KK.T, moves_KK]), ones_D1K], dim=1)
    products_TDJN = emissions_TKN.new_empty(num_steps, 2, num_tags + 1, num_rows)
    messages_TDKN, sums_TD1N = products_TDJN[:, :, :num_tags], products_TDJN[:, :, num_tags:]
    messages_TDKN[0] = torch.stack([start_K, end_K])[..., None]

    # Views are made before the loop: in it, only three operations a step, on little memory.
    joint_DKN = torch.empty_like(weights_TDKN[0])
    weights, products = weights_TDKN.unbind(), products_TDJN.unbind()
    messages, sums = messages_TDKN.unbind(), sums_TD1N.unbind()
    for step in range(num_steps - 1):
        torch.mul(messages[step], weights[step], out=joint_DKN)
        torch.bmm(steps_DJK, joint_DKN, out=products[step + 1])
        messages[step + 1].div_(sums[step + 1])
    return ScaledMessages(weights_TDKN[:, 0], messages_TDKN, sums_TD1N)


def scaled_posteriors(emissions_TKN: Tensor, chain: Chain) -> Posteriors:
    """Combine both directions in probability space. Arguments as in `scaled_messages`."""
    weights_TKN, messages_TDKN, sums_TD1N = scaled_messages(emissions_TKN, chain)
    end_K, moves_KK = chain.end_K.exp(), chain.moves_KK.exp()
    joints_TKN, backward_TKN = messages_TDKN[:, 0] * weights_TKN, messages_TDKN[:, 1].flip(0)
    marginals_TKN = joints_TKN * backward_TKN
    totals_T1N = marginals_TKN.sum(1, keepdim=True)
    marginals_TKN /= totals_T1N
    last_1N = end_K[None] @ joints_TKN[-1]
    beyond_TKN = backward_TKN.mul_(weights_TKN).div_(totals_T1N)
    before_TKN = joints_TKN[:-1].div_(sums_TD1N[1:, 0])
    pairs_KK = moves_KK * torch.bmm(before_TKN, beyond_TKN[1:].mT).sum(0)
    log_z_TN = torch.cat([sums_TD1N[1:, 0, 0], last_1N]).log_()
    return Posteriors(log_z_TN, marginals_TKN, pairs_KK)


class LogMessages(NamedTuple):
    """What the other steps say of a step, each up to a constant.

    Attributes:
        forward_TKN: What the earlier steps say.
        backward_TKN: What the later steps say.
        constants_TN: The constants of the forward messages, but for the first, which has none.
    """

    forward_TKN: Tensor
    backward_TKN: Tensor
    constants_TN: Tensor


def log_messages(emissions_TKN: Tensor, chain: Chain) -> LogMessages:
    """Run the same recursion in log-space: slower, safe for any scores, differentiable.

    Args:
        emissions_TKN: Padded, T at least 1.
        chain: Padded.
    """
    emissions_TDKN = torch.stack([emissions_TKN, emissions_TKN.flip(0)], dim=1)
    moves_DKJ1 = torch.stack([chain.moves_KK, chain.moves_KK.T])[..., None]
    message_DKN = torch.stack([chain.start_K, chain.end_K])[..., None]
    message_DKN = message_DKN.expand(emissions_TDKN.shape[1:])
    messages, constants = [message_DKN], [emissions_TKN.new_empty(0, emissions_TKN.shape[2])]
    for emissions_DKN in emissions_TDKN[:-1].unbind():
        joint_DKN = message_DKN + emissions_DKN
        message_DKN = torch.logsumexp(joint_DKN[:, :, None] + moves_DKJ1, dim=1)
        # Near 0, where numbers are densest; a constant, so that no gradient flows through it.
        constant_D1N = message_DKN.detach().amax(1, keepdim=True)
        message_DKN = message_DKN - constant_D1N
        constants.append(constant_D1N[0])
        messages.append(message_DKN)
    messages_TDKN = torch.stack(messages)
    return LogMessages(messages_TDKN[:, 0], messages_TDKN[:, 1].flip(0), torch.cat(constants))


def log_posteriors(emissions_TKN: Tensor, chain: Chain) -> Posteriors:
    """Do in log-space what `scaled_posteriors` does in probability space."""
    forward_TKN, backward_TKN, constants_TN = log_messages(emissions_TKN, chain)
    joint_TKN, beyond_TKN = forward_TKN + emissions_TKN, emissions_TKN + backward_TKN
    marginals_TKN = torch.softmax(joint_TKN + backward_TKN, dim=1)
    pairs_TKKN = joint_TKN[:-1, :, None] + chain.moves_KK[..., None] + beyond_TKN[1:, None]
    pairs_TKKN = torch.softmax(pairs_TKKN.flatten(1, 2), dim=1).view_as(pairs_TKKN)
    last_1N = torch.logsumexp(joint_TKN[-1] + chain.end_K[:, None], dim=0, keepdim=True)
    return Posteriors(torch.cat([constants_TN, last_1N]), marginals_TKN, pairs_TKKN.sum((0, 3)))


def is_fast(emissions_TKN: Tensor, chain: Chain, spread_N: Tensor) -> Tensor:
    """Tell which rows can be worked in probability space without underflow. Shape (N,), bool.

    Args:
        emissions_TKN: Centred and padded.
        chain: Centred and padded.
        spread_N: The largest distance between two tags' emissions on one word. Not finite numbers
            count as too large, so that they show in the result.
    """
    limit = -0.9 * math.log(torch.finfo(emissions_TKN.dtype).tiny)
    return 2 * spread_N + 4 * chain.spread() < limit


def posteriors(emissions_TKN: Tensor, chain: Chain, spread_N: Tensor) -> Posteriors:
    """Choose for each row the fast pass, or the log-space one where the fast one could underflow.

    On an accelerator all rows go through the tree. Arguments as in `is_fast`, T at least 1.
    """
    if not on_host(emissions_TKN):
        return tree_posteriors(emissions_TKN, chain)
    fast_N = is_fast(emissions_TKN, chain, spread_N)
    num_fast = int(fast_N.sum())
    if num_fast == len(fast_N):
        return scaled_posteriors(emissions_TKN, chain)
    if num_fast == 0:
        return log_posteriors(emissions_TKN, chain)
    fast = scaled_posteriors(emissions_TKN[..., fast_N], chain)
    slow = log_posteriors(emissions_TKN[..., ~fast_N], chain)
    marginals_TKN = torch.empty_like(emissions_TKN)
    log_z_TN = torch.empty_like(emissions_TKN[:, 0])
    for rows_N, part in ((fast_N, fast), (~fast_N, slow)):
        log_z_TN[:, rows_N] = part.log_z_TN
        marginals_TKN[..., rows_N] = part.marginals_TKN
    return Posteriors(log_z_TN, marginals_TKN, fast.pairs_KK + slow.pairs_KK)


def messages(emissions_TKN: Tensor, chain: Chain, spread_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return forward and backward messages in log-space, each up to a constant per step.

    They are differentiable; where nobody asks for a gradient, on a CPU, they come from the fast
    pass if all rows allow it. Arguments as in `is_fast`, T at least 1. Shapes (T, K, N).
    """
    if not on_host(emissions_TKN):
        forward_TKN, _, after_TKN, _ = tree_messages(emissions_TKN, chain)
        return forward_TKN, (chain.moves_KK[..., None] + after_TKN[:, None]).logsumexp(2)
    inputs = (emissions_TKN, *chain)
    wants_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    if wants_gradient or not is_fast(emissions_TKN, chain, spread_N).all():
        return log_messages(emissions_TKN, chain)[:2]
    messages_TDKN = scaled_messages(emissions_TKN, chain).messages_TDKN.log_().clamp_(FORBIDDEN)
    return messages_TDKN[:, 0], messages_TDKN[:, 1].flip(0)


def path_scores(emissions_TKN: Tensor, chain: Chain, tags_TN: Tensor) -> Tensor:
    """Return what each step adds to the score of one given path per row. Shape (T, N)."""
    scores_TN = emissions_TKN.gather(1, tags_TN[:, None])[:, 0]
    scores_TN[1:] += chain.moves_KK.take(_moves_of(tags_TN, chain.moves_KK))
    scores_TN[0] += chain.start_K[tags_TN[0]]
    scores_TN[-1] += chain.end_K[tags_TN[-1]]
    return scores_TN


class NegativeLogLikelihood(torch.autograd.Function):
    """The loss of the gold paths, with the textbook gradient: expected counts minus gold counts.

    Both directions run in the forward pass; the backward pass only scales what it kept.
    """

    @staticmethod
    def forward(
        ctx: Any, emissions_STLK: Tensor, mask_ST: Tensor, tags_STL: Tensor, *scores: Tensor
    ) -> Tensor:
        """Return the sum over rows of log Z minus the score of the gold path.

        Args:
            ctx: The context of autograd.
            emissions_STLK: A score per tag, T at least 1.
            mask_ST: True on words.
            tags_STL: The gold path.
            scores: The three groups of the chain, centred and padded, in fp32 or fp64.
        """
        chain = Chain(*scores)
        emissions_TKN, spread_N = to_rows(emissions_STLK, mask_ST, scores[0].dtype)
        num_tags = emissions_TKN.shape[1]
        tags_STL = tags_STL.long().masked_fill(~mask_ST[..., None], num_tags - 1)
        tags_TN = tags_STL.transpose(0, 1).flatten(1)
        log_z_TN, counts_TKN, pairs_KK = posteriors(emissions_TKN, chain, spread_N)
        # Step by step, as both totals are large and their difference small.
        loss = (log_z_TN - path_scores(emissions_TKN, chain, tags_TN)).sum()

        counts_TKN.scatter_add_(1, tags_TN[:, None], -torch.ones_like(counts_TKN[:, :1]))
        ctx.save_for_backward(counts_TKN, pairs_KK - _count_moves(tags_TN, pairs_KK))
        ctx.num_labels, ctx.emissions_dtype = emissions_STLK.shape[2], emissions_STLK.dtype
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the emissions and of the three groups of the chain."""
        counts_TKN, pairs_KK = ctx.saved_tensors
        first_K, last_K = counts_TKN[0].sum(-1), counts_TKN[-1].sum(-1)
        counts_STLK = from_rows(counts_TKN, ctx.num_labels)
        return (
            (grad * counts_STLK).to(ctx.emissions_dtype),
            None,
            None,
            grad * first_K,
            grad * last_K,
            grad * pairs_KK,
        )


def _count_moves(tags_TN: Tensor, like_KK: Tensor) -> Tensor:
    """Count each move of the given paths. Shape and type as `like_KK`."""
    moves_TN = _moves_of(tags_TN, like_KK)
    if on_host(tags_TN):
        return torch.bincount(moves_TN.flatten(), minlength=like_KK.numel()).view_as(like_KK)
    # `bincount` reads its largest number first. Row by row, so that few meet in one counter.
    counts = like_KK.new_zeros(like_KK.numel(), tags_TN.shape[1])
    counts.scatter_add_(0, moves_TN, counts.new_ones(()).expand_as(moves_TN))
    return counts.sum(1).view_as(like_KK)


def _moves_of(tags_TN: Tensor, moves_KK: Tensor) -> Tensor:
    """Return the moves of the given paths, as places in a flat table. Shape (T - 1, N)."""
    return torch.add(tags_TN[1:], tags_TN[:-1], alpha=len(moves_KK))
