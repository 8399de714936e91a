"""eds.span_pooler: one vector a span."""

from __future__ import annotations

import pytest
import torch

import edspipe
import edspipe.pipes as eds


@pytest.fixture
def build(encoder_dir):
    def make(mode: str):
        nlp = edspipe.blank("eds")
        embedding = eds.transformer(model=str(encoder_dir))
        pooler = eds.span_pooler(embedding=embedding, pooling_mode=mode).build(nlp, "pooler")
        return nlp, pooler.eval()

    return make


@pytest.mark.parametrize("mode", ["mean", "max", "sum"])
def test_words_of_each_span_are_pooled(build, mode):
    nlp, pooler = build(mode)
    docs = [nlp.make_doc("fièvre et toux"), nlp.make_doc("douleur de la poitrine")]
    spans = [[docs[0][0:1], docs[0][0:3]], [docs[1][1:4]]]
    samples = [pooler.preprocess(d, spans=s) for d, s in zip(docs, spans, strict=True)]
    with torch.no_grad():
        batch = pooler.collate(samples)
        found = pooler(batch)["embeddings"]
        words = pooler.embedding(batch["embedding"])["embeddings"]
    pool = {"mean": lambda x: x.mean(0), "max": lambda x: x.amax(0), "sum": lambda x: x.sum(0)}
    expected = [words[0:1], words[0:3], words[4:7]]
    torch.testing.assert_close(found, torch.stack([pool[mode](part) for part in expected]))


def test_spans_are_found_in_their_contexts(build):
    nlp, pooler = build("sum")
    doc = nlp.make_doc("fièvre et toux sans douleur")
    contexts = [doc[2:5], doc[0:2]]
    features = pooler.preprocess(doc, spans=[doc[3:5], doc[0:1]], contexts=contexts)
    assert features["starts"].tolist() == [1, 3]
    assert features["ends"].tolist() == [3, 4]


def test_a_span_outside_all_contexts_is_named(build):
    nlp, pooler = build("mean")
    doc = nlp.make_doc("fièvre et toux")
    with pytest.raises(ValueError, match=r"span of words 1 to 3 .* lies in none of the 1 contexts"):
        pooler.preprocess(doc, spans=[doc[1:3]], contexts=[doc[0:2]])


def test_documents_without_spans_pool_nothing(build):
    nlp, pooler = build("mean")
    batch = pooler.collate([pooler.preprocess(nlp.make_doc("toux"), spans=[])])
    assert pooler(batch)["embeddings"].shape == (0, pooler.output_size)
