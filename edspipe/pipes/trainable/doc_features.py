"""Numbers beside the text: attributes of documents, e.g. an age, standardised once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc

from edspipe.errors import CheckpointError, ConfigError, DataError

CUSTOM = "_."


class DocFeatures:
    """Reads numeric attributes `doc._.<name>` as columns of mean 0 and standard deviation 1.

    A value that is missing (None, NaN, no such attribute) becomes 0, which is the mean; each
    attribute has a second column that says so. True is 1 and False 0. Before `fit`, values are
    left as they are.

    Args:
        attributes: Names, `"_.age"`.

    Attributes:
        means: By attribute, once they are known.
        stds: Likewise; 1 where all values are the same.

    Raises:
        ConfigError: A name is none of an attribute, or stands twice.
    """

    def __init__(self, attributes: Sequence[str]) -> None:
        for name in attributes:
            if not name.startswith(CUSTOM) or not name.removeprefix(CUSTOM).isidentifier():
                raise ConfigError(f"features: expected names like '_.age', got {name!r}")
        if len(set(attributes)) != len(attributes):
            raise ConfigError(f"features: a name stands twice among {', '.join(attributes)}")
        self.attributes = list(attributes)
        self.means: list[float] = []
        self.stds: list[float] = []

    @property
    def num_columns(self) -> int:
        """How many numbers there are a document."""
        return 2 * len(self.attributes)

    def fit(self, docs: Iterable[Doc]) -> None:
        """Take mean and standard deviation of documents, unless they are known already.

        Raises:
            ConfigError: No document has a value of an attribute.
            DataError: A value is no number.
        """
        if self.means or not self.attributes:
            return
        rows = [[_number(doc, name) for name in self.attributes] for doc in docs]
        values = np.array(rows, dtype=np.float64).reshape(len(rows), len(self.attributes))
        num_known = np.sum(~np.isnan(values), axis=0).tolist()
        for name, number in zip(self.attributes, num_known, strict=True):
            if not number:
                raise ConfigError(
                    f"features: none of {len(rows)} documents has a number in doc.{name}; set it, "
                    "or leave it out"
                )
        self.means = np.nanmean(values, axis=0).tolist()
        stds = np.nanstd(values, axis=0)
        self.stds = np.where(stds > 0, stds, 1.0).tolist()

    def read(self, doc: Doc) -> np.ndarray:
        """Return the standardised values, then 1 for each that is missing, else 0.

        Returns:
            float32, *Shape* `(2 * attributes,)`

        Raises:
            DataError: A value is no number.
        """
        values = np.array([_number(doc, name) for name in self.attributes], dtype=np.float64)
        missing = np.isnan(values)
        if self.means:
            values = (values - np.array(self.means)) / np.array(self.stds)
        columns = [np.where(missing, 0.0, values), missing]
        return np.concatenate(columns).astype(np.float32)

    def get_state(self) -> dict[str, Any]:
        """Return plain data."""
        return {"names": self.attributes, "means": self.means, "stds": self.stds}

    def set_state(self, state: Any, file: Path) -> None:
        """Take back what `get_state` gave.

        Raises:
            CheckpointError: It does not fit; the message names the file.
        """
        if not isinstance(state, dict) or state.get("names") != self.attributes:
            raise CheckpointError(f"{file}: the features are not those of the config")
        means: Any = state.get("means")
        stds: Any = state.get("stds")
        for numbers in (means, stds):
            if not _are_numbers(numbers) or len(numbers) not in (0, len(self.attributes)):
                raise CheckpointError(f"{file}: expected a number a feature, or none yet")
        self.means, self.stds = means, stds


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(x, (int, float)) for x in values)


def _number(doc: Doc, attribute: str) -> float:
    """Return a value, NaN where it is missing."""
    name = attribute.removeprefix(CUSTOM)
    value = doc._.get(name) if Doc.has_extension(name) else None
    if value is None:
        return math.nan
    note_id = None if doc._.note_id is None else str(doc._.note_id)
    if not isinstance(value, (bool, int, float, np.number)):
        raise DataError(
            f"doc.{attribute} holds a {type(value).__name__}; a feature is a number, or None "
            "where it is missing",
            id=note_id,
        )
    if math.isinf(value):
        raise DataError(f"doc.{attribute} is infinite; a feature is a finite number", id=note_id)
    return float(value)
