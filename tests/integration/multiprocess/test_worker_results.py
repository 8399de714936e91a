"""Streams on worker processes: the same items, in the same order, in the same batches."""

from __future__ import annotations

import itertools
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leftovers import slow
from worker_streams import MAIN, in_batch, numbers, on_workers, parts

from edspipe.stream.ops.map import Map
from edspipe.stream.stream import Stream


def odd(x: int) -> bool:
    return bool(x % 2)


def size(x) -> int:
    return x % 7 if isinstance(x, int) else 1


def fail_on_some(x: int) -> int:
    if x % 13 == 5:
        raise ValueError
    return x


STREAMS = {
    "plain": numbers(50),
    "map": numbers(50).map(lambda x: x + 1),
    "random parts": numbers(50).map(parts),
    "filter": numbers(50).filter(odd).map(str),
    "skipping": numbers(50).map(fail_on_some).set_processing(on_error="skip"),
    "map_batches": numbers(300).filter(odd).map_batches(in_batch, batch_size=10),
    "map_batches by size": numbers(300).map_batches(in_batch, batch_size=20, batch_by=size),
    "map_batches of the dataset": numbers(50).map(abs).map_batches(in_batch, batch_size="dataset"),
    "fewer than came in": numbers(50).map_batches(lambda batch: batch[1:], batch_size=3).map(str),
    "batchify": numbers(50).map(parts).batchify(7),
    "batchify by size": numbers(50).map(abs).batchify(20, batch_by=size).map(list),
    "unbatch": numbers(50).batchify(7).map(list).unbatch().map(str),
    "shuffle": numbers(50).map(parts).shuffle().map(str),
    "shuffle in a buffer": numbers(50).map(parts).shuffle("5 docs").batchify(4).map(len),
    "loop": numbers(7).map(parts).loop().shuffle().batchify(4).map(list).take(20),
    "take": numbers(100).map(abs).take(33).map(str),
    "mix": Stream.mix(numbers(20).shuffle(), numbers(30).map(str), weights=[1, 2]).map(str),
    "map_gpu": numbers(50).map_gpu(abs, lambda batch: [(x, len(batch)) for x in batch]),
    "empty": numbers(0).map(abs),
}


@pytest.mark.parametrize("count", [slow(1), 2, slow(4)])
@pytest.mark.parametrize("name", STREAMS)
def test_workers_do_not_show_in_what_comes_out(name, count):
    stream = STREAMS[name].set_processing(seed=5)
    assert list(on_workers(stream, count)) == list(stream)


@pytest.mark.parametrize("count", [slow(1), 2, slow(3)])
def test_a_forkserver_gives_the_same(count):
    stream = STREAMS["loop"].set_processing(seed=5)
    assert list(on_workers(stream, count, "forkserver")) == list(stream)


@pytest.mark.parametrize("count", [1, slow(2)])
def test_spawn_gives_the_same(count):
    stream = STREAMS["loop"].set_processing(seed=5)
    assert list(on_workers(stream, count, "spawn")) == list(stream)


@pytest.mark.parametrize("name", ["filter", "skipping", "random parts", "map_batches", "unbatch"])
def test_workers_do_not_show_in_the_counts(name):
    stream = STREAMS[name].set_processing(seed=5)
    assert on_workers(stream).execute() == stream.execute()


LOCAL = st.sampled_from(
    [
        lambda s: s.map(lambda x: x),
        lambda s: s.map(parts_of_any),
        lambda s: s.filter(lambda x: hash(str(x)) % 4),
        lambda s: s.map_batches(lambda batch: batch[::-1], batch_size=3),
        lambda s: s.map_batches(lambda batch: [str(x) for x in batch], "dataset"),
    ]
)
ORDERED = st.sampled_from(
    [
        lambda s: s.shuffle("dataset"),
        lambda s: s.shuffle("3 docs"),
        lambda s: s.batchify(3),
        lambda s: s.batchify(9, batch_by=lambda x: len(str(x))),
        lambda s: s.take(11),
        lambda s: s.loop().take(25),
    ]
)


