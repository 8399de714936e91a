"""Bounds what PyTorch remembers of the products that a CPU computed.

For each new shape of a product in bf16, oneDNN writes machine code of its own, and PyTorch's two
caches keep the last 1024 of each kind. Texts differ in length, so shapes hardly ever repeat: one
linear layer on batches of varying size grew by 1.2 GB, and the training of a two-layer encoder by
1.1 GB, where 64 kernels took 0.3 GB and were as fast (docs/benchmarks.md).
"""

from __future__ import annotations

import os

MAX_KERNELS = 64
"""Kernels that each cache keeps: those of a few batches."""

_VARIABLES = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")


def bound_kernel_caches() -> None:
    """Bound both caches, unless their environment variables are set.

    They are read when the first product is computed; later the call changes nothing.
    """
    for variable in _VARIABLES:
        os.environ.setdefault(variable, str(MAX_KERNELS))
