"""Stream.filter: keep the items for which a function is true."""

from __future__ import annotations

import numpy as np
import pytest

from edspipe.errors import PipeError
from edspipe.stream.stream import Stream


def numbers(count: int = 5) -> Stream:
    return Stream.from_items(list(range(count)))


def test_filter_keeps_what_is_true():
    assert list(numbers().filter(lambda x: x % 2)) == [1, 3]


def test_filtered_items_are_counted():
    report = numbers().filter(lambda x: x % 2).execute()
    assert report == {"read": 5, "done": 2, "filtered": 3, "delivered": 2}


def test_filter_may_leave_nothing():
    assert list(numbers().filter(lambda x: False)) == []


def test_an_answer_without_a_truth_value_is_an_error():
    with pytest.raises(PipeError, match=r"filter\(.*\) failed on item 0 with ValueError"):
        list(numbers().filter(lambda x: np.array([True, False])))


def test_an_item_that_fails_is_skipped_and_not_counted_as_filtered():
    stream = numbers(3).filter(lambda x: 1 / x).set_processing(on_error="skip")
    assert stream.execute() == {"read": 3, "done": 2, "skipped": 1, "delivered": 2}


def test_what_is_not_a_function_is_refused():
    with pytest.raises(TypeError, match="filter takes a function, got NoneType"):
        numbers().filter(None)
