"""eds.ner_crf: entities by a conditional random field, one chain of tags a label."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from loguru import logger
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.attributes import declare_span_attribute
from edspipe.doc.span_access import get_spans, parse_groups, remove_spans, set_spans
from edspipe.errors import CheckpointError
from edspipe.pipeline.torch_component import Batch, Features, TorchComponent
from edspipe.pipes.trainable.embeddings.base import WordEmbedding, context_sizes
from edspipe.pipes.trainable.layers.crf import Crf
from edspipe.pipes.trainable.layers.tagging import (
    NUM_TAGS,
    OUTSIDE,
    batch_to_spans,
    spans_to_tags,
)
from edspipe.types import SpanGetter, SpanSetter

ENTITY_PRIOR = 0.01
"""Share of words inside an entity that a new classifier expects of a label."""
CONFIDENCE = "ner_confidence_score"
PADDING = -100
"""Stands for the gold tags of what is no word."""


@registry.factory.register("eds.ner_crf")
class NerCrf(TorchComponent):
    """Finds entities; those of different labels may overlap freely.

    Each label has a chain of five tags (outside, begin, inside, last, unit). Gold entities come
    from `target_span_getter`. Of overlapping gold entities of one label the longest counts, then
    the leftmost. The loss is divided by the number of words.

    Predictions go where gold came from, unless `span_setter` says otherwise: they replace spans of
    the pipe's own labels there, and leave other spans alone.

    ```python
    nlp.add_pipe(
        eds.ner_crf(
            mode="joint",
            target_span_getter="gold-ner",
            window=20,
            embedding=eds.transformer(model="path/to/encoder"),
        ),
        name="ner",
    )
    ```

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        embedding: Gives each word a vector.
        mode: `"joint"`: likelihood of whole sequences (CRF); `"marginal"`: likelihood of each tag
            under the chain's posteriors; `"independent"`: likelihood of each tag by itself.
        target_span_getter: Where gold entities are.
        labels: The labels; None collects them, sorted, in `post_init`.
        span_setter: Where predictions go; None puts them where gold came from.
        window: Words that are decoded at once at inference; 0 or less decodes whole documents.
        stride: Words from one window to the next; None takes half a window.
        learn_transitions: Learn the scores of tag transitions; False only forbids invalid ones.
        dropout: Share of the vectors' values that is dropped before the classifier, in training.
        confidence: Write the probability of each entity to `span._.ner_confidence_score`.

    Attributes:
        temperature: The log-odds of these probabilities are divided by it; the callback
            `calibrate` of a training chooses it.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = "ner",
        *,
        embedding: WordEmbedding,
        mode: Literal["joint", "marginal", "independent"] = "joint",
        target_span_getter: SpanGetter = "ents",
        labels: Sequence[str] | None = None,
        span_setter: SpanSetter | None = None,
        window: int = 40,
        stride: int | None = None,
        learn_transitions: bool = True,
        dropout: float = 0.0,
        confidence: bool = False,
    ) -> None:
        super().__init__(nlp, name)
        self.embedding = embedding
        self.mode = mode
        self.target_span_getter = target_span_getter
        self.span_setter = span_setter
        self.window, self.stride = window, stride
        self.confidence = confidence
        self.temperature = 1.0
        self.dropout = torch.nn.Dropout(dropout)
        self.crf = Crf(0, learn_transitions=learn_transitions and mode != "independent")
        self.classifier: torch.nn.Linear | None = None
        self.labels: list[str] = []
        self.given_labels = labels is not None
        if labels:
            self.update_labels(labels)
        if confidence:
            declare_span_attribute(CONFIDENCE)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.confidence:
            declare_span_attribute(CONFIDENCE)  # in a worker nobody else does

    # ---- labels ----------------------------------------------------------------------------

    def update_labels(self, labels: Sequence[str]) -> None:
        """Set the labels and their order; the rows of labels that were there before are kept.

        Raises:
            ValueError: A label stands twice.
        """
        labels = list(labels)
        if len(set(labels)) != len(labels):
            raise ValueError(f"{self.name}: a label stands twice among {', '.join(labels)}")
        old_rows = {label: i for i, label in enumerate(self.labels)}
        old = self.classifier
        new = torch.nn.Linear(self.embedding.output_size, NUM_TAGS * len(labels))
        if old is not None:
            new.to(old.weight.device)
        with torch.no_grad():
            new.bias.view(-1, NUM_TAGS).copy_(_prior())
            for i, label in enumerate(labels):
                if old is not None and label in old_rows:
                    rows = slice(i * NUM_TAGS, (i + 1) * NUM_TAGS)
                    was = slice(old_rows[label] * NUM_TAGS, (old_rows[label] + 1) * NUM_TAGS)
                    new.weight[rows] = old.weight[was]
                    new.bias[rows] = old.bias[was]
        self.classifier = new
        self.labels = labels
        self.crf.num_labels = len(labels)

    def post_init(self, docs: Iterable[Doc], exclude: set[str]) -> None:
        """Collect the labels of the gold entities, unless they were given; report what is odd."""
        super().post_init(docs, exclude)
        found: Counter[str] = Counter()
        num_overlapping = 0
        for doc in docs:
            spans = get_spans(doc, self.target_span_getter)
            found.update(span.label_ for span in spans)
            num_overlapping += len(spans) - len(_without_overlaps(_rows(spans)))
        if self.given_labels:
            self._report_unknown(found)
        elif not found and not self.labels:
            raise ValueError(
                f"{self.name}: no gold entities in {self.target_span_getter!r}; give labels=, "
                "another target_span_getter=, or documents with entities"
            )
        else:
            new = sorted(set(found) - set(self.labels))
            if new:
                self.update_labels([*self.labels, *new])
        if num_overlapping:
            logger.warning(
                "{}: {} gold entities overlap a longer one of their label and are not learned",
                self.name,
                num_overlapping,
            )

    def _report_unknown(self, found: Counter[str]) -> None:
        unknown = {label: n for label, n in sorted(found.items()) if label not in self.labels}
        if unknown:
            shown = ", ".join(f"{label} ({n} times)" for label, n in unknown.items())
            logger.warning("{}: gold entities with labels not in labels=: {}", self.name, shown)

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"labels": self.labels}
        if self.temperature != 1.0:
            state["temperature"] = self.temperature
        return state

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        labels = state.get("labels")
        if not isinstance(labels, list) or not all(isinstance(x, str) and x for x in labels):
            raise CheckpointError(f"{file}: expected a list of labels under 'labels'")
        if len(set(labels)) != len(labels):
            raise CheckpointError(f"{file}: a label stands twice under 'labels'")
        if self.given_labels and sorted(labels) != sorted(self.labels):
            raise CheckpointError(f"{file}: the labels are not those of the config")
        temperature = state.get("temperature", 1.0)
        if not isinstance(temperature, (int, float)) or not 0 < temperature < math.inf:
            raise CheckpointError(f"{file}: expected a number above 0 under 'temperature'")
        self.temperature = float(temperature)
        if labels:
            self.update_labels(labels)

    # ---- one document ----------------------------------------------------------------------

    def preprocess(self, doc: Doc) -> Features:
        return {"embedding": self.embedding.preprocess(doc)}

    def preprocess_supervised(self, doc: Doc) -> Features:
        """As `preprocess`, with `tags`, int8, *Shape* `(words, labels)`."""
        index = {label: i for i, label in enumerate(self.labels)}
        spans = [s for s in get_spans(doc, self.target_span_getter) if s.label_ in index]
        rows = [(index[span.label_], span.start, span.end) for span in spans]
        kept = np.array(_without_overlaps(rows), dtype=np.int64).reshape(-1, 3)
        return {
            "embedding": self.embedding.preprocess(doc),
            "tags": spans_to_tags(kept, len(doc), len(self.labels)),
        }

    # ---- a batch ---------------------------------------------------------------------------

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Collate the embedding, and pad the gold tags.

        Returns:
            `embedding`; with targets, `tags`, int64, *Shape* `(documents, words, labels)`.
        """
        collated: Batch = {
            "embedding": self.embedding.collate([sample["embedding"] for sample in batch])
        }
        if "tags" in batch[0]:
            tags = [torch.from_numpy(sample["tags"]) for sample in batch]
            collated["tags"] = torch.nn.utils.rnn.pad_sequence(tags, batch_first=True).long()
            collated["stats"] = {"words": sum(len(sample["tags"]) for sample in batch)}
        return collated

    def loss_size(self, batch: Batch) -> float:
        """Return the number of words."""
        return batch["stats"]["words"]

    def default_metric(self) -> dict[str, Any]:
        """Return the exact metric on spans."""
        return {"@metrics": "eds.ner_exact", "span_getter": self.target_span_getter}

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute the loss, where there are targets, or the best tags.

        Returns:
            `loss`, an fp32 scalar, divided by the number of words; or `tags`, int64,
            *Shape* `(documents, words, labels)`, and `lengths`, *Shape* `(documents,)`.

        Raises:
            ValueError: The pipe has no labels yet.
        """
        if self.classifier is None:
            raise ValueError(
                f"{self.name} has no labels yet: call nlp.post_init(docs), or give labels="
            )
        below = self.embedding(batch["embedding"])
        emissions_STLK, mask_ST = self._emissions(below)
        if "tags" in batch:
            loss = self._loss(emissions_STLK, mask_ST, batch["tags"])
            return {"loss": loss / max(1, batch["stats"]["words"])}
        results = {
            "tags": self.crf.decode_windows(
                emissions_STLK, mask_ST, self.window, self.stride, sizes=context_sizes(below)
            ),
            "lengths": below["lengths"],
        }
        if self.confidence:
            results.update(emissions=emissions_STLK, mask=mask_ST)
        return results

    def _emissions(self, below: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Score the tags of all words, padded to the longest document, and mask the padding.

        On padding stand the scores of some other word. Nothing here waits for the device.
        """
        assert self.classifier is not None
        words, length_S = below["embeddings"], below["lengths"]
        scores = self.classifier(self.dropout(words)).float()
        word_T = torch.arange(max(context_sizes(below), default=0), device=words.device)
        mask_ST = word_T < length_S[:, None]
        first_S = length_S.cumsum(0) - length_S
        places_ST = (first_S[:, None] + word_T).clamp(max=len(words) - 1)
        emissions = scores.index_select(0, places_ST.flatten())
        return emissions.view(*mask_ST.shape, len(self.labels), NUM_TAGS), mask_ST

    def _loss(
        self, emissions_STLK: torch.Tensor, mask_ST: torch.Tensor, tags_STL: torch.Tensor
    ) -> torch.Tensor:
        if self.mode == "joint":
            return self.crf.loss(emissions_STLK, mask_ST, tags_STL)
        scores = emissions_STLK
        if self.mode == "marginal":
            scores = self.crf.log_marginals(emissions_STLK, mask_ST)
        gold_STL = tags_STL.masked_fill(~mask_ST[..., None], PADDING)
        return F.cross_entropy(
            scores.flatten(0, 2), gold_STL.flatten(), ignore_index=PADDING, reduction="sum"
        )

    # ---- predictions -----------------------------------------------------------------------

    def postprocess(
        self, docs: Sequence[Doc], results: dict[str, Any], inputs: Sequence[Features]
    ) -> Sequence[Doc]:
        """Write the entities into the Docs."""
        tags = results["tags"].cpu().numpy()
        found = batch_to_spans(tags)
        scores = self._confidences(found, results) if self.confidence else None
        for i, doc in enumerate(docs):
            spans = [
                Span(doc, start, end, label=self.labels[label])
                for label, start, end in found[i].tolist()
            ]
            if scores is not None:
                for span, score in zip(spans, scores[i], strict=True):
                    span._.set(CONFIDENCE, score)
            self._write(doc, spans)
        return docs

    def _confidences(
        self, found: Sequence[np.ndarray], results: dict[str, Any]
    ) -> list[list[float]]:
        rows = [np.insert(spans, 0, i, axis=1) for i, spans in enumerate(found)]
        table = torch.from_numpy(np.concatenate(rows)).to(results["mask"].device)
        all_scores = self.crf.span_probabilities(results["emissions"], results["mask"], table)
        if self.temperature != 1.0:
            all_scores = torch.sigmoid(torch.logit(all_scores, eps=1e-7) / self.temperature)
        ends = np.cumsum([len(spans) for spans in found])[:-1]
        return [part.tolist() for part in np.split(all_scores.cpu().numpy(), ends)]

    def _write(self, doc: Doc, spans: list[Span]) -> None:
        setter = self.span_setter
        if setter is None:
            setter = "ents" if callable(self.target_span_getter) else self.target_span_getter
        if callable(setter):
            setter(doc, spans)
            return
        own = set(self.labels)
        groups = {g: chosen for g, chosen in parse_groups(setter).items() if g != "*"} or {
            "ents": True
        }
        remove_spans(doc, lambda span: span.label_ not in own, groups)
        set_spans(doc, spans, groups)  # type: ignore[arg-type]


def _prior() -> torch.Tensor:
    """Return biases under which a word is outside with probability 1 - `ENTITY_PRIOR`.

    Most words are outside; a classifier that begins there spends its first steps on what tells
    entities apart (Lin et al. 2017, "Focal loss for dense object detection", section 4.1).
    """
    prior = torch.zeros(NUM_TAGS)
    prior[OUTSIDE] = math.log((1 - ENTITY_PRIOR) * (NUM_TAGS - 1) / ENTITY_PRIOR)
    return prior


def _rows(spans: Iterable[Span]) -> list[tuple[int, int, int]]:
    return [(span.label, span.start, span.end) for span in spans]


def _without_overlaps(rows: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Of rows (label, start, end) of one label that overlap, keep the longest, then leftmost."""
    ordered = sorted(rows)
    clash = any(a[0] == b[0] and b[1] < a[2] for a, b in pairwise(ordered))
    if not clash:
        return ordered
    taken: dict[int, set[int]] = {}
    kept = []
    for label, start, end in sorted(rows, key=lambda row: (row[1] - row[2], row[1])):
        words = taken.setdefault(label, set())
        if words.isdisjoint(range(start, end)):
            words.update(range(start, end))
            kept.append((label, start, end))
    return sorted(kept)
