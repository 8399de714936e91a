"""Spans as BILOU tags and back, on numpy arrays, one column of tags per label.

O outside    B begin    I inside    L last    U unit (a span of one word)
"""

from __future__ import annotations

import numpy as np

OUTSIDE, BEGIN, INSIDE, LAST, UNIT = range(5)
NUM_TAGS = 5


def spans_to_tags(spans: np.ndarray, num_words: int, num_labels: int) -> np.ndarray:
    """Write spans as tags.

    Args:
        spans: Rows of (label, first word, word after the last). Shape (N, 3), integers. Spans of
            one label must not overlap; spans of different labels may.
        num_words: The number of words.
        num_labels: The number of labels.

    Returns:
        The tags. Shape (num_words, num_labels), int8.

    Raises:
        ValueError: A span is empty or lies outside the words or the labels, or two spans of one
            label overlap.
    """
    tags = np.zeros((num_words, num_labels), dtype=np.int8)
    spans = np.asarray(spans, dtype=np.int64).reshape(-1, 3)
    labels, starts, ends = spans.T
    lengths = ends - starts
    valid = (starts >= 0) & (lengths > 0) & (ends <= num_words)
    valid &= (labels >= 0) & (labels < num_labels)
    if not valid.all():
        first = int(np.argmin(valid))
        raise ValueError(
            f"Expected spans of at least one word within {num_words} words and {num_labels} "
            f"labels, got (label, start, end) = {tuple(spans[first].tolist())} in row {first}: "
            "clip or drop such spans first."
        )
    span_ids, words = span_words(starts, ends)
    tags[words, labels[span_ids]] = INSIDE
    if np.count_nonzero(tags) != len(words):
        raise ValueError(
            f"Expected spans that don't overlap within a label, got {len(words)} words in spans "
            f"but only {np.count_nonzero(tags)} distinct ones: keep one span of each overlap."
        )
    tags[starts, labels] = BEGIN
    tags[ends - 1, labels] = LAST
    units = lengths == 1
    tags[starts[units], labels[units]] = UNIT
    return tags


def tags_to_spans(tags: np.ndarray) -> np.ndarray:
    """Read spans from tags, also from tags that no spans would give.

    Two neighbouring words belong to one span if and only if the first is B or I and the second I
    or L; a span is a maximal run of words that belong together, whatever its first and last tags.
    So a span that is cut short stays a span, words of different runs never merge, spans of one
    label never overlap, and valid tags give back exactly the spans that they were written from.

    Args:
        tags: Shape (num_words, num_labels), values 0 to 4.

    Returns:
        Rows of (label, first word, word after the last), sorted by start, end, label.
        Shape (N, 3), int64.
    """
    tags_LT = np.asarray(tags).T
    entity = tags_LT != OUTSIDE
    opens = (tags_LT == BEGIN) | (tags_LT == INSIDE)
    continues = (tags_LT == INSIDE) | (tags_LT == LAST)
    joined = opens[:, :-1] & continues[:, 1:]
    first, last = entity.copy(), entity.copy()
    first[:, 1:] &= ~joined
    last[:, :-1] &= ~joined
    # Both lists run label by label and word by word, so the n-th start belongs to the n-th end.
    labels, starts = np.nonzero(first)
    ends = np.nonzero(last)[1] + 1
    spans = np.stack([labels, starts, ends], axis=1)
    return spans[np.lexsort((labels, ends, starts))]


def batch_to_spans(tags: np.ndarray) -> list[np.ndarray]:
    """Read the spans of several sequences at once.

    Args:
        tags: *Shape* `(sequences, words, labels)`, values 0 to 4, 0 on padding.

    Returns:
        For each sequence what `tags_to_spans` returns.
    """
    num_sequences, num_words, num_labels = tags.shape
    # A word outside of all spans behind each sequence keeps its last span from the next one.
    apart = np.full((num_sequences, num_words + 1, num_labels), OUTSIDE, dtype=np.int8)
    apart[:, :num_words] = tags
    spans = tags_to_spans(apart.reshape(-1, num_labels))
    sequences = spans[:, 1] // (num_words + 1)
    spans[:, 1:] -= sequences[:, None] * (num_words + 1)
    return np.split(spans, np.searchsorted(sequences, np.arange(1, num_sequences)))


def span_words(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the words of many spans.

    Args:
        starts: First words. Shape (N,).
        ends: Words after the last. Shape (N,).

    Returns:
        For each word of each span: the index of the span, and the word. Shape (words,) each.
    """
    lengths = ends - starts
    span_ids = np.repeat(np.arange(len(starts)), lengths)
    offsets = np.arange(len(span_ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return span_ids, starts[span_ids] + offsets
