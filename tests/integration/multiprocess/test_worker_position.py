"""Positions of streams on workers: what comes after is the same as if nothing had stopped."""

from __future__ import annotations

import itertools

import pytest
from worker_streams import numbers, on_workers

from edspipe.stream.stream import Stream


def twice(x):
    yield x
    yield x + 0.5


def fail_on_some(x: int) -> int:
    if x % 13 == 5:
        raise ValueError
    return x


CHAIN = (
    numbers(120)
    .map(fail_on_some)
    .map(twice)
    .filter(lambda x: x != 3)
    .shuffle("10 docs")
    .map(lambda x: x)
    .filter(lambda x: x % 7)
    .batchify("7 docs")
    .map(lambda batch: batch)
    .unbatch()
    .map(str)
)
"""Three segments, each of which leaves something out; an ordered op in between."""

STREAMS = {
    "one segment": numbers(120).map(fail_on_some).filter(lambda x: x % 4),
    "several segments": CHAIN,
    "cut short": CHAIN.take(60),
    "a loop": numbers(23).map_batches(lambda b: b[1:], batch_size=4).shuffle().loop().map(str),
}


@pytest.mark.parametrize(
    ("name", "prefetch"), [*((name, 0) for name in STREAMS), ("several segments", 3)]
)
def test_a_run_goes_on_from_any_position_with_the_same_items_and_counts(name, prefetch):
    stream = on_workers(STREAMS[name], seed=3, on_error="skip", prefetch=prefetch)
    whole, states, report = run_to_the_end(stream)
    for number in range(3, len(whole) + 1, 31):
        rest, _, resumed = run_to_the_end(stream, states[number], len(whole) - number)
        assert rest == whole[number:]
        assert resumed == report


def run_to_the_end(stream: Stream, state=None, limit: int = 150):
    """Up to so many items, the position before each and behind the last, and the counts."""
    with iter(stream) as iterator:
        if state is not None:
            iterator.set_state(state)
        items, states = [], [iterator.get_state()]
        for item in itertools.islice(iterator, limit):
            items.append(item)
            states.append(iterator.get_state())
        if next(iterator, None) is None:
            return items, states, iterator.report
        return items, states, None


def test_a_position_is_good_for_any_number_of_workers():
    stream = CHAIN.set_processing(seed=3, on_error="skip")
    whole = list(stream)
    with iter(on_workers(stream, 3)) as iterator:
        seen = [next(iterator) for _ in range(40)]
        state = iterator.get_state()
    other = iter(on_workers(stream, 1))
    other.set_state(state)
    assert seen + list(other) == whole


def test_a_stream_that_gives_up_the_order_has_no_position():
    with iter(on_workers(numbers().map(abs), ordered=False)) as iterator:
        next(iterator)
        with pytest.raises(ValueError, match="no position"):
            iterator.get_state()
