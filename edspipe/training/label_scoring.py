"""Scores of classifiers of documents, and of saved labels, on files.

```python
predictions = predict_labels(nlp, "data/dev.jsonl")
evaluation = predictions.evaluate(ci={})
```
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loguru import logger
from spacy.tokens import Doc

from edspipe.data.converters.label_fields import GOLD_LABELS
from edspipe.data.label_files import read_labelled
from edspipe.doc.document_labels import CATS, CUSTOM, gold_labels
from edspipe.errors import DataError, did_you_mean
from edspipe.metrics.documents import DocumentLabelsMetric
from edspipe.metrics.label_evaluation import evaluate_documents
from edspipe.pipeline.pipeline import Pipeline
from edspipe.training.evaluation import default_metrics, is_doc_classifier, predict
from edspipe.training.saved_labels import read_saved


@dataclass(frozen=True)
class LabelPredictions:
    """The same documents twice.

    Attributes:
        gold: With gold labels.
        found: With labels that were predicted.
        metric: Says where labels are.
    """

    gold: list[Doc] = field(repr=False)
    found: list[Doc] = field(repr=False)
    metric: DocumentLabelsMetric

    def evaluate(self, *, ci: Any = None) -> dict[str, Any]:
        """Return scores, confusion and reliability, as of `evaluate_documents`."""
        return evaluate_documents(self.gold, self.found, self.metric, ci=ci)

    def compare(self, other: LabelPredictions) -> dict[str, dict[str, Any]]:
        """Test the difference of figures to another system, both against the gold of this one.

        Returns:
            As of `DocumentLabelsMetric.compare`: this one less the other.
        """
        if other.metric.decisions != self.metric.decisions or (
            other.metric.attribute != self.metric.attribute
        ):
            other = LabelPredictions(
                other.gold,
                [_moved(doc, other.metric, self.metric) for doc in other.found],
                self.metric,
            )
        return self.metric.compare(self.gold, self.found, other.found)


def _moved(doc: Doc, source: DocumentLabelsMetric, target: DocumentLabelsMetric) -> Doc:
    """Put decisions and scores to where another pipe writes its own."""
    decided = doc._.get(_decided_in(source))
    doc._.set(_decided_in(target), decided)
    if target.decisions is not None and target.attribute != CATS:
        doc._.set(target.attribute.removeprefix(CUSTOM), dict(doc.cats))
    return doc


def _decided_in(metric: DocumentLabelsMetric) -> str:
    """Return where a pipe writes its labels: where gold is, unless its metric says otherwise."""
    return (metric.decisions or metric.attribute).removeprefix(CUSTOM)


def classifier_of(nlp: Pipeline, name: str | None = None) -> tuple[str, Any] | None:
    """Return the classifier of documents that is switched on, by its name; None without any.

    Args:
        nlp: The pipeline.
        name: Which one, where there are several.

    Raises:
        ValueError: There are several, and none is named, or there is none of this name.
    """
    found = {key: pipe for key, pipe in nlp.torch_components() if is_doc_classifier(pipe)}
    if name is not None and name not in found:
        raise ValueError(
            f"there is no classifier of documents '{name}'.{did_you_mean(name, found)} They are: "
            f"{', '.join(found) or 'none'}"
        )
    if len(found) > 1 and name is None:
        raise ValueError(f"the pipes {', '.join(found)} classify documents: say which (--pipe)")
    key = next(iter(found), None) if name is None else name
    return None if key is None else (key, found[key])


def predict_labels(
    nlp: Pipeline,
    path: str | Path,
    *,
    pipe: str | None = None,
    batch_size: int | str | None = None,
    num_cpu_workers: int = 0,
    **reading: Any,
) -> LabelPredictions:
    """Read documents with gold labels, and predict on copies of their words.

    Args:
        nlp: The pipeline.
        path: A file or folder of any known format.
        pipe: The classifier, where there are several.
        batch_size: Batch of the models.
        num_cpu_workers: Processes that predict.
        **reading: As of `read_labelled`: `format`, `converter`, `options`.

    Raises:
        DataError: No document has gold labels.
        ValueError: There is no classifier, or several, and none is named.
    """
    chosen = classifier_of(nlp, pipe)
    if chosen is None:
        raise ValueError("the pipeline has no classifier of documents that is switched on")
    name, classifier = chosen
    gold = read_gold_labels(nlp, classifier, path, **reading)
    settings: dict[str, Any] = {"num_cpu_workers": num_cpu_workers} if num_cpu_workers else {}
    found = predict(nlp, gold, batch_size=batch_size, **settings)
    metric = default_metrics(nlp)[name]
    assert isinstance(metric, DocumentLabelsMetric)
    return LabelPredictions(gold, found, metric)


def read_gold_labels(nlp: Pipeline, classifier: Any, path: str | Path, **reading: Any) -> list[Doc]:
    """Read documents with labels where a classifier looks for gold ones.

    Raises:
        DataError: No document has any.
    """
    features = getattr(getattr(classifier, "features", None), "attributes", ())
    docs = read_labelled(
        path,
        tokenizer=nlp.tokenizer,
        labels=classifier.labels,
        features=[name.removeprefix("_.") for name in features],
        **reading,
    )
    for doc in docs:
        _put_gold(doc, classifier)
    _check_gold(docs, classifier.attribute, path)
    named = Counter(x for doc in docs for x in gold_labels(doc, classifier.attribute) or ())
    unknown = {name: n for name, n in sorted(named.items()) if name not in classifier.labels}
    if unknown:
        logger.warning(
            "{}: gold labels that the model does not know, and that count as missed: {}",
            path,
            ", ".join(f"{name} ({n} documents)" for name, n in unknown.items()),
        )
    return docs


def _put_gold(doc: Doc, classifier: Any) -> None:
    """Put gold labels to where a classifier looks for them, wherever they were read to."""
    attribute = classifier.attribute
    held = dict(doc.cats) or doc._.get(GOLD_LABELS)
    if held is None:
        return
    if attribute == CATS:
        known = held if isinstance(held, Mapping) else dict.fromkeys(held, 1.0)
        doc.cats = {**dict.fromkeys(classifier.labels, 0.0), **known}
    elif gold_labels(doc, attribute) is None:
        doc._.set(attribute.removeprefix(CUSTOM), held)


def _check_gold(docs: Sequence[Doc], attribute: str, path: str | Path) -> None:
    if all(gold_labels(doc, attribute) is None for doc in docs):
        raise DataError(
            f"expected gold labels in {attribute!r}, found none in {len(docs)} documents", file=path
        )


def compare_files(
    gold: str | Path, predicted: str | Path, options: Mapping[str, Any] | None = None
) -> LabelPredictions:
    """Read gold labels and saved predictions of the same documents, matched by their ids.

    Args:
        gold: A file with gold labels.
        predicted: A file with labels or scores that were predicted, as `edspipe apply` writes it;
            texts may be missing. Labels that stand beside scores are what was decided for.
        options: Arguments of the reader and the converter `labels`: of gold, and of predictions as
            far as they have such columns.

    Raises:
        DataError: A document is missing, comes twice or has another text, or has no labels.
    """
    given = dict(options or {})
    docs = read_labelled(gold, options=given)
    if not any(doc.cats for doc in docs):
        _make_tables(docs)
    _check_gold(docs, CATS, gold)
    labels = sorted({label for doc in docs for label in doc.cats})
    found = read_saved(predicted, docs, labels, given, gold)
    for doc in found:  # where there are no scores that decide
        doc._.set(GOLD_LABELS, sorted(_decided(doc)))
    return LabelPredictions(docs, found, DocumentLabelsMetric(decisions=f"{CUSTOM}{GOLD_LABELS}"))


def _decided(doc: Doc) -> set[str]:
    """Return what was decided for: the list of labels, or else those of the scores."""
    found = gold_labels(doc, f"{CUSTOM}{GOLD_LABELS}")
    return (gold_labels(doc) or set()) if found is None else found


def _make_tables(docs: Sequence[Doc]) -> None:
    """Make tables of lists of labels: each label that one document has is 1 or 0 in all."""
    held = [gold_labels(doc, f"{CUSTOM}{GOLD_LABELS}") for doc in docs]
    labels = sorted(set().union(*(one for one in held if one is not None)))
    for doc, one in zip(docs, held, strict=True):
        if one is not None:
            doc.cats = {label: float(label in one) for label in labels}
