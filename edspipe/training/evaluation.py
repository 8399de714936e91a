"""Scores of a pipeline on documents with gold annotations, and its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import combinations
from typing import Any

import torch
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.doc.attributes import declare_span_attribute
from edspipe.doc.bare import bare_copy
from edspipe.doc.document_labels import CATS, gold_labels
from edspipe.doc.span_access import get_spans, set_spans
from edspipe.errors import ConfigError
from edspipe.metrics.documents import DocumentLabelsMetric
from edspipe.metrics.evaluation import CONFIDENCE
from edspipe.pipeline.pipeline import Pipeline
from edspipe.pipeline.torch_component import evaluating
from edspipe.training.batches import BatchMaker
from edspipe.training.data import DEFAULT_BATCH, TrainingData, measured
from edspipe.types import SpanGetter, SpanSetter

Metric = Callable[[Sequence[Doc], Sequence[Doc]], Mapping[str, Any]]
LEFT_OUT = ("ci",)
"""Parts of a metric's result that are no scores."""


def predict(nlp: Pipeline, docs: Sequence[Doc], **settings: Any) -> list[Doc]:
    """Run the pipes that are switched on, those upstream too, over copies without annotations.

    What a pipe writes elsewhere than where gold is, by a `span_setter`, is put there as well.

    Args:
        nlp: The pipeline.
        docs: Documents; they are not changed.
        **settings: As of `nlp.pipe`.

    Raises:
        ConfigError: As of `check_apart`.
    """
    check_apart(nlp)
    without = gold_doc_attributes(nlp)
    copies = [bare_copy(doc, without) for doc in docs]
    predicted = list(nlp.pipe(copies, seed=0, **settings))
    for gold_place, written in _moved(nlp):
        for doc in predicted:
            set_spans(doc, get_spans(doc, written), gold_place)
    for _, component in nlp.torch_components():
        if put := getattr(component, "put_where_gold_is", None):
            for doc in predicted:
                put(doc)
    return predicted


def gold_doc_attributes(nlp: Pipeline) -> set[str]:
    """Return the attributes of documents where pipes that are switched on have gold."""
    pipes = (component for _, component in nlp.torch_components())
    return {name for pipe in pipes for name in getattr(pipe, "gold_doc_attributes", ())}


def doc_label_places(nlp: Pipeline, metrics: Mapping[str, Metric]) -> set[str]:
    """Return where pipes and metrics look for gold labels of documents: `"cats"`, `"_.<name>"`."""
    pipes = [pipe for _, pipe in nlp.torch_components()]
    found = {getattr(pipe, "attribute", CATS) for pipe in pipes if is_doc_classifier(pipe)}
    return found | {m.attribute for m in metrics.values() if isinstance(m, DocumentLabelsMetric)}


def is_doc_classifier(pipe: Any) -> bool:
    """Whether a pipe says that it gives documents labels."""
    return hasattr(pipe, "gold_doc_attributes")


def check_apart(nlp: Pipeline) -> None:
    """Refuse classifiers of documents of which one writes over what another has said.

    Raises:
        ConfigError: Two that are switched on write to the same attribute, or give the same label.
    """
    found: Iterator[tuple[str, Any]] = nlp.torch_components()
    pipes = [(name, pipe) for name, pipe in found if is_doc_classifier(pipe)]
    for (name_a, a), (name_b, b) in combinations(pipes, 2):
        names = f"the pipes {name_a} and {name_b}"
        if a.label_attribute == b.label_attribute:
            raise ConfigError(
                f"{names} both write labels to doc._.{a.label_attribute}, where the second would "
                "replace those of the first: give one another label_attribute="
            )
        if both := [label for label in a.labels if label in b.labels]:
            raise ConfigError(
                f"{names} both give the labels {', '.join(both)}, and doc.cats has room for one "
                "probability of each: rename them, or switch one pipe off"
            )


def _moved(nlp: Pipeline) -> Iterator[tuple[SpanSetter, SpanGetter]]:
    """Yield where gold is and where a pipe writes, for each one that writes elsewhere."""
    for _, component in nlp.torch_components():
        gold: Any = getattr(component, "target_span_getter", None)
        written: Any = getattr(component, "span_setter", None)
        if None in (gold, written) or callable(gold) or callable(written):
            continue
        if gold != written:
            yield gold, written


@contextmanager
def confidences(nlp: Pipeline, *, on: bool = True) -> Iterator[None]:
    """Inside, pipes with a switch `confidence` say how sure they are; afterwards as before."""
    pipes = [pipe for _, pipe in nlp.pipes if getattr(pipe, "confidence", None) is False]
    pipes = pipes if on else []
    if pipes:
        declare_span_attribute(CONFIDENCE)
    for pipe in pipes:
        pipe.confidence = True
    try:
        yield
    finally:
        for pipe in pipes:
            pipe.confidence = False


