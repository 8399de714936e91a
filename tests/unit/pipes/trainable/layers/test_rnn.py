"""Recurrent layers: each context is read alone, whatever stands beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edspipe.errors import ConfigError
from edspipe.pipes.trainable.layers import rnn as rnn_layer
from edspipe.pipes.trainable.layers.rnn import WordRnn, plan_tables

SIZES = (3, 0, 1, 17, 2, 2, 40)
PADDINGS = [0, 2, 1e9]


def make(kind="lstm", num_layers=1, bidirectional=True):
    torch.manual_seed(0)
    options = {"kind": kind, "num_layers": num_layers, "bidirectional": bidirectional}
    return WordRnn(6, 5, **options).eval()


def inputs(sizes=SIZES):
    return torch.randn(sum(sizes), 6, generator=torch.Generator().manual_seed(1))


def one_step(cell, vector, state):
    """Equations of the LSTM (Hochreiter and Schmidhuber 1997) and the GRU (Cho et al. 2014)."""
    gates_x = cell.weight_ih_l0 @ vector + cell.bias_ih_l0
    gates_h = cell.weight_hh_l0 @ state[0] + cell.bias_hh_l0
    if isinstance(cell, torch.nn.LSTM):
        i, f, g, o = (gates_x + gates_h).chunk(4)
        memory = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * memory.tanh(), memory
    (r_x, z_x, n_x), (r_h, z_h, n_h) = gates_x.chunk(3), gates_h.chunk(3)
    update = (z_x + z_h).sigmoid()
    new = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
    return (1 - update) * new + update * state[0], state[1]


def naive(layer, context):
    """Read one context word by word, layer by layer."""
    for directions in layer.layers:
        read = []
        for name, cell in directions.items():
            state = (torch.zeros(5), torch.zeros(5))
            order = range(len(context))
            outputs = {}
            for place in order if name == "rightward" else reversed(order):
                state = one_step(cell, context[place], state)
                outputs[place] = state[0]
            read.append(torch.stack([outputs[place] for place in order]))
        context = torch.cat(read, dim=1)
    return context


@pytest.mark.parametrize("max_padding", PADDINGS)
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_layers_are_those_of_a_loop_over_words(
    monkeypatch, kind, num_layers, bidirectional, max_padding
):
    monkeypatch.setattr(rnn_layer, "MAX_PADDING", max_padding)
    layer, words = make(kind, num_layers, bidirectional), inputs()
    with torch.no_grad():
        found = layer(words, SIZES)
        expected = [naive(layer, part) for part in words.split(SIZES) if len(part)]
    assert found.shape == (sum(SIZES), layer.output_size)
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.randoms())
def test_what_is_beside_a_context_does_not_matter(kind, sizes, random):
    layer, words = make(kind, num_layers=2), inputs(tuple(sizes))
    parts = list(words.split(sizes))
    order = list(range(len(sizes)))
    random.shuffle(order)
    with torch.no_grad():
        together = layer(words, sizes).split(sizes)
        shuffled = torch.cat([parts[i] for i in order])
        mixed = layer(shuffled, [sizes[i] for i in order]).split([sizes[i] for i in order])
        for place, number in enumerate(order):
            alone = layer(parts[number], [sizes[number]])
            torch.testing.assert_close(together[number], alone, atol=1e-6, rtol=0)
            torch.testing.assert_close(mixed[place], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_gradients_do_not_depend_on_the_batch(kind):
    layer, words = make(kind, num_layers=2), inputs()
    layer.train()
    weights = torch.randn(sum(SIZES), layer.output_size)
    (layer(words, SIZES) * weights).sum().backward()
    together = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    for part, weight in zip(words.split(SIZES), weights.split(SIZES), strict=True):
        if len(part):
            (layer(part, [len(part)]) * weight).sum().backward()
    for grad, parameter in zip(together, layer.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(), (0,), (0, 0)])
def test_a_batch_without_words_gives_no_vectors(sizes):
    assert make()(torch.zeros(0, 6), sizes).shape == (0, 10)


@given(st.lists(st.integers(0, 30), max_size=20), st.sampled_from(PADDINGS))
def test_each_word_has_one_cell_in_each_direction(sizes, max_padding):
    plan = plan_tables(sizes, max_padding)
    for name in ("rightward", "leftward"):
        cells = [getattr(table, name).flatten() for table in plan.tables]
        word_of = torch.cat([*cells, torch.zeros(0, dtype=torch.int64)])
        found = word_of[getattr(plan, name)]
        assert found.tolist() == list(range(sum(sizes)))
    for table in plan.tables:
        longest, contexts = table.rightward.shape
        assert contexts <= len(sizes)
        assert longest in sizes


def test_padding_stays_below_its_limit():
    sizes = np.random.default_rng(0).integers(0, 400, 60)
    plan = plan_tables(sizes.tolist(), 2)
    num_cells = sum(table.rightward.numel() for table in plan.tables)
    limit = sum(2 * table.rightward.shape[0] for table in plan.tables)
    assert sizes.sum() <= num_cells <= sizes.sum() + limit
    assert 1 < len(plan.tables) < 20


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_changes_little(kind, dtype):
    layer, words = make(kind, num_layers=2), inputs()
    with torch.no_grad():
        exact = layer(words, SIZES)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = layer(words.to(dtype), SIZES)
    torch.testing.assert_close(found.float(), exact, atol=0.05, rtol=0)


def test_values_are_dropped_between_layers_in_training():
    torch.manual_seed(0)
    layer = WordRnn(6, 5, num_layers=2, dropout=0.5)
    words = inputs()
    assert not torch.equal(layer(words, SIZES), layer(words, SIZES))
    layer.eval()
    assert torch.equal(layer(words, SIZES), layer(words, SIZES))


@pytest.mark.parametrize("options", [{"hidden_size": 0}, {"hidden_size": 5, "num_layers": 0}])
def test_a_size_below_one_is_refused(options):
    with pytest.raises(ConfigError, match="hidden_size and num_layers are 1 or more, got"):
        WordRnn(6, **options)


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ConfigError, match=r"dropout: expected a share from 0 to below 1, got 1\.0"):
        WordRnn(6, 5, dropout=1.0)
