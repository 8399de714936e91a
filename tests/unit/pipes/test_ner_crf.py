"""eds.ner_crf: what it learns from, what it writes, and its labels."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
import torchcrf
from spacy.tokens import Span
from support import found_spans, gold_docs, tiny_pipeline

from edspipe.pipes.trainable.layers.tagging import NUM_TAGS, spans_to_tags


def batch_of(nlp, docs):
    return nlp.collate([nlp.preprocess(doc, supervision=True) for doc in docs])


def train(nlp, docs, num_steps=60, lr=1e-2):
    batch = batch_of(nlp, docs)
    optimizer = torch.optim.AdamW(nlp.parameters(), lr=lr)
    nlp.train(True)
    for _ in range(num_steps):
        optimizer.zero_grad()
        nlp.pipes.ner(batch["ner"])["loss"].backward()
        optimizer.step()


@pytest.fixture(scope="module")
def learned(encoder_dir):
    """The weights of a pipe that knows `gold_docs` by heart, and the tags that it learned from."""
    torch.manual_seed(0)
    nlp = tiny_pipeline(encoder_dir)
    docs = gold_docs(nlp)
    train(nlp, docs)
    return deepcopy(nlp.pipes.ner.state_dict()), batch_of(nlp, docs)["ner"]["tags"]


@pytest.mark.parametrize("mode", ["joint", "marginal", "independent"])
def test_every_mode_learns_a_few_documents_by_heart(make_nlp, mode):
    torch.manual_seed(0)
    nlp = make_nlp(mode=mode)
    docs = gold_docs(nlp)
    gold = found_spans(docs)
    train(nlp, docs)
    assert found_spans(nlp.pipe([doc.text for doc in docs])) == gold


def test_the_loss_is_that_of_pytorch_crf_over_the_words(make_nlp):
    nlp = make_nlp().train(False)
    ner, docs = nlp.pipes.ner, gold_docs(nlp)
    batch = batch_of(nlp, docs)["ner"]
    oracle = torchcrf.CRF(NUM_TAGS, batch_first=True)
    chain = ner.crf.chain()
    with torch.no_grad():
        oracle.start_transitions.copy_(chain.start_K)
        oracle.end_transitions.copy_(chain.end_K)
        oracle.transitions.copy_(chain.moves_KK)
        emissions, mask = ner._emissions(ner.embedding(batch["embedding"]))
        expected = torch.zeros(())
        for i, doc in enumerate(docs):
            for label in range(2):
                scores = emissions[i : i + 1, : len(doc), label]
                tags = batch["tags"][i : i + 1, : len(doc), label]
                expected = expected - oracle(scores, tags, torch.ones_like(tags, dtype=torch.bool))
        found = ner(batch)["loss"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected / sum(map(len, docs)), rtol=1e-5, atol=1e-6)
    assert mask.sum() == sum(map(len, docs))


def test_empty_documents_are_fine_in_training_and_inference(tiny_nlp):
    docs = [*gold_docs(tiny_nlp), tiny_nlp.make_doc(""), tiny_nlp.make_doc(" \n")]
    loss = tiny_nlp.pipes.ner(batch_of(tiny_nlp, docs)["ner"])["loss"]
    assert torch.isfinite(loss)
    empty = batch_of(tiny_nlp, [tiny_nlp.make_doc("")])["ner"]
    assert tiny_nlp.pipes.ner(empty)["loss"].item() == 0.0
    assert [doc.text for doc in tiny_nlp.pipe(["", " ", "toux"])] == ["", " ", "toux"]


def test_gold_keeps_the_longest_then_the_leftmost_of_a_label(tiny_nlp, log):
    doc = tiny_nlp.make_doc("a b c d e f")
    doc.spans["gold-ner"] = [
        Span(doc, 0, 2, label="A"),
        Span(doc, 1, 4, label="A"),
        Span(doc, 3, 6, label="A"),
        Span(doc, 0, 2, label="B"),
        Span(doc, 0, 6, label="C"),
    ]
    features = tiny_nlp.pipes.ner.preprocess_supervised(doc)
    expected = spans_to_tags(np.array([[0, 1, 4], [1, 0, 2]]), 6, 2)
    assert features["tags"].tolist() == expected.tolist()
    tiny_nlp.post_init([doc])
    assert any("2 gold entities overlap a longer one of their label" in line for line in log)
    assert any("gold entities with labels not in labels=: C (1 times)" in line for line in log)


def test_labels_are_collected_sorted(make_nlp):
    nlp = make_nlp(labels=None)
    doc = nlp.make_doc("a b c")
    doc.spans["gold-ner"] = [Span(doc, 0, 1, label="z"), Span(doc, 1, 2, label="d")]
    nlp.post_init([doc])
    assert nlp.pipes.ner.labels == ["d", "z"]


def test_post_init_without_entities_says_what_to_do(make_nlp):
    nlp = make_nlp(labels=None)
    with pytest.raises(ValueError, match="no gold entities in 'gold-ner'; give labels="):
        nlp.post_init([nlp.make_doc("a b")])


def test_a_pipe_without_labels_says_what_to_do(make_nlp):
    nlp = make_nlp(labels=None)
    with pytest.raises(ValueError, match=r"has no labels yet: call nlp.post_init\(docs\)"):
        nlp("a b")


def test_other_labels_keep_the_rows_of_those_that_stay(tiny_nlp):
    ner = tiny_nlp.pipes.ner
    before = ner.classifier.weight.detach().clone().view(2, NUM_TAGS, -1)
    ner.update_labels(["B", "new", "A"])
    after = ner.classifier.weight.detach().view(3, NUM_TAGS, -1)
    assert torch.equal(after[0], before[1])
    assert torch.equal(after[2], before[0])
    assert isinstance(tiny_nlp("a b c").spans.get("gold-ner"), object)


def test_a_label_that_stands_twice_is_refused(tiny_nlp):
    with pytest.raises(ValueError, match="a label stands twice among A, A"):
        tiny_nlp.pipes.ner.update_labels(["A", "A"])


def test_predictions_replace_own_labels_and_leave_other_spans(tiny_nlp, learned):
    docs = gold_docs(tiny_nlp)
    gold = found_spans(docs)
    tiny_nlp.pipes.ner.load_state_dict(learned[0])
    doc = tiny_nlp.make_doc(docs[0].text)
    other = Span(doc, 0, 4, label="other")
    doc.spans["gold-ner"] = [other, Span(doc, 5, 7, label="A")]
    for _ in range(2):
        doc = tiny_nlp(doc)
        found = sorted((s.start, s.end, s.label_) for s in doc.spans["gold-ner"])
        assert found == sorted([*gold[0], (0, 4, "other")])


@pytest.mark.parametrize(
    ("getter", "setter", "group"),
    [
        ("ents", None, "ents"),
        (["ents", "gold-ner"], None, "ents"),
        ("gold-ner", "ents", "ents"),
        ("gold-ner", {"pred": ["A"]}, "pred"),
        ("*", None, "ents"),
        (lambda doc: list(doc.spans.get("gold-ner", [])), None, "ents"),
    ],
)
def test_predictions_go_where_they_should(make_nlp, learned, getter, setter, group):
    weights, tags = learned
    nlp = make_nlp(target_span_getter=getter, span_setter=setter)
    docs = gold_docs(nlp)
    for doc in docs:
        doc.ents = list(doc.spans["gold-ner"])
    gold = found_spans(docs)
    assert torch.equal(batch_of(nlp, docs)["ner"]["tags"], tags)
    nlp.pipes.ner.load_state_dict(weights)
    found = nlp(docs[0].text)
    spans = found.ents if group == "ents" else found.spans[group]
    expected = [span for span in gold[0] if group != "pred" or span[2] == "A"]
    assert [(s.start, s.end, s.label_) for s in spans] == expected


def test_a_setter_that_is_a_function_gets_the_spans(make_nlp):
    seen = []
    nlp = make_nlp(span_setter=lambda doc, spans: seen.append(len(spans)))
    nlp("a b c")
    assert len(seen) == 1


def test_confidence_is_a_probability_on_every_entity(make_nlp, learned):
    nlp = make_nlp(confidence=True)
    docs = gold_docs(nlp)
    nlp.pipes.ner.load_state_dict(learned[0])
    spans = [s for doc in nlp.pipe([d.text for d in docs]) for s in doc.spans["gold-ner"]]
    assert len(spans) == 6
    assert all(0.5 < span._.ner_confidence_score <= 1 for span in spans)
    assert nlp("").spans["gold-ner"] is not None


def test_windows_act_at_inference_only(make_nlp):
    whole, cut = make_nlp(window=0).train(False), make_nlp(window=4).train(False)
    docs = gold_docs(whole)
    losses = [n.pipes.ner(batch_of(n, docs)["ner"])["loss"].item() for n in (whole, cut)]
    assert losses[0] == losses[1]


def test_dropout_acts_in_training_only(make_nlp):
    torch.manual_seed(0)
    nlp = make_nlp(dropout=0.5)
    nlp.pipes.ner.embedding.eval()
    batch = batch_of(nlp, gold_docs(nlp))["ner"]
    losses = {nlp.pipes.ner(batch)["loss"].item() for _ in range(3)}
    nlp.train(False)
    steady = {nlp.pipes.ner(batch)["loss"].item() for _ in range(3)}
    assert len(losses) == 3
    assert len(steady) == 1


def test_fixed_transitions_are_not_learned(make_nlp):
    nlp = make_nlp(learn_transitions=False)
    names = [name for name, p in nlp.pipes.ner.named_parameters() if p.requires_grad]
    assert not any("transitions" in name for name in names)


def test_the_block_of_the_tutorial_clean_predict_score(tiny_nlp):
    from edspipe.metrics.ner import NerExactMetric

    torch.manual_seed(0)
    val_docs = gold_docs(tiny_nlp)
    train(tiny_nlp, val_docs)
    with tiny_nlp.select_pipes(enable=["ner"]):
        docs = deepcopy(val_docs)
        for doc in docs:
            doc.ents = doc.spans["gold-ner"] = []
        metric = NerExactMetric(span_getter=tiny_nlp.pipes.ner.target_span_getter)
        scores = metric(val_docs, tiny_nlp.pipe(docs))
    assert scores["micro"]["f"] == 1.0
    assert scores["micro"]["support"] == 6
