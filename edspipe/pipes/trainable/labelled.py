"""Pipes that give documents labels: which labels, and what is known of each.

Labels, the weights of the loss, thresholds and a temperature are found in training, and saved with
the pipe: decisions need all of them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loguru import logger
from spacy.tokens import Doc

from edspipe.doc.attributes import declare_doc_attribute
from edspipe.doc.document_labels import (
    check_label_attribute,
    declare_labels,
    gold_labels,
    named_labels,
)
from edspipe.errors import CheckpointError, ConfigError, DataError
from edspipe.pipeline.torch_component import TorchComponent
from edspipe.pipes.trainable import label_tables as tables


class LabelledPipe(TorchComponent):
    """A pipe that learns labels of documents, and decides on them.

    Args:
        nlp: The pipeline.
        name: The name of the pipe.
        attribute: Where gold labels are.
        label_attribute: The name of the attribute of documents that decisions go to.
        mode: `"multi_label"` or `"single_label"`.
        pos_weight: Factor of the loss by gold label, or how to count it.
        min_count: Labels that fewer training documents have are left out.
        thresholds: From this probability on a document has a label.

    Attributes:
        labels: The labels.
        given_labels: Whether they came with the config.
        left_out: Those that were left out, and how many documents have them.
        pos_weights: The factor of each label, counted once, in `post_init`; 1 before.
        weight_L: The same, in the order of the labels. *Shape* `(labels,)`
        thresholds: The threshold of each label.
        temperature: What logits are divided by.

    Raises:
        ConfigError: An argument is out of its range.
    """

    weight_L: torch.Tensor
    given_labels: bool = False

    def __init__(
        self,
        nlp: Any,
        name: str | None,
        *,
        attribute: str,
        label_attribute: str,
        mode: str,
        pos_weight: tables.WeightKind | Mapping[str, float],
        min_count: int,
        thresholds: float | Mapping[str, float],
    ) -> None:
        super().__init__(nlp, name)
        self.attribute, self.label_attribute, self.mode = attribute, label_attribute, mode
        self.pos_weight, self.min_count = pos_weight, min_count
        try:
            check_label_attribute(attribute)
            check_label_attribute(f"_.{label_attribute}")
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from None
        if min_count < 1:
            raise ConfigError(f"{name}.min_count: expected 1 or more, got {min_count}")
        if isinstance(pos_weight, Mapping):
            tables.check_weights(f"{name}.pos_weight", pos_weight)
        tables.check_thresholds(f"{name}.thresholds", thresholds)
        self._given_thresholds = thresholds
        self.register_buffer("weight_L", torch.ones(0), persistent=False)
        self.labels: list[str] = []
        self.left_out: dict[str, int] = {}
        self.pos_weights: dict[str, float] = {}
        self.thresholds: dict[str, float] = {}
        self.temperature = 1.0

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._declare()  # in a worker nobody else does

    def _declare(self) -> None:
        """Make the attributes of documents exist."""
        declare_labels(self.attribute)
        declare_doc_attribute(self.label_attribute)

    @abstractmethod
    def resize(self, num_labels: int, new: torch.Tensor, old: torch.Tensor) -> None:
        """Make room for a number of labels; rows `new` take what rows `old` had."""

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
        self.resize(len(labels), new, old)
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

    def decide(self, probabilities: Sequence[float]) -> list[str]:
        """Return the labels of a document.

        Args:
            probabilities: Those of all labels, in their order.
        """
        if self.mode == "single_label":
            return [self.labels[int(np.argmax(probabilities))]]
        pairs = zip(self.labels, probabilities, strict=True)
        return [label for label, p in pairs if p >= self.thresholds[label]]

    @property
    def gold_doc_attributes(self) -> tuple[str, ...]:
        """Attributes of documents that may hold gold labels: predictions must not see them."""
        names = (self.label_attribute, self.attribute.removeprefix("_."))
        return names[: 1 if self.attribute == "cats" else 2]

    # ---- gold ------------------------------------------------------------------------------

    def post_init(self, docs: Iterable[Doc], exclude: set[str]) -> None:
        """Collect the gold labels, unless they were given; count what weights need.

        Raises:
            ValueError: No document has a gold label, or too few have each.
            DataError: A document has several labels, under `mode="single_label"`.
        """
        super().post_init(docs, exclude)
        found: Counter[str] = Counter()
        num_docs = 0
        for doc in docs:
            gold = self.gold(doc)
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

    def gold(self, doc: Doc) -> set[str] | None:
        """Return the gold labels of a document; None where nothing is known of them.

        Raises:
            DataError: It has several, under `mode="single_label"`.
        """
        gold = gold_labels(doc, self.attribute)
        if gold is not None and len(gold) > 1 and self.mode == "single_label":
            raise DataError(
                f"{self.name}: expected one label in {self.attribute!r} under mode='single_label', "
                f"got {len(gold)}; take mode='multi_label'",
                id=None if doc._.note_id is None else str(doc._.note_id),
            )
        return gold

    def target(self, doc: Doc) -> np.ndarray | int | None:
        """Return what is learned of a document: 1 or 0 by label, float32, *Shape* `(labels,)`; or
        the number of the label; or None, where there is no gold."""
        gold = self.gold(doc)
        return None if gold is None else tables.target_of(gold, self.labels, self.mode)

    # ---- saved -----------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "left_out": self.left_out,
            "pos_weight": self.pos_weights,
            "thresholds": self.thresholds,
            "temperature": self.temperature,
        }

    def set_state(self, state: dict[str, Any], file: Path) -> None:
        labels = tables.read_labels(state, file)
        if self.given_labels and sorted(labels) != sorted(self.labels):
            raise CheckpointError(f"{file}: the labels are not those of the config")
        weights = tables.read_table(state, "pos_weight", labels, file)
        thresholds = tables.read_table(state, "thresholds", labels, file)
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
