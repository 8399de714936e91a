"""What an optimizer of torch keeps for each parameter: by name, checked when it comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from edspipe.errors import CheckpointError

Parameters = Mapping[str, torch.nn.Parameter]


def named_state(
    optimizer: torch.optim.Optimizer, parameters: Parameters
) -> Iterator[tuple[str, str, Any]]:
    """Yield (parameter, key, value) for all that the optimizer keeps."""
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            yield name, key, value


def describe_state(
    optimizer: torch.optim.Optimizer, parameters: Parameters
) -> dict[str, dict[str, Any]]:
    """Describe each parameter, and what is kept for it, as plain data.

    Returns:
        Under each name its `form`, the forms of its `tensors`, and the other `values`; a form is
        the type and the sizes, as in `["float32", 5, 32]`.

    Raises:
        CheckpointError: There is something that is neither tensor nor number.
    """
    found: dict[str, dict[str, Any]] = {
        name: {"form": form_of(p), "tensors": {}, "values": {}} for name, p in parameters.items()
    }
    for name, key, value in named_state(optimizer, parameters):
        if isinstance(value, torch.Tensor):
            found[name]["tensors"][key] = form_of(value)
        elif value is None or isinstance(value, (bool, int, float)):
            found[name]["values"][key] = value
        else:
            raise CheckpointError(
                f"{name}/{key}: {type(optimizer).__name__} keeps a {type(value).__name__} there, "
                "and only tensors and numbers can be saved. Use another optimizer"
            )
    return found


def form_of(tensor: torch.Tensor) -> list[Any]:
    """Return type and sizes of a tensor, as in `["float32", 5, 32]`."""
    return [str(tensor.dtype).removeprefix("torch."), *tensor.shape]


def load_state(
    optimizer: torch.optim.Optimizer,
    parameters: Parameters,
    described: Mapping[str, Mapping[str, Any]],
    tensors: Mapping[str, torch.Tensor],
) -> None:
    """Replace all that the optimizer keeps; nothing is changed if something does not fit.

    Args:
        optimizer: Is changed.
        parameters: Its parameters, by name: those that were described.
        described: What `describe_state` returned.
        tensors: The tensors, as `"<parameter>/<key>"`; they are copied.

    Raises:
        CheckpointError: A parameter has another form, or a tensor is missing, unexpected, or of
            another form; the message names it.
    """
    for name, parameter in parameters.items():
        _check_form(f"the parameter {name}", described[name]["form"], form_of(parameter))
    _check_tensors(described, tensors)
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    optimizer.state.clear()
    for name, parameter in parameters.items():
        saved, group = described[name], groups[id(parameter)]
        kept = {
            key: _placed(key, tensors[f"{name}/{key}"], parameter, group)
            for key in saved["tensors"]
        } | dict(saved["values"])
        if kept:
            optimizer.state[parameter] = kept


def _check_tensors(
    described: Mapping[str, Mapping[str, Any]], tensors: Mapping[str, torch.Tensor]
) -> None:
    expected = {
        f"{name}/{key}": form
        for name, entry in described.items()
        for key, form in entry["tensors"].items()
    }
    for key, form in expected.items():
        if key not in tensors:
            raise CheckpointError(f"{key}: the optimizer's tensor is missing in the checkpoint")
        _check_form(key, form, form_of(tensors[key]))
    for key in tensors:
        if key not in expected:
            raise CheckpointError(f"{key}: unexpected tensor in the optimizer's checkpoint")


def _check_form(what: str, expected: list[Any], found: list[Any]) -> None:
    if list(expected) != found:
        raise CheckpointError(f"{what}: expected {_in_words(expected)}, found {_in_words(found)}")


def _in_words(form: list[Any]) -> str:
    return f"{form[0]} of shape {tuple(form[1:])}"


def _placed(
    key: str, tensor: torch.Tensor, parameter: torch.nn.Parameter, group: Mapping[str, Any]
) -> torch.Tensor:
    """Return a copy where torch keeps such a tensor, laid out as the parameter is.

    Torch counts steps on the CPU, but for kernels that count on the device.
    """
    on_device = key != "step" or group.get("fused") or group.get("capturable")
    device = parameter.device if on_device else torch.device("cpu")
    if tensor.shape != parameter.shape:
        return tensor.detach().to(device, copy=True)
    return torch.empty_like(parameter, dtype=tensor.dtype, device=device).copy_(tensor).detach()
