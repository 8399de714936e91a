"""The processes of one training: this one alone, or those that `torchrun` started.

Each process computes the gradients of its share of every batch; these are added up, so that all
take the same step. Which process one is, and how they talk, comes from accelerate.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import torch
from loguru import logger

from edspipe.errors import ConfigError

GRADIENT_BUCKET = 16 * 1024 * 1024
"""Numbers that are added up in one message, 64 MB in fp32: fewer messages, bounded copies."""
TIMEOUT = timedelta(hours=6)
"""How long processes wait for each other: the main one scores while they do."""


class Processes:
    """One process alone: every exchange with the others is nothing.

    Attributes:
        rank: The number of this process, among those of all machines.
        world_size: How many there are.
        device: Where this process computes.
    """

    rank = 0
    world_size = 1

    def __init__(self, device: str = "auto") -> None:
        self.device = _one_device(device)
        if self.device.type == "cuda" and self.device.index is not None:
            torch.cuda.set_device(self.device)  # whose generator a checkpoint keeps

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def add(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all processes."""
        return list(values)

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes."""

    def add_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum over all processes."""
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """Return what each process gave, in the order of their numbers."""
        return [value]

    def from_main(self, value: Any) -> Any:
        """Return what the main process gave."""
        return value

    def take_from_main(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give tensors the values that they have in the main process."""

    def wait(self) -> None:
        """Wait for the others."""

    def close(self) -> None:
        """Take leave of the others."""


def _one_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"device is auto, cpu, cuda or cuda:<number>, got {device!r}") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={device!r}: torch finds no GPU here; use device='auto'")
    return found


class TorchrunProcesses(Processes):
    """Several processes, with gloo on CPUs and NCCL on GPUs.

    Args:
        device: `"auto"`, `"cpu"`, or `"cuda"`: each process takes the GPU of its local number.
    """

    def __init__(self, device: str = "auto") -> None:
        from accelerate import PartialState

        self._state = PartialState(cpu=_one_device(device).type == "cpu", timeout=TIMEOUT)
        self.rank = self._state.process_index
        self.world_size = self._state.num_processes
        self.device = self._state.device

    def add(self, values: Sequence[float]) -> list[float]:
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        return self.add_tensor(tensor).tolist()

    def add_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        torch.distributed.all_reduce(tensor)
        return tensor

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        has = torch.tensor([p.grad is not None for p in parameters], dtype=torch.uint8)
        anywhere = self.add_tensor(has.to(self.device)).tolist()
        parameters = [p for p, count in zip(parameters, anywhere, strict=True) if count]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for bucket in _buckets(parameters):
            flat = torch.cat([p.grad.flatten() for p in bucket])  # type: ignore[union-attr]
            self.add_tensor(flat)
            pieces = flat.split([p.numel() for p in bucket])
            for parameter, piece in zip(bucket, pieces, strict=True):
                parameter.grad.copy_(piece.view_as(parameter))  # type: ignore[union-attr]

    def gather(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(values, value)
        return values

    def from_main(self, value: Any) -> Any:
        values = [value]
        torch.distributed.broadcast_object_list(values, src=0)
        return values[0]

    def take_from_main(self, tensors: Iterable[torch.Tensor]) -> None:
        for tensor in tensors:
            torch.distributed.broadcast(tensor.detach(), src=0)

    def wait(self) -> None:
        self._state.wait_for_everyone()

    def close(self) -> None:
        self._state.destroy_process_group()
        self._state._reset_state()


def _buckets(parameters: Sequence[torch.nn.Parameter]) -> list[list[torch.nn.Parameter]]:
    """Group neighbours of one type, up to `GRADIENT_BUCKET` numbers."""
    buckets: list[list[torch.nn.Parameter]] = []
    size = 0
    for parameter in parameters:
        fits = buckets and size + parameter.numel() <= GRADIENT_BUCKET
        if not fits or buckets[-1][0].dtype != parameter.dtype:
            buckets.append([])
            size = 0
        buckets[-1].append(parameter)
        size += parameter.numel()
    return buckets


def is_main_process() -> bool:
    """Whether this process is alone, or the first of those that `torchrun` started."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"


def find_processes(device: str = "auto") -> Processes:
    """Return the processes that this one belongs to.

    Only `torchrun` (and what is built on it) makes several; a variable such as `WORLD_SIZE` that
    another program left behind does not, or every process would wait for others that never come.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            return TorchrunProcesses(device)
    elif os.environ.get("WORLD_SIZE", "1") != "1":
        logger.warning(
            "WORLD_SIZE={} is set, but not by torchrun: this process trains alone, on all data",
            os.environ["WORLD_SIZE"],
        )
    return Processes(device)
