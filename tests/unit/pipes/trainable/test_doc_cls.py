"""Documents pooled by the vector of their encoder's first special piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from doc_pipes import TEXTS, batch_of, cats_of, classifier, labelled_docs, transformer
from spacy.tokens import Doc
from transformers import AutoModel, AutoTokenizer

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipes.trainable.embeddings.transformer import Transformer

LONG = " ".join(TEXTS) * 3


def cls_vectors(pipe: Any, docs: list[Doc]) -> torch.Tensor:
    """Compute `cls` of documents in one batch."""
    with torch.no_grad():
        return pipe(pipe.collate([pipe.preprocess(doc) for doc in docs]))["cls"]


def oracle(encoder_dir: Path, text: str, window: int = 8, stride: int = 6) -> torch.Tensor:
    """Compute the mean CLS vector of a text's windows with transformers alone."""
    model = AutoModel.from_pretrained(encoder_dir, add_pooling_layer=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder_dir)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    rows, start = [], 0
    while True:
        part = [tokenizer.cls_token_id, *ids[start : start + window], tokenizer.sep_token_id]
        with torch.no_grad():
            rows.append(model(torch.tensor([part])).last_hidden_state[0, 0])
        if start + window >= len(ids):
            return torch.stack(rows).mean(0)
        start += stride


@pytest.fixture
def pipe(encoder_dir: Path) -> Transformer:
    built = Transformer(name="bert", model=encoder_dir, window=8, stride=6).train(False)
    built.with_cls = True
    return built


def test_the_vector_of_one_window_is_that_of_the_encoder(encoder_dir: Path) -> None:
    pipe = Transformer(name="bert", model=encoder_dir, window=128).train(False)
    pipe.with_cls = True
    model = AutoModel.from_pretrained(encoder_dir, add_pooling_layer=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder_dir)
    doc = edspipe.blank("eds").make_doc(TEXTS[3])
    with torch.no_grad():
        expected = model(**tokenizer(TEXTS[3], return_tensors="pt")).last_hidden_state[:, 0]
    torch.testing.assert_close(cls_vectors(pipe, [doc]), expected, rtol=0, atol=1e-6)


def test_the_vector_of_a_long_document_is_the_mean_over_its_windows(
    encoder_dir: Path, pipe: Transformer
) -> None:
    texts = [*TEXTS, LONG]
    nlp = edspipe.blank("eds")
    found = cls_vectors(pipe, [nlp.make_doc(text) for text in texts])
    expected = torch.stack([oracle(encoder_dir, text) for text in texts])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_words_have_the_vectors_that_they_have_without_it(
    encoder_dir: Path, pipe: Transformer
) -> None:
    plain = Transformer(name="bert", model=encoder_dir, window=8, stride=6)
    nlp = edspipe.blank("eds")
    docs = [nlp.make_doc(text) for text in (*TEXTS, "")]
    for one, other in zip(pipe.embed(docs), plain.embed(docs), strict=True):
        assert (one == other).all()


