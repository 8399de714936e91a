"""Dropout whose random numbers cost little on a CPU.

PyTorch draws one number a value there, in one thread, which took 10 to 14% of a training step of
a small encoder. One draw of 64 bits serves four values here: each is kept if its 16 bits are at
least the share that is dropped, to a 65536th. The numbers come from PyTorch's global generator, so
that seeds and resumed runs repeat.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BITS = 16
PER_DRAW = 64 // BITS


def keep_mask(shape: torch.Size, share: float) -> Tensor:
    """Draw which values are kept, on the CPU.

    Args:
        shape: The shape of the mask.
        share: The share that is dropped.

    Returns:
        True where a value is kept. *Shape* as asked, bool.
    """
    size = shape.numel()
    draws = torch.empty(-(-size // PER_DRAW), dtype=torch.int64).random_(-(2**63), None)
    # As signed numbers, the lowest `share` of all is dropped.
    limit = min(round(share * 2**BITS), 2**BITS - 1) - 2 ** (BITS - 1)
    return (draws.view(torch.int16)[:size] >= limit).view(shape)


def dropout(values: Tensor, share: float, training: bool = True) -> Tensor:
    """Drop a share of the values, and scale the others so that the mean stays.

    Args:
        values: Any shape.
        share: The share that is dropped, from 0 to below 1.
        training: Without it nothing is dropped.
    """
    if not training or share == 0.0 or values.device.type != "cpu" or share >= 1.0:
        return F.dropout(values, share, training)
    return values * keep_mask(values.shape, share).to(values.dtype).mul_(1 / (1 - share))


class Dropout(torch.nn.Dropout):
    """`torch.nn.Dropout`, with the random numbers of `dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training)


def replace_dropout(module: torch.nn.Module) -> None:
    """Put `Dropout` in the place of all `torch.nn.Dropout` inside a module."""
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if type(child) is torch.nn.Dropout:  # not of a subclass
                new = Dropout(child.p)
                new.train(child.training)
                setattr(parent, name, new)
