"""Every iterator knows its position: saved before each element, restored, the rest is the same."""

from __future__ import annotations

import itertools
import json

import pytest

from edspipe.errors import PipeError
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream
from tests.support import assert_resumes


def numbers(count: int = 30) -> Stream:
    return Stream.from_items(list(range(count)))


def twice(x):
    yield x
    yield x + 0.5


def noisy(x, rng):
    return x + float(rng.random())


class Letters:
    """A fragment of the letters of a word."""

    def __init__(self, word: str) -> None:
        self.name = word

    def read(self, start: int = 0):
        return iter(self.name[start:])

    def num_items(self):
        return len(self.name)


def fragments(shuffled: bool = False) -> Stream:
    return Stream(FragmentSource([Letters(w) for w in ("abc", "", "defgh", "i")], shuffled))


FINITE = {
    "source": numbers,
    "function": lambda: Stream.from_items(lambda: iter(range(20))),
    "map": lambda: numbers().map(str),
    "generator": lambda: numbers().map(twice),
    "rng": lambda: numbers().map(noisy),
    "filter": lambda: numbers().filter(lambda x: x % 3),
    "map_batches": lambda: numbers().map_batches(lambda batch: batch[1:], batch_size=4),
    "batchify": lambda: numbers().batchify("7 docs"),
    "unbatch": lambda: numbers().batchify("7 docs").unbatch(),
    "flatten": lambda: numbers().map(lambda x: [x] * (x % 3)).flatten(),
    "shuffle": lambda: numbers().shuffle(),
    "shuffle blocks": lambda: numbers().shuffle("8 docs"),
    "shuffle twice": lambda: numbers().shuffle("8 docs").map(twice).shuffle("20 docs"),
    "take": lambda: numbers().take(11),
    "map_gpu": lambda: numbers().map_gpu(lambda x: x + 1, lambda b: b, batch_size="4 docs"),
    "mix": lambda: Stream.mix(numbers(9).shuffle(), numbers(5).map(str), weights=[2, 1]),
    "fragments": fragments,
    "fragments in groups": lambda: fragments().batchify("fragment"),
    "fragments shuffled": lambda: fragments(True).shuffle("fragment"),
}


@pytest.mark.parametrize("name", FINITE)
def test_a_restored_stream_goes_on_as_if_it_had_never_stopped(name):
    assert assert_resumes(lambda: FINITE[name]().set_processing(seed=5))


LOOPING = {
    "batches across epochs": lambda: numbers(10).loop().batchify("4 docs"),
    "shuffle": lambda: numbers(10).loop().shuffle().map(noisy),
    "generator, then shuffle": lambda: numbers(6).map(twice).shuffle().loop().batchify("5 docs"),
    "take in each epoch": lambda: numbers(6).take(4).loop().shuffle("3 docs"),
    "words": lambda: Stream.from_items(["a", "b c", "d e f"] * 3).loop().batchify("4 words"),
    "fragments": lambda: fragments(True).loop().shuffle("fragment").batchify("2 docs"),
}


@pytest.mark.parametrize("name", LOOPING)
def test_a_restored_loop_goes_on_as_if_it_had_never_stopped(name):
    assert_resumes(lambda: LOOPING[name]().set_processing(seed=5), limit=45)


def test_every_op_at_once():
    def stream():
        mixed = Stream.mix(numbers(20), fragments()).map(lambda x: x).map(twice_text)
        mixed = mixed.filter(lambda x: x != "3").shuffle("6 docs").map_batches(list, batch_size=3)
        grouped = mixed.batchify("5 docs").shuffle("dataset").unbatch()
        return grouped.map_gpu(str.upper, list, batch_size="2 docs").take(40).set_processing(seed=1)

    assert_resumes(stream)


def twice_text(x):
    yield str(x)
    yield f"{x}'"


def test_skipped_documents_are_counted_once_after_a_restore():
    def fail_on_some(x):
        if x % 4 == 0:
            raise ValueError
        return x

    stream = numbers().map(fail_on_some).batchify("4 docs").set_processing(on_error="skip", seed=0)
    assert_resumes(lambda: stream)


def test_the_seed_that_was_drawn_is_part_of_the_position():
    stream = numbers().shuffle().map(noisy)
    iterator = iter(stream)
    next(iterator)
    state = iterator.get_state()
    other = iter(stream)
    other.set_state(state)
    assert list(other) == list(iterator)


def test_a_position_is_small_plain_data_without_items():
    iterator = iter(Stream.from_items(["M. Dupont"] * 500).shuffle().batchify("100 docs"))
    next(iterator)
    data = json.dumps(iterator.get_state())
    assert "Dupont" not in data
    assert len(data) < 1000


def test_restoring_reads_no_more_of_a_list_than_it_needs():
    seen = []
    stream = numbers(1000).map(lambda x: seen.append(x) or x).batchify("10 docs")
    iterator = iter(stream)
    list(itertools.islice(iterator, 50))
    state = iterator.get_state()
    seen.clear()
    restored = iter(stream)
    restored.set_state(state)
    next(restored)
    assert seen == list(range(500, 511))


def test_a_generator_says_that_it_cannot_go_back():
    stream = Stream.from_items(x for x in range(5))
    iterator = iter(stream)
    next(iterator)
    state = iterator.get_state()
    restored = iter(stream)
    restored.set_state(state)
    with pytest.raises(TypeError, match="a generator cannot be read again from a position"):
        next(restored)


def test_the_position_of_another_stream_is_refused():
    state = iter(numbers().map(abs)).get_state()
    with pytest.raises(ValueError, match="the position is of another stream"):
        iter(numbers().filter(bool)).set_state(state)


def test_a_position_is_set_before_the_first_item():
    iterator = iter(numbers())
    state = iterator.get_state()
    next(iterator)
    with pytest.raises(ValueError, match="set_state comes before the first item"):
        iterator.set_state(state)


def test_a_stream_that_gives_up_order_has_no_position():
    with pytest.raises(ValueError, match="has no position; leave out ordered=False"):
        iter(numbers().set_processing(ordered=False)).get_state()


@pytest.mark.parametrize("prefetch", [1, 3])
def test_the_position_is_that_of_what_was_consumed_not_of_what_was_made_ahead(prefetch):
    assert_resumes(lambda: numbers().batchify("4 docs").set_processing(seed=0, prefetch=prefetch))


def test_an_error_in_what_is_made_ahead_reaches_the_caller_at_its_place():
    def fail(x):
        if x == 3:
            raise ValueError
        return x

    iterator = iter(numbers().map(fail).set_processing(prefetch=2))
    assert [next(iterator), next(iterator), next(iterator)] == [0, 1, 2]
    with pytest.raises(PipeError, match="item 3"):
        next(iterator)


def parts_but_not_of_all(x):
    yield from [x] * (x % 3)


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 0), (2, 1)])
def test_another_number_of_workers_goes_on_from_a_position(before, after):
    stream = numbers(60).map(parts_but_not_of_all).filter(lambda x: x % 7).batchify("4 docs")
    stream = stream.set_processing(seed=0, process_start_method="fork", prefetch=0)
    elements = list(stream)
    for start in (0, 1, 5, 11):
        with iter(stream.set_processing(num_cpu_workers=before)) as iterator:
            list(itertools.islice(iterator, start))
            state = json.loads(json.dumps(iterator.get_state()))
        with iter(stream.set_processing(num_cpu_workers=after)) as restored:
            restored.set_state(state)
            assert list(restored) == elements[start:]
            assert restored.report == stream.execute()
