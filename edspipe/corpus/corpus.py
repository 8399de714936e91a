"""Corpus: documents to train on, to choose on, and to test on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger
from spacy.tokens import Doc

from edspipe.corpus.describe import ALL_SPANS, Description, describe
from edspipe.corpus.label_vocab import LabelVocab, Unknown
from edspipe.corpus.layers import Layer, Level
from edspipe.corpus.tables import table
from edspipe.stream.shares import SIDES, GroupBy, own_key, share_of
from edspipe.types import SpanGetter

FACTS = {
    "documents": "num_docs",
    "groups": "num_groups",
    "words": "num_words",
    "empty documents": "num_empty",
    "documents without spans": "num_docs_without_spans",
}


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Corpus:
    """Documents on three sides.

    ```python
    train, dev, test = corpus
    ```

    Args:
        train: Documents to train on: a list, or a stream, which is read.
        dev: Documents to choose settings on.
        test: Documents for the final score.
    """

    train: list[Doc]
    dev: list[Doc]
    test: list[Doc]

    def __init__(
        self, train: Iterable[Doc], dev: Iterable[Doc] = (), test: Iterable[Doc] = ()
    ) -> None:
        for name, docs in zip(SIDES, (train, dev, test), strict=True):
            object.__setattr__(self, name, list(docs))

    @property
    def sides(self) -> dict[str, list[Doc]]:
        """The documents by `"train"`, `"dev"` and `"test"`."""
        return {name: getattr(self, name) for name in SIDES}

    def __iter__(self) -> Iterator[list[Doc]]:
        return iter(self.sides.values())

    def __str__(self) -> str:
        return " + ".join(f"{len(docs):,} {n}" for n, docs in self.sides.items()) + " documents"

    def __repr__(self) -> str:
        return f"Corpus({self})"

    def sample(self, fraction: float, seed: int = 0, *, sides: Sequence[str] = SIDES) -> Corpus:
        """Return a corpus with a part of the documents, always the same ones.

        A document stays by its id and the seed, as in `Stream.sample`: about this fraction of each
        side does, and a larger fraction keeps those of a smaller one.

        Args:
            fraction: From 0 to 1.
            seed: Another seed, another sample.
            sides: What is sampled; the others stay whole: `("train",)` for learning curves.

        Raises:
            ValueError: The fraction is not from 0 to 1, or there is no such side.
        """
        _check_sides(sides)
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction is a number from 0 to 1, got {fraction:g}")
        return Corpus(
            **{
                name: _sampled(docs, fraction, seed) if name in sides else docs
                for name, docs in self.sides.items()
            }
        )

    def make_label_vocab(
        self,
        layer: SpanGetter,
        *,
        level: Level | None = None,
        min_count: int = 1,
        unknown: Unknown = "error",
        sides: Sequence[str] = ("train",),
    ) -> LabelVocab:
        """Count the labels of a layer; warn of those that only the other sides have.

        Args:
            layer: Where labels stand: see `LabelVocab.from_docs`.
            level: `"span"`, `"token"` or `"document"`; None goes by the layer.
            min_count: Labels that are seen less often are unknown.
            unknown: What `LabelVocab.index` does for them.
            sides: Where labels are counted.

        Raises:
            DataError: There are no labels; the message lists the layers that have some.
            ValueError: There is no such side.
        """
        _check_sides(sides)
        counted = [doc for name in sides for doc in self.sides[name]]
        vocab = LabelVocab.from_docs(
            counted, layer, level=level, min_count=min_count, unknown=unknown
        )
        found, unseen = Layer(layer, level), Counter[str]()
        for name in SIDES:
            for doc in self.sides[name] if name not in sides else ():
                unseen.update(x for x in found.labels_of(doc) if x not in vocab.counts)
        if unseen:
            shown = ", ".join(f"{label} ({n} times)" for label, n in sorted(unseen.items()))
            logger.warning("labels that {} does not have: {}", " + ".join(sides), shown)
        return vocab

    def describe(
        self,
        span_getter: SpanGetter = ALL_SPANS,
        *,
        group_by: GroupBy = "patient_id",
    ) -> CorpusDescription:
        """Count what is on each side: see `edspipe.describe`."""
        found = {
            name: describe(docs, span_getter, group_by=group_by)
            for name, docs in self.sides.items()
            if docs
        }
        return CorpusDescription(found)


@dataclass(frozen=True)
class CorpusDescription:
    """What is on each side of a corpus.

    Attributes:
        sides: Descriptions by `"train"`, `"dev"` and `"test"`; a side without documents has none.
    """

    sides: dict[str, Description]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, by side."""
        return {name: found.to_dict() for name, found in self.sides.items()}

    def __str__(self) -> str:
        rows = [["", *self.sides]]
        for title, name in FACTS.items():
            numbers = [getattr(found, name) for found in self.sides.values()]
            if any(number is not None for number in numbers):
                rows.append([title, *(f"{number or 0:,}" for number in numbers)])
        parts = [table(rows)]
        for kind, figure in (("spans", "spans"), ("classes", "docs")):
            labels = sorted({x for found in self.sides.values() for x in getattr(found, kind)})
            if labels:
                parts.append(self._labels(kind, figure, labels))
        return "\n\n".join(parts)

    def _labels(self, kind: str, figure: str, labels: list[str]) -> str:
        """Return how often each label is on each side, and the share of it."""
        rows = [["label", *self.sides]]
        for label in labels:
            counts = [
                getattr(found, kind).get(label, {}).get(figure, 0) for found in self.sides.values()
            ]
            total = max(1, sum(counts))
            rows.append([label, *(f"{n:,} ({100 * n / total:.1f} %)" for n in counts)])
        return table(rows)


def _sampled(docs: list[Doc], fraction: float, seed: int) -> list[Doc]:
    return [doc for doc in docs if share_of("sample", seed, str(own_key(doc))) < fraction]


def _check_sides(sides: Sequence[str]) -> None:
    for name in sides:
        if name not in SIDES:
            raise ValueError(f"sides are {', '.join(SIDES)}, got {name!r}")
