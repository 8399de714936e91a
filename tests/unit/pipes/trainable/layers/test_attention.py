"""Attention of our own gives what PyTorch's and transformers' own give."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    ModernBertConfig,
    ModernBertModel,
    RobertaConfig,
    RobertaModel,
)

from edspipe.pipes.trainable.layers import attention
from edspipe.pipes.trainable.layers.attention import DEFAULT, NAME, attend, make_mask, use_attention
from edspipe.pipes.trainable.layers.dropout import keep_mask

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LENGTHS = (20, 7, 13, 1)

BOTH_WAYS = nn.Module()
"""A layer in which words see those before and after them."""
BOTH_WAYS.is_causal = False


def bert(**options) -> nn.Module:
    return BertModel(BertConfig(**SIZES, **options), add_pooling_layer=False)


def roberta(**options) -> nn.Module:
    return RobertaModel(RobertaConfig(**SIZES, **options), add_pooling_layer=False)


def modern_bert(**options) -> nn.Module:
    specials = {"cls_token_id": 1, "sep_token_id": 2}
    local = {"local_attention": 6, "global_attn_every_n_layers": 2}
    return ModernBertModel(ModernBertConfig(**SIZES, **specials, **local, **options))


def gpt2() -> nn.Module:
    sizes = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40}
    return GPT2Model(GPT2Config(**sizes, bos_token_id=1, eos_token_id=2))


def llama(**options) -> nn.Module:
    return LlamaModel(LlamaConfig(**SIZES, **options))


def grouped() -> nn.Module:
    return llama(num_key_value_heads=1)


def bert_decoder() -> nn.Module:
    return bert(is_decoder=True)


def seeded(build, **options) -> nn.Module:
    torch.manual_seed(0)
    return build(**options).eval()


def batch(padded: bool = True) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 40, (len(LENGTHS), max(LENGTHS)), generator=generator)
    if not padded:
        return {"input_ids": ids}
    used = torch.arange(ids.shape[1]) < torch.tensor(LENGTHS)[:, None]
    return {"input_ids": ids * used, "attention_mask": used.long()}


def states(model: nn.Module, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The hidden states of all layers, where there is no padding."""
    used = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).bool()
    with torch.no_grad():
        return [state[used] for state in model(**inputs, output_hidden_states=True).hidden_states]


def inputs_of(seed: int, dtype=torch.float32, grad: bool = False) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (3, 2, 9, 8)
    return [
        torch.randn(shape, generator=generator).to(dtype).requires_grad_(grad) for _ in range(3)
    ]


def mask_of(kind: str) -> torch.Tensor | None:
    if kind == "none":
        return None
    if kind == "each its own":
        return torch.rand(3, 1, 9, 9, generator=torch.Generator().manual_seed(1)) < 0.6
    used = torch.arange(9) < torch.tensor([9, 4, 1])[:, None]
    return make_mask(3, 9, 9, attention_mask=used.long()).expand(-1, -1, 9, -1)


@pytest.fixture(params=["fused", "products"])
def way(request, monkeypatch) -> str:
    products = request.param == "products"
    monkeypatch.setattr(attention, "_products_are_faster", lambda query: products)
    return request.param


MASKS = ("none", "padding", "each its own")
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 3e-2}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("scaling", [None, 0.2])
def test_values_are_those_of_pytorch(way, mask, dtype, scaling):
    tensors, keys = inputs_of(0, dtype), mask_of(mask)
    expected = F.scaled_dot_product_attention(
        *[t.float() for t in tensors], attn_mask=keys, scale=scaling
    )
    out, weights = attend(BOTH_WAYS, *tensors, keys, scaling=scaling)
    assert weights is None
    assert out.dtype == dtype
    assert out.shape == (3, 9, 2, 8)
    tolerance = TOLERANCES[dtype]
    seen = torch.ones(3, 9, dtype=torch.bool) if keys is None else keys[:, 0].any(-1)
    found = out.float()[seen]
    torch.testing.assert_close(
        found, expected.transpose(1, 2)[seen], atol=tolerance, rtol=tolerance
    )


@pytest.mark.parametrize("mask", ["none", "padding"])
def test_gradients_are_those_of_pytorch(way, mask):
    ours, theirs = inputs_of(0, grad=True), inputs_of(0, grad=True)
    weights = torch.randn(3, 9, 2, 8)
    (attend(BOTH_WAYS, *ours, mask_of(mask))[0] * weights).sum().backward()
    out = F.scaled_dot_product_attention(*theirs, attn_mask=mask_of(mask)).transpose(1, 2)
    (out * weights).sum().backward()
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found.grad, expected.grad, atol=1e-5, rtol=1e-5)


