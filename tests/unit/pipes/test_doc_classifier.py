"""eds.doc_classifier: what it learns from, what it writes, and what is saved with it."""

from __future__ import annotations

import json
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from short_runs import train_shortly, without_dropout
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds
from edspipe.doc.attributes import declare_doc_attribute
from edspipe.doc.bare import bare_copy
from edspipe.doc.document_labels import declare_labels
from edspipe.errors import CheckpointError, ConfigError, DataError
from edspipe.training.evaluation import predict

TEXTS = (
    "The patient has no fever.",
    "Cough for 3 days,\nchest pain.",
    "pain",
    "Fever, and a cough with  chest pain of the left side.",
)
ROWS = ([1, 1, 0], [0, 1, 1], [1, 1, 0], [0, 0, 1])
LABELS = ("A", "B", "C")
POOLINGS = ("mean", "max", "attention")
declare_doc_attribute("age_test")
declare_doc_attribute("male_test")


def build(encoder_dir, labels=LABELS, **options):
    torch.manual_seed(0)
    nlp = edspipe.blank("eds")
    nlp.add_pipe(
        eds.doc_classifier(
            labels=None if labels is None else list(labels),
            embedding=eds.transformer(model=str(encoder_dir), window=8, stride=6),
            **options,
        ),
        name="classifier",
    )
    for name, parameter in nlp.pipes.classifier.named_parameters():
        if name.endswith("query_D"):  # begins as the mean, and tests want to see a difference
            torch.nn.init.normal_(parameter)
    return nlp


def gold_docs(nlp, rows=ROWS, labels=LABELS):
    docs = []
    for i, (text, row) in enumerate(zip(TEXTS, rows, strict=False)):
        doc = nlp.make_doc(text)
        doc._.note_id = f"note-{i}"
        doc.cats = {} if row is None else {x: float(v) for x, v in zip(labels, row, strict=True)}
        docs.append(doc)
    return docs


SINGLE = ([1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0])


def rows_of(mode):
    return ROWS if mode == "multi_label" else SINGLE


def batch_of(nlp, docs, **options):
    options = {"supervision": True, **options}
    return nlp.collate([nlp.preprocess(doc, **options) for doc in docs])["classifier"]


def naive_logits(pipe, docs):
    """Score documents one by one."""
    rows = []
    for doc in docs:
        vectors = torch.from_numpy(pipe.embedding.embed(doc))
        words = vectors[[not token.is_space for token in doc]]
        if not len(words):
            pooled = torch.zeros(vectors.shape[1])
        elif pipe.pooling.mode == "mean":
            pooled = words.mean(0)
        elif pipe.pooling.mode == "max":
            pooled = words.max(0).values
        else:
            pooled = torch.softmax(words @ pipe.pooling.query_D, 0) @ words
        x = torch.cat([pooled, torch.from_numpy(pipe.features.read(doc))])
        if isinstance(pipe.head.hidden, torch.nn.Sequential):
            x = F.gelu(F.linear(x, pipe.head.hidden[0].weight, pipe.head.hidden[0].bias))
        rows.append(pipe.head.output.weight @ x + pipe.head.output.bias)
    return torch.stack(rows)


def cats_of(nlp, docs):
    return [doc.cats for doc in nlp.pipe([bare_copy(doc) for doc in docs], batch_size="9 docs")]


