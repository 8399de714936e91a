"""Stream.mix: items of several streams, drawn at random by weight."""

from __future__ import annotations

import itertools

import pytest

from edspipe.stream.stream import Stream


def stream_of(*items) -> Stream:
    return Stream.from_items(list(items))


def test_all_items_come_and_each_stream_keeps_its_order():
    mixed = list(Stream.mix(stream_of(*range(20)), stream_of(*"abcdefgh")).set_processing(seed=0))
    assert [x for x in mixed if isinstance(x, int)] == list(range(20))
    assert [x for x in mixed if isinstance(x, str)] == list("abcdefgh")
    assert mixed != [*range(20), *"abcdefgh"]


def test_the_seed_decides_the_order():
    stream = Stream.mix(stream_of(*range(20)), stream_of(*"abcdefgh"))
    first, same, other = (list(stream.set_processing(seed=seed)) for seed in (1, 1, 2))
    assert first == same != other


def test_the_seed_decides_the_random_ops_of_the_mixed_streams_too():
    stream = Stream.mix(stream_of(*range(20)).shuffle(), stream_of(*range(20)).shuffle())
    assert list(stream.set_processing(seed=1)) == list(stream.set_processing(seed=1))


def test_two_mixed_streams_are_shuffled_differently():
    numbers = stream_of(*range(20)).shuffle()
    tagged = [numbers.map(lambda x, tag: (tag, x), kwargs={"tag": tag}) for tag in (0, 1)]
    mixed = list(Stream.mix(*tagged).set_processing(seed=1))
    first, second = ([x for tag, x in mixed if tag == wanted] for wanted in (0, 1))
    assert first != second


def test_a_mixed_stream_keeps_a_seed_of_its_own():
    own = stream_of(*range(20)).shuffle().set_processing(seed=5)
    assert list(Stream.mix(own).set_processing(seed=1)) == list(own)


def test_weights_decide_how_often_a_stream_is_drawn():
    stream = Stream.mix(stream_of("a").loop(), stream_of("b").loop(), weights=[9, 1])
    drawn = list(itertools.islice(stream.set_processing(seed=0), 1000))
    assert 850 < drawn.count("a") < 950


def test_ops_behind_a_mix_see_the_mixed_items():
    assert sorted(Stream.mix(stream_of(1), stream_of(2)).map(lambda x: x * 10)) == [10, 20]


def test_a_mix_can_be_repeated():
    stream = Stream.mix(stream_of(1, 2), stream_of(3)).loop().take(6).set_processing(seed=0)
    items = list(stream)
    assert (sorted(items[:3]), sorted(items[3:])) == ([1, 2, 3], [1, 2, 3])


def test_a_mix_of_a_generator_cannot_be_repeated():
    with pytest.raises(TypeError, match="a generator can be read only once"):
        Stream.mix(Stream.from_items(iter([1])), stream_of(2)).loop()


@pytest.mark.parametrize(
    ("num_streams", "weights", "message"),
    [
        (2, [1.0], "got 1 for 2"),
        (1, [0.0], "one positive weight a stream"),
        (2, [1.0, -1.0], "one positive weight a stream"),
        (0, None, "got 0 for 0"),
    ],
)
def test_weights_that_do_not_fit_are_refused(num_streams, weights, message):
    with pytest.raises(ValueError, match=message):
        Stream.mix(*[stream_of(1)] * num_streams, weights=weights)


def test_an_error_in_a_mixed_stream_reaches_the_caller():
    from edspipe.errors import PipeError

    stream = Stream.mix(stream_of(1, 2), stream_of(0).map(lambda x: 1 / x))
    with pytest.raises(PipeError, match="ZeroDivisionError"):
        list(stream)
