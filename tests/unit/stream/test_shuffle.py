"""Stream.shuffle: the items of an epoch in random order."""

from __future__ import annotations

import itertools

import pytest

from edspipe.stream.stream import Stream


def numbers(count: int = 20) -> Stream:
    return Stream.from_items(list(range(count)))


SIZES = ["dataset", "fragment", "5 docs", 5, "100 items"]


@pytest.mark.parametrize("size", SIZES)
def test_shuffle_gives_each_item_once_in_another_order(size):
    shuffled = list(numbers().shuffle(size, seed=0))
    assert sorted(shuffled) == list(range(20))
    assert shuffled != list(range(20))


@pytest.mark.parametrize("size", SIZES)
def test_the_seed_decides_the_order(size):
    orders = [list(numbers().shuffle(size, seed=seed)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_the_seed_of_the_run_serves_where_the_op_has_none():
    stream = numbers().shuffle()
    orders = [list(stream.set_processing(seed=seed)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_without_any_seed_each_run_is_another():
    stream = numbers().shuffle()
    assert list(stream) != list(stream)


@pytest.mark.parametrize("size", SIZES)
def test_each_epoch_has_an_order_of_its_own_and_all_items(size):
    items = list(numbers().loop().shuffle(size, seed=0).take(60))
    epochs = [items[:20], items[20:40], items[40:]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(20))] * 3
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_buffer_bounds_what_is_held():
    seen = []
    stream = numbers(100).map(lambda x: seen.append(x) or x).shuffle("10 docs", seed=0)
    next(iter(stream))
    assert len(seen) == 11


def test_an_item_cannot_come_much_too_early_from_a_buffer():
    shuffled = list(numbers(100).shuffle("10 docs", seed=0))
    assert all(item <= place + 10 for place, item in enumerate(shuffled))


def test_a_looped_shuffle_does_not_wait_for_ever():
    assert len(list(itertools.islice(numbers().map(abs).loop().shuffle(seed=0), 30))) == 30


def test_split_then_shuffle_is_reproducible():
    def parts(x, rng):
        yield from rng.integers(100, size=x % 3).tolist()

    stream = numbers().map(parts).shuffle("dataset").set_processing(seed=4)
    assert list(stream) == list(stream)


@pytest.mark.parametrize("size", ["dataset", 2])
def test_all_batches_are_shuffled(size):
    orders = [list(numbers(10).batchify(3).shuffle(size, seed=seed)) for seed in range(8)]
    expected = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert [sorted(order) for order in orders] == [expected] * 8
    assert {order.index([9]) for order in orders} > {3}


def test_a_batch_that_no_later_epoch_fills_is_shuffled_too():
    batches = list(numbers(4).loop().take(6).batchify(4).shuffle(seed=0))
    assert sorted(batches) == [[0, 1], [0, 1, 2, 3]]


@pytest.mark.parametrize("size", ["100 words", "10 padded_words"])
def test_a_buffer_counts_items_only(size):
    with pytest.raises(
        ValueError, match=f"shuffle takes 'dataset', 'fragment' or a number of docs, got {size}"
    ):
        numbers().shuffle(size)
