"""Dropout with few random numbers is dropout."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from edspipe.pipes.trainable.layers.dropout import Dropout, dropout, keep_mask, replace_dropout

SHARES = (0.1, 0.5, 0.9)
SIZE = 200_003


def draw(seed: int, share: float = 0.5, shape: tuple[int, ...] = (64,)) -> torch.Tensor:
    torch.manual_seed(seed)
    return dropout(torch.ones(shape), share)


@pytest.mark.parametrize("share", [*SHARES, 0.001, 0.999])
def test_the_share_is_dropped(share):
    torch.manual_seed(0)
    dropped = SIZE - int(keep_mask(torch.Size([SIZE]), share).sum())
    # The share itself is right to a 65536th.
    slack = 5 * math.sqrt(SIZE * share * (1 - share)) + SIZE / 2**17
    assert abs(dropped - SIZE * share) < slack


@pytest.mark.parametrize("share", SHARES)
def test_each_of_the_values_of_a_draw_is_dropped_as_often(share):
    torch.manual_seed(0)
    kept = keep_mask(torch.Size([50_000, 4]), share).double().mean(0)
    slack = 5 * math.sqrt(share * (1 - share) / 50_000) + 2**-17
    assert (kept - (1 - share)).abs().max() < slack


@pytest.mark.parametrize("share", SHARES)
def test_neighbours_are_dropped_apart(share):
    torch.manual_seed(0)
    kept = keep_mask(torch.Size([SIZE]), share).double() - (1 - share)
    for distance in (1, 2, 3, 4):
        correlation = float((kept[distance:] * kept[:-distance]).mean()) / (share * (1 - share))
        assert abs(correlation) < 5 / math.sqrt(SIZE)


@pytest.mark.parametrize("share", SHARES)
def test_the_mean_is_kept(share):
    torch.manual_seed(0)
    values = torch.rand(SIZE) + 1
    deviation = math.sqrt(float((values**2).sum()) * share / (1 - share))
    assert abs(float((dropout(values, share) - values).sum())) < 5 * deviation


@pytest.mark.parametrize("share", SHARES)
def test_what_is_kept_is_scaled(share):
    torch.manual_seed(1)
    values = torch.randn(1001) + 5
    out = dropout(values, share)
    kept = out != 0
    torch.testing.assert_close(out[kept], values[kept] / (1 - share))
    assert 0 < int(kept.sum()) < 1001


@pytest.mark.parametrize("share", [0.0, *SHARES])
def test_nothing_is_dropped_in_evaluation(share):
    values = torch.randn(50)
    assert torch.equal(dropout(values, share, training=False), values)
    assert torch.equal(Dropout(share).eval()(values), values)


def test_nothing_is_dropped_and_no_number_drawn_without_a_share():
    values, before = torch.randn(50), torch.get_rng_state()
    assert torch.equal(dropout(values, 0.0), values)
    assert torch.equal(torch.get_rng_state(), before)


def test_everything_is_dropped_at_a_share_of_one():
    values = torch.randn(50, requires_grad=True)
    out = dropout(values, 1.0)
    out.sum().backward()
    assert not out.any()
    assert not values.grad.any()


def test_a_share_close_to_one_drops_nearly_everything():
    assert keep_mask(torch.Size([10_000]), 1 - 2**-18).float().mean() < 0.01


def test_a_share_close_to_zero_drops_nearly_nothing():
    assert keep_mask(torch.Size([10_000]), 2**-18).float().mean() > 0.99


@pytest.mark.parametrize("share", SHARES)
def test_the_gradient_is_the_mask_times_the_scale(share):
    torch.manual_seed(0)
    values = torch.randn(301, requires_grad=True)
    out = dropout(values, share)
    out.sum().backward()
    expected = (out.detach() != 0) / (1 - share)
    torch.testing.assert_close(values.grad, expected)


def test_a_seed_gives_the_same_mask_and_another_another():
    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_two_calls_give_two_masks():
    first = draw(3)
    assert not torch.equal(first, dropout(torch.ones(64), 0.5))


def test_a_restored_state_gives_the_same_masks():
    torch.manual_seed(5)
    draw_once = [keep_mask(torch.Size([7]), 0.5) for _ in range(3)]
    state = torch.get_rng_state()
    expected = [keep_mask(torch.Size([33]), 0.5) for _ in range(3)]
    torch.set_rng_state(state)
    found = [keep_mask(torch.Size([33]), 0.5) for _ in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert len(draw_once) == 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_types_are_kept(dtype):
    torch.manual_seed(0)
    out = dropout(torch.ones(4001, dtype=dtype), 0.5)
    assert out.dtype == dtype
    assert set(out.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (3,), (5, 7), (2, 3, 5)])
def test_any_shape_is_taken(shape):
    assert keep_mask(torch.Size(shape), 0.5).shape == shape
    assert dropout(torch.ones(shape), 0.5).shape == shape


def test_values_that_are_not_contiguous_are_taken():
    torch.manual_seed(0)
    values = torch.randn(6, 8).t()
    out = dropout(values, 0.5)
    assert torch.equal(out, torch.where(out != 0, values * 2, torch.zeros(())))


def test_a_tensor_without_data_is_taken():
    assert dropout(torch.ones(3, device="meta"), 0.5).is_meta


# ---- in the place of PyTorch's ---------------------------------------------------------------


class Other(nn.Dropout):
    pass


def network() -> nn.Module:
    return nn.Sequential(
        nn.Linear(2, 2),
        nn.Dropout(0.3),
        nn.Sequential(nn.Dropout(0.2), nn.Dropout1d(0.1), nn.ModuleDict({"a": nn.Dropout(0.4)})),
        nn.AlphaDropout(0.1),
        Other(0.6),
    )


def kinds(module: nn.Module) -> list[tuple[str, type, float]]:
    modules = module.named_modules()
    return [
        (name, type(m), m.p) for name, m in modules if isinstance(m, nn.modules.dropout._DropoutNd)
    ]


def test_all_dropout_inside_is_replaced_and_nothing_else():
    module = network()
    before = kinds(module)
    replace_dropout(module)
    changed = [(name, Dropout if kind is nn.Dropout else kind, p) for name, kind, p in before]
    assert kinds(module) == changed
    assert sum(kind is Dropout for _, kind, _ in changed) == 3


def test_replacing_leaves_weights_and_mode():
    module = network()
    module[2].eval()
    weights, modes = module.state_dict(), [m.training for m in module.modules()]
    replace_dropout(module)
    assert list(module.state_dict()) == list(weights)
    assert all(torch.equal(module.state_dict()[key], weights[key]) for key in weights)
    assert [m.training for m in module.modules()] == modes


def test_what_replaces_drops():
    module = nn.Sequential(nn.Dropout(0.5))
    replace_dropout(module)
    torch.manual_seed(0)
    expected = dropout(torch.ones(50), 0.5)
    torch.manual_seed(0)
    assert torch.equal(module(torch.ones(50)), expected)