# ---- the network -------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["linear", "mlp"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_logits_are_those_of_a_loop_over_documents(encoder_dir, pooling, head):
    nlp = build(encoder_dir, pooling=pooling, head=head).train(False)
    docs = [*gold_docs(nlp), nlp.make_doc(""), nlp.make_doc(" \n ")]
    pipe = nlp.pipes.classifier
    with torch.no_grad():
        found = pipe(batch_of(nlp, docs, supervision=False))["logits"]
        torch.testing.assert_close(found, naive_logits(pipe, docs), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_document_alone_has_the_probabilities_that_it_has_in_a_batch(encoder_dir, pooling):
    nlp = build(encoder_dir, pooling=pooling)
    docs = [*gold_docs(nlp), nlp.make_doc(" ".join(TEXTS) * 8)]
    alone = [nlp(bare_copy(doc)).cats for doc in docs]
    for one, other in zip(alone, cats_of(nlp, docs), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_last_word_of_a_long_document_counts(encoder_dir, pooling):
    nlp = build(encoder_dir, pooling=pooling)
    with torch.no_grad():
        nlp.pipes.classifier.head.output.weight.mul_(50)
    text = "no fever " * 300
    assert nlp(text + "pain").cats != nlp(text + "cough").cats


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("texts", [[""], ["", " \n"], ["", "pain", ""]])
def test_documents_without_words_have_the_bias(encoder_dir, pooling, texts):
    nlp = build(encoder_dir, pooling=pooling)
    expected = nlp.pipes.classifier.head.output.bias.detach().sigmoid().tolist()
    found = next(iter(nlp.pipe(texts, batch_size="9 docs")))
    assert list(found.cats.values()) == pytest.approx(expected, abs=1e-7)


def test_attention_learns_from_all_words(encoder_dir):
    nlp = build(encoder_dir, pooling="attention")
    nlp.pipes.classifier(batch_of(nlp, gold_docs(nlp)))["loss"].backward()
    assert nlp.pipes.classifier.pooling.query_D.grad.abs().sum() > 0


# ---- the loss ----------------------------------------------------------------------------------


def test_weights_of_a_known_example(encoder_dir):
    nlp = build(encoder_dir, labels=None, pos_weight="inverse")
    nlp.post_init(gold_docs(nlp))
    pipe = nlp.pipes.classifier
    assert pipe.pos_weights == pytest.approx({"A": 5 / 3, "B": 5 / 4, "C": 5 / 3}, abs=0)
    assert pipe.weight_L.tolist() == pytest.approx([5 / 3, 5 / 4, 5 / 3])


@pytest.mark.parametrize(
    ("pos_weight", "expected"),
    [
        ("none", [1.0, 1.0, 1.0]),
        ("sqrt_inverse", [math.sqrt(5 / 3), math.sqrt(5 / 4), math.sqrt(5 / 3)]),
        ({"B": 3.0}, [1.0, 3.0, 1.0]),
    ],
)
def test_other_weights(encoder_dir, pos_weight, expected):
    nlp = build(encoder_dir, labels=None, pos_weight=pos_weight)
    nlp.post_init(gold_docs(nlp))
    assert list(nlp.pipes.classifier.pos_weights.values()) == pytest.approx(expected)


def test_weights_count_documents_with_gold_only(encoder_dir):
    nlp = build(encoder_dir, labels=None, pos_weight="inverse")
    nlp.post_init([*gold_docs(nlp), nlp.make_doc("nothing is known")])
    assert nlp.pipes.classifier.pos_weights["B"] == 5 / 4


def test_the_loss_of_several_labels_is_that_of_torch(encoder_dir):
    nlp = build(encoder_dir, pos_weight="inverse").train(False)
    docs, pipe = gold_docs(nlp), nlp.pipes.classifier
    nlp.post_init(docs)
    with torch.no_grad():
        oracle = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([5 / 3, 5 / 4, 5 / 3]))
        expected = oracle(naive_logits(pipe, docs), torch.tensor(ROWS).float())
        torch.testing.assert_close(pipe(batch_of(nlp, docs))["loss"], expected)


def test_the_loss_of_one_label_is_a_weighted_cross_entropy(encoder_dir):
    nlp = build(encoder_dir, pos_weight="inverse", mode="single_label").train(False)
    docs, pipe = gold_docs(nlp, SINGLE), nlp.pipes.classifier
    nlp.post_init(docs)
    gold = torch.tensor(SINGLE).argmax(1)
    with torch.no_grad():
        each = F.cross_entropy(naive_logits(pipe, docs), gold, reduction="none")
        expected = (each * torch.tensor([5 / 3, 5 / 2, 5 / 2])[gold]).sum() / 4
        torch.testing.assert_close(pipe(batch_of(nlp, docs))["loss"], expected)


@pytest.mark.parametrize("mode", ["multi_label", "single_label"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_of_parts_join_to_that_of_the_whole(encoder_dir, mode, pooling):
    nlp = build(encoder_dir, mode=mode, pooling=pooling, pos_weight="inverse").train(False)
    docs, pipe = gold_docs(nlp, rows_of(mode)), nlp.pipes.classifier
    docs[1].cats = {}
    nlp.post_init(docs)
    pipe(batch_of(nlp, docs))["loss"].backward()
    whole = {name: p.grad.clone() for name, p in pipe.named_parameters() if p.grad is not None}
    pipe.zero_grad()
    for part in (docs[:1], docs[1:]):
        batch = batch_of(nlp, part)
        (pipe(batch)["loss"] * pipe.loss_size(batch) / 3).backward()
    for name, parameter in pipe.named_parameters():
        if name in whole:
            torch.testing.assert_close(parameter.grad, whole[name], rtol=1e-4, atol=1e-6)
    assert whole["head.output.weight"].abs().sum() > 0


@pytest.mark.parametrize("mode", ["multi_label", "single_label"])
def test_documents_without_gold_are_not_learned_from(encoder_dir, mode):
    nlp = build(encoder_dir, mode=mode)
    batch = batch_of(nlp, gold_docs(nlp, [None, None]))
    pipe = nlp.pipes.classifier
    loss = pipe(batch)["loss"]
    loss.backward()
    assert (loss.item(), pipe.loss_size(batch)) == (0.0, 0)
    assert pipe.head.output.weight.grad.abs().sum() == 0


def test_several_labels_are_refused_where_there_is_to_be_one(encoder_dir):
    nlp = build(encoder_dir, mode="single_label")
    with pytest.raises(DataError, match=r"note-0: .* expected one label in 'cats' .* got 2; take"):
        nlp.post_init(gold_docs(nlp))


# ---- labels ------------------------------------------------------------------------------------


def test_rare_labels_are_left_out_and_named(encoder_dir, log):
    nlp = build(encoder_dir, labels=None, min_count=3)
    nlp.post_init(gold_docs(nlp))
    pipe = nlp.pipes.classifier
    assert (pipe.labels, pipe.left_out) == (["B"], {"A": 2, "C": 2})
    (line,) = [line for line in log if "are left out" in line]
    assert "fewer than 3 documents have are left out: A (2 documents), C (2 documents)" in line


def test_a_label_that_no_document_has_is_left_out(encoder_dir, log):
    nlp = build(encoder_dir, labels=None)
    nlp.post_init(gold_docs(nlp, [[1, 0, 0], [0, 1, 0]]))
    assert nlp.pipes.classifier.labels == ["A", "B"]
    assert any("C (0 documents)" in line for line in log)


def test_nothing_is_reported_where_all_labels_are_learned(encoder_dir, log):
    nlp = build(encoder_dir, labels=None)
    nlp.post_init(gold_docs(nlp))
    assert nlp.pipes.classifier.labels == ["A", "B", "C"]
    assert not [line for line in log if "classifier" in line]


def test_gold_labels_that_are_not_among_given_ones_are_counted(encoder_dir, log):
    nlp = build(encoder_dir, labels=["B"])
    nlp.post_init(gold_docs(nlp))
    (line,) = [line for line in log if "gold labels not in labels=" in line]
    assert "A (2 documents), C (2 documents)" in line
    assert nlp.pipes.classifier.labels == ["B"]


def test_labels_that_stay_keep_what_was_learned(encoder_dir):
    pipe = build(encoder_dir, labels=["A", "B"]).pipes.classifier
    pipe.set_thresholds({"A": 0.9})
    weight, bias = pipe.head.output.weight.clone(), pipe.head.output.bias.clone()
    pipe.update_labels(["B", "new", "A"])
    assert torch.equal(pipe.head.output.weight[[2, 0]], weight)
    assert torch.equal(pipe.head.output.bias[[2, 0]], bias)
    assert pipe.thresholds == {"B": 0.5, "new": 0.5, "A": 0.9}


def test_post_init_without_labels_says_what_to_do(encoder_dir):
    nlp = build(encoder_dir, labels=None)
    with pytest.raises(ValueError, match="no label in 'cats' that 1 or more documents have; give"):
        nlp.post_init([nlp.make_doc("une toux")])


def test_a_pipe_without_labels_says_what_to_do(encoder_dir):
    with pytest.raises(ValueError, match=r"has no labels yet: call nlp.post_init\(docs\)"):
        build(encoder_dir, labels=None)("une toux")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 8}, r"hidden_size: expected .* got 8 for head='linear'"),
        ({"head": "mlp", "hidden_size": 0}, r"hidden_size: expected a size from 1 up"),
        ({"min_count": 0}, r"min_count: expected 1 or more, got 0"),
        ({"attribute": "cat"}, r"classifier: expected 'cats' or"),
        ({"label_attribute": "a b"}, r"classifier: expected 'cats' or '_\.<name>'"),
        ({"pos_weight": {"A": 0.0}}, r"pos_weight: expected a number above 0, got 0\.0 for 'A'"),
        ({"pos_weight": {"AA": 2.0}}, r"pos_weight: there is no label 'AA'"),
        ({"thresholds": 1.5}, r"thresholds: expected a threshold from 0 to 1, got 1\.5"),
        ({"thresholds": {"AA": 0.5}}, r"thresholds: there is no label 'AA'"),
        ({"temperature": 0.0}, r"temperature: expected a number above 0, got 0\.0"),
        ({"dropout": 1.0}, r"dropout: expected a share from 0 to below 1, got 1\.0"),
        ({"features": ["age"]}, r"features: expected names like '_\.age', got 'age'"),
        ({"features": ["_.age", "_.age"]}, r"features: a name stands twice among _\.age, _\.age"),
    ],
)
def test_wrong_arguments_are_refused(encoder_dir, options, message):
    with pytest.raises(ConfigError, match=message):
        build(encoder_dir, **options)