def test_a_prompt_stands_between_the_special_piece_and_the_text(
    encoder_dir: Path, pipe: Transformer
) -> None:
    doc = edspipe.blank("eds").make_doc("chest pain")
    model = AutoModel.from_pretrained(encoder_dir, add_pooling_layer=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder_dir)
    ids = tokenizer("fever", "chest pain", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = model(ids).last_hidden_state[:, 0]
        features = pipe.preprocess(doc, contexts=[doc[:]], prompts=["fever"])
        found = pipe(pipe.collate([features]))["cls"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cache", ["cpu", "disk"])
def test_kept_vectors_are_the_computed_ones(
    encoder_dir: Path, tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    folder = tmp_path / "vectors" if cache == "disk" else None
    settings: dict[str, Any] = {"model": encoder_dir, "window": 8, "stride": 6, "frozen": True}
    plain = Transformer(name="bert", **settings)
    kept = Transformer(name="bert", **settings, cache=cache, cache_dir=folder)
    nlp = edspipe.blank("eds")
    docs = [nlp.make_doc(text) for text in (*TEXTS, "", LONG)]
    words = kept(kept.collate([kept.preprocess(doc) for doc in docs]))["embeddings"]
    plain.with_cls = kept.with_cls = True
    expected = cls_vectors(plain, docs)
    for _ in range(2):
        result = kept(kept.collate([kept.preprocess(doc) for doc in docs]))
        assert torch.equal(result["cls"], expected)
        assert torch.equal(result["embeddings"], words)
    assert (kept.cache.num_found, kept.cache.num_missed) == (len(docs), 2 * len(docs))


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_logits_are_those_of_the_head_on_these_vectors(encoder_dir: Path, head: str) -> None:
    nlp = classifier(encoder_dir, pooling="cls", head=head).train(False)
    pipe = nlp.pipes.classifier
    texts = [*TEXTS, LONG]
    docs = [nlp.make_doc(text) for text in texts]
    with torch.no_grad():
        expected = pipe.head(torch.stack([oracle(encoder_dir, text) for text in texts]))
        found = pipe(batch_of(nlp, docs, supervision=False))["logits"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("texts", [[""], [" \n "], ["", "pain", ""]])
def test_documents_without_words_have_the_bias(encoder_dir: Path, texts: list[str]) -> None:
    nlp = classifier(encoder_dir, pooling="cls")
    expected = nlp.pipes.classifier.head.output.bias.detach().sigmoid().tolist()
    assert list(cats_of(nlp, texts)[0].values()) == pytest.approx(expected, abs=1e-7)


def test_a_document_alone_has_the_probabilities_that_it_has_in_a_batch(encoder_dir: Path) -> None:
    nlp = classifier(encoder_dir, pooling="cls")
    texts = [*TEXTS, LONG]
    for text, together in zip(texts, cats_of(nlp, texts), strict=True):
        assert nlp(text).cats == pytest.approx(together, abs=1e-6)


def test_the_encoder_learns_through_it(encoder_dir: Path) -> None:
    nlp = classifier(encoder_dir, pooling="cls")
    pipe = nlp.pipes.classifier
    pipe(batch_of(nlp, labelled_docs(nlp)))["loss"].backward()
    used = [p for p in pipe.embedding.encoder.parameters() if p.grad is not None]
    assert sum(p.grad.abs().sum() for p in used) > 0


def test_an_encoder_may_be_shared_with_a_pipe_on_words(encoder_dir: Path) -> None:
    shared = transformer(encoder_dir)
    nlp = classifier(encoder_dir, shared, pooling="cls")
    nlp.add_pipe(eds.ner_crf(embedding=shared, labels=["X"]), name="ner")
    assert nlp.pipes.ner.embedding is nlp.pipes.classifier.embedding
    assert cats_of(nlp) == cats_of(classifier(encoder_dir, pooling="cls"))


def test_embeddings_on_top_of_an_encoder_are_refused(encoder_dir: Path) -> None:
    draft = eds.text_cnn(embedding=transformer(encoder_dir), kernel_sizes=[3])
    with pytest.raises(
        ConfigError, match=r"classifier\.pooling: 'cls' .* eds\.text_cnn has none\. eds\.transf"
    ):
        classifier(encoder_dir, draft, pooling="cls")


def test_several_embeddings_side_by_side_are_refused(encoder_dir: Path) -> None:
    draft = eds.concat(embeddings=[transformer(encoder_dir)])
    with pytest.raises(ConfigError, match=r"eds\.concat has none.* below no other embedding"):
        classifier(encoder_dir, draft, pooling="cls")


def test_an_encoder_without_a_piece_before_texts_is_refused(
    encoder_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edspipe.pipes.trainable.embeddings.transformer.special_pieces", lambda _: ([], [3], [])
    )
    with pytest.raises(ConfigError, match=r"eds\.transformer has none\. .* begins texts with a"):
        classifier(encoder_dir, pooling="cls")
