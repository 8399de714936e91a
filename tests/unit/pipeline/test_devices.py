"""Moving a batch: what goes to a GPU is pinned first, so that the copy does not wait."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edspipe.pipeline.torch_component import to_device


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What happens to tensors: `"pin"`, or the target and whether the copy waits."""
    made: list[Any] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        made.append("pin")
        return tensor

    def to(tensor: torch.Tensor, device: Any, *, non_blocking: bool = False) -> torch.Tensor:
        made.append((str(device), non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", to)
    return made


@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda", 0)])
def test_tensors_are_pinned_on_their_way_to_a_gpu(calls: list[Any], device: Any) -> None:
    to_device({"a": torch.zeros(2), "b": [torch.zeros(3)]}, device)
    assert calls == ["pin", (str(device), True)] * 2


@pytest.mark.parametrize("device", ["mps", "meta"])
def test_tensors_for_other_devices_are_not_pinned(calls: list[Any], device: str) -> None:
    to_device([torch.zeros(2)], device)
    assert calls == [(device, True)]


def test_tensors_that_are_elsewhere_already_are_not_pinned(calls: list[Any]) -> None:
    to_device([torch.zeros(2, device="meta")], "cuda")
    assert calls == [("cuda", True)]


@pytest.mark.parametrize("device", [None, "cpu", torch.device("cpu")])
def test_a_batch_for_the_cpu_stays_as_it_is(device: Any) -> None:
    batch = {"a": torch.zeros(2)}
    assert to_device(batch, device) is batch


def test_tensors_move_and_all_else_stays() -> None:
    sizes = (3, 4)
    moved = to_device({"a": torch.zeros(2), "sizes": sizes, "name": "x", "n": None}, "meta")
    assert moved["a"].is_meta
    assert moved["a"].shape == (2,)
    assert (moved["sizes"], moved["name"], moved["n"]) == (sizes, "x", None)
