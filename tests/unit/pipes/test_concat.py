"""eds.concat: vectors of several embeddings side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import TEXTS

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipes.trainable.embeddings.base import WordEmbedding
from edspipe.pipes.trainable.embeddings.concat import Concat
from edspipe.pipes.trainable.embeddings.vector_files import write_vectors


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("vectors") / "a.vec"
    words = ["toux", "de", "fever", "chest", "."]
    write_vectors(file, words, np.random.default_rng(0).standard_normal((5, 3)))
    return file


def drafts(file, encoder_dir):
    return (
        eds.word_vectors(path=str(file), oov="random"),
        eds.transformer(model=str(encoder_dir), window=8, stride=6),
    )


@pytest.fixture
def pipe(file, encoder_dir):
    draft = eds.concat(embeddings=list(drafts(file, encoder_dir)))
    return draft.build(edspipe.blank("eds"), "both")


def make_docs(texts=TEXTS):
    nlp = edspipe.blank("eds")
    return [nlp.make_doc(text) for text in texts]


def test_vectors_stand_side_by_side(pipe):
    assert pipe.output_size == 3 + 32
    docs = make_docs([*TEXTS, ""])
    parts = [embedding.embed(docs) for embedding in pipe.embeddings]
    for found, *expected in zip(pipe.embed(docs), *parts, strict=True):
        np.testing.assert_array_equal(found, np.concatenate(expected, axis=1))


def test_contexts_and_prompts_reach_each_embedding(pipe):
    pipe.eval()
    doc = make_docs()[0]
    options = {"contexts": [doc[2:5], doc[0:4]], "prompts": ["toux", "fever"]}
    with torch.no_grad():
        found = pipe(pipe.collate([pipe.preprocess(doc, **options)]))
        parts = [e(e.collate([e.preprocess(doc, **options)])) for e in pipe.embeddings]
    assert found["sizes"] == (3, 4)
    expected = torch.cat([part["embeddings"] for part in parts], dim=1)
    assert torch.equal(found["embeddings"], expected)
    whole = pipe.embed(doc)
    assert not np.array_equal(found["embeddings"][:3].numpy(), whole[2:5])


def test_one_embedding_alone_is_itself(file):
    pipe = eds.concat(embeddings=[eds.word_vectors(path=str(file))]).build()
    doc = make_docs()[0]
    np.testing.assert_array_equal(pipe.embed(doc), pipe.embeddings[0].embed(doc))


def test_an_embedding_may_stand_twice(file):
    below = eds.word_vectors(path=str(file))
    pipe = eds.concat(embeddings=[below, below]).build()
    doc = make_docs()[0]
    np.testing.assert_array_equal(pipe.embed(doc), np.tile(pipe.embeddings[0].embed(doc), 2))


def with_tagger(file, encoder_dir):
    words, encoder = drafts(file, encoder_dir)
    nlp = edspipe.blank("eds")
    both = eds.concat(embeddings=[words, encoder])
    nlp.add_pipe(eds.ner_crf(labels=["A"], embedding=both), name="ner")
    nlp.add_pipe(eds.ner_crf(labels=["B"], embedding=encoder), name="other")
    return nlp


def test_a_config_builds_it_again(file, encoder_dir):
    nlp = with_tagger(file, encoder_dir)
    config = nlp.config
    again = edspipe.Pipeline.from_config(config.to_yaml_str())
    assert again.config == config
    assert again.pipes.other.embedding is again.pipes.ner.embedding.embeddings[1]


def test_it_is_saved_bit_by_bit_with_what_is_shared(file, encoder_dir, tmp_path):
    nlp = with_tagger(file, encoder_dir)
    nlp.post_init(make_docs())
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model")
    assert loaded.config == nlp.config
    assert loaded.pipes.other.embedding is loaded.pipes.ner.embedding.embeddings[1]
    for doc in make_docs():
        before, after = (n.pipes.ner.embedding.embed(doc) for n in (nlp, loaded))
        np.testing.assert_array_equal(before, after)


def test_what_is_shared_runs_once(file, encoder_dir, monkeypatch):
    nlp = with_tagger(file, encoder_dir)
    encoder, calls = nlp.pipes.other.embedding, []
    encoder.encoder.register_forward_pre_hook(lambda *args: calls.append(1))
    alone = len([encoder.embed(make_docs()), *calls]) - 1
    calls.clear()
    list(nlp.pipe(make_docs()))
    assert len(calls) == alone
    stats = nlp.preprocess(make_docs()[0])["stats"]
    assert stats == nlp.preprocess(make_docs()[0], pipe_names=["other"])["stats"]


def test_gradients_reach_every_embedding(file, encoder_dir):
    words = eds.word_vectors(path=str(file), trainable=True)
    pipe = eds.concat(embeddings=[words, eds.transformer(model=str(encoder_dir))]).build()
    pipe(pipe.collate([pipe.preprocess(doc) for doc in make_docs()]))["embeddings"].sum().backward()
    assert pipe.embeddings[0].table.grad.any()
    assert pipe.embeddings[1].encoder.embeddings.word_embeddings.weight.grad.any()


class Short(WordEmbedding):
    """Forgets the last word of each context."""

    output_size = 2

    def preprocess(self, doc, *, contexts=None, prompts=()):
        return {"size": max(0, len(doc) - 1)}

    def collate(self, batch):
        return {"lengths": torch.tensor([sample["size"] for sample in batch])}

    def forward(self, batch):
        total = int(batch["lengths"].sum())
        return {"embeddings": torch.zeros(total, 2), "lengths": batch["lengths"]}


def test_embeddings_of_different_words_are_refused(file):
    pipe = Concat(name="both", embeddings=[eds.word_vectors(path=str(file)).build(), Short()])
    message = "both: its embeddings give vectors of different words: 9 in 1 contexts, 8 in 1 cont"
    doc = make_docs(["one two three four five six seven eight nine"])[0]
    with pytest.raises(ValueError, match=message):
        pipe.embed(doc)


def test_no_embedding_is_refused():
    with pytest.raises(ConfigError, match=r"embeddings: expected one embedding at least"):
        eds.concat(embeddings=[]).build()
