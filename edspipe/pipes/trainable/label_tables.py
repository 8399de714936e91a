"""Numbers by label: weights of the loss that even out rare ones, thresholds, and targets."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from edspipe.errors import CheckpointError, ConfigError, did_you_mean

WeightKind = Literal["none", "inverse", "sqrt_inverse"]
DEFAULT_THRESHOLD = 0.5


def label_weights(
    kind: WeightKind | Mapping[str, float], counts: Mapping[str, int], num_docs: int
) -> dict[str, float]:
    """Return the weight of each label.

    Args:
        kind: `"none"`: 1; `"inverse"`: (N + 1) / (n + 1), where n of N documents have the label;
            `"sqrt_inverse"`: the square root of this; or a table, where 1 is for all others.
        counts: How many documents have each label.
        num_docs: How many documents there are.
    """
    if isinstance(kind, Mapping):
        return {label: float(kind.get(label, 1.0)) for label in counts}
    power = {"none": 0.0, "inverse": 1.0, "sqrt_inverse": 0.5}[kind]
    return {label: ((num_docs + 1) / (n + 1)) ** power for label, n in counts.items()}


def check_weights(name: str, weights: Mapping[str, float]) -> None:
    """Refuse weights that are not above 0.

    Args:
        name: The argument, for the message.
        weights: By label.

    Raises:
        ConfigError: One is not a finite number above 0.
    """
    for label, weight in weights.items():
        if not 0 < weight < math.inf:
            raise ConfigError(f"{name}: expected a number above 0, got {weight} for '{label}'")


def check_thresholds(name: str, thresholds: float | Mapping[str, float]) -> None:
    """Refuse thresholds that are not from 0 to 1.

    Args:
        name: The argument, for the message.
        thresholds: One for all, or by label.

    Raises:
        ConfigError: One is not.
    """
    table = thresholds if isinstance(thresholds, Mapping) else {"all labels": thresholds}
    for label, threshold in table.items():
        if not 0 <= threshold <= 1:
            raise ConfigError(
                f"{name}: expected a threshold from 0 to 1, got {threshold} for '{label}'"
            )


def check_names(name: str, table: object, known: Collection[str]) -> None:
    """Refuse a table that names what is no label.

    Args:
        name: The argument, for the message.
        table: By label; what is no table is left alone.
        known: The labels.

    Raises:
        ConfigError: One is not among them.
    """
    for label in table if isinstance(table, Mapping) else ():
        if label not in known:
            hint = did_you_mean(label, sorted(known))
            raise ConfigError(f"{name}: there is no label '{label}'.{hint}")


def threshold_of(thresholds: float | Mapping[str, float], label: str) -> float:
    """Return the threshold of a label; one that a table does not name has 0.5."""
    if isinstance(thresholds, Mapping):
        return float(thresholds.get(label, DEFAULT_THRESHOLD))
    return float(thresholds)


def read_labels(state: Mapping[str, Any], file: Path) -> list[str]:
    """Return the labels of a saved state.

    Raises:
        CheckpointError: They are no list of names, or one stands twice.
    """
    labels = state.get("labels")
    if not isinstance(labels, list) or not all(isinstance(x, str) and x for x in labels):
        raise CheckpointError(f"{file}: expected a list of labels under 'labels'")
    if len(set(labels)) != len(labels):
        raise CheckpointError(f"{file}: a label stands twice under 'labels'")
    return labels


def read_table(
    state: Mapping[str, Any], key: str, labels: Sequence[str], file: Path
) -> dict[str, float]:
    """Return a table of a saved state.

    Raises:
        CheckpointError: It has not one number for each label.
    """
    table = state.get(key)
    numbers = table.values() if isinstance(table, dict) and set(table) == set(labels) else [None]
    if not all(isinstance(value, (int, float)) for value in numbers):
        raise CheckpointError(f"{file}: expected a number a label under '{key}'")
    assert isinstance(table, dict)
    return {label: float(table[label]) for label in labels}


def target_of(gold: Collection[str], labels: Sequence[str], mode: str) -> np.ndarray | int | None:
    """Return what is learned of a document.

    Args:
        gold: Its labels.
        labels: All labels.
        mode: `"multi_label"` or `"single_label"`.

    Returns:
        1 or 0 by label, float32, *Shape* `(labels,)`; or the number of the only label, None where
        it is not among them.
    """
    if mode == "multi_label":
        return np.array([label in gold for label in labels], dtype=np.float32)
    return next((i for i, label in enumerate(labels) if label in gold), None)


def stack_targets(targets: Sequence[Any], num_labels: int, mode: str) -> torch.Tensor:
    """Join what is learned of several documents.

    Args:
        targets: As `target_of` returns them, none of them None.
        num_labels: The number of labels.
        mode: As of `target_of`.

    Returns:
        float32, *Shape* `(documents, labels)`; or int64, *Shape* `(documents,)`.
    """
    if mode == "single_label":
        return torch.tensor(targets, dtype=torch.int64)
    rows = np.array(targets, dtype=np.float32).reshape(len(targets), num_labels)
    return torch.from_numpy(rows)


def shown_counts(counts: Mapping[str, int]) -> str:
    """Return labels with their numbers of documents, for messages."""
    return ", ".join(f"{label} ({n} documents)" for label, n in counts.items())
