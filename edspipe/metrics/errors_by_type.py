"""What became of each gold and each found span: found, missed, with another label, ...

Spans are compared by characters and label, document by document; of spans that are the same in
both, one counts. Pairs are made in this order, and no span is in two of them:

1. `correct`: same characters, same label;
2. `wrong_label`: same characters, another label;
3. `wrong_boundary`: some characters shared, same label;
4. `wrong_label_and_boundary`: some characters shared, another label.

Within 3 and 4 those that share most characters are paired first; of equals, the gold span that
comes first in the text (by start, end, label), then the found span that does. In 2, spans are
paired by the order of their labels. What is left over is `missed` (gold) or `spurious` (found).

So every gold span is in exactly one of correct, missed and the three wrong ones, and every found
span in exactly one of correct, spurious and these.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Identity = tuple[int, int, str]
"""First character, character after the last, label."""

CORRECT, MISSED, SPURIOUS = "correct", "missed", "spurious"
WRONG_LABEL, WRONG_BOUNDARY = "wrong_label", "wrong_boundary"
WRONG_BOTH = "wrong_label_and_boundary"
KINDS = (CORRECT, MISSED, SPURIOUS, WRONG_LABEL, WRONG_BOUNDARY, WRONG_BOTH)
ERRORS = KINDS[1:]


class Pair(NamedTuple):
    """A gold span and what was found in its place; None where there is none."""

    kind: str
    gold: Identity | None
    found: Identity | None

    @property
    def label(self) -> str:
        """The label that it counts for: that of gold, or of a spurious span its own."""
        identity = self.gold or self.found
        assert identity is not None
        return identity[2]

    @property
    def place(self) -> tuple[Identity, str]:
        """Where it stands in the text, to sort by."""
        identity = self.gold or self.found
        assert identity is not None
        return identity, self.kind


def pair_spans(gold: Iterable[Identity], found: Iterable[Identity]) -> list[Pair]:
    """Pair the gold spans of a document with those found there.

    Args:
        gold: Gold spans, in any order; one that comes again is not counted again.
        found: Found spans, likewise.

    Returns:
        Pairs of all kinds, in text order.
    """
    wanted, came = set(gold), set(found)
    pairs = [Pair(CORRECT, identity, identity) for identity in wanted & came]
    pairs += _same_place(wanted - came, came - wanted)
    left = wanted.difference(pair.gold for pair in pairs)
    right = came.difference(pair.found for pair in pairs)
    if left and right:
        candidates = sorted(_overlaps(sorted(left), sorted(right)))
        for kind, same_label in ((WRONG_BOUNDARY, True), (WRONG_BOTH, False)):
            for _, wanted_one, came_one in candidates:
                alike = wanted_one[2] == came_one[2]
                if alike == same_label and wanted_one in left and came_one in right:
                    pairs.append(Pair(kind, wanted_one, came_one))
                    left.remove(wanted_one)
                    right.remove(came_one)
    pairs += [Pair(MISSED, identity, None) for identity in left]
    pairs += [Pair(SPURIOUS, None, identity) for identity in right]
    return sorted(pairs, key=lambda pair: pair.place)


def _same_place(gold: set[Identity], found: set[Identity]) -> Iterator[Pair]:
    places: dict[tuple[int, int], tuple[list[Identity], list[Identity]]] = {}
    for side, identities in enumerate((gold, found)):
        for identity in sorted(identities):
            places.setdefault(identity[:2], ([], []))[side].append(identity)
    for left, right in places.values():
        for one, other in zip(left, right, strict=False):
            yield Pair(WRONG_LABEL, one, other)


def _overlaps(
    gold: list[Identity], found: list[Identity]
) -> Iterator[tuple[int, Identity, Identity]]:
    """Yield minus the number of shared characters, and the two spans; both lists are sorted."""
    first = 0
    longest = max(end - start for start, end, _ in found)
    for one in gold:
        while first < len(found) and found[first][0] + longest <= one[0]:
            first += 1
        for other in found[first:]:
            if other[0] >= one[1]:
                break
            shared = min(one[1], other[1]) - max(one[0], other[0])
            if shared > 0:
                yield -shared, one, other


@dataclass(frozen=True)
class Example:
    """An error, to look up in the text.

    Attributes:
        doc_id: The id of the document.
        pair: The two spans.
        confidence: That of the found span, if it is known.
    """

    doc_id: str
    pair: Pair
    confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: offsets and labels, no text."""
        found = _plain(self.pair.found)
        if found is not None and self.confidence is not None:
            found["confidence"] = self.confidence
        kind, gold = self.pair.kind, _plain(self.pair.gold)
        return {"doc_id": self.doc_id, "kind": kind, "gold": gold, "found": found}


def _plain(identity: Identity | None) -> dict[str, Any] | None:
    return None if identity is None else dict(zip(("start", "end", "label"), identity, strict=True))


class ErrorCounts:
    """Counts pairs by kind and label, and keeps some errors as examples.

    Args:
        max_examples: How many. If there are more errors, the kinds get equal shares; what a kind
            does not need goes to the others. Of each kind, the first ones are kept.

    Raises:
        ValueError: `max_examples` is negative.
    """

    def __init__(self, max_examples: int = 1000) -> None:
        if max_examples < 0:
            raise ValueError(f"max_examples is 0 or more, got {max_examples}")
        self.max_examples = max_examples
        self.by_label: dict[str, Counter[str]] = defaultdict(Counter)
        self._examples: dict[str, list[tuple[int, Example]]] = {kind: [] for kind in ERRORS}
        self._num_seen = 0

    def add(
        self, doc_id: str, pairs: Iterable[Pair], confidences: Mapping[Identity, float]
    ) -> None:
        """Add the pairs of one document."""
        for pair in pairs:
            self.by_label[pair.label][pair.kind] += 1
            if pair.kind == CORRECT:
                continue
            kept = self._examples[pair.kind]
            if len(kept) < self.max_examples:
                confidence = None if pair.found is None else confidences.get(pair.found)
                kept.append((self._num_seen, Example(doc_id, pair, confidence)))
            self._num_seen += 1

    @property
    def counts(self) -> Counter[str]:
        """Number of pairs of each kind."""
        return sum(self.by_label.values(), Counter())

    def examples(self) -> list[Example]:
        """Return the errors that are kept, in the order of documents and text."""
        shares = share_out({k: len(kept) for k, kept in self._examples.items()}, self.max_examples)
        chosen = [one for kind, kept in self._examples.items() for one in kept[: shares[kind]]]
        return [example for _, example in sorted(chosen, key=lambda one: one[0])]

    def to_dict(self) -> dict[str, Any]:
        """Return counts and examples as plain data."""
        examples = self.examples()
        return {
            "counts": _by_kind(self.counts),
            "by_label": {label: _by_kind(self.by_label[label]) for label in sorted(self.by_label)},
            "examples": [example.to_dict() for example in examples],
            "num_examples_left_out": self._num_seen - len(examples),
        }


def _by_kind(counts: Mapping[str, int]) -> dict[str, int]:
    return {kind: counts.get(kind, 0) for kind in KINDS}


def share_out(wants: Mapping[str, int], room: int) -> dict[str, int]:
    """Share room among those who want some: equally, but nobody gets more than they want.

    What does not divide goes to those that want most.
    """
    shares = {}
    for num_served, name in enumerate(sorted(wants, key=lambda name: wants[name])):
        shares[name] = min(wants[name], room // (len(wants) - num_served))
        room -= shares[name]
    return shares
