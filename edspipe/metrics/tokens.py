"""Metrics on tags of words: accuracy, and precision, recall and F1 by tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from spacy.attrs import IDX, LENGTH
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.doc.token_tags import check_attribute, get_word_tags
from edspipe.metrics.bootstrap import Counts, CountTable, make_report
from edspipe.metrics.counting import CountingDocs

FORMAT = 1
METRIC = "eds.token_accuracy"
ACCURACY = "accuracy"
MICRO = "micro"


@registry.metrics.register("eds.token_accuracy")
class TokenAccuracyMetric(CountingDocs):
    """Tags match if words that stand at the same characters have the same one.

    Only words with a gold tag count: a prediction for another word is neither right nor wrong. A
    word without a prediction, or that the predictions cut in another way, is missed. Blank tokens
    are no words.

        {"accuracy": 0.97, "NN": {"p": 0.96, "r": 0.98, "f": 0.97, "tp": ..., "support": ...,
         "positives": ...}, ..., "macro": {...}}

    `accuracy` is the share of words whose tag is right; `macro` the plain mean over tags that
    occur. The intervals, under `"ci"`, have the same entries.

    Args:
        attribute: `"tag_"`, `"pos_"` or `"_.<name>"`: where tags are, in gold and predictions.
        ci: Options of the bootstrap: `n_iterations`, `percentile`, `seed`, `group_by` (see
            `Bootstrap`); `{}` takes the defaults. By default there are no intervals.

    Raises:
        ValueError: The attribute holds no tags, or `ci` has a wrong option.
    """

    micro_key = MICRO

    def __init__(self, attribute: str = "tag_", *, ci: Any = None) -> None:
        super().__init__(ci)
        check_attribute(attribute)
        self.attribute = attribute

    def count(self, gold: Doc, predicted: Doc) -> Counts:
        """Return the counts of one document."""
        return counts_of(self.pairs(gold, predicted))

    def pairs(self, gold: Doc, predicted: Doc) -> Counter[tuple[str, str]]:
        """Count pairs of gold and found tags, an empty one for a word without a prediction."""
        wanted = get_word_tags(gold, self.attribute)
        found = get_word_tags(predicted, self.attribute)
        places, others = _places(gold), _places(predicted)
        if not np.array_equal(places, others):
            at = dict(zip(map(tuple, others.tolist()), found, strict=True))
            found = [at.get((first, length), "") for first, length in places.tolist()]
        pairs = Counter(zip(wanted, found, strict=True))
        return Counter({pair: n for pair, n in pairs.items() if pair[0]})

    def report(self, table: CountTable) -> dict[str, Any]:
        """Return accuracy and the figures of each tag.

        Raises:
            ValueError: A tag has the name of another entry.
        """
        report = make_report(table, ACCURACY, self.ci)
        of_all = report.pop(ACCURACY)
        if "ci" in report and self.ci is not None:
            ends = report["ci"].pop(ACCURACY)
            report["ci"] = {ACCURACY: ends["r"], **report["ci"]}
        return {ACCURACY: of_all["r"], **report}


def _places(doc: Doc) -> np.ndarray:
    """Return first character and length of each token. *Shape:* (tokens, 2)"""
    return doc.to_array([IDX, LENGTH])


def counts_of(pairs: Counter[tuple[str, str]]) -> Counts:
    """Return true positives, support and positives of each tag.

    Args:
        pairs: How often which gold tag met which found one.
    """
    hits: Counter[str] = Counter()
    support: Counter[str] = Counter()
    positives: Counter[str] = Counter()
    for (wanted, found), number in pairs.items():
        support[wanted] += number
        positives[found] += number
        hits[wanted] += number * (wanted == found)
    del positives[""]
    return {
        tag: (hits[tag], support[tag], positives[tag])
        for tag in sorted(support.keys() | positives.keys())
    }


class _WatchedMetric(TokenAccuracyMetric):
    """The metric, which keeps pairs of tags too."""

    def __init__(self, attribute: str, ci: Any) -> None:
        super().__init__(attribute, ci=ci)
        self.all_pairs: Counter[tuple[str, str]] = Counter()
        self.num_docs = 0

    def count(self, gold: Doc, predicted: Doc) -> Counts:
        """Return the counts of one document."""
        pairs = self.pairs(gold, predicted)
        self.all_pairs += pairs
        self.num_docs += 1
        return counts_of(pairs)

    def report(self, table: CountTable) -> dict[str, Any]:
        """Return the figures of each tag, of all words under `micro`, and the mean."""
        return make_report(table, MICRO, self.ci)


def evaluate_tags(
    gold_docs: Iterable[Doc], predicted_docs: Iterable[Doc], attribute: str, *, ci: Any = None
) -> dict[str, Any]:
    """Compare predicted tags with gold, and say what was taken for what.

    Args:
        gold_docs: Gold documents.
        predicted_docs: The same documents with predictions, in the same order.
        attribute: Where tags are, as of `TokenAccuracyMetric`.
        ci: Options of the bootstrap; by default there are no intervals.

    Returns:
        Plain data: `accuracy` (and its `interval`); `scores` by tag, with `micro` and `macro`;
        `confusion`, `{"labels", "matrix"}`, where rows are gold, columns found, and the last ones
        stand for no tag; `num_docs`, and `num_words` with a gold tag.

    Raises:
        ValueError: The documents do not fit together.
    """
    metric = _WatchedMetric(attribute, ci)
    scores = metric(gold_docs, predicted_docs)
    tags = sorted({tag for pair in metric.all_pairs for tag in pair if tag})
    ends = [*tags, ""]
    ranges = None if metric.ci is None else scores["ci"][MICRO]["r"]
    return {
        "format": FORMAT,
        "metric": METRIC,
        "attribute": attribute,
        "num_docs": metric.num_docs,
        "num_words": scores[MICRO]["support"],
        ACCURACY: scores[MICRO]["r"],
        "interval": ranges,
        "scores": scores,
        "confusion": {
            "labels": tags,
            "matrix": [[metric.all_pairs[wanted, found] for found in ends] for wanted in ends],
        },
    }


def accuracy_line(evaluation: dict[str, Any]) -> str:
    """Return the accuracy in words, with its interval where there is one.

    Args:
        evaluation: As of `evaluate_tags`.
    """
    ends = evaluation["interval"]
    interval = "" if ends is None else f" [{ends[0]:.4f} {ends[1]:.4f}]"
    number = f"{evaluation['num_words']:,} words"
    return f"accuracy {evaluation[ACCURACY]:.4f}{interval} over {number}"