def test_a_label_that_stands_twice_is_refused(encoder_dir):
    with pytest.raises(ValueError, match="a label stands twice among A, A"):
        build(encoder_dir, labels=["A", "A"])


# ---- predictions -------------------------------------------------------------------------------


def test_labels_are_those_whose_probability_reaches_their_threshold(encoder_dir):
    nlp = build(encoder_dir)
    cats = nlp("une toux").cats
    nlp.pipes.classifier.set_thresholds({"A": cats["A"], "B": min(1.0, cats["B"] + 1e-6)})
    nlp.pipes.classifier.set_thresholds({"C": 0.0})
    assert nlp("une toux")._.labels == ["A", "C"]
    nlp.pipes.classifier.set_thresholds(1.0)
    assert nlp("une toux")._.labels == []


def test_one_label_is_the_most_probable(encoder_dir):
    nlp = build(encoder_dir, mode="single_label", thresholds=1.0)
    doc = nlp("une toux")
    assert doc._.labels == [max(doc.cats, key=doc.cats.get)]
    assert sum(doc.cats.values()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("mode", ["multi_label", "single_label"])
def test_probabilities_are_corrected_for_weights_and_tempered(encoder_dir, mode):
    weights = {"A": 4.0, "B": 0.5}
    nlp = build(encoder_dir, mode=mode, pos_weight=weights, correct_pos_weight=True)
    pipe = nlp.pipes.classifier
    pipe.set_temperature(2.0)
    doc = nlp.train(False).make_doc("une toux")
    with torch.no_grad():
        found = pipe(batch_of(nlp, [doc], supervision=False))["probabilities"][0]
        logits = (naive_logits(pipe, [doc])[0] - torch.tensor([4.0, 0.5, 1.0]).log()) / 2
    expected = logits.sigmoid() if mode == "multi_label" else logits.softmax(0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"attribute": "cats", "decisions": "_.labels"}),
        ({"attribute": "_.labels"}, {"attribute": "_.labels"}),
    ],
)
def test_the_default_metric_takes_the_decisions_of_the_pipe(encoder_dir, options, expected):
    found = build(encoder_dir, **options).pipes.classifier.default_metric()
    assert found == {"@metrics": "eds.document_labels", **expected}


