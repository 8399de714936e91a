"""Tensors on disk: safetensors, strict both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from edspipe.errors import CheckpointError

MAX_NAMES = 5
"""Names that a message lists."""


def save_tensors(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors; names of one and the same tensor are written once, with a note.

    Args:
        file: The safetensors file.
        tensors: Names to tensors, on any device.
    """
    first: dict[tuple[Any, ...], str] = {}
    aliases: dict[str, str] = {}
    unique: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        value = tensor.detach()
        key = (value.data_ptr(), value.shape, value.stride(), value.dtype, value.device)
        if value.numel() and key in first:
            aliases[name] = first[key]
        else:
            first[key] = name
            unique[name] = value.cpu().contiguous().clone()
    save_file(unique, file, metadata={"aliases": json.dumps(aliases, sort_keys=True)})


def load_tensors(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Read tensors into those that are there.

    Raises:
        CheckpointError: The file is missing or damaged, or a tensor is missing, unexpected, or of
            another shape or type; the message names it.
    """
    if not file.is_file():
        raise CheckpointError(f"{file}: missing")
    try:
        with safe_open(file, framework="pt") as saved:
            aliases = _aliases(saved.metadata())
            _check_names(file, {*saved.keys(), *aliases}, set(tensors))
            for name, tensor in tensors.items():
                _copy(file, name, saved.get_tensor(aliases.get(name, name)), tensor)
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"{file}: damaged ({type(error).__name__}: {error})") from None


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a file.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    if not file.is_file():
        raise CheckpointError(f"{file}: missing")
    try:
        with safe_open(file, framework="pt") as saved:
            aliases = _aliases(saved.metadata())
            names = [*saved.keys(), *aliases]
            return {name: saved.get_tensor(aliases.get(name, name)) for name in names}
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"{file}: damaged ({type(error).__name__}: {error})") from None


def _aliases(metadata: dict[str, str] | None) -> dict[str, str]:
    aliases = json.loads((metadata or {}).get("aliases", "{}"))
    if not isinstance(aliases, dict) or not all(isinstance(v, str) for v in aliases.values()):
        raise ValueError("the note of tensors with two names cannot be read")
    return aliases


def _check_names(file: Path, found: set[str], expected: set[str]) -> None:
    for title, names in (
        ("misses the weights", expected - found),
        ("holds unexpected weights", found - expected),
    ):
        if names:
            shown = ", ".join(sorted(names)[:MAX_NAMES])
            more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
            raise CheckpointError(f"{file}: {title} {shown}{more}")


def _copy(file: Path, name: str, source: torch.Tensor, target: torch.Tensor) -> None:
    if source.shape != target.shape or source.dtype != target.dtype:
        raise CheckpointError(
            f"{file}: the weight {name} is {_shape(source)}, and {_shape(target)} is expected"
        )
    with torch.no_grad():
        target.copy_(source)


def _shape(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
