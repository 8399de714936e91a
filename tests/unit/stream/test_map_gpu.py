"""Stream.map_gpu: prepare in workers, one device step in the main process, then finish."""

from __future__ import annotations

import os

import pytest

from edspipe.errors import PipeError
from edspipe.stream.stream import Stream


def numbers(count: int) -> Stream:
    return Stream.from_items(list(range(count)))


def test_the_three_steps_follow_each_other():
    stream = numbers(5).map_gpu(
        lambda x: x + 1,
        lambda features: sum(features),
        lambda items, result: [(item, result) for item in items],
        batch_size="3 docs",
    )
    assert list(stream) == [(0, 6), (1, 6), (2, 6), (3, 9), (4, 9)]


def test_prepare_and_postprocess_may_be_left_out():
    stream = numbers(3).map_gpu(None, lambda features: [-x for x in features])
    assert list(stream) == [0, -1, -2]


def test_items_are_prepared_in_workers_and_the_device_step_is_here():
    stream = numbers(2).map_gpu(
        lambda x: os.getpid(),
        lambda features: features,
        lambda items, pids: [(pid, os.getpid()) for pid in pids],
    )
    stream = stream.set_processing(num_cpu_workers=1, process_start_method="fork")
    assert all(there != os.getpid() and here == os.getpid() for there, here in stream)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_the_step_and_the_document_that_fail_are_named(step):
    def fail(*args):
        raise ValueError("M. Dupont")

    steps = [lambda x: x, lambda features: features, lambda items, result: result]
    steps[step] = fail
    with pytest.raises(PipeError, match=r"map_gpu\(.*\) failed on document 'n1' with ValueError"):
        list(Stream.from_items([{"note_id": "n1"}]).map_gpu(*steps))


def test_a_result_of_another_length_is_an_error():
    with pytest.raises(PipeError, match="ValueError"):
        list(numbers(3).map_gpu(None, lambda features: features[1:]))