def test_labels_of_others_stay_in_cats(encoder_dir):
    nlp = build(encoder_dir)
    doc = nlp.make_doc("une toux")
    doc.cats = {"other": 0.3, "A": 7.0}
    cats = nlp(doc).cats
    assert cats["other"] == 0.3
    assert 0 < cats["A"] < 1


@pytest.mark.parametrize("attribute", ["cats", "_.gold_test"])
def test_predictions_do_not_see_gold(encoder_dir, attribute):
    nlp = build(encoder_dir, attribute=attribute, thresholds=1.0)
    declare_labels(attribute)
    docs = gold_docs(nlp)
    for doc in docs:
        doc._.labels = ["A"]
        if attribute != "cats":
            doc._.gold_test = ["A"]
    found = predict(nlp, docs)
    assert [doc._.labels for doc in found] == [[]] * 4
    if attribute != "cats":
        assert [doc._.gold_test for doc in found] == [doc.cats for doc in found]
    assert [doc._.labels for doc in docs] == [["A"]] * 4
    assert [doc._.note_id for doc in found] == [doc._.note_id for doc in docs]


def test_gold_may_stand_in_an_attribute(encoder_dir):
    nlp = build(encoder_dir, labels=None, attribute="_.gold_test")
    docs = gold_docs(nlp)
    for doc, value in zip(docs, ["B", ["A", "B"], None, {"C": 1.0}], strict=True):
        doc._.gold_test = value
    nlp.post_init(docs)
    assert nlp.pipes.classifier.labels == ["A", "B", "C"]
    assert batch_of(nlp, docs)["targets"].tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert batch_of(nlp, docs)["labelled"].tolist() == [0, 1, 3]


