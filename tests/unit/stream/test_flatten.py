"""Stream.flatten and Stream.unbatch: the members of each item become items."""

from __future__ import annotations

import pytest

from edspipe.errors import PipeError
from edspipe.stream.stream import Stream

METHODS = ["flatten", "unbatch"]


@pytest.mark.parametrize("method", METHODS)
def test_one_level_is_ungrouped(method):
    stream = getattr(Stream.from_items([[1, [2]], [], (3,)]), method)()
    assert list(stream) == [1, [2], 3]


def test_generators_and_sets_are_ungrouped():
    assert list(Stream.from_items([iter([1, 2]), {3}]).flatten()) == [1, 2, 3]


@pytest.mark.parametrize("count", [0, 1, 7, 8])
def test_unbatch_undoes_batchify(count):
    items = list(range(count))
    assert list(Stream.from_items(items).batchify(3).unbatch()) == items


@pytest.mark.parametrize("value", [3, "text", b"x", {"a": 1}, None])
@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_members_is_an_error(method, value):
    stream = getattr(Stream.from_items([[1], value]), method)()
    message = f"{method} failed on item 1 .*{method} un-groups lists, got {type(value).__name__}"
    with pytest.raises(PipeError, match=message):
        list(stream)


def test_an_item_that_fails_half_way_is_skipped_whole():
    def broken():
        yield 1
        raise ValueError

    stream = Stream.from_items([[0], broken(), [2]]).flatten().set_processing(on_error="skip")
    assert list(stream) == [0, 2]