def parts_of_any(x, rng):
    yield from [x] * int(rng.integers(3))


@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(0, 40),
    ops=st.lists(LOCAL | ORDERED, max_size=5),
    seed=st.integers(0, 9),
    workers=st.integers(1, 3),
)
def test_random_streams_give_the_same_on_workers(count, ops, seed, workers):
    stream = numbers(count).set_processing(seed=seed)
    for op in ops:
        stream = op(stream)
    assert outcome(on_workers(stream, workers)) == outcome(stream)


def outcome(stream: Stream) -> list | str:
    """The items, or the error of a loop that has none."""
    try:
        return list(stream)
    except ValueError as error:
        return str(error)


# ---- how the work is done ----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_ops_run_in_other_processes(method):
    pids = set(on_workers(numbers(100).map(lambda x: os.getpid()), 2, method))
    assert pids
    assert MAIN not in pids


def test_workers_share_the_work():
    stream = numbers(300).map(lambda x: time.sleep(0.002) or os.getpid())
    assert len(set(on_workers(stream, 3))) == 3


def test_no_more_is_read_than_keeps_the_workers_busy():
    read = itertools.count()
    stream = Stream.from_items(lambda: (next(read) for _ in range(10_000))).map(abs)
    with iter(on_workers(stream)) as iterator:
        next(iterator)
        assert next(read) <= 2 * 3 * 16 + 16


def test_a_slow_source_is_not_waited_for_longer_than_need_be():
    def source():
        for i in range(400):
            time.sleep(0.005)
            yield i

    start = time.monotonic()
    with iter(on_workers(Stream.from_items(source).map(abs))) as iterator:
        next(iterator)
        assert time.monotonic() - start < 1.5  # reading ahead for all workers takes 0.5 s at least


def test_an_error_of_the_source_comes_behind_the_items_before_it():
    def source():
        yield from range(55)
        raise ValueError

    iterator = iter(on_workers(Stream.from_items(source).map(abs)))
    assert [next(iterator) for _ in range(55)] == list(range(55))
    with pytest.raises(Exception, match="source failed on item 55 with ValueError"):
        next(iterator)


def test_unordered_results_are_the_same_but_for_their_order():
    def uneven(x):
        time.sleep(0.05 if x < 16 else 0.0005)
        return x

    seen = list(on_workers(numbers(400).map(uneven), ordered=False))
    assert seen != sorted(seen)
    assert sorted(seen) == list(range(400))


@pytest.mark.parametrize("slow_from", [0, 48], ids=["slow at first", "slow at the end"])
def test_an_unordered_epoch_ends_before_the_next_begins(slow_from):
    def uneven(x):
        time.sleep(0.02 if slow_from <= x < slow_from + 12 else 0)
        return x

    stream = numbers(60).map(uneven).loop().take(180)
    seen = list(on_workers(stream, ordered=False))
    assert [sorted(seen[i : i + 60]) for i in (0, 60, 120)] == [list(range(60))] * 3


def test_the_name_of_an_op_is_kept_on_its_way():
    op = Map(abs)
    op.stage = "read_notes"
    with pytest.raises(Exception, match="read_notes failed on item 0 with TypeError"):
        list(on_workers(Stream.from_items(["text"]).with_op(op)))


def test_a_stream_tells_where_the_time_went():
    iterator = iter(on_workers(numbers(200).map(lambda x: time.sleep(0.001))))
    list(iterator)
    seconds = iterator.stats()
    assert 0.2 <= seconds["map(test_a_stream_tells_where_the_time_went.<lambda>)"] < 10
    assert 0 < seconds["transport"] < seconds["wall"]
    assert 0 < seconds["waiting"] < seconds["wall"]
