"""One seed for everything that draws at random."""

from __future__ import annotations

import random

import numpy as np
import torch


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators.

    Streams whose seed is None draw theirs from Python's generator when they are iterated, so that
    one call here makes a whole training repeatable.

    Args:
        seed: 0 to 2**32 - 1.

    Raises:
        ValueError: The seed is out of range.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"a seed is 0 to {2**32 - 1}, got {seed}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
