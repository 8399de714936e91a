"""Batch sizes: numbers and units."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edspipe.stream.batching import BatchSize, stat_batchify
from edspipe.stream.hooks import Shared, dumps, loads
from edspipe.stream.stream import Stream


@pytest.mark.parametrize(
    ("size", "by", "limit", "unit"),
    [
        ("32 docs", None, 32, "docs"),
        ("1 doc", None, 1, "docs"),
        ("2_000 words", None, 2000, "words"),
        (" 5 items ", None, 5, "items"),
        ("4096 padded_words", None, 4096, "padded_words"),
        (7, None, 7, "docs"),
        ("7", None, 7, "docs"),
        (7, "words", 7, "words"),
        ("7", "word", 7, "words"),
        (None, None, 32, "docs"),
        ("dataset", None, math.inf, "dataset"),
        ("fragment", None, math.inf, "fragment"),
        (7, "dataset", math.inf, "dataset"),
    ],
)
def test_sizes_have_a_limit_and_a_unit(size, by, limit, unit):
    parsed = BatchSize(size, by)
    assert (parsed.limit, parsed.by) == (limit, unit)


def test_a_function_is_its_own_unit():
    assert BatchSize(3, len).by is len


@pytest.mark.parametrize("text", ["32 docs", "2000 words", "dataset"])
def test_a_size_shows_as_it_is_written(text):
    assert repr(BatchSize(text)) == text


def test_a_size_by_a_function_shows_its_name():
    assert repr(BatchSize(3, len)) == "3 len"
    assert repr(BatchSize(9, stat_batchify("tokens"))) == "9 tokens"


@pytest.mark.parametrize("size", ["docs", "many docs", "3.5 docs", "32docs", ""])
def test_a_size_that_is_no_number_is_refused(size):
    message = f"a batch size is a number and a unit, as '32 docs' .*; got {size!r}"
    with pytest.raises(ValueError, match=message):
        BatchSize(size)


@pytest.mark.parametrize("size", [0, -3, "0 docs", "-3 words", math.nan])
def test_a_size_that_is_not_positive_is_refused(size):
    with pytest.raises(ValueError, match=re.escape(f"a batch size is positive, got {size!r}")):
        BatchSize(size)


@pytest.mark.parametrize(("size", "by"), [("3 wrods", None), (3, "wrods")])
def test_an_unknown_unit_is_refused_with_the_nearest(size, by):
    with pytest.raises(ValueError, match=r"no unit 'wrods' for batches\. Did you mean 'words'"):
        BatchSize(size, by)


@pytest.mark.parametrize("by", ["docs", "words", len])
def test_two_units_are_refused(by):
    with pytest.raises(
        ValueError, match="batch_size='3 docs' has a unit already; leave out batch_by"
    ):
        BatchSize("3 docs", by)


@pytest.mark.parametrize(
    ("value", "words"),
    [("two words", 2), ("", 0), ({"stats": {"words": 7}}, 7)],
)
def test_words_of_texts_and_features(value, words):
    assert BatchSize("1 words").measure(value) == words


def test_words_of_a_doc_are_its_tokens():
    import edspipe

    assert BatchSize("1 words").measure(edspipe.blank("eds")("Pas de fièvre.")) == 4


@pytest.mark.parametrize("value", [3, {"stats": None}, {"a": 1}, [1]])
def test_words_of_anything_else_are_an_error(value):
    message = f"cannot count words in a {type(value).__name__}; give batch_by= a function"
    with pytest.raises(TypeError, match=message):
        BatchSize("1 words").measure(value)


def test_a_statistic_crosses_to_workers():
    shared = Shared()
    measure = loads(dumps(stat_batchify("tokens"), shared), shared)
    assert measure({"stats": {"tokens": 4}}) == 4


@given(
    measures=st.lists(st.integers(0, 9), max_size=30),
    limit=st.integers(1, 12),
    padded=st.booleans(),
)
def test_batches_are_full_but_never_too_large(measures, limit, padded):
    """Nothing is lost, no batch but a single item is over the limit, and none could take more."""
    texts = [" ".join("w" * n) for n in measures]
    unit = "padded_words" if padded else "words"

    def size(batch: list[str]) -> int:
        counts = [len(text.split()) for text in batch]
        return len(counts) * max(counts) if padded else sum(counts)

    batches = list(Stream.from_items(texts).batchify(f"{limit} {unit}"))
    assert [text for batch in batches for text in batch] == texts
    assert all(size(batch) <= limit or len(batch) == 1 for batch in batches)
    pairs = itertools.pairwise(batches)
    assert all(size([*batch, following[0]]) > limit for batch, following in pairs)