# ---- features ----------------------------------------------------------------------------------


def aged_docs(nlp):
    docs = gold_docs(nlp)
    for doc, age, male in zip(docs, [20, 40.0, None, 60], [True, False, True, True], strict=True):
        doc._.age_test, doc._.male_test = age, male
    return docs


def test_features_are_standardised_once_and_missing_ones_said_so(encoder_dir):
    nlp = build(encoder_dir, features=["_.age_test", "_.male_test"])
    docs, pipe = aged_docs(nlp), nlp.pipes.classifier
    nlp.post_init(docs)
    nlp.post_init(docs[:1])
    std = math.sqrt(800 / 3)
    rows = [pipe.features.read(doc).tolist() for doc in docs]
    male, female = 0.25 / math.sqrt(0.1875), -0.75 / math.sqrt(0.1875)
    expected = [[-20 / std, male, 0, 0], [0, female, 0, 0], [0, male, 1, 0], [20 / std, male, 0, 0]]
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, abs=1e-6)


def test_features_move_probabilities(encoder_dir):
    nlp = build(encoder_dir, features=["_.age_test"])
    docs = aged_docs(nlp)
    nlp.post_init(docs)
    young, old, unknown = (nlp.make_doc("pain") for _ in range(3))
    young._.age_test, old._.age_test = 1, 90
    cats = cats_of(nlp, [young, old, unknown])
    assert len({row["A"] for row in cats}) == 3


def test_a_constant_feature_is_only_shifted(encoder_dir):
    nlp = build(encoder_dir, features=["_.age_test"])
    docs = aged_docs(nlp)[:1]
    nlp.post_init(docs)
    assert nlp.pipes.classifier.features.read(docs[0]).tolist() == [0.0, 0.0]


def test_nan_and_attributes_that_do_not_exist_are_missing(encoder_dir):
    nlp = build(encoder_dir, features=["_.age_test", "_.no_such_test"])
    doc = nlp.make_doc("pain")
    doc._.age_test = math.nan
    assert nlp.pipes.classifier.features.read(doc).tolist() == [0, 0, 1, 1]


def test_a_feature_without_any_value_is_refused(encoder_dir):
    nlp = build(encoder_dir, features=["_.no_such_test"])
    with pytest.raises(ConfigError, match=r"none of 4 documents has a number in doc\._\.no_such"):
        nlp.post_init(gold_docs(nlp))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("old", r"note-1: doc\._\.age_test holds a str; a feature is a number, or None"),
        (math.inf, r"note-1: doc\._\.age_test is infinite; a feature is a finite number"),
    ],
)
def test_features_that_are_no_numbers_are_refused(encoder_dir, value, message):
    nlp = build(encoder_dir, features=["_.age_test"])
    docs = aged_docs(nlp)
    docs[1]._.age_test = value
    with pytest.raises(DataError, match=message):
        nlp.post_init(docs)


