"""Stream.map_batches: a function, group by group."""

from __future__ import annotations

import pytest

from edspipe.errors import PipeError
from edspipe.stream.stream import Stream


def numbers(count: int) -> Stream:
    return Stream.from_items(list(range(count)))


def sizes_of(stream: Stream, **size) -> list[int]:
    """The sizes of the groups that map_batches makes of a stream."""
    sizes: list[int] = []

    def note(batch):
        sizes.append(len(batch))
        return batch

    list(stream.map_batches(note, **size))
    return sizes


def test_the_function_gets_lists_and_results_are_ungrouped():
    stream = numbers(7).map_batches(lambda batch: [x * 10 for x in batch], batch_size=3)
    assert list(stream) == [0, 10, 20, 30, 40, 50, 60]


def test_groups_have_the_size_that_is_asked_for():
    assert sizes_of(numbers(7), batch_size=3) == [3, 3, 1]


def test_the_default_is_32():
    assert sizes_of(numbers(70)) == [32, 32, 6]


def test_groups_are_full_whatever_divides_the_size():
    assert sizes_of(numbers(450), batch_size=100) == [100, 100, 100, 100, 50]


def test_groups_of_words():
    texts = Stream.from_items(["a b", "c d", "e"])
    assert sizes_of(texts, batch_size="4 words") == [2, 1]


def test_a_group_can_be_the_dataset():
    assert sizes_of(numbers(500), batch_size="dataset") == [500]


def test_a_function_can_measure():
    assert sizes_of(numbers(5), batch_size=6, batch_by=lambda x: x) == [4, 1]


def test_a_generator_may_give_more_or_fewer_items_than_it_got():
    def odd_twice(batch):
        for x in batch:
            if x % 2:
                yield from (x, x)

    assert list(numbers(6).map_batches(odd_twice, batch_size=4)) == [1, 1, 3, 3, 5, 5]


def test_only_one_level_is_ungrouped():
    assert list(numbers(2).map_batches(lambda batch: [batch])) == [[0, 1]]


def test_kwargs_are_passed():
    stream = numbers(2).map_batches(
        lambda batch, plus: [x + plus for x in batch], kwargs={"plus": 1}
    )
    assert list(stream) == [1, 2]


def test_groups_do_not_cross_the_end_of_an_epoch():
    assert sizes_of(numbers(3).loop().take(7), batch_size=2) == [2, 1, 2, 1, 1]


@pytest.mark.parametrize("result", [3, None, "text", {"a": 1}])
def test_a_result_that_is_no_list_is_an_error(result):
    stream = numbers(1).map_batches(lambda batch: result)
    message = f"map_batches expects a list or generator back, got {type(result).__name__}"
    with pytest.raises(PipeError, match=message):
        list(stream)


def test_the_item_that_fails_is_found_in_its_group():
    stream = numbers(10).map_batches(lambda batch: [1 // (x - 7) for x in batch], batch_size=5)
    with pytest.raises(PipeError) as caught:
        list(stream)
    assert caught.value.doc_id == "item 7"


def test_a_group_that_fails_only_as_a_whole_is_named_as_a_whole():
    def check(batch):
        if len(batch) > 1:
            raise ValueError("secret")
        return batch

    with pytest.raises(PipeError) as caught:
        list(numbers(8).map_batches(check))
    assert caught.value.doc_id == "item 0, item 1, item 2, item 3, item 4 and 3 more"


def test_skip_keeps_the_other_items_of_the_group():
    stream = numbers(6).map_batches(lambda batch: [6 // x for x in batch], batch_size=3)
    iterator = iter(stream.set_processing(on_error="skip"))
    assert list(iterator) == [6, 3, 2, 1, 1]
    assert iterator.counts == {"read": 6, "done": 5, "skipped": 1, "delivered": 5}


def test_skip_counts_a_group_that_fails_only_as_a_whole():
    def check(batch):
        return batch if len(batch) == 1 else 1 / 0

    iterator = iter(numbers(3).map_batches(check).set_processing(on_error="skip"))
    assert (list(iterator), iterator.counts) == ([], {"read": 3, "skipped": 3})


def test_an_item_that_cannot_be_measured_is_named():
    with pytest.raises(PipeError, match=r"on item 0 .*cannot count words in a int; give batch_by="):
        list(numbers(1).map_batches(lambda batch: batch, batch_size="10 words"))


def test_an_item_that_cannot_be_measured_is_skipped_where_asked():
    stream = Stream.from_items(["a", 1, "b"]).map_batches(lambda batch: batch, "10 words")
    assert list(stream.set_processing(on_error="skip")) == ["a", "b"]


def test_what_is_not_a_function_is_refused():
    with pytest.raises(TypeError, match="map_batches takes a function, got list"):
        numbers(1).map_batches([])
