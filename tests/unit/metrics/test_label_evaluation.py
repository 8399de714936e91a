"""What is written down of labels of documents: confusion, reliability, and the table."""

from __future__ import annotations

import numpy as np
import pytest

import edspipe
from edspipe.metrics import DocumentLabelsMetric
from edspipe.metrics.label_evaluation import (
    evaluate_documents,
    exact_line,
    label_confidence,
    label_confusion,
)
from edspipe.metrics.label_figures import LabelTable
from edspipe.metrics.tables import scores_table

NLP = edspipe.blank("eds")


def docs_of(rows: list[dict[str, float]]) -> list:
    docs = [NLP.make_doc("two words") for _ in rows]
    for doc, row in zip(docs, rows, strict=True):
        doc.cats = row
    return docs


GOLD = docs_of([{"A": 1, "B": 0}, {"A": 1, "B": 1}, {"A": 0, "B": 0}, {}])
FOUND = docs_of([{"A": 0.2, "B": 0.7}, {"A": 0.9, "B": 0.1}, {"A": 0.6, "B": 0.4}, {"A": 1}])


def test_a_label_is_taken_for_another_where_nothing_else_is_wrong() -> None:
    gold = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=bool)
    found = np.array([[0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=bool)
    confusion = label_confusion(LabelTable(gold, found), "ABC")
    assert confusion["labels"] == ["A", "B", "C"]
    # the second document misses A and B and has C: nobody knows which of both C stands for
    assert confusion["matrix"] == [[1, 1, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0]]


def test_rows_and_columns_add_up_to_gold_and_found() -> None:
    rng = np.random.default_rng(0)
    gold, found = rng.random((80, 4)) < 0.3, rng.random((80, 4)) < 0.3
    matrix = np.array(label_confusion(LabelTable(gold, found), "ABCD")["matrix"])
    assert matrix[:4].sum(axis=1).tolist() == gold.sum(axis=0).tolist()
    assert matrix[:, :4].sum(axis=0).tolist() == found.sum(axis=0).tolist()


def test_an_evaluation_counts_documents_with_gold_labels() -> None:
    evaluation = evaluate_documents(GOLD, FOUND, ci={"n_iterations": 20})
    assert (evaluation["num_docs"], evaluation["num_words"]) == (3, 6)
    assert evaluation["scores"] == DocumentLabelsMetric(ci={"n_iterations": 20})(GOLD, FOUND)
    assert evaluation["confidence"]["brier"] == pytest.approx(
        np.mean(np.square([0.8, 0.7, 0.1, 0.9, 0.6, 0.4]))
    )
    assert exact_line(evaluation).startswith("all labels right 0.000 [0.000 0.000] of 3 documents")


def test_scores_that_are_no_probabilities_have_no_reliability() -> None:
    gold = np.array([[True], [False]])
    assert label_confidence(LabelTable(gold, gold, np.array([[3.0], [-1.0]])), "A") is None
    assert label_confidence(LabelTable(gold, gold), "A") is None


def test_the_table_has_what_documents_have_more() -> None:
    scores = DocumentLabelsMetric(ci={"n_iterations": 50})(GOLD, FOUND)
    header, first, *_ = scores_table(scores).splitlines()
    columns = "label PPV recall specificity F1 AUROC AP gold found"
    assert header.split() == columns.split()
    assert first.startswith("A")
    assert f"{scores['A']['auroc']:.3f} [" in first
    only_gold = docs_of([{"A": 1}, {"A": 1}])
    assert "-" in scores_table(DocumentLabelsMetric()(only_gold, only_gold)).splitlines()[1]
