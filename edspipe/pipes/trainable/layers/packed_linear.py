"""Linear layers at inference on a CPU, with weights in the layout that oneDNN computes in.

PyTorch rearranges the weights of a linear layer at each call, and on processors other than
Intel's gives fp32 products to a library that is not at its best there. Packed once a batch, an
encoder ran 1.2 times as fast in fp32 and in bf16 (docs/benchmarks.md), with the activation
computed where the product is still at hand. The operators are those that `torch.compile` emits;
where PyTorch has none, or weights would be packed for too little work, layers run as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

MIN_CELLS = 1024
"""Cells of a batch from which packing pays."""


@contextmanager
def packed_linears(module: torch.nn.Module, num_cells: int) -> Iterator[None]:
    """Inside, the linear layers of a module use packed weights, if that is possible and pays.

    Weights are packed anew each time, so that they are never those of yesterday.

    Args:
        module: An encoder.
        num_cells: Vectors that each layer will see.
    """
    dtype = _pays(module, num_cells)
    if dtype is None:
        yield
        return
    changed: list[tuple[torch.nn.Module, str]] = []
    cast = _Cast(dtype)
    try:
        for parent in module.modules():
            activation = _fused_activation(parent)
            if activation is not None:
                _replace(parent, "intermediate_act_fn", _identity, changed)
            for name, layer in parent.named_children():
                if type(layer) is torch.nn.Linear:
                    fused = activation if name == "dense" else None
                    _replace(layer, "forward", _pack(layer, cast, num_cells, fused), changed)
        yield
    finally:
        for owner, name in reversed(changed):
            del owner.__dict__[name]


def _pays(module: torch.nn.Module, num_cells: int) -> torch.dtype | None:
    """Return the type to pack in, or None."""
    if torch.is_grad_enabled() or num_cells < MIN_CELLS or not _has_operators():
        return None
    parameter = next(module.parameters(), None)
    if parameter is None or parameter.device.type != "cpu" or parameter.dtype != torch.float32:
        return None
    if torch.is_autocast_enabled("cpu"):
        chosen = torch.get_autocast_dtype("cpu")
        return chosen if chosen == torch.bfloat16 else None
    return None if _is_intel() else torch.float32


@cache
def _has_operators() -> bool:
    operators = (
        getattr(torch.ops.mkldnn, name, None)
        for name in ("_linear_pointwise", "_reorder_linear_weight")
    )
    return torch.backends.mkldnn.is_available() and all(operators)


@cache
def _is_intel() -> bool:
    file = Path("/proc/cpuinfo")
    return not file.exists() or "GenuineIntel" in file.read_text("utf-8")


class _Cast:
    """Converts tensors, and the same tensor once in a row: three layers read each input.

    Args:
        dtype: The type to convert to.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._last: tuple[Tensor, Tensor] | None = None

    def __call__(self, values: Tensor) -> Tensor:
        if values.dtype == self.dtype:
            return values
        if self._last is None or self._last[0] is not values:
            self._last = values, values.to(self.dtype)
        return self._last[1]


def _pack(
    layer: torch.nn.Linear, cast: _Cast, num_cells: int, activation: str | None
) -> Callable[[Tensor], Tensor]:
    weight = layer.weight.detach().to(cast.dtype)
    weight = torch.ops.mkldnn._reorder_linear_weight(weight, num_cells)
    bias = None if layer.bias is None else layer.bias.detach().to(cast.dtype)
    what, how = ("none", "") if activation is None else ("gelu", activation)

    def forward(input: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(cast(input), weight, bias, what, [], how)

    return forward


def _fused_activation(module: torch.nn.Module) -> str | None:
    """Return the kind of GELU between the two layers of a feed-forward block of the BERT family."""
    act = getattr(module, "intermediate_act_fn", None)
    if act is None or type(getattr(module, "dense", None)) is not torch.nn.Linear:
        return None
    return {"GELUActivation": "none", "GELU": "none"}.get(type(act).__name__)


def _identity(values: Tensor) -> Tensor:
    return values


def _replace(
    owner: torch.nn.Module, name: str, value: object, changed: list[tuple[torch.nn.Module, str]]
) -> None:
    owner.__dict__[name] = value
    changed.append((owner, name))
