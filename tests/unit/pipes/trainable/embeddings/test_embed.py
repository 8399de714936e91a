"""embed: arrays of vectors for Docs, from an embedding alone or from a pipeline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import TEXTS

import edspipe
import edspipe.pipes as eds
from edspipe.pipes.trainable.embeddings import base


def make_docs(texts=TEXTS):
    nlp = edspipe.blank("eds")
    return [nlp.make_doc(text) for text in texts]


@pytest.fixture
def draft(encoder_dir):
    return eds.transformer(model=str(encoder_dir), window=8, stride=6)


# ---- embed ---------------------------------------------------------------------------------


def test_an_embedding_needs_no_pipeline(draft):
    doc = make_docs()[0]
    found = draft.embed(doc)
    assert found.shape == (len(doc), 32)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, draft.build().embed(doc))


def test_several_documents_give_a_list(draft):
    docs = make_docs([*TEXTS, "", "toux"])
    found = draft.embed(docs)
    assert [array.shape for array in found] == [(len(doc), 32) for doc in docs]
    for array, doc in zip(found, docs, strict=True):
        np.testing.assert_allclose(array, draft.embed(doc), atol=1e-5)


def test_documents_may_come_from_a_generator(draft):
    assert len(draft.embed(doc for doc in make_docs())) == len(TEXTS)


def test_no_document_gives_no_array(draft):
    assert draft.embed([]) == []


def test_a_few_words_are_computed_at_once(draft, monkeypatch):
    component, sizes = draft.build(), []
    component.register_forward_pre_hook(lambda _, args: sizes.append(args[0]["sizes"]))
    monkeypatch.setattr(base, "EMBED_WORDS", 20)
    monkeypatch.setattr(base, "EMBED_DOCS", 3)
    docs = make_docs(["a " * 15, "b " * 5, "c", "d", "e", "f", "g " * 50, "h"])
    component.embed(docs)
    assert sizes == [(15, 5), (1, 1, 1), (1,), (50,), (1,)]


def test_it_is_computed_in_evaluation_mode_which_is_left_as_it_was(draft):
    component = draft.build()
    component.encoder.eval()
    assert component.training
    docs = make_docs()
    assert all(
        np.array_equal(a, b)
        for a, b in zip(component.embed(docs), component.embed(docs), strict=True)
    )
    assert component.training
    assert not component.encoder.training


def test_no_gradient_and_no_memory_is_kept(draft):
    first, second = draft.embed(make_docs()[:2])
    assert first.base is None
    assert second.base is None
    assert first.flags.writeable


@pytest.mark.parametrize("value", ["a text", ["a text"], [None]])
def test_a_text_is_refused(draft, value):
    with pytest.raises(TypeError, match=r"embed takes Docs, got (str|NoneType); nlp\.make_doc"):
        draft.embed(value)


def test_a_draft_that_is_no_embedding_says_so():
    with pytest.raises(TypeError, match=r"eds\.sentences is no embedding"):
        eds.sentences().embed(make_docs())


# ---- nlp.pipe(return_embeddings=) ----------------------------------------------------------


@pytest.fixture
def nlp(draft):
    torch.manual_seed(0)
    nlp = edspipe.blank("eds")
    cnn = eds.text_cnn(kernel_sizes=[3], embedding=draft)
    nlp.add_pipe(eds.ner_crf(labels=["A", "B"], embedding=cnn), name="ner")
    torch.nn.init.zeros_(nlp.pipes.ner.classifier.bias)
    nlp.add_pipe("eds.sentences")
    return nlp


def check(nlp, stream, embedding):
    pairs = list(stream)
    assert [doc.text for doc, _ in pairs] == list(TEXTS)
    for (doc, array), plain in zip(pairs, nlp.pipe(TEXTS, precision="fp32"), strict=True):
        np.testing.assert_allclose(array, embedding.embed(doc), atol=1e-5)
        assert [ent.text for ent in doc.ents] == [ent.text for ent in plain.ents]
        assert doc.ents
        assert doc.has_annotation("SENT_START")


def test_documents_come_with_the_embedding_of_the_last_trainable_pipe(nlp):
    stream = nlp.pipe(TEXTS, return_embeddings=True, precision="fp32")
    check(nlp, stream, nlp.pipes.ner.embedding)


@pytest.mark.parametrize("name", ["ner", "ner.embedding", "ner.embedding.embedding"])
def test_the_embedding_can_be_chosen(nlp, name):
    stream = nlp.pipe(TEXTS, return_embeddings=name, precision="fp32")
    inner = name.endswith("embedding.embedding")
    check(nlp, stream, nlp.pipes.ner.embedding.embedding if inner else nlp.pipes.ner.embedding)


def test_an_embedding_that_is_a_pipe_is_found(draft):
    nlp = edspipe.blank("eds")
    nlp.add_pipe(draft, name="encoder")
    assert nlp.find_embedding() == "encoder"
    (doc, array), *_ = nlp.pipe(TEXTS, return_embeddings=True, precision="fp32")
    np.testing.assert_allclose(array, nlp.pipes.encoder.embed(doc), atol=1e-5)


@pytest.mark.slow
def test_workers_give_the_same_pairs(nlp):
    stream = nlp.pipe(TEXTS, return_embeddings=True, precision="fp32", num_cpu_workers=2)
    check(nlp, stream, nlp.pipes.ner.embedding)


def test_workers_with_a_device_give_the_same_pairs(nlp):
    settings = {"num_cpu_workers": 1, "num_gpu_workers": 1, "devices": ("cpu",)}
    stream = nlp.pipe(TEXTS, return_embeddings=True, precision="fp32", **settings)
    check(nlp, stream, nlp.pipes.ner.embedding)


def test_what_a_pipe_computed_is_not_computed_again(nlp):
    calls = []
    nlp.pipes.ner.embedding.register_forward_pre_hook(lambda *args: calls.append(1))
    nlp.pipes.ner.embedding.embedding.encoder.register_forward_pre_hook(
        lambda *args: calls.append(2)
    )
    list(nlp.pipe(TEXTS))
    without = len([c for c in calls if c == 2])
    calls.clear()
    list(nlp.pipe(TEXTS, return_embeddings=True))
    assert len([c for c in calls if c == 2]) == without


def test_a_pipe_without_an_embedding_is_named(nlp):
    with pytest.raises(
        ValueError, match=r"'sentences' has no embedding of words; its train.*: ner"
    ):
        nlp.pipe(TEXTS, return_embeddings="sentences")


def test_a_pipeline_without_an_embedding_says_so():
    with pytest.raises(ValueError, match=r"the pipeline has no embedding of words; .* none"):
        edspipe.blank("eds").pipe(TEXTS, return_embeddings=True)


def test_a_component_that_does_not_exist_is_named(nlp):
    with pytest.raises(ValueError, match=r"the pipe 'ner' has no component 'embeding'"):
        nlp.pipe(TEXTS, return_embeddings="ner.embeding")


def test_a_pipe_that_does_not_exist_is_named(nlp):
    with pytest.raises(ValueError, match=r"the pipeline has no pipe 'nr'"):
        nlp.pipe(TEXTS, return_embeddings="nr")
