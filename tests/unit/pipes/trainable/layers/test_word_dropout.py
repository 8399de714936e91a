"""Dropout of words, and of components of all words of a context."""

from __future__ import annotations

import pytest
import torch

from edspipe.errors import ConfigError
from edspipe.pipes.trainable.layers.locked_dropout import LockedDropout
from edspipe.pipes.trainable.layers.word_dropout import WordDropout

LENGTHS = torch.tensor([400, 0, 1, 599])


def words():
    return torch.ones(1000, 40, requires_grad=True)


def drop_words(share, training=True):
    torch.manual_seed(0)
    return WordDropout(share).train(training)(words())


def drop_components(share, training=True):
    torch.manual_seed(0)
    return LockedDropout(share).train(training)(words(), LENGTHS)


def test_a_word_is_dropped_whole_or_not_at_all():
    found = drop_words(0.3)
    assert {tuple(row.tolist()) for row in found} == {(0.0,) * 40, (1.0,) * 40}
    assert abs((found[:, 0] == 0).float().mean() - 0.3) < 0.05


def test_all_words_of_a_context_lose_the_same_components():
    parts = drop_components(0.5).split(LENGTHS.tolist())
    for part in (parts[0], parts[2], parts[3]):
        assert (part == part[0]).all()
        assert set(part.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(parts[0][0], parts[3][0])


def test_the_mean_stays_with_locked_dropout():
    torch.manual_seed(0)
    found = LockedDropout(0.4)(torch.ones(2000, 50), torch.ones(2000, dtype=torch.int64))
    assert abs(found.mean() - 1.0) < 0.02


@pytest.mark.parametrize("drop", [drop_words, drop_components])
def test_nothing_is_dropped_in_evaluation_or_without_a_share(drop):
    assert torch.equal(drop(0.9, training=False), words())
    assert torch.equal(drop(0.0), words())


@pytest.mark.parametrize("drop", [drop_words, drop_components])
def test_no_gradient_reaches_what_was_dropped(drop):
    torch.manual_seed(0)
    inputs = words()
    layer = WordDropout(0.5)(inputs) if drop is drop_words else LockedDropout(0.5)(inputs, LENGTHS)
    layer.sum().backward()
    assert torch.equal(inputs.grad, layer.detach())


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
@pytest.mark.parametrize(
    ("layer", "name"), [(WordDropout, "word_dropout"), (LockedDropout, "locked_dropout")]
)
def test_a_share_out_of_range_is_refused(layer, name, share):
    with pytest.raises(ConfigError, match=f"{name}: expected a share from 0 to below 1, got"):
        layer(share)


def test_a_layer_shows_its_share():
    assert str(WordDropout(0.1)) == "WordDropout(share=0.1)"
    assert str(LockedDropout(0.1)) == "LockedDropout(share=0.1)"
