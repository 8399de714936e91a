"""eds.char_cnn: words letter by letter, each the same wherever it stands."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipes.trainable.char_vocab import CharVocab
from edspipe.pipes.trainable.layers.char_cnn import BEGIN, END, NUM_SPECIALS

TEXT = "pas de toux de pas-à-pas hypercholestérolémie 3"
LETTERS = CharVocab("abcdehilmnoprstuxyàéô-")


def build(vocab=LETTERS, **options):
    torch.manual_seed(0)
    options = {"embedding_size": 6, "out_channels": 5, **options}
    return eds.char_cnn(vocab=vocab, **options).build(edspipe.blank("eds"), "char_cnn")


def vectors(pipe, *texts):
    docs = [edspipe.blank("eds").make_doc(text) for text in texts]
    with torch.no_grad():
        return pipe.eval()(pipe.collate([pipe.preprocess(doc) for doc in docs]))


def naive(layer, letters):
    """Convolve one word by hand: zeros around it, left (k - 1) // 2 and right k // 2 letters."""
    rows = layer.letters_AE[torch.tensor([BEGIN, *letters, END])]
    parts = []
    for convolution in layer.convolutions:
        size = convolution.kernel_size[0]
        padded = F.pad(rows.T[None], ((size - 1) // 2, size // 2))
        parts.append(convolution(padded)[0].amax(1).relu())
    return torch.cat(parts)


@pytest.mark.parametrize("kernel_sizes", [[1], [2], [3], [2, 3, 4, 5], [9, 1]])
def test_each_word_is_convolved_alone(kernel_sizes):
    pipe = build(kernel_sizes=kernel_sizes)
    found = vectors(pipe, TEXT)["embeddings"]
    words = [token.text for token in edspipe.blank("eds").make_doc(TEXT)]
    with torch.no_grad():
        expected = [naive(pipe.convolutions, LETTERS.encode(w) + NUM_SPECIALS) for w in words]
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-4)


def test_gradients_are_those_of_plain_convolutions():
    pipe = build()
    doc = edspipe.blank("eds").make_doc(TEXT)
    weight = torch.randn(len(doc), pipe.output_size)
    loss = (pipe(pipe.collate([pipe.preprocess(doc)]))["embeddings"] * weight).sum()
    found = torch.autograd.grad(loss, list(pipe.parameters()))
    words = [naive(pipe.convolutions, LETTERS.encode(t.text) + NUM_SPECIALS) for t in doc]
    expected = torch.autograd.grad((torch.stack(words) * weight).sum(), list(pipe.parameters()))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_word_has_one_vector_in_all_batches():
    pipe = build()
    alone = vectors(pipe, "toux")["embeddings"][0]
    batch = vectors(pipe, "", TEXT, "hypercholestérolémie toux")
    assert batch["sizes"][0] == 0
    assert batch["lengths"].tolist() == list(batch["sizes"])
    torch.testing.assert_close(batch["embeddings"][-1], alone)
    torch.testing.assert_close(batch["embeddings"][2], alone)


def test_a_batch_without_words_gives_no_vectors():
    pipe = build()
    assert vectors(pipe, "", "")["embeddings"].shape == (0, pipe.output_size)


def test_contexts_are_the_words_of_spans():
    pipe = build()
    doc = edspipe.blank("eds").make_doc("pas de toux")
    features = pipe.preprocess(doc, contexts=[doc[2:3], doc[0:2]], prompts=["x", "y"])
    with torch.no_grad():
        found = pipe(pipe.collate([features]))
    assert found["sizes"] == (1, 2)
    whole = vectors(pipe, "pas de toux")["embeddings"]
    torch.testing.assert_close(found["embeddings"], whole[[2, 0, 1]])


def test_long_words_are_read_from_both_ends():
    pipe = build(max_length=7)
    found = vectors(pipe, "abcdehilm", "abcXXehilm", "bbcdehilm", "abcdehild", "abciehilm")
    first, inside, begin, end, near = found["embeddings"]
    torch.testing.assert_close(first, inside)
    assert not torch.equal(first, begin)
    assert not torch.equal(first, end)
    torch.testing.assert_close(first, near)


def test_the_alphabet_is_that_of_the_training_documents():
    pipe = build(vocab=None)
    nlp = edspipe.blank("eds")
    pipe.post_init([nlp.make_doc("abba"), nlp.make_doc("c")], set())
    assert sorted(pipe.vocab.items[1:]) == ["a", "b", "c"]
    assert len(pipe.convolutions.letters_AE) == 3 + 1 + NUM_SPECIALS
    before = pipe.convolutions
    pipe.post_init([nlp.make_doc("xyz")], set())
    assert pipe.convolutions is before


def test_unknown_letters_are_all_one():
    found = vectors(build(), "toZx", "toQx", "toux")["embeddings"]
    torch.testing.assert_close(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("vocab", [None, LETTERS])
def test_the_loaded_pipe_is_the_saved_one(tmp_path, vocab):
    nlp = edspipe.blank("eds")
    nlp.add_pipe(
        eds.token_classifier(labels=["A", "B"], embedding=eds.char_cnn(vocab=vocab)), name="tagger"
    )
    nlp.post_init([nlp.make_doc(TEXT)])
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model")
    assert loaded.pipes.tagger.embedding.vocab == nlp.pipes.tagger.embedding.vocab
    pipes = [one.pipes.tagger.embedding for one in (nlp, loaded)]
    torch.testing.assert_close(*[vectors(pipe, TEXT, "new§")["embeddings"] for pipe in pipes])


def test_dropout_is_for_training_only():
    pipe = build(char_dropout=0.5, dropout=0.5)
    expected = vectors(build(), TEXT)["embeddings"]
    torch.testing.assert_close(vectors(pipe, TEXT)["embeddings"], expected)
    doc = edspipe.blank("eds").make_doc(TEXT)
    found = pipe.train()(pipe.collate([pipe.preprocess(doc)]))["embeddings"]
    assert (found == 0).float().mean() > (expected == 0).float().mean() + 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_sizes": [3, 0]}, r"kernel_sizes: expected widths from 1 up, got \[3, 0\]"),
        ({"kernel_sizes": []}, r"kernel_sizes: expected widths from 1 up, got \[\]"),
        ({"out_channels": 0}, "embedding_size and out_channels are 1 or more, got 6 and 0"),
        ({"embedding_size": 0}, "embedding_size and out_channels are 1 or more, got 0 and 5"),
        ({"char_dropout": 1.5}, r"char_dropout: expected a share from 0 to below 1, got 1\.5"),
        ({"dropout": 1.5}, r"dropout: expected a share"),
        ({"max_length": 1}, "max_length is 2 letters or more, got 1"),
    ],
)
def test_wrong_sizes_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build(**options)
