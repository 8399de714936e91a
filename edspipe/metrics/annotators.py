"""How far two annotators agree: F1 of spans, and Cohen's kappa of words."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.doc.span_access import get_spans
from edspipe.metrics.evaluation import Evaluation, evaluate_spans
from edspipe.types import SpanGetter

Labels = frozenset[str]
Answers = Mapping[Any, int]
"""How often each pair of answers came."""


@dataclass(frozen=True)
class Agreement:
    """How far two annotators agree.

    Attributes:
        evaluation: The first one as gold, the second one as found. Exchanged, precision and recall
            are exchanged too, and F1 is the same.
        kappa: Cohen's kappa of words, by label: whether a word is in a span of that label, or
            not. None where it is undefined, as both mark every word.
        kappa_label_sets: Cohen's kappa of words where the answer is the set of all labels of a
            word, so that sets which differ in one label differ.
        num_words: Words that were compared; those that are only white space are not.
    """

    evaluation: Evaluation
    kappa: dict[str, float | None]
    kappa_label_sets: float | None
    num_words: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON: that of the evaluation, and `"kappa"`."""
        kappa = {
            "labels": self.kappa,
            "label_sets": self.kappa_label_sets,
            "num_words": self.num_words,
        }
        return {**self.evaluation.to_dict(), "kappa": kappa}


def agreement(
    docs_a: Iterable[Doc],
    docs_b: Iterable[Doc],
    span_getter: SpanGetter,
    *,
    ci: Any = None,
    max_examples: int = 1000,
) -> Agreement:
    """Compare two annotations of the same documents.

    Kappa is about words, as spans have no number of chances to agree on nothing. It counts the
    words of the first one's documents, and a word is in a span that has one of its characters.

    Args:
        docs_a: The documents of the first annotator.
        docs_b: Those of the second one, in the same order.
        span_getter: Which spans count, in both.
        ci: Options of the bootstrap, as of `NerExactMetric`.
        max_examples: As of `evaluate_spans`.

    Raises:
        ValueError: The documents do not fit together, or an argument is out of its range.
    """
    docs_a, docs_b = list(docs_a), list(docs_b)
    evaluation = evaluate_spans(docs_a, docs_b, span_getter, ci=ci, max_examples=max_examples)
    answers: Counter[tuple[Labels, Labels]] = Counter()
    for doc_a, doc_b in zip(docs_a, docs_b, strict=True):
        answers.update(
            _answers(doc_a, get_spans(doc_a, span_getter), get_spans(doc_b, span_getter))
        )
    labels = sorted({label for pair in answers for labels in pair for label in labels})
    return Agreement(
        evaluation=evaluation,
        kappa={label: cohen_kappa(_for_label(answers, label)) for label in labels},
        kappa_label_sets=cohen_kappa(answers),
        num_words=answers.total(),
    )


def cohen_kappa(answers: Answers) -> float | None:
    """Return how far two agree beyond chance (Cohen, "A Coefficient of Agreement", 1960).

    Args:
        answers: How often each pair of answers came.

    Returns:
        At most 1; 0 is chance. None where both give one same answer always, or none at all.
    """
    total = sum(answers.values())
    first: Counter[Hashable] = Counter()
    second: Counter[Hashable] = Counter()
    for (a, b), count in answers.items():
        first[a] += count
        second[b] += count
    same = sum(count for (a, b), count in answers.items() if a == b)
    by_chance = sum(first[answer] * second[answer] for answer in first)  # times total, exactly
    if total * total == by_chance:
        return None
    return (same * total - by_chance) / (total * total - by_chance)


def _for_label(answers: Mapping[tuple[Labels, Labels], int], label: str) -> Answers:
    found: Counter[tuple[bool, bool]] = Counter()
    for (a, b), count in answers.items():
        found[label in a, label in b] += count
    return found


def _answers(
    doc: Doc, spans_a: Iterable[Span], spans_b: Iterable[Span]
) -> Iterator[tuple[Labels, Labels]]:
    """Yield the labels that both give to each word of a document."""
    words = [(token.idx, token.idx + len(token)) for token in doc if not token.text.isspace()]
    starts, ends = [start for start, _ in words], [end for _, end in words]
    marked = []
    for spans in (spans_a, spans_b):
        labels: dict[int, set[str]] = defaultdict(set)
        for span in spans:
            inside = range(bisect_right(ends, span.start_char), bisect_left(starts, span.end_char))
            for word in inside:
                labels[word].add(span.label_)
        marked.append({word: frozenset(names) for word, names in labels.items()})
    nothing: Labels = frozenset()
    for word in range(len(words)):
        yield marked[0].get(word, nothing), marked[1].get(word, nothing)
