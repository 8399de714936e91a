"""One seed for everything that draws at random."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

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


def torch_rng_state() -> dict[str, torch.Tensor]:
    """Return the state of torch's generators, of the CPU and of this process's GPU."""
    states = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_torch_rng_state(states: Mapping[str, torch.Tensor]) -> None:
    """Give torch's generators the state that `torch_rng_state` returned."""
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def rng_state() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the state of all generators: tensors, and plain data."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    version, internal, next_gauss = random.getstate()
    tensors = {
        **torch_rng_state(),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "python": torch.tensor(internal, dtype=torch.int64),
    }
    plain = {
        "numpy": [kind, int(position), int(has_gauss), float(gauss)],
        "python": [version, next_gauss],
    }
    return tensors, plain


def set_rng_state(tensors: Mapping[str, torch.Tensor], plain: Mapping[str, Any]) -> None:
    """Give all generators the state that `rng_state` returned."""
    kind, position, has_gauss, gauss = plain["numpy"]
    keys = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state((kind, keys, position, has_gauss, gauss))
    version, next_gauss = plain["python"]
    random.setstate((version, tuple(tensors["python"].tolist()), next_gauss))
    set_torch_rng_state(tensors)
