"""All there is to know of predictions against gold, in one reading: scores, errors, confusions.

```python
evaluation = evaluate_spans(gold_docs, nlp.pipe(copies), "gold-ner", ci={})
evaluation.scores["micro"]["f"]
evaluation.errors["counts"]["missed"]
```

Offsets count characters. There is no text in it, so that it may be kept beside a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.metrics.bootstrap import Counts
from edspipe.metrics.confidence import Confidences
from edspipe.metrics.confusion import Confusion
from edspipe.metrics.errors_by_type import CORRECT, ErrorCounts, Identity, pair_spans
from edspipe.metrics.ner import NerExactMetric
from edspipe.types import SpanGetter

FORMAT = 1
METRIC = "eds.ner_exact"
CONFIDENCE = "ner_confidence_score"
"""The attribute `span._.<name>` where recognisers write how sure they are."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate_spans` found.

    Attributes:
        num_docs: Number of documents.
        num_words: Number of their words, as gold is cut.
        scores: As of `NerExactMetric`.
        errors: Under `"counts"` and, by label, `"by_label"`, how many spans are of which kind (see
            `edspipe.metrics.errors_by_type`); a pair counts for the label of gold. Under
            `"examples"`, errors by document id and offsets; `"num_examples_left_out"` is how many
            there are besides.
        confusion: `"labels"`, and the `"matrix"`: rows are gold, columns found, the last is none.
        confidence: `"reliability"` and `"precision_recall"` (see `edspipe.metrics.confidence`), or
            None where no found span has a confidence.
    """

    num_docs: int
    num_words: int
    scores: dict[str, Any]
    errors: dict[str, Any]
    confusion: dict[str, Any]
    confidence: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {"format": FORMAT, "metric": METRIC, **asdict(self)}


class _WatchedMetric(NerExactMetric):
    """The metric, which looks at more than counts while it reads."""

    def __init__(
        self, span_getter: SpanGetter, ci: Any, max_examples: int, attribute: str | None
    ) -> None:
        super().__init__(span_getter, ci=ci)
        self.attribute = attribute
        self.errors = ErrorCounts(max_examples)
        self.confusion = Confusion()
        self.confidences = Confidences()
        self.num_docs = self.num_words = 0

    def count(self, gold: Doc, predicted: Doc) -> Counts:
        """Return the counts of one document, and keep the rest."""
        wanted = [identity_of(span) for span in self.spans(gold)]
        found = self.spans(predicted)
        doc_id = str(self.num_docs if gold._.note_id is None else gold._.note_id)
        sure = read_confidences(found, self.attribute, doc_id)
        pairs = pair_spans(wanted, map(identity_of, found))
        self.errors.add(doc_id, pairs, sure)
        self.confusion.add(pairs)
        self.confidences.support.update(label for _, _, label in set(wanted))
        right = {pair.found for pair in pairs if pair.kind == CORRECT}
        self.confidences.rows += [(one[2], value, one in right) for one, value in sure.items()]
        self.num_docs += 1
        self.num_words += len(gold)
        return super().count(gold, predicted)


def evaluate_spans(
    gold_docs: Iterable[Doc],
    predicted_docs: Iterable[Doc],
    span_getter: SpanGetter,
    *,
    ci: Any = None,
    max_examples: int = 1000,
    confidence_attribute: str | None = CONFIDENCE,
) -> Evaluation:
    """Compare predictions with gold.

    Documents are read side by side, once, so streams and generators do.

    Args:
        gold_docs: Gold documents.
        predicted_docs: The same documents with predictions, in the same order.
        span_getter: Which spans count, in both.
        ci: Options of the bootstrap, as of `NerExactMetric`; `{}` takes the defaults. By default
            there are no intervals.
        max_examples: How many errors are listed: if there are more, equal shares of each kind.
        confidence_attribute: Name of the span attribute with the confidence, from 0 to 1; where it
            is not declared or not set, nothing is said of it. None looks for none.

    Raises:
        ValueError: The documents do not fit together, a confidence is not from 0 to 1, or an
            argument is out of its range.
    """
    if confidence_attribute is not None and not Span.has_extension(confidence_attribute):
        confidence_attribute = None
    metric = _WatchedMetric(span_getter, ci, max_examples, confidence_attribute)
    scores = metric(gold_docs, predicted_docs)
    return Evaluation(
        num_docs=metric.num_docs,
        num_words=metric.num_words,
        scores=scores,
        errors=metric.errors.to_dict(),
        confusion=metric.confusion.to_dict(),
        confidence=metric.confidences.to_dict(),
    )


def found_confidences(
    gold_docs: Iterable[Doc],
    predicted_docs: Iterable[Doc],
    span_getter: SpanGetter,
    confidence_attribute: str = CONFIDENCE,
) -> list[tuple[str, float, bool]]:
    """Return label, confidence, and whether it is right, of each found span that has a confidence.

    Args:
        gold_docs: Gold documents.
        predicted_docs: The same documents with predictions, in the same order.
        span_getter: Which spans count, in both.
        confidence_attribute: Name of the span attribute with the confidence.
    """
    metric = _WatchedMetric(span_getter, None, 0, confidence_attribute)
    metric(gold_docs, predicted_docs)
    return metric.confidences.rows


def identity_of(span: Span) -> Identity:
    """Return the characters and the label of a span."""
    return span.start_char, span.end_char, span.label_


def read_confidences(
    spans: Iterable[Span], attribute: str | None, doc_id: str
) -> dict[Identity, float]:
    """Return the confidence of each span that has one; of spans that are the same, the first.

    Raises:
        ValueError: A confidence is no number from 0 to 1.
    """
    found: dict[Identity, float] = {}
    if attribute is None:
        return found
    for span in spans:
        value = getattr(span._, attribute)
        if value is None:
            continue
        if not isinstance(value, (int, float)) or math.isnan(value) or not 0 <= value <= 1:
            raise ValueError(
                f"span._.{attribute} is a number from 0 to 1; got another value in {doc_id} at "
                f"characters {span.start_char}-{span.end_char}. Name another confidence_attribute, "
                "or None"
            )
        found.setdefault(identity_of(span), float(value))
    return found
