"""Packed weights give what weights give, and nothing stays behind."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from edspipe.pipes.trainable.layers import packed_linear
from edspipe.pipes.trainable.layers.packed_linear import (
    MIN_CELLS,
    FusableGelu,
    PackableLinear,
    make_packable,
    packed_linears,
)

pytestmark = pytest.mark.skipif(
    not packed_linear._has_operators(), reason="this PyTorch has no operators for packed weights"
)

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 70,
    "pad_token_id": 0,
}
IDS = torch.randint(3, 40, (MIN_CELLS // 64, 64), generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _any_processor(monkeypatch) -> None:
    monkeypatch.setattr(packed_linear, "_is_intel", lambda: False)


def bert(**options) -> nn.Module:
    torch.manual_seed(0)
    model = BertModel(BertConfig(**SIZES, **options), add_pooling_layer=False)
    make_packable(model)
    return model.eval()


def roberta() -> nn.Module:
    torch.manual_seed(0)
    model = RobertaModel(RobertaConfig(**SIZES), add_pooling_layer=False)
    make_packable(model)
    return model.eval()


@pytest.fixture(scope="module")
def shared() -> nn.Module:
    return bert()


def bf16():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def run(model: nn.Module, *, packed: bool, cells: int = MIN_CELLS) -> torch.Tensor:
    with torch.inference_mode():
        if not packed:
            return model(input_ids=IDS).last_hidden_state
        with packed_linears(model, cells):
            assert num_packed(model) > 0
            return model(input_ids=IDS).last_hidden_state


def linears(model: nn.Module) -> list[nn.Linear]:
    return [layer for layer in model.modules() if type(layer) in (nn.Linear, PackableLinear)]


def num_packed(model: nn.Module) -> int:
    packed = packed_linear._PACKED.get() or {}
    return sum(layer in packed for layer in linears(model))


def attributes(model: nn.Module) -> list[set[str]]:
    return [set(module.__dict__) for module in model.modules()]


def assert_same(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


# ---- the same numbers ------------------------------------------------------------------------


@pytest.mark.parametrize("build", [bert, roberta])
def test_vectors_are_the_same(build):
    model = build()
    assert_same(run(model, packed=True), run(model, packed=False))


@pytest.mark.parametrize("build", [bert, roberta])
def test_vectors_in_bf16_are_as_close_to_fp32(build):
    model = build()
    exact = run(model, packed=False)
    with bf16():
        plain, packed = run(model, packed=False), run(model, packed=True)
    assert packed.dtype == plain.dtype
    assert_same(packed, plain, 0.1)
    error, plain_error = (packed - exact).abs().mean(), (plain - exact).abs().mean()
    assert 0 < error < 2 * plain_error


def test_all_linear_layers_are_packed(shared):
    with torch.inference_mode(), packed_linears(shared, MIN_CELLS):
        assert num_packed(shared) == len(linears(shared)) == 12


@pytest.mark.parametrize(
    "activation",
    ["gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "quick_gelu", "relu"],
)
def test_activations_are_right(activation):
    model = bert(hidden_act=activation)
    for layer in linears(model):  # far from 0, where all activations look alike
        layer.weight.data.mul_(10)
    assert_same(run(model, packed=True), run(model, packed=False), 1e-4)


@pytest.mark.parametrize(
    ("activation", "fused"), [("gelu", True), ("gelu_new", False), ("relu", False)]
)
def test_only_the_exact_gelu_is_computed_with_the_product(activation, fused):
    model = bert(hidden_act=activation)
    block = model.encoder.layer[0].intermediate
    assert isinstance(block.intermediate_act_fn, FusableGelu) is fused


class Block(nn.Module):
    """A feed-forward block as BERT has it."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.dense = nn.Linear(8, 8)
        self.intermediate_act_fn = activation

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.intermediate_act_fn(self.dense(values))


def compare(model: nn.Module, values: torch.Tensor, tolerance: float = 1e-5) -> None:
    with torch.inference_mode():
        expected = model(values)
        make_packable(model)
        assert torch.equal(model(values), expected)
        with packed_linears(model, MIN_CELLS):
            assert num_packed(model) > 0
            found = model(values)
    assert_same(found, expected, tolerance)


def test_a_gelu_of_pytorch_is_right():
    compare(Block(nn.GELU()), torch.randn(MIN_CELLS, 8) * 3)


def test_an_approximate_gelu_of_pytorch_is_right():
    compare(Block(nn.GELU(approximate="tanh")), torch.randn(MIN_CELLS, 8) * 3)


def test_layers_without_bias_are_right():
    compare(nn.Sequential(nn.Linear(8, 5, bias=False)), torch.randn(MIN_CELLS, 8))


def test_layers_of_other_kinds_are_left_alone():
    class Doubled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    compare(nn.Sequential(nn.Linear(8, 8), Doubled(8, 8)), torch.randn(MIN_CELLS, 8))


