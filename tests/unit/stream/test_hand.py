"""What a worker writes down of what it has in hand, and what main reads."""

from __future__ import annotations

import pytest

from edspipe.stream.executors.multiprocess.hand import (
    LOADING,
    NUM_BYTES,
    RUNNING,
    Hand,
    InHand,
    Watch,
    now_ms,
)
from edspipe.stream.markers import Item
from edspipe.stream.ops.batchify import as_batch


@pytest.fixture
def hand() -> Hand:
    return Hand(memoryview(bytearray(NUM_BYTES)))


def items(count: int = 5) -> list[Item]:
    return [Item(f"text {i}", 2, 10 + i) for i in range(count)]


def indices(hand: Hand) -> tuple[int | None, int | None]:
    look = hand.look()
    return look.first, look.last


def test_a_new_hand_is_empty(hand):
    assert indices(hand) == (None, None)


def test_what_is_taken_can_be_seen_with_the_time(hand):
    hand.begin(7)
    hand.phase(RUNNING)
    before = now_ms()
    hand.take(1, 3)
    look = hand.look()
    assert look == InHand(7, 1, 3, look.began_ms, RUNNING, 0)
    assert look.num_items == 3
    assert before <= look.began_ms <= now_ms()


def test_a_new_task_begins_with_nothing_in_hand(hand):
    hand.begin(7)
    hand.take(1, 3)
    hand.finish_part()
    hand.begin(8)
    assert hand.look() == InHand(8, None, None, 0, LOADING, 0)
    assert hand.look().num_items == 0


def test_finished_parts_are_counted(hand):
    hand.begin(7)
    hand.take(1, 3)
    hand.finish_part()
    assert hand.look() == InHand(7, None, None, 0, LOADING, 1)


# ---- whose item is it --------------------------------------------------------------------------


def test_an_item_is_found_by_its_place(hand):
    Watch(hand, items())([items()[3]])
    assert indices(hand) == (3, 3)


def test_a_part_of_an_item_is_found(hand):
    Watch(hand, items())([items()[3]._replace(sub=(1, 0))])
    assert indices(hand) == (3, 3)


def test_a_part_of_a_part_is_found(hand):
    part = [Item(None, 0, 4, (i,)) for i in range(3)]
    Watch(hand, part)([Item(None, 0, 4, (2, 5))])
    assert indices(hand) == (2, 2)


def test_several_items_are_a_range(hand):
    Watch(hand, items())([items()[3], items()[1]])
    assert indices(hand) == (1, 3)


def test_a_batch_made_of_items_is_their_range(hand):
    Watch(hand, items())([as_batch(items()[1:4])])
    assert indices(hand) == (1, 3)


def test_a_part_of_a_batch_made_of_items_is_their_range(hand):
    Watch(hand, items())([as_batch(items()[1:4])._replace(sub=(0,))])
    assert indices(hand) == (1, 3)


def test_a_batch_that_came_as_an_item_is_that_item(hand):
    batches = [as_batch(items()[:2]), as_batch(items()[2:])]
    Watch(hand, batches)([batches[1]])
    assert indices(hand) == (1, 1)


def test_a_member_of_a_batch_that_came_as_an_item_is_that_item(hand):
    batches = [as_batch(items()[:2]), as_batch(items()[2:])]
    Watch(hand, batches)([items()[3]])
    assert indices(hand) == (1, 1)


def test_items_made_of_the_same_members_are_told_apart(hand):
    whole = as_batch(items())
    results = [whole._replace(sub=(i,)) for i in range(3)]
    Watch(hand, results)([results[1]._replace(sub=(1, 4))])
    assert indices(hand) == (1, 1)


def test_an_unknown_item_may_be_any(hand):
    Watch(hand, items())([Item(None, 9, 9)])
    assert indices(hand) == (0, 4)


def test_only_the_part_that_runs_can_be_in_hand(hand):
    watch = Watch(hand, items())
    watch.limits = (1, 2)
    watch([as_batch(items())])
    assert indices(hand) == (1, 2)