def default_metrics(nlp: Pipeline) -> dict[str, Metric]:
    """Return the metric of each trainable pipe that has one, by the name of the pipe."""
    found: dict[str, Metric] = {}
    for name, component in nlp.torch_components():
        config = component.default_metric()
        if config is not None:
            kwargs = {key: value for key, value in config.items() if key != "@metrics"}
            found[name] = registry.metrics.get(config["@metrics"])(**kwargs)
    return found


def read_metrics(metrics: Any, nlp: Pipeline) -> dict[str, Metric]:
    """Read metrics from an argument: a metric, a dict of them by name, or None for the default.

    Raises:
        ConfigError: It is none of these; or as of `check_apart`.
    """
    check_apart(nlp)
    if metrics is None:
        return default_metrics(nlp)
    if callable(metrics):
        return {"": metrics}
    if isinstance(metrics, Mapping) and all(callable(metric) for metric in metrics.values()):
        return dict(metrics)
    raise ConfigError(
        f"metrics: expected a metric or a dict of metrics by name, got {type(metrics).__name__}"
    )


def score(
    metrics: Mapping[str, Metric], gold_docs: Sequence[Doc], predicted_docs: Sequence[Doc]
) -> dict[str, float]:
    """Return all scores by name: `micro_f`, or `<metric>/micro_f` where there are several metrics.

    Args:
        metrics: The metrics by name.
        gold_docs: Gold documents.
        predicted_docs: Predictions, in the same order.
    """
    scores: dict[str, float] = {}
    for name, metric in metrics.items():
        prefix = f"{name}/" if len(metrics) > 1 else ""
        for key, value in _numbers(metric(gold_docs, predicted_docs)):
            scores[f"{prefix}{key}"] = value
    return scores


def best_results(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Return metrics that say what there is to score where everything is right: gold labels of
    documents alone have no scores to rank by, and predictions do."""
    return {
        name: metric.best_result if isinstance(metric, DocumentLabelsMetric) else metric
        for name, metric in metrics.items()
    }


def as_predicted(docs: Sequence[Doc], pipes: Mapping[str, Any]) -> list[Doc]:
    """Return copies with gold labels where classifiers of documents write theirs too, so that a
    metric can be asked what it says before anything is predicted.

    Args:
        docs: Gold documents.
        pipes: The pipes by name.
    """
    classifiers = [pipe for pipe in pipes.values() if is_doc_classifier(pipe)]
    if not classifiers:
        return list(docs)
    copies = [doc.copy() for doc in docs]
    for pipe in classifiers:
        for doc in copies:
            gold = gold_labels(doc, pipe.attribute) or set()
            doc.cats = {**doc.cats, **{label: float(label in gold) for label in pipe.labels}}
            doc._.set(pipe.label_attribute, [label for label in pipe.labels if label in gold])
            if hasattr(pipe, "put_where_gold_is"):
                pipe.put_where_gold_is(doc)
    return copies


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Yield the figures of nested dicts with their joined names; counts are left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if name or key not in LEFT_OUT:
                yield from _numbers(inner, f"{name}_{key}" if name else str(key))
    elif isinstance(value, float):
        yield name, value


class LossOnDocs:
    """The mean loss of each pipe on the same documents, again and again.

    Args:
        nlp: The pipeline.
        docs: Documents with gold annotations.
        autocast: Makes the context that models compute in.
        device: Where the models are.
        batch_size: Documents that are computed at once.
    """

    def __init__(
        self,
        nlp: Pipeline,
        docs: Sequence[Doc],
        autocast: Callable[[], AbstractContextManager[Any]],
        device: torch.device,
        batch_size: int | str = DEFAULT_BATCH,
    ) -> None:
        self.nlp, self.docs, self.autocast = nlp, docs, autocast
        data = TrainingData(docs, batch_size=1, sub_batch_size=batch_size)  # type: ignore[arg-type]
        self.maker = BatchMaker(nlp, data, device=device)
        self.size, self.of_features = measured(batch_size)

    def __call__(self) -> dict[str, float]:
        """Return the losses by pipe."""
        sums: dict[str, torch.Tensor] = {}
        sizes: dict[str, float] = {}
        components = dict(self.nlp.torch_components())
        with evaluating(*components.values()), torch.no_grad():
            for batch in self._batches():
                with self.nlp.cache(), self.autocast():
                    for name, component in components.items():
                        if not (size := _size(component, batch, name)):
                            continue
                        loss = component(batch[name])["loss"].double() * size
                        sums[name] = sums[name] + loss if name in sums else loss
                        sizes[name] = sizes.get(name, 0.0) + size
        return {name: float(total) / sizes[name] for name, total in sums.items()}

    def _batches(self) -> Iterator[dict[str, Any]]:
        """Yield batches of about equal lengths, which wastes least."""
        ordered = sorted(self.docs, key=len)
        for first in range(0, len(ordered), 256):
            samples = [self.maker.sample(doc) for doc in ordered[first : first + 256]]
            for part in self.maker.sub_batches.cut(samples):
                yield self.nlp.collate([samples[i] for i in part], device=self.maker.device)


def _size(component: Any, batch: dict[str, Any], name: str) -> float:
    size = component.loss_size(batch[name])
    return len(batch["doc_ids"]) if size is None else size