class InPlace(nn.Module):
    """Changes what a layer read before another layer reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = values.clone()
        out = self.first(values)
        return out + self.second(values.mul_(-5))


def test_inputs_changed_in_place_are_read_again():
    compare(InPlace(), torch.randn(MIN_CELLS, 8))


def test_inputs_changed_in_place_are_cast_again():
    with bf16():
        compare(InPlace(), torch.randn(MIN_CELLS, 8), 0.1)


# ---- weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("autocast", [False, True])
def test_weights_that_change_between_two_uses_are_used(autocast):
    model = bert()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        before = run(model, packed=True)
        for layer in linears(model):
            layer.weight.data.mul_(3)
            layer.bias.data.add_(0.5)
        found, expected = run(model, packed=True), run(model, packed=False)
    assert_same(found, expected, 0.15 if autocast else 1e-5)
    assert (found - before).abs().max() > 0.5


def test_weights_that_an_optimizer_changes_are_used():
    model = bert()
    run(model, packed=True)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(input_ids=IDS[:2]).last_hidden_state.square().mean().backward()
    optimizer.step()
    model.eval()
    assert_same(run(model, packed=True), run(model, packed=False))


# ---- nothing stays behind --------------------------------------------------------------------


def test_afterwards_all_is_as_before(shared):
    before, expected = attributes(shared), run(shared, packed=False)
    run(shared, packed=True)
    assert attributes(shared) == before
    assert torch.equal(run(shared, packed=False), expected)


def test_after_an_error_all_is_as_before(shared):
    before = attributes(shared)
    seen = []

    def fail() -> None:
        with torch.inference_mode(), packed_linears(shared, MIN_CELLS):
            seen.append(num_packed(shared))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [12]
    assert attributes(shared) == before


def test_after_an_error_while_packing_all_is_as_before(shared, monkeypatch):
    before = attributes(shared)

    def fail(*args):
        raise MemoryError

    monkeypatch.setattr(packed_linear, "_pack", fail)
    with (
        pytest.raises(MemoryError),
        torch.inference_mode(),
        packed_linears(shared, MIN_CELLS),
    ):
        pass
    assert attributes(shared) == before
    assert num_packed(shared) == 0


def test_two_uses_of_an_encoder_at_once_do_not_disturb_each_other(shared):
    before, expected = attributes(shared), run(shared, packed=False)
    with torch.inference_mode(), packed_linears(shared, MIN_CELLS):
        with packed_linears(shared, MIN_CELLS):
            pass
        found = shared(input_ids=IDS).last_hidden_state
    assert_same(found, expected)
    assert attributes(shared) == before


def test_a_layer_with_two_parents_is_packed_once():
    layer = nn.Linear(8, 8)
    compare(nn.Sequential(nn.Sequential(layer), nn.Sequential(layer)), torch.randn(MIN_CELLS, 8))


def test_a_layer_with_a_forward_of_its_own_keeps_it():
    model = nn.Sequential(nn.Linear(8, 8))
    model[0].forward = lambda values: values + 1
    values = torch.randn(MIN_CELLS, 8)
    expected = model(values)
    with torch.inference_mode(), packed_linears(model, MIN_CELLS):
        pass
    assert torch.equal(model(values), expected)


def test_weights_saved_inside_are_the_weights(shared):
    expected = {name: value.clone() for name, value in shared.state_dict().items()}
    with torch.inference_mode(), packed_linears(shared, MIN_CELLS):
        found = {name: value.clone() for name, value in shared.state_dict().items()}
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_a_copy_made_inside_gives_the_same_and_changes_nothing(shared):
    before, expected = attributes(shared), run(shared, packed=False)
    with torch.inference_mode(), packed_linears(shared, MIN_CELLS):
        twin = copy.deepcopy(shared)
    assert_same(run(twin, packed=False), expected)
    assert attributes(shared) == before


def test_a_copy_made_inside_is_as_any_other(shared):
    with torch.inference_mode(), packed_linears(shared, MIN_CELLS):
        twin = copy.deepcopy(shared)
        assert num_packed(twin) == 0
    twin.encoder.layer[0].intermediate.dense.weight.data.mul_(3)
    assert_same(run(twin, packed=True), run(twin, packed=False))


# ---- when --------------------------------------------------------------------------------------


def is_packed(model: nn.Module, cells: int = MIN_CELLS) -> bool:
    make_packable(model)
    with packed_linears(model, cells):
        return num_packed(model) > 0


def test_weights_are_packed_where_it_pays(shared):
    with torch.inference_mode():
        assert is_packed(shared)
    with torch.no_grad():
        assert is_packed(shared)


def test_weights_are_not_packed_where_gradients_are_needed(shared):
    assert not is_packed(shared)


def test_weights_are_not_packed_for_few_cells(shared):
    with torch.inference_mode():
        assert not is_packed(shared, MIN_CELLS - 1)


MISSING: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "operators": lambda patch: patch.setattr(packed_linear, "_has_operators", lambda: False),
    "use on Intel": lambda patch: patch.setattr(packed_linear, "_is_intel", lambda: True),
}


@pytest.mark.parametrize("missing", MISSING)
def test_weights_are_not_packed_without(shared, monkeypatch, missing):
    MISSING[missing](monkeypatch)
    expected = run(shared, packed=False)
    with torch.inference_mode(), packed_linears(shared, MIN_CELLS):
        assert num_packed(shared) == 0
        assert torch.equal(shared(input_ids=IDS).last_hidden_state, expected)


def test_in_bf16_weights_are_packed_on_all_processors(shared, monkeypatch):
    monkeypatch.setattr(packed_linear, "_is_intel", lambda: True)
    with torch.inference_mode(), bf16():
        assert is_packed(shared)


def test_in_fp16_weights_are_not_packed(shared):
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.float16):
        assert not is_packed(shared)


@pytest.mark.parametrize(
    "module",
    [nn.Identity(), nn.Linear(8, 8, device="meta"), nn.Linear(8, 8, dtype=torch.float64)],
    ids=["no weights", "another device", "another type"],
)
def test_weights_that_cannot_be_packed_are_left_alone(module):
    with torch.inference_mode():
        assert not is_packed(nn.Sequential(module))


def test_missing_operators_are_noticed(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not packed_linear._has_operators.__wrapped__()
    monkeypatch.undo()
    assert packed_linear._has_operators.__wrapped__()
