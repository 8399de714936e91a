"""Calibrate pipes on held-out documents: temperatures, and thresholds of labels.

```python
for found in calibrate_pipes(nlp, docs, ThresholdRule("f1", min_positives=5)):
    print(found)
nlp.to_disk("model")
```

A temperature changes how sure a pipe is. What it decides stays, of the most probable label and
where a threshold is 0.5; another threshold stands for that probability before and after, so that it
is best fitted at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from loguru import logger
from spacy.tokens import Doc

from edspipe.doc.document_labels import gold_labels
from edspipe.doc.span_access import get_spans
from edspipe.metrics.calibration import (
    EPSILON,
    brier_score,
    expected_calibration_error,
    fit_softmax_temperature,
    fit_temperature,
    log_loss,
    temper,
)
from edspipe.metrics.evaluation import found_confidences
from edspipe.metrics.label_figures import evaluate_labels
from edspipe.metrics.thresholds import OperatingPoint
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.evaluation import confidences, is_doc_classifier, predict
from edspipe.training.threshold_rule import ThresholdRule

Array = npt.NDArray[np.float64]
LEAST = 1e-45
"""The smallest probability above 0 that a softmax in fp32 gives."""
SINGLE = "single_label"
MEANS = ("micro", "macro")


@dataclass(frozen=True)
class FittedLabel:
    """A label before and after.

    Attributes:
        positives: Documents that have it.
        threshold: Its threshold.
        f1: F1 with temperature and threshold of before.
        fitted_threshold: The new threshold; None where documents have just one label.
        fitted_f1: F1 with the new ones.
        problem: Why the threshold is not what was asked for, else None.
    """

    positives: int
    threshold: float
    f1: float
    fitted_threshold: float | None
    fitted_f1: float
    problem: str | None = None


@dataclass(frozen=True)
class Calibrated:
    """What calibrating a pipe changed.

    Attributes:
        pipe: Its name.
        num_items: Documents with gold labels, or entities that were found.
        temperature: Before and after.
        figures: `log_loss`, `ece` and `brier`, each before and after.
        labels: Of a classifier of documents: its labels, and the means of their F1.
        skipped: Why nothing was fitted, else None.
    """

    pipe: str
    num_items: int
    temperature: tuple[float, float]
    figures: dict[str, tuple[float, float]] = field(default_factory=dict)
    labels: dict[str, FittedLabel] = field(default_factory=dict)
    means: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: str | None = None

    def records(self) -> Iterator[tuple[str, float]]:
        """Yield names and numbers, as a training records them."""
        if self.skipped is not None:
            return
        yield f"temperature/{self.pipe}", self.temperature[1]
        for name, (before, after) in self.figures.items():
            yield f"{name}/{self.pipe}", before
            yield f"calibrated_{name}/{self.pipe}", after
        for label, fitted in self.labels.items():
            if fitted.fitted_threshold is not None:
                yield f"threshold/{self.pipe}/{label}", fitted.fitted_threshold

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def calibrate_pipes(
    nlp: Pipeline,
    docs: Sequence[Doc],
    rule: ThresholdRule | None = None,
    *,
    min_items: int = 50,
    temperature: bool = True,
    thresholds: bool = True,
    only: str | None = None,
) -> list[Calibrated]:
    """Fit the temperature, and the thresholds, of each pipe that is switched on and has them.

    Args:
        nlp: The pipeline; its pipes are changed.
        docs: Documents with gold annotations, best those that nothing was learned from.
        rule: What thresholds are the best for; by default, F1.
        min_items: A pipe keeps its temperature where there are fewer documents with gold labels, or
            fewer entities that were found.
        temperature: Fit temperatures.
        thresholds: Fit thresholds.
        only: The name of one pipe, to leave the others alone.

    Returns:
        What changed, of each pipe; nothing for a pipeline without such pipes.
    """
    rule = ThresholdRule() if rule is None else rule
    found = []
    for name, pipe in nlp.torch_components():
        if only not in (None, name):
            continue
        if is_doc_classifier(pipe):
            step = _LabelFit(nlp, name, pipe, docs)
            found.append(step.fit(rule if thresholds else None, min_items if temperature else None))
        elif temperature and hasattr(pipe, "temperature") and hasattr(pipe, "target_span_getter"):
            found.append(_calibrate_spans(nlp, name, pipe, docs, min_items))
    return found


# ---- labels of documents -----------------------------------------------------------------------


class _LabelFit:
    """Reads what a classifier says of documents with gold labels, and sets what fits best.

    Args:
        nlp: The pipeline.
        name: The name of the classifier.
        pipe: The classifier.
        docs: The documents.
    """

    def __init__(self, nlp: Pipeline, name: str, pipe: Any, docs: Sequence[Doc]) -> None:
        self.nlp, self.name, self.pipe = nlp, name, pipe
        self.is_single = pipe.mode == SINGLE
        pairs = [(doc, gold_labels(doc, pipe.attribute)) for doc in docs]
        known = [(doc, gold) for doc, gold in pairs if gold is not None]
        if self.is_single:  # the others have no right answer among the labels
            known = [(doc, gold) for doc, gold in known if len(gold & set(pipe.labels)) == 1]
        self.docs = [doc for doc, _ in known]
        rows = [[label in gold for label in pipe.labels] for _, gold in known]
        self.gold_NL = np.array(rows, dtype=bool).reshape(len(known), len(pipe.labels))

    def fit(self, rule: ThresholdRule | None, min_items: int | None) -> Calibrated:
        """Set temperature and thresholds; None leaves them."""
        pipe, num_docs = self.pipe, len(self.docs)
        first, thresholds = pipe.temperature, dict(pipe.thresholds)
        if not num_docs:
            said = "no document has a gold label"
            return Calibrated(self.name, 0, (first, first), skipped=said)
        before_NL = scores_NL = self._scores()
        if min_items is not None and num_docs < min_items:
            logger.warning(
                "calibrate: {} keeps its temperature: {} documents have gold labels, and {} are "
                "needed",
                self.name,
                num_docs,
                min_items,
            )
        elif min_items is not None:
            pipe.set_temperature(1.0)
            raw_NL = before_NL if first == 1.0 else self._scores()
            pipe.set_temperature(self._temperature(raw_NL))
            scores_NL = self._scores()
        points = {} if rule is None or self.is_single else self._points(rule, scores_NL)
        pipe.set_thresholds({label: min(1.0, p.threshold) for label, p in points.items()})
        return Calibrated(
            self.name,
            num_docs,
            (first, pipe.temperature),
            {name: (f(before_NL), f(scores_NL)) for name, f in self._measures().items()},
            *self._compare(before_NL, thresholds, scores_NL, points),
        )

    def _scores(self) -> Array:
        """Return the probabilities that the pipe writes. *Shape:* (documents, labels)"""
        found = predict(self.nlp, self.docs)
        return np.array([[doc.cats[label] for label in self.pipe.labels] for doc in found])

    def _temperature(self, raw_NL: Array) -> float:
        if not self.is_single:
            return fit_temperature(raw_NL, self.gold_NL)
        return fit_softmax_temperature(_logarithms(raw_NL, LEAST), self.gold_NL.argmax(axis=1))

    def _points(self, rule: ThresholdRule, scores_NL: Array) -> dict[str, OperatingPoint]:
        defaults = self.pipe.thresholds
        points = {
            label: rule.fit(scores_NL[:, i], self.gold_NL[:, i], defaults[label])
            for i, label in enumerate(self.pipe.labels)
        }
        for label, point in points.items():
            if point.problem is not None:
                logger.warning("calibrate: {}, '{}': {}", self.name, label, point.problem)
        return points

    def _measures(self) -> dict[str, Any]:
        """Return what says whether probabilities mean what they say: of all pairs of document and
        label; or, where a document has one label, of the one that is most probable."""
        if not self.is_single:
            gold_NL = self.gold_NL
            return {
                "log_loss": lambda scores_NL: log_loss(scores_NL, gold_NL),
                "ece": lambda scores_NL: expected_calibration_error(scores_NL, gold_NL),
                "brier": lambda scores_NL: brier_score(scores_NL, gold_NL),
            }
        gold_N = self.gold_NL.argmax(axis=1)
        rows = np.arange(len(gold_N))

        def of_the_best(measure: Any) -> Any:
            return lambda scores_NL: measure(
                scores_NL.max(axis=1), scores_NL.argmax(axis=1) == gold_N
            )

        return {
            "log_loss": lambda scores_NL: float(-_logarithms(scores_NL)[rows, gold_N].mean()),
            "ece": of_the_best(expected_calibration_error),
            "brier": of_the_best(brier_score),
        }

    def _compare(
        self,
        before_NL: Array,
        thresholds: Mapping[str, float],
        scores_NL: Array,
        points: Mapping[str, OperatingPoint],
    ) -> tuple[dict[str, FittedLabel], dict[str, tuple[float, float]]]:
        pipe = self.pipe
        old, new = self._f1(before_NL, thresholds), self._f1(scores_NL, pipe.thresholds)
        labels = {
            label: FittedLabel(
                int(self.gold_NL[:, i].sum()),
                thresholds[label],
                old[label],
                None if self.is_single else pipe.thresholds[label],
                new[label],
                points[label].problem if label in points else None,
            )
            for i, label in enumerate(pipe.labels)
        }
        return labels, {mean: (old[mean], new[mean]) for mean in MEANS}

    def _f1(self, scores_NL: Array, thresholds: Mapping[str, float]) -> dict[str, float]:
        """Return F1 of each label, micro and macro, as the pipe decides."""
        labels = self.pipe.labels
        if self.is_single:
            decisions_NL = np.eye(len(labels), dtype=bool)[scores_NL.argmax(axis=1)]
        else:
            decisions_NL = scores_NL >= np.array([thresholds[label] for label in labels])
        figures = evaluate_labels(self.gold_NL, None, decisions_NL, labels)
        return {name: figures[name]["f"] for name in (*labels, *MEANS)}


def _logarithms(probabilities_NL: Array, least: float = EPSILON) -> Array:
    return np.log(np.maximum(probabilities_NL, least))


# ---- spans -------------------------------------------------------------------------------------


def _calibrate_spans(
    nlp: Pipeline, name: str, pipe: Any, docs: Sequence[Doc], min_items: int
) -> Calibrated:
    """Fit the temperature of the confidences of found spans."""
    first = pipe.temperature
    if not any(get_spans(doc, pipe.target_span_getter) for doc in docs):
        return Calibrated(name, 0, (first, first), skipped="no document has a gold entity")
    pipe.temperature = 1.0
    with confidences(nlp):
        predicted = predict(nlp, docs)
    labels = set(pipe.labels)
    found = found_confidences(docs, predicted, pipe.target_span_getter)
    rows = [(value, is_right) for label, value, is_right in found if label in labels]
    if len(rows) < min_items:
        pipe.temperature = first
        logger.warning(
            "calibrate: {} found {} entities in these documents, and {} are needed",
            name,
            len(rows),
            min_items,
        )
        return Calibrated(name, len(rows), (first, first), skipped="too few entities were found")
    values, right = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    pipe.temperature = fit_temperature(values, right)
    old, new = (temper(values, one) for one in (first, pipe.temperature))
    measures = {"log_loss": log_loss, "ece": expected_calibration_error, "brier": brier_score}
    figures = {key: (measure(old, right), measure(new, right)) for key, measure in measures.items()}
    return Calibrated(name, len(rows), (first, pipe.temperature), figures)
