"""Metrics on labels of whole documents."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.doc.document_labels import check_label_attribute, gold_labels, named_labels
from edspipe.errors import did_you_mean
from edspipe.metrics.bootstrap import Bootstrap
from edspipe.metrics.counting import find_unit, name_doc, read_aligned
from edspipe.metrics.label_figures import LabelTable, compare_labels, evaluate_labels

OTHERS = "*"
"""In a table of thresholds, stands for labels that are not listed."""


@dataclass
class _System:
    """What one system says of each document: scores by label, and labels."""

    scores: list[Mapping[str, float]] = field(default_factory=list)
    decisions: list[set[str]] = field(default_factory=list)

    def score_array(self, labels: Sequence[str]) -> npt.NDArray[np.float64] | None:
        """Return scores, 0.0 for what has none, or None where nothing has one. *Shape:* (N, L)"""
        if not any(self.scores):
            return None
        return np.array([[one.get(label, 0.0) for label in labels] for one in self.scores])


@dataclass
class _Rows:
    """Documents with gold labels, side by side with what systems say."""

    gold: list[set[str]] = field(default_factory=list)
    groups: list[Hashable] = field(default_factory=list)
    docs: list[Doc] = field(default_factory=list)
    systems: list[_System] = field(default_factory=list)
    named: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class LabelledDocs:
    """Documents whose gold labels are known.

    Attributes:
        labels: The labels, one for each column of the table.
        table: Gold labels, decisions and scores.
        groups: The group of each document.
        docs: The gold documents.
    """

    labels: list[str]
    table: LabelTable
    groups: list[Hashable]
    docs: list[Doc]


@registry.metrics.register("eds.document_labels")
class DocumentLabelsMetric:
    """Compares labels of documents with gold: decisions, and scores from 0 to 1.

    Only documents with gold labels count, as `gold_labels` reads them: an empty `doc.cats` says
    that nothing is known.

        {"smoker": {"p": 0.9, "r": 0.8, "specificity": 0.97, "f": 0.85, "auroc": 0.95, "ap": 0.91,
         "support": 10, "positives": 9, "tp": 8, "fp": 1, "fn": 2, "tn": 39}, ...,
         "micro": {...}, "macro": {...}, "weighted": {...}, "exact_match": 0.72}

    `edspipe.metrics.label_figures` says what each figure is, and when it is None. The intervals,
    under `"ci"`, have the same entries. A label without a score has 0.0. Where predictions are a
    list of labels or a string, there are decisions and no scores, so `auroc` and `ap` are None.

    Args:
        attribute: `"cats"` or `"_.<name>"`: where labels are, in gold and predictions.
        labels: The labels to look at; by default, all that gold or predictions name.
        threshold: A label is found if its score is this or more; or a table by label, where `"*"`
            stands for the others.
        decisions: `"_.<name>"`: where the pipe wrote the labels that it decided for; thresholds are
            then its own, and `threshold` is not used.
        ci: Options of the bootstrap: `n_iterations`, `percentile`, `seed`, `group_by` (see
            `Bootstrap`); `{}` takes the defaults. By default there are no intervals.

    Raises:
        ValueError: An attribute is no place for labels, a threshold belongs to no label or is no
            number, or `ci` has a wrong option.
    """

    def __init__(
        self,
        attribute: str = "cats",
        labels: Sequence[str] | None = None,
        threshold: float | Mapping[str, float] = 0.5,
        decisions: str | None = None,
        *,
        ci: Any = None,
    ) -> None:
        check_label_attribute(attribute)
        if decisions is not None:
            check_label_attribute(decisions)
        self.attribute = attribute
        self.labels = None if labels is None else list(labels)
        self.thresholds = _read_thresholds(threshold, self.labels)
        self.decisions = decisions
        self.ci = Bootstrap.from_options(ci)

    def __call__(self, gold_docs: Iterable[Doc], predicted_docs: Iterable[Doc]) -> dict[str, Any]:
        """Return the figures.

        Raises:
            TypeError: A single Doc came instead of an iterable of Docs.
            ValueError: The documents do not fit together, a score is no number, a label has no
                threshold or the name of another entry.
            DataError: An attribute holds no labels.
        """
        return self.evaluate(self.read(gold_docs, predicted_docs), self.ci)

    def evaluate(self, read: LabelledDocs, ci: Any = None) -> dict[str, Any]:
        """Return the figures of documents that `read` has read.

        Args:
            read: The documents.
            ci: Options of the bootstrap, in place of the metric's own.

        Raises:
            ValueError: A label has the name of another entry.
        """
        table = read.table
        return evaluate_labels(
            table.gold_NL,
            table.scores_NL,
            table.decisions_NL,
            read.labels,
            groups=read.groups,
            ci=ci,
        )

    def read(
        self, gold_docs: Iterable[Doc], predicted_docs: Iterable[Doc], ci: Any = None
    ) -> LabelledDocs:
        """Read documents side by side; those without gold labels are left out.

        Args:
            gold_docs: Gold documents.
            predicted_docs: The same documents with predictions, in the same order.
            ci: Options of the bootstrap, which say what a group is; by default the metric's own.

        Raises:
            TypeError: As of a call.
            ValueError: As of a call.
            DataError: As of a call.
        """
        bootstrap = self.ci if ci is None else Bootstrap.from_options(ci)
        rows = self._read(gold_docs, predicted_docs, ci=bootstrap)
        labels, gold_NL = self._gold_array(rows)
        scores_NL, decisions_NL = self._arrays(rows.systems[0], labels)
        table = LabelTable(gold_NL, decisions_NL, scores_NL)
        return LabelledDocs(labels, table, rows.groups, rows.docs)

    def best_result(self, gold_docs: Iterable[Doc], _: Any = None) -> dict[str, Any]:
        """Return the figures of predictions without a mistake, whose scores are 1 and 0.

        Args:
            gold_docs: Gold documents.

        Raises:
            ValueError: As of a call.
            DataError: As of a call.
        """
        docs = list(gold_docs)
        labels, gold_NL = self._gold_array(self._read(docs, docs, ci=None))
        return evaluate_labels(gold_NL, gold_NL, gold_NL, labels)

    def compare(
        self, gold_docs: Iterable[Doc], docs_a: Iterable[Doc], docs_b: Iterable[Doc]
    ) -> dict[str, dict[str, Any]]:
        """Test whether two systems differ in micro F1, macro F1 and mean average precision.

        Documents (or groups) are resampled as `ci` says, or 1000 times.

        Args:
            gold_docs: Gold documents.
            docs_a: Predictions of the first system.
            docs_b: Predictions of the second system.

        Returns:
            As of `compare_labels`.

        Raises:
            TypeError: As of a call.
            ValueError: As of a call.
            DataError: As of a call.
        """
        ci = self.ci or Bootstrap()
        rows = self._read(gold_docs, docs_a, docs_b, ci=ci)
        labels, gold_NL = self._gold_array(rows)
        a, b = (self._arrays(system, labels) for system in rows.systems)
        return compare_labels(gold_NL, a, b, labels, groups=rows.groups, ci=ci)

    def _read(
        self, gold_docs: Iterable[Doc], *systems: Iterable[Doc], ci: Bootstrap | None
    ) -> _Rows:
        rows = _Rows(systems=[_System() for _ in systems])
        group_by = None if ci is None else ci.group_by
        for position, (gold, *predictions) in enumerate(read_aligned(gold_docs, *systems)):
            wanted = gold_labels(gold, self.attribute)
            if wanted is None:
                continue
            rows.docs.append(gold)
            rows.gold.append(wanted)
            rows.groups.append(find_unit(gold, position, group_by))
            rows.named |= named_labels(gold, self.attribute)
            for system, doc in zip(rows.systems, predictions, strict=True):
                scores = self._scores(doc, position)
                found = self._decide(doc, scores)
                system.scores.append(scores)
                system.decisions.append(found)
                rows.named |= found | scores.keys()
        return rows

    def _scores(self, doc: Doc, position: int) -> dict[str, float]:
        """Return the scores of a document by label, none where it has labels alone."""
        name = self.attribute.removeprefix("_.")
        value = doc.cats if self.attribute == "cats" else doc._.get(name)
        if not isinstance(value, Mapping):
            return {}
        for label, score in value.items():
            if not isinstance(score, (int, float)) or not math.isfinite(score):
                raise ValueError(
                    f"scores are finite numbers; {name_doc(doc, position)} has another for the "
                    f"label '{label}'"
                )
        return {label: float(score) for label, score in value.items()}

    def _decide(self, doc: Doc, scores: Mapping[str, float]) -> set[str]:
        if self.decisions is not None:
            return gold_labels(doc, self.decisions) or set()
        if not scores:
            return gold_labels(doc, self.attribute) or set()
        return {label for label, score in scores.items() if score >= self._threshold(label)}

    def _threshold(self, label: str) -> float:
        value = self.thresholds.get(label, self.thresholds.get(OTHERS))
        if value is None and self.labels is not None and label not in self.labels:
            return math.inf  # nobody looks at it
        if value is None:
            raise ValueError(
                f"threshold has no value for the label '{label}'; add it, or '{OTHERS}' for all "
                f"that are not listed.{did_you_mean(label, self.thresholds)}"
            )
        return value

    def _gold_array(self, rows: _Rows) -> tuple[list[str], npt.NDArray[np.bool_]]:
        labels = sorted(rows.named) if self.labels is None else self.labels
        return labels, _to_array(rows.gold, labels)

    def _arrays(
        self, system: _System, labels: Sequence[str]
    ) -> tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.bool_]]:
        return system.score_array(labels), _to_array(system.decisions, labels)


def _to_array(found: Sequence[set[str]], labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which labels each document has. *Shape:* (documents, labels)"""
    rows = [[label in one for label in labels] for one in found]
    return np.array(rows, dtype=bool).reshape(len(found), len(labels))


def _read_thresholds(
    threshold: float | Mapping[str, float], labels: Sequence[str] | None
) -> dict[str, float]:
    table = dict(threshold) if isinstance(threshold, Mapping) else {OTHERS: threshold}
    for label, value in table.items():
        if math.isnan(value):
            raise ValueError(f"threshold is a number, or a table by label; got NaN for '{label}'")
        if labels is not None and label != OTHERS and label not in labels:
            raise ValueError(
                f"threshold has a value for '{label}', which is none of the labels "
                f"{', '.join(labels)}.{did_you_mean(label, labels)}"
            )
    return {label: float(value) for label, value in table.items()}
