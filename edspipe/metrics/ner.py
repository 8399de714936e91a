"""Metrics on spans: exact, by words, by overlap, and of their attributes.

All take gold documents and predicted documents, in the same order, as any iterables; these are
read side by side, once, so streams and generators do. All return plain dicts:

    {"<label>": {"p": 0.9, "r": 0.8, "f": 0.85, "tp": 8, "support": 10, "positives": 9}, ...,
     "micro": {...}, "macro": {...}}

and with `ci=` the intervals of the same figures under a key of their own, as in
`result["ci"]["micro"]["f"] == [low, high]`. The figures and the empty cases are defined in
`edspipe.metrics.bootstrap`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

from spacy.tokens import Doc, Span
from spacy.tokens.underscore import Underscore

from edspipe.config.registry import registry
from edspipe.doc.span_access import get_spans
from edspipe.errors import did_you_mean
from edspipe.metrics.bootstrap import Counts, CountTable, make_report
from edspipe.metrics.counting import CountingDocs
from edspipe.types import SpanGetter

Filter = str | list[str] | Callable[[Span], bool] | None
Item = tuple[Any, ...]
"""What is compared; its last part is the label that it counts for."""


class SpanMetric(CountingDocs):
    """What the metrics on spans share: choosing spans, reporting.

    Args:
        span_getter: Which spans count.
        micro_key: Name of the micro entry.
        filter: Keep only spans with this label, with one of these labels, or for which the
            callable is true.
        ci: Options of the bootstrap: `n_iterations`, `percentile`, `seed`, `group_by` (see
            `Bootstrap`); `{}` takes the defaults. By default there are no intervals.

    Raises:
        ValueError: `micro_key` is the name of another entry, or `ci` has a wrong option.
    """

    def __init__(
        self,
        span_getter: SpanGetter,
        *,
        micro_key: str = "micro",
        filter: Filter = None,
        ci: Any = None,
    ) -> None:
        if micro_key in ("macro", "ci"):
            raise ValueError(f"micro_key cannot be '{micro_key}', which is an entry of its own")
        self.span_getter = span_getter
        self.micro_key = micro_key
        self.filter = filter
        super().__init__(ci)
        self._keep = _make_filter(filter)

    def report(self, table: CountTable) -> dict[str, Any]:
        """Return the figures of each label, micro and macro."""
        return make_report(table, self.micro_key, self.ci)

    def spans(self, doc: Doc) -> list[Span]:
        """Return the spans of a Doc that count."""
        return [span for span in get_spans(doc, self.span_getter) if self._keep(span)]


@registry.metrics.register("eds.ner_exact")
class NerExactMetric(SpanMetric):
    """Spans match if first character, last character and label are the same.

    Spans of one document that are the same in all three count once.
    """

    def count(self, gold: Doc, predicted: Doc) -> Counts:
        """Return the counts of one document."""
        return _count_items(map(_identity, self.spans(gold)), map(_identity, self.spans(predicted)))


@registry.metrics.register("eds.ner_token")
class NerTokenMetric(SpanMetric):
    """Words inside spans match if they stand at the same characters under the same label.

    A word in several spans of one label counts once. Words that are only white space (line
    breaks) don't count. Gold and predictions may be cut into words differently, but then only
    words that both have can match.
    """

    def count(self, gold: Doc, predicted: Doc) -> Counts:
        """Return the counts of one document."""
        return _count_items(_words(self.spans(gold)), _words(self.spans(predicted)))


@registry.metrics.register("eds.ner_overlap")
class NerOverlapMetric(SpanMetric):
    """Spans of one label match if they share enough characters.

    Enough is a Dice coefficient, `2 * shared / (length of one + length of the other)`, of at least
    the threshold. A span matches at most one other, and as many pairs are made as can be (a
    maximum matching), so gold and predictions may be exchanged: p and r are, then, too. With a
    threshold of 1.0 this is the exact metric. Spans that are the same in all count once.

    Args:
        span_getter: As in `SpanMetric`, as are `micro_key`, `filter` and `ci`.
        threshold: Above 0, up to 1.

    Raises:
        ValueError: The threshold is out of its range; or as in `SpanMetric`.
    """

    def __init__(self, span_getter: SpanGetter, *, threshold: float = 0.5, **options: Any) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be above 0 and at most 1; got {threshold}")
        super().__init__(span_getter, **options)
        self.threshold = threshold

    def count(self, gold: Doc, predicted: Doc) -> Counts:
        """Return the counts of one document."""
        wanted, found = _by_label(self.spans(gold)), _by_label(self.spans(predicted))
        counts = {}
        for label in wanted.keys() | found.keys():
            left, right = wanted.get(label, []), found.get(label, [])
            pairs = maximum_matching(find_overlaps(left, right, self.threshold), len(right))
            counts[label] = (pairs, len(left), len(right))
        return counts


@registry.metrics.register("eds.span_attribute")
class SpanAttributeMetric(SpanMetric):
    """Values of `span._.<attribute>` match if gold has the same value on the same span.

    The report has an entry for each attribute in place of each label. A span is the same if first
    character, last character and label are. With gold spans that are given, say in a group
    `"gold"` on which a qualifier ran, this scores the qualifier alone.

    A value of None is no value. By default no falsy value counts either (`False`, `0`, `""`), so
    that a negation is scored on what is negated, in gold or in the predictions.

    Args:
        span_getter: As in `SpanMetric`, as are `micro_key`, `filter` and `ci`.
        attributes: A name, a list of names, or a dict that gives for each name the labels (True:
            all) on which it is scored.
        default_values: What None stands for, by attribute.
        include_falsy: Count falsy values too.

    Raises:
        ValueError: No attribute is named; when called, an attribute is not declared; or as in
            `SpanMetric`.
    """

    def __init__(
        self,
        span_getter: SpanGetter,
        attributes: str | list[str] | dict[str, bool | str | list[str]],
        *,
        default_values: Mapping[str, Any] | None = None,
        include_falsy: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(span_getter, **options)
        self.attributes = _parse_attributes(attributes)
        self.default_values = dict(default_values or {})
        self.include_falsy = include_falsy
        if not self.attributes:
            raise ValueError("attributes is empty: name the span attributes to score")

    def count(self, gold: Doc, predicted: Doc) -> Counts:
        """Return the counts of one document."""
        return _count_items(self._values(gold), self._values(predicted))

    def _values(self, doc: Doc) -> Iterator[Item]:
        spans = self.spans(doc)
        for name, labels in self.attributes.items():
            if not Span.has_extension(name):
                hint = did_you_mean(name, Underscore.span_extensions)
                raise ValueError(
                    f"no span attribute '{name}' is declared; expected span._.{name} to exist, "
                    f"which the pipe that sets it declares.{hint}"
                )
            for span in spans:
                if labels is True or span.label_ in labels:
                    value = getattr(span._, name)
                    value = self.default_values.get(name) if value is None else value
                    if value is not None and (value or self.include_falsy):
                        yield (*_identity(span), _freeze(value), name)


def _make_filter(filter: Filter) -> Callable[[Span], bool]:
    if filter is None:
        return lambda span: True
    if callable(filter):
        return filter
    labels = {filter} if isinstance(filter, str) else set(filter)
    return lambda span: span.label_ in labels


def _identity(span: Span) -> Item:
    return span.start_char, span.end_char, span.label_


def _words(spans: Iterable[Span]) -> Iterator[Item]:
    for span in spans:
        for token in span:
            if not token.text.isspace():
                yield token.idx, token.idx + len(token), span.label_


def _count_items(gold_items: Iterable[Item], predicted_items: Iterable[Item]) -> Counts:
    gold, predicted = set(gold_items), set(predicted_items)
    hits, support, positives = (
        Counter(item[-1] for item in items) for items in (gold & predicted, gold, predicted)
    )
    return {
        label: (hits[label], support[label], positives[label])
        for label in support.keys() | positives.keys()
    }


def _by_label(spans: Iterable[Span]) -> dict[str, list[tuple[int, int]]]:
    """Return the offsets of the spans of each label: each once, in text order."""
    found: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for span in spans:
        found[span.label_].add((span.start_char, span.end_char))
    return {label: sorted(offsets) for label, offsets in found.items()}


def find_overlaps(
    left: list[tuple[int, int]], right: list[tuple[int, int]], threshold: float
) -> list[list[int]]:
    """Return for each span on the left which spans on the right overlap with it enough.

    Args:
        left: Start and end of each span.
        right: The same, sorted.
        threshold: The least Dice coefficient, above 0.
    """
    longest = max((end - start for start, end in right), default=0)
    starts = [start for start, _ in right]
    found = []
    for start, end in left:
        near = range(bisect_left(starts, start - longest), bisect_left(starts, end + 1))
        found.append([i for i in near if _dice((start, end), right[i]) >= threshold])
    return found


def _dice(a: tuple[int, int], b: tuple[int, int]) -> float:
    if a == b:
        return 1.0
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return 2 * shared / (a[1] - a[0] + b[1] - b[0]) if shared > 0 else 0.0


def maximum_matching(candidates: list[list[int]], num_right: int) -> int:
    """Return how many pairs can be made at most, where everyone is in one pair at most.

    By augmenting paths (Berge 1957), searched breadth first.

    Args:
        candidates: For each one on the left, whom on the right it may be paired with.
        num_right: How many there are on the right.
    """
    left_of: list[int | None] = [None] * num_right
    right_of: list[int | None] = [None] * len(candidates)
    return sum(_augment(left, candidates, left_of, right_of) for left in range(len(candidates)))


def _augment(
    root: int,
    candidates: list[list[int]],
    left_of: list[int | None],
    right_of: list[int | None],
) -> bool:
    """Pair `root`, moving others where that helps; return whether that was possible."""
    reached_from: dict[int, int] = {}
    queue = [root]
    for left in queue:
        for right in candidates[left]:
            if right in reached_from:
                continue
            reached_from[right] = left
            holder = left_of[right]
            if holder is not None:
                queue.append(holder)
                continue
            step: int | None = right
            while step is not None:  # root had no partner: the path ends there
                mover = reached_from[step]
                left_of[step], right_of[mover], step = mover, step, right_of[mover]
            return True
    return False


def _parse_attributes(
    attributes: str | list[str] | dict[str, bool | str | list[str]],
) -> dict[str, Any]:
    if isinstance(attributes, str):
        return {attributes: True}
    if isinstance(attributes, Mapping):
        return {
            name: [labels] if isinstance(labels, str) else labels
            for name, labels in attributes.items()
            if labels is not False
        }
    return dict.fromkeys(attributes, True)


def _freeze(value: Any) -> Hashable:
    """Return a hashable twin of plain data."""
    if isinstance(value, Mapping):
        return tuple(sorted((key, _freeze(part)) for key, part in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_freeze, value))
    if isinstance(value, (set, frozenset)):
        return frozenset(map(_freeze, value))
    return value