# ---- saved -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["multi_label", "single_label"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_loaded_pipe_is_the_saved_one(encoder_dir, tmp_path, mode, pooling):
    nlp = build(
        encoder_dir,
        labels=None,
        mode=mode,
        pooling=pooling,
        head="mlp",
        hidden_size=7,
        features=["_.age_test"],
        pos_weight="inverse",
        correct_pos_weight=True,
        thresholds={"A": 0.3},
    )
    docs = aged_docs(nlp)
    for doc, row in zip(docs, rows_of(mode), strict=True):
        doc.cats = dict(zip(LABELS, row, strict=True))
    nlp.post_init(docs)
    pipe = nlp.pipes.classifier
    pipe.set_thresholds({"B": 0.123456789012345})
    pipe.set_temperature(1.7)
    nlp.to_disk(tmp_path / "model")
    loaded = edspipe.load(tmp_path / "model")
    assert loaded.pipes.classifier.get_state() == pipe.get_state()
    assert torch.equal(loaded.pipes.classifier.weight_L, pipe.weight_L)
    assert pipe.thresholds == {"A": 0.3, "B": 0.123456789012345, "C": 0.5}
    assert cats_of(loaded, docs) == cats_of(nlp, docs)
    assert [d._.labels for d in predict(loaded, docs)] == [d._.labels for d in predict(nlp, docs)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "expected a list of labels under 'labels'"),
        ({"labels": ["A", "A"]}, "a label stands twice under 'labels'"),
        ({"labels": ["A", "B"]}, "the labels are not those of the config"),
        ({"thresholds": {"A": 0.5}}, "expected a number a label under 'thresholds'"),
        ({"thresholds": {"A": 2, "B": 0, "C": 0}}, "expected a threshold from 0 to 1, got 2"),
        ({"pos_weight": {"A": "1", "B": 1, "C": 1}}, "expected a number a label under 'pos_weig"),
        ({"pos_weight": {"A": 0, "B": 1, "C": 1}}, "pos_weight: expected a number above 0, got 0"),
        ({"temperature": -1}, "temperature: expected a number above 0, got -1"),
        ({"temperature": "1"}, "state.json: "),
        ({"features": None}, "the features are not those of the config"),
        ({"features": {"names": ["_.age_test"], "means": ["1"], "stds": [1]}}, "a number a featur"),
    ],
)
def test_a_damaged_state_is_refused(encoder_dir, tmp_path, change, message):
    pipe = build(encoder_dir, features=["_.age_test"]).pipes.classifier
    state = json.loads(json.dumps(pipe.get_state()))
    pipe.set_state(state, tmp_path / "state.json")
    with pytest.raises(CheckpointError, match=message):
        pipe.set_state({**state, **change}, tmp_path / "state.json")


def test_a_pickled_pipe_declares_its_attributes(encoder_dir):
    pipe = build(encoder_dir, attribute="_.pickled_test", label_attribute="found_test")
    data = pickle.dumps(pipe.pipes.classifier)
    for name in ("pickled_test", "found_test"):
        Doc.remove_extension(name)
    pickle.loads(data)  # noqa: S301
    assert Doc.has_extension("pickled_test")
    assert Doc.has_extension("found_test")


@pytest.mark.slow
def test_documents_keep_their_labels_across_workers(encoder_dir):
    nlp = build(encoder_dir, thresholds=0.0)
    stream = edspipe.data.from_iterable(TEXTS).map(nlp.make_doc).map_pipeline(nlp)
    found = list(stream.set_processing(num_cpu_workers=1))
    assert [doc._.labels for doc in found] == [["A", "B", "C"]] * 4
    for doc, text in zip(found, TEXTS, strict=True):
        assert doc.cats == pytest.approx(nlp(text).cats, abs=1e-6)


# ---- a training --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["multi_label", "single_label"])
def test_a_toy_task_is_learned(encoder_dir, tmp_path, mode):
    nlp = without_dropout(build(encoder_dir, labels=None, mode=mode, pos_weight="inverse"))
    words = {"fever": "fever", "cough": "cough", "pain": "pain"}
    docs = []
    for i in range(12):
        name = sorted(words)[i % 3]
        docs.append(nlp.make_doc(f"The patient has {words[name]} {'of the chest' * (i % 2)}"))
        docs[-1]._.note_id = f"note-{i}"
        docs[-1].cats = {name: 1.0}
        if mode == "multi_label" and i % 2:
            docs[-1].cats["located"] = 1.0
    run = train_shortly(nlp, docs, tmp_path / "run", docs, max_steps=40, lr=1e-2)
    found = predict(run.load(), docs)
    assert run.scores["val"]["micro_f"] == 1.0
    assert [set(doc._.labels) for doc in found] == [set(doc.cats) for doc in docs]
