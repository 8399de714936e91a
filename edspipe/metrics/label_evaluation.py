"""All there is to know of predicted labels of documents, in one reading, as plain data.

There is no text in it, so that it may be kept beside a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc

from edspipe.metrics.bootstrap import Bootstrap
from edspipe.metrics.calibration import brier_score, log_loss
from edspipe.metrics.confidence import precision_recall, reliability
from edspipe.metrics.documents import DocumentLabelsMetric
from edspipe.metrics.label_figures import EXACT, MICRO, LabelTable

FORMAT = 1
METRIC = "eds.document_labels"


def evaluate_documents(
    gold_docs: Iterable[Doc],
    predicted_docs: Iterable[Doc],
    metric: DocumentLabelsMetric | None = None,
    *,
    ci: Any = None,
) -> dict[str, Any]:
    """Compare predicted labels of documents with gold.

    Args:
        gold_docs: Gold documents; those without gold labels are left out.
        predicted_docs: The same documents with predictions, in the same order.
        metric: Says where labels are, and from which score on they are given; by default in
            `doc.cats`, from 0.5 on.
        ci: Options of the bootstrap, in place of the metric's own; `{}` takes the defaults.

    Returns:
        Plain data: `num_docs` and `num_words` of documents with gold labels; `scores`, as of
        `DocumentLabelsMetric`; `confusion`, as of `label_confusion`; `confidence`, as of
        `label_confidence`.

    Raises:
        TypeError: As of `DocumentLabelsMetric`.
        ValueError: As of `DocumentLabelsMetric`.
        DataError: As of `DocumentLabelsMetric`.
    """
    metric = DocumentLabelsMetric() if metric is None else metric
    bootstrap = metric.ci if ci is None else Bootstrap.from_options(ci)
    read = metric.read(gold_docs, predicted_docs, bootstrap)
    return {
        "format": FORMAT,
        "metric": METRIC,
        "attribute": metric.attribute,
        "num_docs": len(read.docs),
        "num_words": sum(map(len, read.docs)),
        "scores": metric.evaluate(read, bootstrap),
        "confusion": label_confusion(read.table, read.labels),
        "confidence": label_confidence(read.table, read.labels),
    }


def label_confusion(table: LabelTable, labels: Sequence[str]) -> dict[str, Any]:
    """Return which label was given in place of which.

    A label counts as taken for another where a document lacks just this one and has just the other
    one too many; any other is missed or spurious. So a row adds up to the documents that have the
    label, and a column to those that were given it.

    Args:
        table: Gold labels and decisions.
        labels: Names of the labels.

    Returns:
        `labels`, and the `matrix`: rows are gold, columns decisions, the last one is none.
        *Shape of the matrix:* (labels + 1, labels + 1)
    """
    gold_NL, found_NL = table.gold_NL, table.decisions_NL
    missed_NL, spurious_NL = gold_NL & ~found_NL, found_NL & ~gold_NL
    swapped_N = (missed_NL.sum(axis=1) == 1) & (spurious_NL.sum(axis=1) == 1)
    size = len(labels)
    matrix = np.zeros((size + 1, size + 1), dtype=int)
    matrix[np.arange(size), np.arange(size)] = (gold_NL & found_NL).sum(axis=0)
    if swapped_N.any():
        pairs = missed_NL[swapped_N].argmax(axis=1), spurious_NL[swapped_N].argmax(axis=1)
        np.add.at(matrix, pairs, 1)
    matrix[:size, size] = missed_NL[~swapped_N].sum(axis=0)
    matrix[size, :size] = spurious_NL[~swapped_N].sum(axis=0)
    return {"labels": list(labels), "matrix": matrix.tolist()}


def label_confidence(table: LabelTable, labels: Sequence[str]) -> dict[str, Any] | None:
    """Return whether probabilities mean what they say, over all pairs of document and label.

    Args:
        table: Gold labels and scores.
        labels: Names of the labels.

    Returns:
        `reliability` (see `edspipe.metrics.confidence.reliability`), `precision_recall`: a curve
        for `"micro"` and each label; `brier` and `log_loss`. None where there are no scores, or one
        is not from 0 to 1.
    """
    gold_NL, scores_NL = table.gold_NL, table.scores_NL
    if scores_NL is None or not scores_NL.size:
        return None
    if scores_NL.min() < 0 or scores_NL.max() > 1:
        return None
    columns = dict(zip(labels, zip(scores_NL.T, gold_NL.T, strict=True), strict=True))
    curves = {MICRO: _curve(scores_NL.ravel(), gold_NL.ravel())}
    curves |= {label: _curve(*pair) for label, pair in columns.items() if pair[1].any()}
    return {
        "reliability": reliability(scores_NL.ravel(), gold_NL.ravel()),
        "precision_recall": curves,
        "brier": brier_score(scores_NL, gold_NL),
        "log_loss": log_loss(scores_NL, gold_NL),
    }


def _curve(scores: npt.NDArray[np.floating], gold: npt.NDArray[np.bool_]) -> dict[str, list[float]]:
    return precision_recall(scores, gold, int(gold.sum()))


def exact_line(evaluation: dict[str, Any]) -> str:
    """Return in words how many documents have all labels right, and how many there are.

    Args:
        evaluation: As of `evaluate_documents`.
    """
    scores = evaluation["scores"]
    ends = scores.get("ci", {}).get(EXACT)
    interval = "" if ends is None else f" [{ends[0]:.3f} {ends[1]:.3f}]"
    number = f"{evaluation['num_docs']:,} documents"
    return f"all labels right {scores[EXACT]:.3f}{interval} of {number}"
