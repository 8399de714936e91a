"""Stream.take: the first items."""

from __future__ import annotations

import itertools

import pytest

from edspipe.stream.stream import Stream


def numbers(count: int) -> Stream:
    return Stream.from_items(list(range(count)))


@pytest.mark.parametrize(
    ("number", "expected"), [(0, []), (2, [0, 1]), (3, [0, 1, 2]), (9, [0, 1, 2])]
)
def test_take_keeps_the_first_items(number, expected):
    assert list(numbers(3).take(number)) == expected


def test_take_before_loop_counts_in_each_epoch():
    assert list(itertools.islice(numbers(5).take(2).loop(), 5)) == [0, 1, 0, 1, 0]


def test_take_after_loop_ends_the_stream():
    assert list(numbers(3).loop().take(7)) == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("number", [0, 3])
def test_take_reads_no_more_of_the_source_than_it_needs(number):
    seen = []

    def source():
        for i in itertools.count():
            seen.append(i)
            yield i

    assert len(list(Stream.from_items(source).take(number))) == number
    assert len(seen) == number


def test_a_shuffle_behind_take_gives_all_items():
    taken = list(numbers(10).loop().take(5).shuffle(seed=0))
    assert sorted(taken) == [0, 1, 2, 3, 4]


def test_a_shuffle_behind_two_epochs_gives_each_epoch_its_items():
    taken = list(numbers(3).loop().take(8).shuffle(seed=0))
    epochs = [sorted(taken[:3]), sorted(taken[3:6]), sorted(taken[6:])]
    assert epochs == [[0, 1, 2], [0, 1, 2], [0, 1]]


def test_take_counts_what_comes_out_of_the_ops_before():
    assert list(numbers(9).filter(lambda x: x % 2).take(2)) == [1, 3]


def test_take_of_batches():
    assert list(numbers(9).batchify(2).take(2)) == [[0, 1], [2, 3]]


def test_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="take expects a number of items, 0 or more, got -1"):
        numbers(1).take(-1)
