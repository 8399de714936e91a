"""Linear layers at inference on a CPU, with weights in the layout that oneDNN computes in.

PyTorch rearranges the weights of a linear layer at each call, and on processors other than
Intel's gives fp32 products to a library that is not at its best there. Packed once a batch, an
encoder ran 1.1 times as fast in fp32 and in bf16 (docs/benchmarks.md), with the activation
computed where the product is still at hand. The operators are those that `torch.compile` emits;
where PyTorch has none, or weights would be packed for too little work, layers run as they are.

Layers ask a context variable for their packed weights: nothing of a module changes for a batch, so
that any number of threads may use it at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from transformers.activations import GELUActivation

MIN_CELLS = 1024
"""Cells of a batch from which packing pays."""


class Packed(NamedTuple):
    """The weights of one layer.

    Attributes:
        weight: In a layout of oneDNN's own.
        bias: In the same type.
        gelu: The kind of GELU that follows (`"none"` is the exact one), or None.
    """

    weight: Tensor
    bias: Tensor | None
    gelu: str | None


_PACKED: ContextVar[Mapping[torch.nn.Module, Packed] | None] = ContextVar(
    "edspipe_packed", default=None
)


class PackableLinear(torch.nn.Linear):
    """A linear layer that uses packed weights where there are some."""

    def forward(self, input: Tensor) -> Tensor:
        packed = (_PACKED.get() or {}).get(self)
        if packed is None:
            return super().forward(input)
        what, how = ("none", "") if packed.gelu is None else ("gelu", packed.gelu)
        input = input.to(packed.weight.dtype)
        return torch.ops.mkldnn._linear_pointwise(input, packed.weight, packed.bias, what, [], how)


class FusableGelu(torch.nn.Module):
    """A GELU that a packed layer before it may have computed already.

    Args:
        activation: The GELU.
        layer: The layer before it.
    """

    def __init__(self, activation: torch.nn.Module, layer: PackableLinear) -> None:
        super().__init__()
        self.activation = activation
        self._layer = (layer,)  # not a child of this module

    def forward(self, input: Tensor) -> Tensor:
        packed = (_PACKED.get() or {}).get(self._layer[0])
        return input if packed is not None else self.activation(input)


def make_packable(module: torch.nn.Module) -> None:
    """Let the linear layers of a module, and the GELUs after them, use packed weights.

    Names and parameters stay.
    """
    for layer in module.modules():
        if type(layer) is torch.nn.Linear:
            layer.__class__ = PackableLinear
    for block in list(module.modules()):
        dense, act = getattr(block, "dense", None), getattr(block, "intermediate_act_fn", None)
        if type(dense) is PackableLinear and act is not None and _kind_of_gelu(act) is not None:
            block.intermediate_act_fn = FusableGelu(act, dense)


def _kind_of_gelu(act: object) -> str | None:
    if type(act) is GELUActivation:
        return "none"
    return act.approximate if type(act) is torch.nn.GELU else None


@contextmanager
def packed_linears(module: torch.nn.Module, num_cells: int) -> Iterator[None]:
    """Inside, the packable layers of a module use packed weights, if that is possible and pays.

    Weights are packed anew each time, so that they are never those of yesterday.

    Args:
        module: An encoder that `make_packable` has seen.
        num_cells: Vectors that each layer will see.
    """
    dtype = _type_that_pays(module, num_cells)
    token = _PACKED.set(None if dtype is None else _pack(module, dtype, num_cells))
    try:
        yield
    finally:
        _PACKED.reset(token)


def _type_that_pays(module: torch.nn.Module, num_cells: int) -> torch.dtype | None:
    """Return the type to pack in, or None."""
    if torch.is_grad_enabled() or num_cells < MIN_CELLS or not _has_operators():
        return None
    parameter = next(module.parameters(), None)
    if parameter is None or parameter.device.type != "cpu" or parameter.dtype != torch.float32:
        return None
    if not torch.is_autocast_enabled("cpu"):
        return None if _is_intel() else torch.float32
    chosen = torch.get_autocast_dtype("cpu")
    return chosen if chosen == torch.bfloat16 and _has_bf16() else None


@cache
def _has_operators() -> bool:
    operators = (
        getattr(torch.ops.mkldnn, name, None)
        for name in ("_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported")
    )
    return torch.backends.mkldnn.is_available() and all(operators)


@cache
def _has_bf16() -> bool:
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


@cache
def _is_intel() -> bool:
    file = Path("/proc/cpuinfo")
    return not file.exists() or "GenuineIntel" in file.read_text("utf-8")


def _pack(
    module: torch.nn.Module, dtype: torch.dtype, num_cells: int
) -> dict[torch.nn.Module, Packed]:
    gelus = {
        child._layer[0]: _kind_of_gelu(child.activation)
        for child in module.modules()
        if isinstance(child, FusableGelu)
    }
    packed: dict[torch.nn.Module, Packed] = {}
    for layer in module.modules():
        if isinstance(layer, PackableLinear):
            weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.to(dtype), num_cells)
            bias = None if layer.bias is None else layer.bias.to(dtype)
            packed[layer] = Packed(weight, bias, gelus.get(layer))
    return packed
