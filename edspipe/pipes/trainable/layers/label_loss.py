"""Losses and probabilities of labels, with a weight a label. Tensors only.

Letters: N documents, L labels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def label_loss(logits_NL: Tensor, targets: Tensor, weight_L: Tensor) -> Tensor:
    """Return the sum of the losses of documents.

    Args:
        logits_NL: *Shape* `(N, L)`
        targets: 1.0 or 0.0 by label, *Shape* `(N, L)`: the loss is the mean over labels of binary
            cross-entropies, whose first terms are weighted. Or the numbers of labels, int64,
            *Shape* `(N,)`: it is the cross-entropy, times the weight of the gold label.
        weight_L: *Shape* `(L,)`

    Returns:
        A scalar.
    """
    if not targets.is_floating_point():
        return F.cross_entropy(logits_NL, targets, weight_L, reduction="sum")
    total = F.binary_cross_entropy_with_logits(
        logits_NL, targets, pos_weight=weight_L, reduction="sum"
    )
    return total / len(weight_L)


def label_probabilities(
    logits_NL: Tensor, weight_L: Tensor | None, temperature: float, *, only_one: bool
) -> Tensor:
    """Return probabilities.

    Args:
        logits_NL: *Shape* `(N, L)`
        weight_L: What the loss was weighted by, to undo it; None leaves it. *Shape* `(L,)`
        temperature: What logits are divided by.
        only_one: Whether a document has one label, or any number.

    Returns:
        *Shape* `(N, L)`
    """
    if weight_L is not None:
        logits_NL = logits_NL - weight_L.log()
    logits_NL = logits_NL / temperature
    return logits_NL.softmax(-1) if only_one else logits_NL.sigmoid()
