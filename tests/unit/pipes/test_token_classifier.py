"""eds.token_classifier: what it learns from, what it writes, and its tags."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
import torchcrf
from spacy.tokens import Doc, Token

import edspipe
import edspipe.pipes as eds
from edspipe.doc.token_tags import declare_tags, get_tags
from edspipe.errors import CheckpointError, ConfigError
from edspipe.pipes.trainable.layers.tag_chain import UNKNOWN

SENTENCES = (
    ("No fever .", "DT NN ."),
    ("Cough for 3 days , chest pain .", "NN IN CD NNS , NN NN ."),
    ("The patient has pain", "DT NN VBZ NN"),
)


def build(encoder_dir, labels=("NN", "DT", "."), **options):
    torch.manual_seed(0)
    nlp = edspipe.blank("eds")
    nlp.add_pipe(
        eds.token_classifier(
            labels=None if labels is None else list(labels),
            embedding=eds.transformer(model=str(encoder_dir), window=32, stride=24),
            **options,
        ),
        name="tagger",
    )
    return nlp


def gold_docs(nlp, attribute="tag_"):
    declare_tags(attribute)
    docs = []
    for text, tags in SENTENCES:
        doc = Doc(nlp.vocab, words=text.split())
        for token, tag in zip(doc, tags.split(), strict=True):
            if attribute.startswith("_."):
                token._.set(attribute[2:], tag)
            else:
                setattr(token, attribute, tag)
        docs.append(doc)
    return docs


def batch_of(nlp, docs):
    return nlp.collate([nlp.preprocess(doc, supervision=True) for doc in docs])["tagger"]


def train(nlp, docs, num_steps=60, lr=1e-2):
    batch = batch_of(nlp, docs)
    optimizer = torch.optim.AdamW(nlp.parameters(), lr=lr)
    nlp.train(True)
    for _ in range(num_steps):
        optimizer.zero_grad()
        nlp.pipes.tagger(batch)["loss"].backward()
        optimizer.step()


def bare(nlp, docs):
    return [Doc(nlp.vocab, words=[token.text for token in doc]) for doc in docs]


@pytest.mark.parametrize("use_crf", [False, True])
@pytest.mark.parametrize("attribute", ["tag_", "_.role_test"])
def test_a_few_documents_are_learned_by_heart(encoder_dir, attribute, use_crf):
    nlp = build(encoder_dir, labels=None, attribute=attribute, use_crf=use_crf)
    docs = gold_docs(nlp, attribute)
    nlp.post_init(docs)
    train(nlp, docs)
    found = list(nlp.pipe(bare(nlp, docs)))
    assert [get_tags(doc, attribute) for doc in found] == [tags.split() for _, tags in SENTENCES]


def test_universal_tags_go_to_pos(encoder_dir):
    nlp = build(encoder_dir, labels=["NOUN", "VERB"], attribute="pos_")
    assert {token.pos_ for token in nlp("une toux")} <= {"NOUN", "VERB"}


@pytest.mark.parametrize("use_crf", [False, True])
def test_every_word_gets_a_tag_and_blank_tokens_none(encoder_dir, use_crf):
    nlp = build(encoder_dir, use_crf=use_crf)
    docs = list(nlp.pipe(["une toux\n\nsèche  !", "", " \n ", "fin"], batch_size="4 docs"))
    for doc in docs:
        assert [bool(token.tag_) for token in doc] == [not token.is_space for token in doc]


@pytest.mark.parametrize("use_crf", [False, True])
def test_a_document_alone_has_the_tags_that_it_has_in_a_batch(encoder_dir, use_crf):
    nlp = build(encoder_dir, use_crf=use_crf)
    texts = [text for text, _ in SENTENCES]
    together = [get_tags(doc, "tag_") for doc in nlp.pipe(texts, batch_size="3 docs")]
    assert [get_tags(nlp(text), "tag_") for text in texts] == together


def test_predictions_replace_what_was_there(encoder_dir):
    nlp = build(encoder_dir)
    (doc, *_) = docs = gold_docs(nlp)
    for token in doc:
        token.tag_ = "OLD"
    found = nlp(doc)
    assert {token.tag_ for token in found} <= {"NN", "DT", "."}
    assert len(docs) == 3


# ---- the loss ----------------------------------------------------------------------------------


def scores_of(nlp, docs):
    """Scores of all words, and their gold tags."""
    tagger = nlp.pipes.tagger
    batch = batch_of(nlp, docs)
    words = tagger.embedding(batch["embedding"])["embeddings"]
    index = {label: i for i, label in enumerate(tagger.labels)}
    gold = [index.get(tag, UNKNOWN) for doc in docs for tag in get_tags(doc, "tag_")]
    return tagger.classifier(words), torch.tensor(gold)


def test_the_loss_is_the_mean_cross_entropy_of_words_with_a_gold_tag(encoder_dir):
    nlp = build(encoder_dir).train(False)
    docs = gold_docs(nlp)
    with torch.no_grad():
        scores, gold = scores_of(nlp, docs)
        expected = F.cross_entropy(scores, gold, ignore_index=UNKNOWN)
        found = nlp.pipes.tagger(batch_of(nlp, docs))["loss"]
    assert 0 < (gold != UNKNOWN).sum() < len(gold)
    torch.testing.assert_close(found, expected)


def test_weights_are_factors_by_gold_tag(encoder_dir):
    nlp = build(encoder_dir, loss_weights={"DT": 5.0, ".": 0.0}).train(False)
    docs = gold_docs(nlp)
    with torch.no_grad():
        scores, gold = scores_of(nlp, docs)
        weights = torch.tensor([1.0, 5.0, 0.0])[gold.clamp(min=0)]
        each = F.cross_entropy(scores, gold, ignore_index=UNKNOWN, reduction="none")
        expected = (each * weights).sum() / (gold != UNKNOWN).sum()
        found = nlp.pipes.tagger(batch_of(nlp, docs))["loss"]
    torch.testing.assert_close(found, expected)


def test_the_loss_of_a_chain_is_that_of_pytorch_crf(encoder_dir):
    labels = sorted({tag for _, tags in SENTENCES for tag in tags.split()})
    nlp = build(encoder_dir, labels=labels, use_crf=True).train(False)
    docs, tagger = gold_docs(nlp), nlp.pipes.tagger
    oracle = torchcrf.CRF(len(labels), batch_first=True)
    with torch.no_grad():
        for parameter in tagger.chain.parameters():
            torch.nn.init.normal_(parameter)
        oracle.start_transitions.copy_(tagger.chain.start_K)
        oracle.end_transitions.copy_(tagger.chain.end_K)
        oracle.transitions.copy_(tagger.chain.moves_KK)
        scores, gold = scores_of(nlp, docs)
        parts = zip(*(x.split([len(doc) for doc in docs]) for x in (scores, gold)), strict=True)
        total = -sum(oracle(s[None], g[None], torch.ones_like(g[None]).bool()) for s, g in parts)
        found = tagger(batch_of(nlp, docs))["loss"]
    torch.testing.assert_close(found, total / sum(map(len, docs)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("use_crf", [False, True])
def test_losses_of_parts_join_to_that_of_the_whole(encoder_dir, use_crf):
    nlp = build(encoder_dir, use_crf=use_crf).train(False)
    docs, tagger = gold_docs(nlp), nlp.pipes.tagger
    whole = batch_of(nlp, docs)
    parts = [batch_of(nlp, [doc]) for doc in docs]
    with torch.no_grad():
        joined = sum(tagger(part)["loss"] * tagger.loss_size(part) for part in parts)
        expected = tagger(whole)["loss"]
    assert tagger.loss_size(whole) == sum(map(tagger.loss_size, parts)) == 10
    torch.testing.assert_close(joined / tagger.loss_size(whole), expected)


@pytest.mark.parametrize("use_crf", [False, True])
def test_words_without_a_gold_tag_are_not_learned_from(encoder_dir, use_crf):
    nlp = build(encoder_dir, use_crf=use_crf).train(False)
    docs = bare(nlp, gold_docs(nlp))
    batch = batch_of(nlp, docs)
    loss = nlp.pipes.tagger(batch)["loss"]
    loss.backward()
    assert nlp.pipes.tagger.loss_size(batch) == 0
    assert abs(loss.item()) < 1e-5


@pytest.mark.parametrize("use_crf", [False, True])
def test_an_empty_document_has_a_loss_of_zero(encoder_dir, use_crf):
    nlp = build(encoder_dir, use_crf=use_crf)
    assert nlp.pipes.tagger(batch_of(nlp, [nlp.make_doc("")]))["loss"].item() == 0.0


# ---- tags --------------------------------------------------------------------------------------


def test_tags_are_collected_sorted_and_new_ones_come_last(encoder_dir):
    nlp = build(encoder_dir, labels=None)
    docs = gold_docs(nlp)
    nlp.post_init(docs[2:])
    assert nlp.pipes.tagger.labels == ["DT", "NN", "VBZ"]
    nlp.post_init(docs)
    assert nlp.pipes.tagger.labels == ["DT", "NN", "VBZ", ",", ".", "CD", "IN", "NNS"]


@pytest.mark.parametrize("labels", [None, ["DT", "NN"]])
def test_gold_tags_of_blank_tokens_are_not_looked_at(encoder_dir, labels, log):
    nlp = build(encoder_dir, labels=labels)
    words, tags = ["a", "\n", "pain"], ["DT", "_SP", "NN"]
    nlp.post_init([Doc(nlp.vocab, words=words, tags=tags)])
    assert nlp.pipes.tagger.labels == ["DT", "NN"]
    assert not [line for line in log if "_SP" in line]


def test_gold_tags_that_are_not_among_given_ones_are_counted(encoder_dir, log):
    nlp = build(encoder_dir, labels=["NN", "DT", ".", "VBZ", ","])
    nlp.post_init(gold_docs(nlp))
    (line,) = [line for line in log if "gold tags not in labels=" in line]
    assert "CD (1 times), IN (1 times), NNS (1 times)" in line
    assert nlp.pipes.tagger.labels == ["NN", "DT", ".", "VBZ", ","]


@pytest.mark.parametrize("use_crf", [False, True])
def test_tags_that_stay_keep_what_was_learned(encoder_dir, use_crf):
    nlp = build(encoder_dir, labels=["A", "B"], use_crf=use_crf)
    tagger = nlp.pipes.tagger
    for parameter in [] if tagger.chain is None else tagger.chain.parameters():
        torch.nn.init.normal_(parameter)
    before = deepcopy(tagger)
    tagger.update_labels(["B", "new", "A"])
    assert torch.equal(tagger.classifier.weight[[2, 0]], before.classifier.weight)
    assert torch.equal(tagger.classifier.bias[[2, 0]], before.classifier.bias)
    if use_crf:
        assert torch.equal(tagger.chain.moves_KK[[2, 0]][:, [2, 0]], before.chain.moves_KK)
        assert torch.equal(tagger.chain.end_K[[2, 0]], before.chain.end_K)
        assert tagger.chain.moves_KK[1].abs().sum() == 0


def test_post_init_without_tags_says_what_to_do(encoder_dir):
    nlp = build(encoder_dir, labels=None)
    with pytest.raises(ValueError, match=r"no word has a gold tag in 'tag_'; give another attrib"):
        nlp.post_init([nlp.make_doc("une toux")])


def test_a_pipe_without_tags_says_what_to_do(encoder_dir):
    nlp = build(encoder_dir, labels=None)
    with pytest.raises(ValueError, match=r"has no tags yet: call nlp.post_init\(docs\)"):
        nlp("une toux")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attribute": "tag"}, r"tagger\.attribute: expected 'tag_', .* Did you mean 'tag_'"),
        ({"attribute": "pos_"}, r"tagger\.labels: token\.pos_ holds .* got DT, NN; use"),
        ({"loss_weights": {"NM": 2.0}}, r"loss_weights: there is no tag 'NM'\. Did you mean 'NN'"),
        ({"loss_weights": {"NN": -1.0}}, r"expected numbers from 0 up, got -1\.0 for 'NN'"),
        ({"loss_weights": {"NN": 2.0}, "use_crf": True}, "a chain decides on all words together"),
        ({"dropout": 2.0}, r"tagger\.dropout: expected a share from 0 to below 1, got 2\.0"),
    ],
)
def test_wrong_arguments_are_refused(encoder_dir, options, message):
    with pytest.raises(ConfigError, match=message):
        build(encoder_dir, labels=["NN", "DT"], **options)


def test_a_tag_that_stands_twice_is_refused(encoder_dir):
    with pytest.raises(ValueError, match="a tag stands twice among A, A"):
        build(encoder_dir, labels=["A", "A"])


def test_the_default_metric_scores_the_attribute(encoder_dir):
    tagger = build(encoder_dir, attribute="_.role_test").pipes.tagger
    assert tagger.default_metric() == {
        "@metrics": "eds.token_accuracy",
        "attribute": "_.role_test",
    }


# ---- saved -------------------------------------------------------------------------------------


@pytest.mark.parametrize("use_crf", [False, True])
def test_the_loaded_pipe_is_the_saved_one(encoder_dir, tmp_path, use_crf):
    nlp = build(encoder_dir, labels=None, use_crf=use_crf)
    docs = gold_docs(nlp)
    nlp.post_init(docs)
    train(nlp, docs, 20)
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model")
    assert loaded.pipes.tagger.labels == nlp.pipes.tagger.labels
    expected, found = (
        [get_tags(doc, "tag_") for doc in one.pipe(bare(one, docs))] for one in (nlp, loaded)
    )
    assert found == expected


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "expected a list of tags under 'labels'"),
        ({"labels": ["A", ""]}, "expected a list of tags under 'labels'"),
        ({"labels": ["A", "A"]}, "a tag stands twice under 'labels'"),
        ({"labels": ["A", "B"]}, "the tags are not those of the config"),
    ],
)
def test_a_damaged_state_is_refused(encoder_dir, tmp_path, state, message):
    nlp = build(encoder_dir)
    nlp.to_disk(tmp_path / "model")
    file = tmp_path / "state.json"
    file.write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match=message):
        nlp.pipes.tagger.set_state(state, file)


def test_a_pickled_pipe_declares_its_attribute(encoder_dir):
    data = pickle.dumps(build(encoder_dir, attribute="_.role_test").pipes.tagger)
    Token.remove_extension("role_test")
    pickle.loads(data)  # noqa: S301
    assert Token.has_extension("role_test")


@pytest.mark.slow
def test_workers_write_custom_tags(encoder_dir):
    nlp = build(encoder_dir, attribute="_.role_test")
    texts = [text for text, _ in SENTENCES]
    stream = edspipe.data.from_iterable(texts).map(nlp.make_doc).map_pipeline(nlp)
    found = list(stream.set_processing(num_cpu_workers=1))
    assert [get_tags(doc, "_.role_test") for doc in found] == [
        get_tags(nlp(text), "_.role_test") for text in texts
    ]
