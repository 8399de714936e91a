"""Moving tensors to a device without waiting for it."""

from __future__ import annotations

import torch


def move_tensor(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Return a tensor on a device; a copy to a GPU runs beside what the host does next.

    A GPU copies by itself only from memory that the system cannot page out, so a tensor on the CPU
    is first put into such memory.
    """
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
