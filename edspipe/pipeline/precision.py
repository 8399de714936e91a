"""Precision: one name everywhere, `"auto"`, `"fp32"`, `"bf16"` or `"fp16"`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the type of autocast for a precision, or None for plain fp32.

    `"auto"` is bf16 where the processor computes in it (AMX, AVX512-BF16, recent GPUs), fp16 on
    older GPUs, fp32 elsewhere.

    Raises:
        ValueError: The precision does not exist.
    """
    if precision == "auto":
        return _native_type(device.type)
    if precision not in DTYPES:
        raise ValueError(f"precision is auto, {', '.join(DTYPES)}; got {precision!r}")
    return DTYPES[precision]


@cache
def _native_type(device_type: str) -> torch.dtype | None:
    if device_type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bf16 else torch.float16
    if device_type == "cpu":
        has_avx512 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
        if has_amx() or has_avx512:
            return torch.bfloat16
    return None


@cache
def has_amx() -> bool:
    """Whether the processor multiplies matrices in hardware (AMX)."""
    return getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()


def check_for_training(precision: str, device: torch.device) -> str:
    """Return the precision to use, where gradients may be asked for.

    Raises:
        ValueError: It is fp16.
    """
    if not torch.is_grad_enabled() or resolve_precision(precision, device) != torch.float16:
        return precision
    if precision == "auto":
        return "fp32"
    raise ValueError(
        "precision='fp16' loses small gradients unless they are scaled: train in bf16 or fp32, or "
        "use torch.autocast with torch.amp.GradScaler"
    )


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context that computes in a precision."""
    dtype = resolve_precision(precision, device)
    if dtype is None:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)
