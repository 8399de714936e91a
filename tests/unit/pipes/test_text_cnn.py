"""eds.text_cnn: convolutions over the words of each context, and nothing else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipes.trainable.layers.cnn import ACTIVATIONS, WordConvolutions


def naive(layer: WordConvolutions, words: torch.Tensor, activation: str) -> torch.Tensor:
    """Convolve one context by hand: zeros around it, left (k - 1) // 2 and right k // 2 words."""
    parts = []
    for convolution in layer.convolutions:
        size = convolution.kernel_size[0]
        padded = F.pad(words, (0, 0, (size - 1) // 2, size // 2))
        windows = padded.unfold(0, size, 1)
        parts.append(torch.einsum("wik,oik->wo", windows, convolution.weight) + convolution.bias)
    return layer.linear(ACTIVATIONS[activation](torch.cat(parts, dim=1)))


@pytest.mark.parametrize("sizes", [[1], [3], [2], [3, 4, 5], [1, 8]])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_each_context_is_convolved_alone(sizes, activation):
    torch.manual_seed(0)
    layer = WordConvolutions(6, 4, 5, sizes, activation)
    lengths = torch.tensor([3, 0, 1, 7, 2])
    words = torch.randn(int(lengths.sum()), 6)
    found = layer(words, lengths)
    parts = [part for part in words.split(lengths.tolist()) if len(part)]
    expected = [naive(layer, part, activation) for part in parts]
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-5, rtol=1e-4)


def test_a_batch_without_words_gives_no_vectors():
    layer = WordConvolutions(6, 4, 5, [3], "relu")
    assert layer(torch.zeros(0, 6), torch.tensor([0, 0])).shape == (0, 4)


@pytest.mark.parametrize("normalize", ["pre", "post", "none"])
@pytest.mark.parametrize("residual", [True, False])
def test_residual_and_norm_stand_where_they_should(encoder_dir, normalize, residual):
    nlp = edspipe.blank("eds")
    cnn = eds.text_cnn(
        embedding=eds.transformer(model=str(encoder_dir)),
        kernel_sizes=[3],
        residual=residual,
        normalize=normalize,
    ).build(nlp, "cnn")
    cnn.eval()
    batch = cnn.collate([cnn.preprocess(nlp.make_doc("pas de toux"))])
    with torch.no_grad():
        below = cnn.embedding(batch["embedding"])["embeddings"]
        found = cnn(batch)["embeddings"]
        norm = torch.nn.functional.layer_norm
        inner = norm(below, below.shape[1:]) if normalize == "pre" else below
        expected = cnn.convolutions(inner, torch.tensor([3]))
        expected = expected + below if residual else expected
        expected = norm(expected, expected.shape[1:]) if normalize == "post" else expected
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def build(encoder_dir, **kwargs):
    embedding = eds.transformer(model=str(encoder_dir))
    return eds.text_cnn(embedding=embedding, **kwargs).build(edspipe.blank("eds"), "cnn")


def test_the_output_size_is_free_without_residual(encoder_dir):
    cnn = build(encoder_dir, residual=False, output_size=7, out_channels=3)
    assert cnn.output_size == 7
    assert cnn.convolutions.convolutions[0].out_channels == 3


def test_a_residual_of_another_size_is_refused(encoder_dir):
    with pytest.raises(ConfigError, match="residual=True adds vectors of 32 to vectors of 7"):
        build(encoder_dir, output_size=7)


def test_an_unknown_activation_is_refused(encoder_dir):
    with pytest.raises(ConfigError, match=r"activation: expected one of relu, .*, got 'swish2'"):
        build(encoder_dir, activation="swish2")


def test_a_kernel_without_words_is_refused(encoder_dir):
    with pytest.raises(ConfigError, match=r"kernel_sizes: expected widths from 1 up, got \[3, 0\]"):
        build(encoder_dir, kernel_sizes=[3, 0])