def test_weights_are_dropped_out_after_the_softmax():
    query, key, value = inputs_of(0)
    torch.manual_seed(3)
    found, _ = attend(BOTH_WAYS, query, key, value, mask_of("padding"), dropout=0.3)
    scores = (query @ key.transpose(-1, -2) * 8**-0.5).masked_fill(~mask_of("padding"), -torch.inf)
    torch.manual_seed(3)
    weights = scores.softmax(-1) * keep_mask(scores.shape, 0.3) / 0.7
    torch.testing.assert_close(found, (weights @ value).transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_a_mask_is_not_written_to(way):
    mask = mask_of("each its own")
    before = mask.clone()
    attend(BOTH_WAYS, *inputs_of(0), mask, dropout=0.1)
    assert torch.equal(mask, before)


@pytest.mark.parametrize(
    ("dtype", "has_amx", "expected"),
    [(torch.bfloat16, False, 1), (torch.bfloat16, True, 0), (torch.float32, False, 0)],
)
def test_products_are_used_where_they_are_faster(monkeypatch, dtype, has_amx, expected):
    calls = []
    by_products = attention._by_products
    monkeypatch.setattr(attention, "has_amx", lambda: has_amx)
    monkeypatch.setattr(
        attention, "_by_products", lambda *args: calls.append(1) or by_products(*args)
    )
    attend(BOTH_WAYS, *inputs_of(0, dtype), None)
    assert len(calls) == expected


# ---- masks -----------------------------------------------------------------------------------


def test_without_padding_there_is_no_mask():
    assert make_mask(2, 5, 5, attention_mask=None) is None


def test_a_mask_takes_no_memory_for_the_queries():
    used = torch.tensor([[1, 1, 0], [1, 0, 0]])
    mask = make_mask(2, 3, 3, attention_mask=used)
    assert mask.dtype == torch.bool
    assert mask.shape == (2, 1, 1, 3)
    assert (mask == used.bool()[:, None, None]).all()


def test_a_mask_may_serve_all_queries():
    query, key, value = inputs_of(0)
    mask = mask_of("padding")
    found, _ = attend(BOTH_WAYS, query, key, value, mask[:, :, :1])
    expected, _ = attend(BOTH_WAYS, query, key, value, mask)
    torch.testing.assert_close(found, expected)


# ---- encoders --------------------------------------------------------------------------------


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("build", [bert, roberta, modern_bert])
def test_an_encoder_gives_the_same_states(way, build, padded):
    model, inputs = seeded(build), batch(padded)
    assert model.config._attn_implementation == DEFAULT
    expected = states(model, inputs)
    use_attention(model)
    assert model.config._attn_implementation == NAME
    for found, state in zip(states(model, inputs), expected, strict=True):
        torch.testing.assert_close(found, state, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("build", [gpt2, llama, bert_decoder])
def test_a_model_that_reads_forward_does_not_look_ahead(build):
    model = seeded(build)
    expected = states(model, batch(padded=False))
    use_attention(model)
    for found, state in zip(states(model, batch(padded=False)), expected, strict=True):
        torch.testing.assert_close(found, state, atol=1e-5, rtol=1e-5)


def test_heads_that_share_keys_are_right():
    model = seeded(grouped)
    expected = states(model, batch(padded=False))
    use_attention(model)
    for found, state in zip(states(model, batch(padded=False)), expected, strict=True):
        torch.testing.assert_close(found, state, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("build", [gpt2, llama, grouped, bert_decoder])
def test_a_model_that_reads_forward_is_right_on_padded_batches(build):
    model = seeded(build)
    expected = states(model, batch())
    use_attention(model)
    for found, state in zip(states(model, batch()), expected, strict=True):
        torch.testing.assert_close(found, state, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("build", [bert, roberta])
def test_an_encoder_gives_the_same_gradients(way, build):
    gradients = []
    for ours in (False, True):
        model = seeded(build, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()
        if ours:
            use_attention(model)
        state = model(**batch()).last_hidden_state[batch()["attention_mask"].bool()]
        (state**3).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    theirs, found = gradients
    assert found.keys() == theirs.keys()
    for name in theirs:
        torch.testing.assert_close(found[name], theirs[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("build", [bert, roberta])
def test_weights_are_dropped_in_training_alone(build):
    model = seeded(build, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5)
    use_attention(model)
    first, again = states(model, batch()), states(model, batch())
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    model.train()
    assert not torch.equal(states(model, batch())[-1], first[-1])


def test_a_config_that_asks_for_another_attention_gets_it():
    model = seeded(bert, attn_implementation="eager")
    use_attention(model)
    assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize("build", [bert, modern_bert])
def test_a_saved_model_can_be_read_without_us(build, tmp_path):
    model = seeded(build)
    use_attention(model)
    model.config.save_pretrained(tmp_path / "config")
    model.save_pretrained(tmp_path / "model")
    for folder in ("config", "model"):
        content = (tmp_path / folder / "config.json").read_text("utf-8")
        assert json.loads(content)["hidden_size"] == 16
        assert NAME not in content
    loaded = type(model).from_pretrained(tmp_path / "model")
    assert loaded.config._attn_implementation == DEFAULT
