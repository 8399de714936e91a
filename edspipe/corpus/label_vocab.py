"""LabelVocab: the labels of a layer, how often each was seen, and its index."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from spacy.tokens import Doc

from edspipe.atomic import write_text
from edspipe.corpus.layers import LEVELS, Layer, Level, SeenLayers
from edspipe.errors import DataError, did_you_mean
from edspipe.types import SpanGetter

Unknown = Literal["error", "ignore", "other"]
UNKNOWN = ("error", "ignore", "other")
OTHER = "other"
"""The label that stands for those that are not in the vocabulary, under `unknown="other"`."""
SHOWN_LABELS = 10


@dataclass(frozen=True)
class LabelVocab:
    """Labels in the order of their indices, which is that of their names, as trainable pipes have
    it; `"other"`, where it was made for unknown labels, comes last.

    Args:
        counts: How often each label was seen; their order does not matter.
        level: `"span"`, `"token"` or `"document"`.
        min_count: Labels that were seen less often are unknown.
        unknown: What `index` does for an unknown label: `"error"`, `"ignore"` (None is returned),
            or `"other"` (one index for all of them).
        layer: Where the labels stood, for messages.

    Attributes:
        labels: The labels, in the order of their indices.

    Raises:
        ValueError: An argument is none of its values, or a count is no count.
    """

    counts: Mapping[str, int]
    level: Level = "span"
    min_count: int = 1
    unknown: Unknown = "error"
    layer: str | None = None
    labels: list[str] = field(init=False, repr=False, compare=False)
    _indices: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.counts, self.level, self.min_count, self.unknown)
        labels = sorted(label for label, n in self.counts.items() if n >= self.min_count)
        if self.unknown == OTHER and OTHER not in labels:
            labels.append(OTHER)
        indices = {label: i for i, label in enumerate(labels)}
        object.__setattr__(self, "counts", dict(sorted(self.counts.items())))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "_indices", indices)

    @classmethod
    def from_docs(
        cls,
        docs: Iterable[Doc],
        layer: SpanGetter,
        *,
        level: Level | None = None,
        min_count: int = 1,
        unknown: Unknown = "error",
    ) -> LabelVocab:
        """Count the labels of documents.

        Args:
            docs: The documents, or a stream of them; they are read once.
            layer: Where labels stand: `"ents"`, a span group or any span getter; `"pos_"`,
                `"tag_"`, ...; `"cats"`; or `"_.name"` for an extension of tokens or documents.
            level: `"span"`, `"token"` or `"document"`; None goes by the layer.
            min_count: Labels that are seen less often are unknown.
            unknown: What `index` does for them.

        Raises:
            DataError: No document has labels there; the message lists the layers that have.
        """
        found, seen, counts = Layer(layer, level), SeenLayers(), Counter[str]()
        for doc in docs:
            seen.add(doc)
            counts.update(dict.fromkeys(found.known_labels(doc), 0))
            counts.update(found.labels_of(doc))
        if not counts:
            raise seen.error(found)
        assert found.level is not None
        return cls(counts, found.level, min_count, unknown, str(found))

    def index(self, label: str) -> int | None:
        """Return the index of a label; for an unknown one, what `unknown` says.

        Raises:
            DataError: It is unknown, under `unknown="error"`.
        """
        found = self._indices.get(label)
        if found is not None or self.unknown == "ignore":
            return found
        if self.unknown == OTHER:
            return self._indices[OTHER]
        seen = self.counts.get(label, 0)
        rare = f" (seen {_times(seen)}, less than min_count={self.min_count})" if seen else ""
        raise DataError(
            f"unknown label '{label}'{rare}.{did_you_mean(label, self.labels)} The {len(self)} "
            f"labels are {_shorten(self.labels)}"
        )

    def count(self, label: str) -> int:
        """Return how often a label was seen; for `"other"`, all that it stands for as well."""
        own = self.counts.get(label, 0)
        if label != OTHER or self.unknown != OTHER:
            return own
        return own + sum(n for name, n in self.left_out.items() if name != OTHER)

    @property
    def left_out(self) -> dict[str, int]:
        """The labels that were seen, but too rarely, and how often."""
        return {label: n for label, n in self.counts.items() if n < self.min_count}

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __contains__(self, label: object) -> bool:
        return label in self._indices

    def __str__(self) -> str:
        where = "" if self.layer is None else f" in '{self.layer}'"
        head = f"{len(self)} {self.level} labels{where}, unknown ones: {self.unknown}"
        width = max(map(len, self.labels), default=0)
        rows = [
            f"{i:>4}  {label:<{width}}  seen {_times(self.count(label))}"
            for i, label in enumerate(self.labels)
        ]
        rare = [f"{label} (seen {_times(n)})" for label, n in self.left_out.items()]
        if rare:
            rows.append(f"less than {self.min_count} times: {_shorten(rare)}")
        return "\n".join([head, *rows])

    # ---- as plain data ---------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; labels stand in the order of their names."""
        return {
            "level": self.level,
            "layer": self.layer,
            "min_count": self.min_count,
            "unknown": self.unknown,
            "counts": dict(self.counts),
        }

    @classmethod
    def from_dict(cls, data: Any) -> LabelVocab:
        """Undo `to_dict`.

        Raises:
            ValueError: It is no such data.
        """
        if not isinstance(data, dict) or not isinstance(data.get("counts"), dict):
            raise ValueError("expected a table with 'counts': how often each label was seen")
        known = ("counts", "level", "min_count", "unknown", "layer")
        strange = sorted(set(data).difference(known))
        if strange:
            raise ValueError(f"unknown keys: {', '.join(map(str, strange))}")
        return cls(**data)

    def to_json(self, path: str | Path) -> None:
        """Write a JSON file; the same labels give the same bytes."""
        write_text(Path(path), json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def from_json(cls, path: str | Path) -> LabelVocab:
        """Read a file of `to_json`.

        Raises:
            DataError: It is no such file.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except ValueError as error:  # of JSON and of Unicode too
            raise DataError(f"no label vocabulary: {error}", file=path) from None


def _check(counts: Mapping[str, int], level: str, min_count: int, unknown: str) -> None:
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}, got {level!r}")
    if unknown not in UNKNOWN:
        raise ValueError(f"unknown is one of {', '.join(UNKNOWN)}, got {unknown!r}")
    if not isinstance(min_count, int) or min_count < 0:
        raise ValueError(f"min_count is a number from 0 on, got {min_count!r}")
    for label, count in counts.items():
        if not isinstance(label, str) or type(count) is not int or count < 0:
            raise ValueError(f"expected a label and how often it was seen: {label!r}: {count!r}")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _shorten(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_LABELS} more" if len(names) > SHOWN_LABELS else ""
    return ", ".join(names[:SHOWN_LABELS]) + more
