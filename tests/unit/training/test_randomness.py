"""One seed, and the state of every generator."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from edspipe.training.randomness import (
    rng_state,
    set_rng_state,
    set_seed,
    set_torch_rng_state,
    torch_rng_state,
)


@pytest.fixture(autouse=True)
def _generators_as_before() -> Iterator[None]:
    state = rng_state()
    yield
    set_rng_state(*state)


def draw() -> list[Any]:
    """Draw from all generators; a normal number leaves a second one behind in two of them."""
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.normal(),
        torch.rand(3).tolist(),
        torch.randn(1).item(),
    ]


def test_one_seed_decides_all() -> None:
    drawn = []
    for seed in (1, 1, 2):
        set_seed(seed)
        drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[1], drawn[2], strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"a seed is 0 to 4294967295, got {seed}"):
        set_seed(seed)


@pytest.mark.parametrize("num_drawn", [0, 1, 2, 700])
def test_all_generators_go_on_from_their_state(num_drawn: int) -> None:
    """Also in the middle of a block of 624 numbers, and with a normal number left over."""
    set_seed(3)
    for _ in range(num_drawn):
        draw()
    tensors, plain = rng_state()
    plain = json.loads(json.dumps(plain))
    expected = [draw() for _ in range(3)]
    set_seed(99)
    draw()
    set_rng_state(tensors, plain)
    assert [draw() for _ in range(3)] == expected


def test_torch_alone_goes_on_from_its_state() -> None:
    state = torch_rng_state()
    first = torch.rand(2)
    set_torch_rng_state(state)
    assert torch.equal(torch.rand(2), first)
