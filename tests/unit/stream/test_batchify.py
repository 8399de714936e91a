"""Stream.batchify: groups become items."""

from __future__ import annotations

import itertools

import pytest

from edspipe.errors import PipeError
from edspipe.stream.stream import Stream
from edspipe.utils.batching import stat_batchify


def numbers(count: int) -> Stream:
    return Stream.from_items(list(range(count)))


def features(*tokens: int) -> Stream:
    return Stream.from_items([{"stats": {"tokens": n, "words": n}} for n in tokens])


@pytest.mark.parametrize("size", [3, "3 docs", "3 doc", "3 items", "3"])
def test_batches_of_a_number_of_items(size):
    assert list(numbers(7).batchify(size)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_batches_of_words_close_before_the_item_that_would_overflow():
    texts = ["a b", "c d", "e", "f g h i", "j"]
    batches = list(Stream.from_items(texts).batchify("5 words"))
    assert batches == [["a b", "c d", "e"], ["f g h i", "j"]]


def test_an_item_that_is_too_large_goes_alone():
    texts = ["a", "b c d e f", "g", "h"]
    assert list(Stream.from_items(texts).batchify("2 words")) == [["a"], ["b c d e f"], ["g", "h"]]


def test_batches_of_padded_words_count_the_longest_for_each():
    texts = ["a", "b", "c d e", "f"]
    batches = list(Stream.from_items(texts).batchify("6 padded_words"))
    assert batches == [["a", "b"], ["c d e", "f"]]


def test_a_batch_of_the_dataset_is_an_epoch():
    assert list(itertools.islice(numbers(3).loop().batchify("dataset"), 2)) == [
        [0, 1, 2],
        [0, 1, 2],
    ]


def test_batches_by_a_statistic_of_the_features():
    batches = features(3, 3, 4, 10, 1).batchify(10, batch_by=stat_batchify("tokens"))
    assert [[f["stats"]["tokens"] for f in batch] for batch in batches] == [[3, 3, 4], [10], [1]]


def test_batches_may_cross_the_end_of_an_epoch_and_know_that_of_their_last_item():
    iterator = iter(numbers(3).loop().batchify(2))
    batches = [(next(iterator), iterator.epoch) for _ in range(3)]
    assert batches == [([0, 1], 0), ([2, 0], 1), ([1, 2], 1)]


def test_what_is_left_at_the_end_forms_the_last_batch():
    assert list(numbers(5).loop().take(7).batchify(4)) == [[0, 1, 2, 3], [4, 0, 1]]


def test_no_items_give_no_batch():
    assert list(numbers(0).batchify(4)) == []


def test_batches_are_read_only_as_they_are_needed():
    seen = []
    next(iter(numbers(100).map(lambda x: seen.append(x) or x).batchify(4)))
    assert len(seen) == 5


def test_an_item_that_cannot_be_measured_is_named():
    stream = Stream.from_items(["a", 2]).batchify("5 words")
    with pytest.raises(PipeError, match=r"batchify failed on item 1 .*cannot count words in a int"):
        list(stream)


def test_an_item_without_the_statistic_is_named_with_the_cure():
    message = (
        r"(?s)batchify failed on item 0 .*stat_batchify\('pieces'\) measures features by "
        r"stats\['pieces'\], which this dict does not have; it has: tokens, words. "
        r"Put .map\(nlp.preprocess, ...\) before"
    )
    with pytest.raises(PipeError, match=message):
        list(features(1).batchify(10, batch_by=stat_batchify("pieces")))


def test_a_statistic_of_what_is_no_features_is_an_error():
    with pytest.raises(PipeError, match="which this str does not have; it has: -"):
        list(Stream.from_items(["text"]).batchify(10, batch_by=stat_batchify("tokens")))


@pytest.mark.parametrize("measure", [None, "3", -1, float("nan")])
def test_a_measure_that_is_no_size_is_an_error(measure):
    message = f"batch_by= returns the size of an item, .* it returned a {type(measure).__name__}"
    with pytest.raises(PipeError, match=message):
        list(numbers(2).batchify(3, batch_by=lambda x: measure))


def test_an_error_of_the_measure_does_not_show_its_message():
    def measure(x):
        raise ValueError("M. Dupont")

    with pytest.raises(PipeError, match="batchify failed on item 0 with ValueError") as caught:
        list(numbers(2).batchify(3, batch_by=measure))
    assert "Dupont" not in str(caught.value)


def test_items_that_cannot_be_measured_are_skipped_and_counted():
    stream = Stream.from_items(["a", 2, "b"]).batchify("5 words").set_processing(on_error="skip")
    iterator = iter(stream)
    assert list(iterator) == [["a", "b"]]
    assert iterator.counts == {"read": 3, "done": 2, "skipped": 1, "delivered": 1}
