"""Accuracy and F1 of tags, with scikit-learn as the oracle."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)
from spacy.tokens import Doc
from spacy.vocab import Vocab

import edspipe
from edspipe.doc.token_tags import declare_tags, set_tags
from edspipe.metrics import TokenAccuracyMetric, evaluate_tags, paired_test
from edspipe.metrics.tokens import accuracy_line

VOCAB = Vocab()
TAGS = ("NN", "VB", "DT", "JJ", "RB")
declare_tags("_.role_metric")


def make(tags, attribute="tag_", words=None):
    doc = Doc(VOCAB, words=words or [f"w{i}" for i in range(len(tags))])
    known = sorted({tag for tag in tags if tag})
    codes = np.array([known.index(tag) if tag else -1 for tag in tags], dtype=int)
    set_tags(doc, attribute, codes, known)
    return doc


def random_docs(seed=0, num_docs=8, unknown=0.0):
    """Gold and predicted tags, the second right in about two of three."""
    draw = random.Random(seed)
    gold, found = [], []
    for _ in range(num_docs):
        wanted = [draw.choice(TAGS[:4]) for _ in range(draw.randint(0, 12))]
        found.append([tag if draw.random() < 0.6 else draw.choice(TAGS) for tag in wanted])
        gold.append(["" if draw.random() < unknown else tag for tag in wanted])
    return gold, found


def flat(gold, found):
    pairs = [(g, f) for a, b in zip(gold, found, strict=True) for g, f in zip(a, b, strict=True)]
    kept = [pair for pair in pairs if pair[0]]
    return [g for g, _ in kept], [f for _, f in kept]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("unknown", [0.0, 0.3])
@pytest.mark.parametrize("attribute", ["tag_", "_.role_metric"])
def test_figures_are_those_of_scikit_learn(seed, unknown, attribute):
    gold, found = random_docs(seed, unknown=unknown)
    metric = TokenAccuracyMetric(attribute)
    report = metric([make(x, attribute) for x in gold], [make(x, attribute) for x in found])
    wanted, got = flat(gold, found)
    assert report.pop("accuracy") == pytest.approx(accuracy_score(wanted, got))
    labels = sorted({*wanted, *got})
    assert report.pop("macro")["f"] == pytest.approx(
        f1_score(wanted, got, labels=labels, average="macro", zero_division=0)
    )
    figures = precision_recall_fscore_support(wanted, got, labels=labels, zero_division=0)
    assert sorted(report) == labels
    for label, p, r, f, support in zip(labels, *figures, strict=True):
        assert report[label]["support"] == support
        assert [report[label][key] for key in "prf"] == pytest.approx([p, r, f])


def test_a_word_without_a_prediction_is_missed():
    report = TokenAccuracyMetric()([make(["A", "A", "B"])], [make(["A", "", "B"])])
    assert report["accuracy"] == pytest.approx(2 / 3)
    assert (report["A"]["support"], report["A"]["positives"]) == (2, 1)


def test_a_word_that_is_cut_in_another_way_is_missed():
    gold = make(["A", "B", "C"], words=["IL-2", "gene", "x"])
    found = make(["A", "A", "A", "B", "B"], words=["IL", "-", "2", "gene", "x"])
    found = Doc(
        VOCAB,
        words=["IL", "-", "2", "gene", "x"],
        spaces=[False, False, True, True, True],
        tags=["A", "A", "A", "B", "B"],
    )
    report = TokenAccuracyMetric()([gold], [found])
    assert report["accuracy"] == pytest.approx(1 / 3)
    assert report["B"] == {"p": 0.5, "r": 1.0, "f": 2 / 3, "tp": 1, "support": 1, "positives": 2}


@pytest.mark.parametrize("found", ["_SP", "NN", ""])
def test_blank_tokens_do_not_count(found):
    gold, predicted = (edspipe.blank("eds").make_doc("toux\nforte") for _ in range(2))
    set_tags(gold, "tag_", np.array([0, 1, 0]), ["NN", "_SP"])
    set_tags(predicted, "tag_", np.array([0, 1 if found else -1, 0]), ["NN", found or "x"])
    evaluation = evaluate_tags([gold], [predicted], "tag_")
    assert (evaluation["accuracy"], evaluation["num_words"]) == (1.0, 2)
    assert evaluation["confusion"] == {"labels": ["NN"], "matrix": [[2, 0], [0, 0]]}


def test_without_gold_tags_the_accuracy_is_zero():
    report = TokenAccuracyMetric()([make(["", ""])], [make(["A", "B"])])
    assert report == {"accuracy": 0.0, "macro": report["macro"]}
    assert report["macro"]["f"] == 0.0


def test_intervals_hold_the_figures_and_have_the_same_entries():
    gold, found = random_docs(1, num_docs=40)
    metric = TokenAccuracyMetric(ci={"n_iterations": 200})
    report = metric(list(map(make, gold)), list(map(make, found)))
    low, high = report["ci"]["accuracy"]
    assert 0 < low < report["accuracy"] < high < 1
    assert report["ci"].keys() == report.keys() - {"ci"}
    low, high = report["ci"]["macro"]["f"]
    assert low < report["macro"]["f"] < high


def test_two_systems_can_be_compared():
    gold, found = random_docs(2, num_docs=30)
    docs = list(map(make, gold))
    test = paired_test(TokenAccuracyMetric(), docs, docs, list(map(make, found)), figure="r")
    wanted, got = flat(gold, found)
    assert test["difference"] == pytest.approx(1 - accuracy_score(wanted, got))
    assert test["p_value"] < 0.05


@pytest.mark.parametrize("tag", ["accuracy", "macro"])
def test_a_tag_with_the_name_of_an_entry_is_refused(tag):
    with pytest.raises(ValueError, match=f"the label '{tag}' has the name of another entry"):
        TokenAccuracyMetric()([make([tag])], [make([tag])])


def test_an_attribute_that_holds_no_tags_is_refused():
    with pytest.raises(ValueError, match=r"expected 'tag_', 'pos_' or '_\.<name>'"):
        TokenAccuracyMetric("tags")


# ---- all there is to know ----------------------------------------------------------------------


def test_an_evaluation_says_what_was_taken_for_what():
    gold, found = random_docs(3)
    evaluation = evaluate_tags(map(make, gold), map(make, found), "tag_")
    wanted, got = flat(gold, found)
    labels = evaluation["confusion"]["labels"]
    matrix = np.array(evaluation["confusion"]["matrix"])
    assert (matrix[:-1, :-1] == confusion_matrix(wanted, got, labels=labels)).all()
    assert matrix[-1].sum() == matrix[:, -1].sum() == 0
    assert (evaluation["num_docs"], evaluation["num_words"]) == (8, len(wanted))
    assert evaluation["scores"]["micro"]["f"] == pytest.approx(evaluation["accuracy"])
    assert evaluation["interval"] is None


def test_the_accuracy_in_words_has_its_interval():
    gold, found = random_docs(4, num_docs=20)
    plain, ranged = (
        accuracy_line(evaluate_tags(map(make, gold), map(make, found), "tag_", ci=ci))
        for ci in (None, {"n_iterations": 50})
    )
    words = len(flat(gold, found)[0])
    assert plain.startswith("accuracy 0.")
    assert plain.endswith(f" over {words} words")
    assert "[0." in ranged
