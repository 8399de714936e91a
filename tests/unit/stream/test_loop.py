"""Stream.loop: the source is read again and again."""

from __future__ import annotations

import itertools

import pytest

from edspipe.stream.stream import Stream


def numbers(count: int) -> Stream:
    return Stream.from_items(list(range(count)))


def first(stream: Stream, count: int) -> list:
    return list(itertools.islice(stream, count))


def test_loop_starts_the_source_again():
    assert first(numbers(3).loop(), 8) == [0, 1, 2, 0, 1, 2, 0, 1]


@pytest.mark.parametrize("place", ["before", "after"])
def test_loop_repeats_the_source_wherever_it_is_written(place):
    seen = []
    stream = numbers(2)
    stream = stream.loop().map(seen.append) if place == "before" else stream.map(seen.append).loop()
    first(stream, 4)
    assert seen == [0, 1, 0, 1]


def test_a_function_is_called_for_each_epoch():
    calls = []

    def source():
        calls.append(1)
        return iter([1, 2])

    first(Stream.from_items(source).loop(), 5)
    assert len(calls) == 3


def test_the_iterator_knows_the_epoch_of_the_last_item():
    iterator = iter(numbers(2).loop())
    assert [(next(iterator), iterator.epoch)[1] for _ in range(5)] == [0, 0, 1, 1, 2]


def test_a_generator_cannot_be_repeated():
    message = "a generator can be read only once: pass a list, or a function"
    with pytest.raises(TypeError, match=message):
        Stream.from_items(iter([1])).loop()


EMPTY = {
    "source": numbers(0).loop(),
    "filter": numbers(3).filter(lambda x: False).loop(),
    "take": numbers(3).take(0).loop(),
    "batches": numbers(3).filter(lambda x: False).loop().batchify(2),
    "ops after": numbers(3).loop().map(lambda x: iter(())).flatten(),
    "no source, workers": numbers(0).loop().map(abs).set_processing(num_cpu_workers=1),
    "take, workers": numbers(3).take(0).loop().map(abs).set_processing(num_cpu_workers=1),
}


@pytest.mark.parametrize("stream", EMPTY.values(), ids=EMPTY.keys())
def test_a_loop_that_gives_nothing_is_an_error_and_no_endless_wait(stream):
    message = "loop.. would wait for ever: the source is empty, or no item of it is let through"
    with pytest.raises(ValueError, match=message):
        first(stream.set_processing(process_start_method="fork"), 1)


def test_what_is_taken_of_a_loop_may_all_be_filtered():
    assert list(numbers(3).loop().take(5).filter(lambda x: False)) == []


def test_nothing_may_be_taken_of_a_loop():
    assert list(numbers(3).loop().take(0)) == []


def test_a_batch_may_need_many_epochs():
    assert first(numbers(1).loop().batchify(5), 1) == [[0] * 5]
