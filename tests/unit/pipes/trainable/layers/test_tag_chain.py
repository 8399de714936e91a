"""The chain over any tags, against pytorch-crf and against all paths."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torchcrf

from edspipe.pipes.trainable.layers.tag_chain import (
    UNKNOWN,
    TagChain,
    log_partition,
    path_scores,
)

LENGTHS = [4, 1, 0, 3]


def case(num_tags=5, lengths=LENGTHS, scale=2.0, dtype=torch.float32):
    torch.manual_seed(0)
    chain = TagChain(num_tags)
    for parameter in chain.parameters():
        torch.nn.init.normal_(parameter)
    emissions = scale * torch.randn(len(lengths), max(lengths), num_tags, dtype=dtype)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    tags = torch.randint(num_tags, mask.shape)
    return chain, emissions.requires_grad_(), mask, tags


def oracle_of(chain):
    oracle = torchcrf.CRF(len(chain.start_K), batch_first=True)
    with torch.no_grad():
        oracle.start_transitions.copy_(chain.start_K)
        oracle.end_transitions.copy_(chain.end_K)
        oracle.transitions.copy_(chain.moves_KK)
    return oracle


@pytest.mark.parametrize("num_tags", [1, 2, 5, 42])
@pytest.mark.parametrize("all_known", [True, False])
def test_the_loss_and_its_gradients_are_those_of_pytorch_crf(num_tags, all_known):
    chain, emissions, mask, tags = case(num_tags)
    found = chain.loss(emissions, mask, tags, all_known=all_known)
    found.backward()
    oracle, theirs = oracle_of(chain), emissions.detach().clone().requires_grad_()
    full = torch.tensor(LENGTHS) > 0  # pytorch-crf takes no empty rows
    expected = -oracle(theirs[full], tags[full], mask[full])
    expected.backward()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(emissions.grad, theirs.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(chain.moves_KK.grad, oracle.transitions.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        chain.start_K.grad, oracle.start_transitions.grad, rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(chain.end_K.grad, oracle.end_transitions.grad, rtol=1e-4, atol=1e-4)


def test_the_best_tags_are_those_of_pytorch_crf():
    chain, emissions, mask, _ = case()
    found = chain.decode(emissions, mask)
    oracle = oracle_of(chain)
    for row, length in enumerate(LENGTHS):
        if length:
            part = emissions[row : row + 1, :length]
            (expected,) = oracle.decode(part, torch.ones(1, length, dtype=torch.bool))
            assert found[row, :length].tolist() == expected


def test_words_without_a_tag_may_have_any():
    chain, emissions, mask, tags = case(3, [3], dtype=torch.float64)
    tags[0, 1] = UNKNOWN
    found = chain.loss(emissions, mask, tags)
    with torch.no_grad():
        scores = chain.chain(torch.float64)
        paths = torch.tensor(list(product(range(3), repeat=3)))
        every = path_scores(emissions.expand(27, -1, -1), mask.expand(27, -1), scores, paths)
        fits = (paths[:, 0] == tags[0, 0]) & (paths[:, 2] == tags[0, 2])
        expected = every.logsumexp(0) - every[fits].logsumexp(0)
    torch.testing.assert_close(found.detach(), expected)


def test_a_sequence_without_any_tag_costs_nothing():
    chain, emissions, mask, tags = case()
    loss = chain.loss(emissions, mask, torch.full_like(tags, UNKNOWN))
    assert abs(loss.item()) < 1e-5


def test_padding_counts_nothing_whatever_stands_there():
    chain, emissions, mask, tags = case()
    expected = chain.loss(emissions, mask, tags, all_known=True)
    other = torch.where(mask[..., None], emissions, 1e4 * torch.randn_like(emissions))
    found = chain.loss(other, mask, torch.where(mask, tags, 0), all_known=True)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("all_known", [True, False])
def test_a_batch_without_words_has_a_loss_of_zero_and_gradients(all_known):
    chain = TagChain(3)
    emissions, mask = torch.zeros(2, 0, 3, requires_grad=True), torch.zeros(2, 0).bool()
    loss = chain.loss(emissions, mask, mask.long(), all_known=all_known)
    loss.backward()
    assert loss.item() == 0.0
    assert chain.moves_KK.grad is not None
    assert chain.decode(emissions, mask).shape == (2, 0)


@pytest.mark.parametrize("scale", [1e-3, 60.0, 1e4])
def test_large_scores_neither_overflow_nor_vanish(scale):
    chain, emissions, mask, tags = case(4, [50, 50], scale)
    loss = chain.loss(emissions, mask, tags, all_known=True)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in [emissions, *chain.parameters()])
    with torch.no_grad():
        exact = log_partition(emissions.double(), mask, chain.chain(torch.float64))
        found = log_partition(emissions, mask, chain.chain(torch.float32))
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-2)


def test_a_long_sequence_keeps_its_precision():
    chain, emissions, mask, tags = case(6, [2000], 3.0)
    single = chain.loss(emissions, mask, tags, all_known=True)
    double = chain.loss(emissions.double(), mask, tags, all_known=True)
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=0.1)
