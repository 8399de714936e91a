"""What one step leaves for the next: collected, put back, and refused where it does not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import edspipe
from edspipe.errors import CheckpointError
from edspipe.pipeline.torch_component import TorchComponent
from edspipe.training.carried import carried_tensors, take_carried


class Carrying(TorchComponent):
    """Carries one tensor, and has a part that does too."""

    def __init__(self, child: TorchComponent | None = None) -> None:
        super().__init__()
        self.child = child
        self.carried: Any = {"state": torch.ones(2)}

    def carried_state(self) -> dict[str, torch.Tensor]:
        return self.carried

    def set_carried_state(self, state: Any) -> None:
        self.carried = dict(state)


def pipeline(**pipes: Any) -> edspipe.Pipeline:
    nlp = edspipe.blank("eds")
    for name, pipe in pipes.items():
        nlp.add_pipe(pipe, name=name)
    return nlp


def test_each_component_is_asked_once_the_inner_ones_too() -> None:
    inner = Carrying()
    found = carried_tensors(pipeline(one=Carrying(inner), two=Carrying(inner)))
    assert sorted(found) == ["one.child/state", "one/state", "two/state"]


def test_it_is_put_back() -> None:
    nlp = pipeline(one=Carrying(Carrying()))
    nlp.pipes.one.child.carried = {"a": torch.zeros(1)}
    saved = carried_tensors(nlp)
    other = pipeline(one=Carrying(Carrying()))
    take_carried(other, saved)
    assert torch.equal(other.pipes.one.child.carried["a"], torch.zeros(1))
    assert other.pipes.one.carried.keys() == {"state"}


def test_what_nothing_is_known_of_begins_anew() -> None:
    nlp = pipeline(one=Carrying())
    take_carried(nlp, {})
    assert nlp.pipes.one.carried == {}


def test_the_state_of_an_unknown_pipe_is_refused() -> None:
    with pytest.raises(
        CheckpointError, match=r"carried\.safetensors is of two, which the pipeline"
    ):
        take_carried(pipeline(one=Carrying()), {"two/state": torch.ones(1)})


def test_a_component_that_carries_nothing_takes_nothing(tiny_nlp: edspipe.Pipeline) -> None:
    assert carried_tensors(tiny_nlp) == {}
    take_carried(tiny_nlp, {})
    with pytest.raises(CheckpointError, match="nothing is carried from one step to the next here"):
        take_carried(tiny_nlp, {"ner/state": torch.ones(1)})
