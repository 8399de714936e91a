"""eds.doc_classifier: labels of whole documents."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from loguru import logger
from spacy.attrs import IS_SPACE
from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.doc.attributes import declare_doc_attribute
from edspipe.doc.document_labels import (
    check_label_attribute,
    declare_labels,
    gold_labels,
    named_labels,
)
from edspipe.errors import CheckpointError, ConfigError, DataError
from edspipe.pipeline.torch_component import Batch, Features, TorchComponent
from edspipe.pipes.trainable import label_tables as tables
from edspipe.pipes.trainable.doc_features import DocFeatures
from edspipe.pipes.trainable.embeddings.base import WordEmbedding
from edspipe.pipes.trainable.layers.doc_pooling import (
    DocHead,
    DocPooling,
    DocPoolingMode,
    check_hidden_size,
    check_pooling,
    flat_words,
)
from edspipe.pipes.trainable.layers.label_loss import label_loss, label_probabilities
from edspipe.pipes.trainable.layers.word_dropout import check_share


@registry.factory.register("eds.doc_classifier")
class DocClassifier(TorchComponent):
    """Gives documents labels: several each, or exactly one.

    The vectors of all words of a document are pooled into one vector, whatever its length: what is
    longer than the encoder's window is read window by window, and nothing is cut. Blank tokens
    (line breaks, spaces) are not looked at. A document without words has a vector of zeros.

    Gold labels come from `attribute`; a document where nothing is known of them is not learned
    from. The loss (binary cross-entropy, mean over labels; or cross-entropy) is divided by the
    number of documents that are learned from.

    Probabilities go to `doc.cats`, which keeps other labels, and decisions, a list of labels, to
    `doc._.<label_attribute>`: those whose probability reaches their threshold, or the most
    probable one. Labels, weights, thresholds, temperature, and what features are standardised by
    are saved with the pipe.

    ```python
    nlp.add_pipe(
        eds.doc_classifier(
            embedding=eds.transformer(model="path/to/encoder"),
            pooling="attention",
            pos_weight="sqrt_inverse",
        ),
        name="classifier",
    )
    ```

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        embedding: Gives each word a vector.
        labels: The labels; None collects them, sorted, in `post_init`.
        mode: `"multi_label"`: any number of labels a document; `"single_label"`: one.
        pooling: `"mean"`, `"max"`, or `"attention"`, a weighted mean whose weights are learned.
            `"cls"` is refused: embeddings give vectors of words only.
        head: `"linear"`, or `"mlp"`, with a hidden layer.
        hidden_size: Size of the hidden layer; None takes that of the embedding.
        features: Numeric attributes of documents, `["_.age"]`, that stand beside the pooled vector:
            standardised once, over the training documents; a missing value becomes 0, and a column
            of its own says so.
        pos_weight: Factor of the loss by gold label: `"none"`, `"inverse"`, which is
            (N + 1) / (n + 1) where n of N training documents have the label, `"sqrt_inverse"`, its
            square root, or a table by label, 1 for those that are not named.
        correct_pos_weight: Take the logarithm of these factors from the logits of predictions,
            which makes probabilities what they are without factors.
        dropout: Share of values that is dropped before each layer of the head, in training.
        min_count: Labels that fewer training documents have are left out, with a warning; labels
            that are given are not.
        thresholds: From this probability on a document has a label: one for all, or a table, 0.5
            for those that are not named.
        temperature: Logits are divided by it.
        attribute: Where gold labels are: `"cats"`, or `"_.<name>"` for an attribute of documents
            that holds a string, a list, or a table of scores.
        label_attribute: The name of the attribute of documents that decisions go to.

    Attributes:
        labels: The labels.
        left_out: Those that were left out, and how many documents have them.
        pos_weights: The factor of each label, counted once, in `post_init`; 1 before.
        thresholds: The threshold of each label.

    Raises:
        ConfigError: An argument is out of its range, or a table names what is no label.
    """

    weight_L: torch.Tensor

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = "classifier",
        *,
        embedding: WordEmbedding,
        labels: Sequence[str] | None = None,
        mode: Literal["multi_label", "single_label"] = "multi_label",
        pooling: DocPoolingMode = "mean",
        head: Literal["linear", "mlp"] = "linear",
        hidden_size: int | None = None,
        features: Sequence[str] = (),
        pos_weight: tables.WeightKind | Mapping[str, float] = "none",
        correct_pos_weight: bool = False,
        dropout: float = 0.1,
        min_count: int = 1,
        thresholds: float | Mapping[str, float] = 0.5,
        temperature: float = 1.0,
        attribute: str = "cats",
        label_attribute: str = "labels",
    ) -> None:
        super().__init__(nlp, name)
        check_pooling(f"{name}.pooling", pooling)
        self.embedding = embedding
        self.mode = mode
        self.pos_weight, self.correct_pos_weight = pos_weight, correct_pos_weight
        self.min_count = min_count
        self.attribute, self.label_attribute = attribute, label_attribute
        self._check(head, hidden_size, thresholds)
        self._given_thresholds = thresholds
        self.set_temperature(temperature)
        self.features = DocFeatures(features)
        self.dropout = torch.nn.Dropout(check_share(f"{name}.dropout", dropout))
        size = embedding.output_size
        self.pooling = DocPooling(pooling, size)
        hidden = hidden_size or size if head == "mlp" else None
        self.head = DocHead(size + self.features.num_columns, hidden, dropout)
        self.register_buffer("weight_L", torch.ones(0), persistent=False)
        self.labels: list[str] = []
        self.left_out: dict[str, int] = {}
        self.pos_weights: dict[str, float] = {}
        self.thresholds: dict[str, float] = {}
        self.given_labels = labels is not None
        if labels:
            self.update_labels(labels)
        self._declare()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._declare()  # in a worker nobody else does

    def _declare(self) -> None:
        declare_labels(self.attribute)
        declare_doc_attribute(self.label_attribute)

    def _check(
        self, head: str, hidden_size: int | None, thresholds: float | Mapping[str, float]
    ) -> None:
        try:
            check_label_attribute(self.attribute)
            check_label_attribute(f"_.{self.label_attribute}")
        except ValueError as error:
            raise ConfigError(f"{self.name}: {error}") from None
        check_hidden_size(f"{self.name}.hidden_size", head, hidden_size)
        if self.min_count < 1:
            raise ConfigError(f"{self.name}.min_count: expected 1 or more, got {self.min_count}")
        if isinstance(self.pos_weight, Mapping):
            tables.check_weights(f"{self.name}.pos_weight", self.pos_weight)
        tables.check_thresholds(f"{self.name}.thresholds", thresholds)

    @property
    def gold_doc_attributes(self) -> tuple[str, ...]:
        """Attributes of documents that may hold gold labels: predictions must not see them."""
        names = (self.label_attribute, self.attribute.removeprefix("_."))
        return names[: 1 if self.attribute == "cats" else 2]

    # ---- labels ----------------------------------------------------------------------------

    def update_labels(self, labels: Sequence[str]) -> None:
        """Set the labels and their order; what was learned of labels that were there is kept.

        Raises:
            ValueError: A label stands twice.
            ConfigError: A table of the config names what is no label.
        """
        labels = list(labels)
        if len(set(labels)) != len(labels):
            raise ValueError(f"{self.name}: a label stands twice among {', '.join(labels)}")
        known = {*labels, *self.left_out}
        tables.check_names(f"{self.name}.pos_weight", self.pos_weight, known)
        tables.check_names(f"{self.name}.thresholds", self._given_thresholds, known)
        rows = {label: i for i, label in enumerate(self.labels)}
        kept = [(i, rows[label]) for i, label in enumerate(labels) if label in rows]
        new, old = torch.tensor(kept, dtype=torch.long).reshape(-1, 2).unbind(1)
        self.head.set_rows(len(labels), new, old)
        self.head.to(self.device)
        self.labels = labels
        first = {label: tables.threshold_of(self._given_thresholds, label) for label in labels}
        self.thresholds = {x: self.thresholds.get(x, first[x]) for x in labels}
        table = self.pos_weight if isinstance(self.pos_weight, Mapping) else {}
        self._set_weights({x: self.pos_weights.get(x, float(table.get(x, 1.0))) for x in labels})

    def _set_weights(self, weights: dict[str, float]) -> None:
        self.pos_weights = weights
        values = [weights[label] for label in self.labels]
        self.weight_L = torch.tensor(values, device=self.device)

    def set_thresholds(self, thresholds: float | Mapping[str, float]) -> None:
        """Set the thresholds: one for all labels, or of those that a table names.

        Raises:
            ConfigError: One is not from 0 to 1, or there is no such label.
        """
        tables.check_thresholds(f"{self.name}.thresholds", thresholds)
        tables.check_names(f"{self.name}.thresholds", thresholds, self.labels)
        if not isinstance(thresholds, Mapping):
            thresholds = dict.fromkeys(self.labels, thresholds)
        self.thresholds |= {label: float(value) for label, value in thresholds.items()}

    def set_temperature(self, temperature: float) -> None:
        """Set what logits are divided by.

        Raises:
            ConfigError: It is not a finite number above 0.
        """
        if not 0 < temperature < math.inf:
            raise ConfigError(
                f"{self.name}.temperature: expected a number above 0, got {temperature}"
            )
        self.temperature = float(temperature)

    def post_init(self, docs: Iterable[Doc], exclude: set[str]) -> None:
        """Collect the gold labels, unless they were given; count what weights and features need.

        Raises:
            ValueError: No document has a gold label, or too few have each.
            DataError: A document has several labels, under `mode="single_label"`.
        """
        super().post_init(docs, exclude)
        found: Counter[str] = Counter()
        num_docs = 0
        for doc in docs:
            gold = self._gold(doc)
            num_docs += gold is not None
            found.update(dict.fromkeys(named_labels(doc, self.attribute), 0))
            found.update(gold or ())
        if self.given_labels:
            self._report_unknown(found)
        else:
            self._collect(found)
        counts = {label: found[label] for label in self.labels}
        if self.mode == "single_label":  # documents of other labels are not learned from
            num_docs = sum(counts.values())
        self._set_weights(tables.label_weights(self.pos_weight, counts, num_docs))
        self.features.fit(docs)

    def _collect(self, found: Counter[str]) -> None:
        rare = {x: n for x, n in found.items() if n < self.min_count and x not in self.labels}
        self.left_out = dict(sorted(rare.items()))
        if rare:
            text = "{}: labels that fewer than {} documents have are left out: {}"
            logger.warning(text, self.name, self.min_count, tables.shown_counts(self.left_out))
        new = sorted(set(found) - set(self.labels) - set(rare))
        if not new and not self.labels:
            raise ValueError(
                f"{self.name}: no label in {self.attribute!r} that {self.min_count} or more "
                "documents have; give another attribute=, a lower min_count=, or documents that "
                "were read with labels"
            )
        if new:
            self.update_labels([*self.labels, *new])

    def _report_unknown(self, found: Counter[str]) -> None:
        unknown = {x: n for x, n in sorted(found.items()) if n and x not in self.labels}
        if unknown:
            text = "{}: gold labels not in labels=, which are not learned: {}"
            logger.warning(text, self.name, tables.shown_counts(unknown))

    def get_state(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "left_out": self.left_out,
            "pos_weight": self.pos_weights,
            "thresholds": self.thresholds,
            "temperature": self.temperature,
            "features": self.features.get_state(),
        }

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        labels = tables.read_labels(state, file)
        if self.given_labels and sorted(labels) != sorted(self.labels):
            raise CheckpointError(f"{file}: the labels are not those of the config")
        weights = tables.read_table(state, "pos_weight", labels, file)
        thresholds = tables.read_table(state, "thresholds", labels, file)
        self.features.set_state(state.get("features"), file)
        self.left_out = dict(state.get("left_out") or {})
        try:
            self.set_temperature(state.get("temperature", 1.0))
            tables.check_weights("pos_weight", weights)
            tables.check_thresholds("thresholds", thresholds)
            if labels:
                self.update_labels(labels)
        except (ConfigError, TypeError) as error:
            raise CheckpointError(f"{file}: {error}") from None
        self.thresholds = thresholds
        self._set_weights(weights)

    # ---- one document ----------------------------------------------------------------------

    def preprocess(self, doc: Doc) -> Features:
        """Return the features of the embedding, which tokens are words, and the numbers.

        Returns:
            `embedding`; `words`, int32, *Shape* `(words,)`; `num_tokens`; `numbers`, float32,
            *Shape* `(2 * features,)`.
        """
        return {
            "embedding": self.embedding.preprocess(doc),
            "words": np.flatnonzero(doc.to_array(IS_SPACE) == 0).astype(np.int32),
            "num_tokens": len(doc),
            "numbers": self.features.read(doc),
        }

    def preprocess_supervised(self, doc: Doc) -> Features:
        """As `preprocess`, with `target`: 1 or 0 by label, float32, *Shape* `(labels,)`; or the
        number of the label; or None, where there is no gold."""
        return {**self.preprocess(doc), "target": self._target(doc)}

    def _gold(self, doc: Doc) -> set[str] | None:
        gold = gold_labels(doc, self.attribute)
        if gold is not None and len(gold) > 1 and self.mode == "single_label":
            raise DataError(
                f"{self.name}: expected one label in {self.attribute!r} under mode='single_label', "
                f"got {len(gold)}; take mode='multi_label'",
                id=None if doc._.note_id is None else str(doc._.note_id),
            )
        return gold

    def _target(self, doc: Doc) -> np.ndarray | int | None:
        gold = self._gold(doc)
        return None if gold is None else tables.target_of(gold, self.labels, self.mode)

    # ---- a batch ---------------------------------------------------------------------------

    def collate(self, batch: Sequence[Features]) -> Batch:
        """Collate the embedding, and say where the words of each document stand.

        Returns:
            `embedding`; `words`, int64, *Shape* `(words,)`; `docs`, the document of each; `first`,
            where each document begins in them, *Shape* `(documents,)`; `numbers`; with targets,
            `labelled`, the documents that have one, and `targets`, theirs.
        """
        word_P, first_N, doc_P = flat_words(
            [sample["words"] for sample in batch], [sample["num_tokens"] for sample in batch]
        )
        collated: Batch = {
            "embedding": self.embedding.collate([sample["embedding"] for sample in batch]),
            "words": word_P,
            "first": first_N,
            "docs": doc_P,
            "numbers": torch.from_numpy(np.stack([sample["numbers"] for sample in batch])),
        }
        if "target" in batch[0]:
            labelled = [i for i, sample in enumerate(batch) if sample["target"] is not None]
            collated["stats"] = {"labelled": len(labelled)}
            collated["labelled"] = torch.tensor(labelled, dtype=torch.int64)
            collated["targets"] = tables.stack_targets(
                [batch[i]["target"] for i in labelled], len(self.labels), self.mode
            )
        return collated

    def loss_size(self, batch: Batch) -> float:
        """Return the number of documents that are learned from."""
        return batch["stats"]["labelled"]

    def default_metric(self) -> dict[str, Any]:
        """Return the metric on labels, by the pipe's own decisions."""
        config = {"@metrics": "eds.document_labels", "attribute": self.attribute}
        decisions = f"_.{self.label_attribute}"
        return config if decisions == self.attribute else {**config, "decisions": decisions}

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute the loss, where there are targets, or the probabilities.

        Returns:
            `loss`, an fp32 scalar, divided by the number of documents that are learned from; or
            `logits`, as the head gives them, and `probabilities`, corrected and with the
            temperature, fp32, *Shape* `(documents, labels)`.

        Raises:
            ValueError: The pipe has no labels yet.
        """
        if not self.labels:
            raise ValueError(
                f"{self.name} has no labels yet: call nlp.post_init(docs), or give labels="
            )
        words = self.embedding(batch["embedding"])["embeddings"]
        with torch.autocast(words.device.type, enabled=False):  # bf16 would make scores equal
            pooled = self.pooling(words, batch["words"], batch["first"], batch["docs"])
            logits = self.head(torch.cat([self.dropout(pooled), batch["numbers"]], dim=1))
        if "targets" in batch:
            known = logits.index_select(0, batch["labelled"])
            loss = label_loss(known, batch["targets"], self.weight_L)
            return {"loss": loss / max(1, batch["stats"]["labelled"])}
        weights = self.weight_L if self.correct_pos_weight else None
        only_one = self.mode == "single_label"
        found = label_probabilities(logits, weights, self.temperature, only_one=only_one)
        return {"logits": logits, "probabilities": found}

    # ---- predictions -----------------------------------------------------------------------

    def postprocess(
        self, docs: Sequence[Doc], results: dict[str, Any], inputs: Sequence[Features]
    ) -> Sequence[Doc]:
        """Write probabilities and decisions into the Docs."""
        rows = results["probabilities"].cpu().tolist()
        for doc, row in zip(docs, rows, strict=True):
            doc.cats = {**doc.cats, **dict(zip(self.labels, row, strict=True))}
            doc._.set(self.label_attribute, self.decide(row))
        return docs

    def put_where_gold_is(self, doc: Doc) -> None:
        """Copy the probabilities to where gold comes from, for metrics that look there."""
        if self.attribute not in ("cats", f"_.{self.label_attribute}"):
            scores = {label: doc.cats[label] for label in self.labels}
            doc._.set(self.attribute.removeprefix("_."), scores)

    def decide(self, probabilities: Sequence[float]) -> list[str]:
        """Return the labels of a document.

        Args:
            probabilities: Those of all labels, in their order.
        """
        if self.mode == "single_label":
            return [self.labels[int(np.argmax(probabilities))]]
        pairs = zip(self.labels, probabilities, strict=True)
        return [label for label, p in pairs if p >= self.thresholds[label]]
