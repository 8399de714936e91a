"""What a worker has in hand, in words of memory that the main process can read at any time, also
when the worker is dead, stopped, or inside a C function that lets nothing else run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from edspipe.stream.markers import Item, Place

NOTHING = -1
"""Number of the task of a worker that has none."""
LOADING, RUNNING = 0, 1
"""Whether items are being rebuilt from bytes (if a worker dies of that, nobody else should try)."""

_TASK, _FIRST, _LAST, _BEGAN, _PHASE, _PARTS = range(6)
NUM_BYTES = 6 * 8


class InHand(NamedTuple):
    """What a worker is busy with.

    Attributes:
        task: The number of the task.
        first: The first of the items in hand, by its index in the task; None for no item.
        last: The last of them.
        began_ms: When it took them, on the clock that all processes of a machine share.
        phase: `LOADING` or `RUNNING`.
        num_parts: Parts of the task that it has finished.
    """

    task: int
    first: int | None
    last: int | None
    began_ms: int
    phase: int
    num_parts: int

    @property
    def num_items(self) -> int:
        """How many items are in hand."""
        return 0 if self.first is None or self.last is None else self.last - self.first + 1


def now_ms() -> int:
    """Return the time on the clock that all processes of a machine share."""
    return time.monotonic_ns() // 1_000_000


class Hand:
    """The words.

    Args:
        memory: `NUM_BYTES` of shared memory.
    """

    def __init__(self, memory: memoryview) -> None:
        self._words = memory.cast("q")

    # ---- the worker's side -----------------------------------------------------------------

    def begin(self, task: int) -> None:
        """Begin a task."""
        words = self._words
        words[_BEGAN], words[_PARTS], words[_PHASE] = 0, 0, LOADING
        words[_TASK] = task

    def take(self, first: int, last: int) -> None:
        """Take items."""
        words = self._words
        words[_BEGAN] = 0  # the words are being changed
        words[_FIRST], words[_LAST] = first, last
        words[_BEGAN] = time.monotonic_ns() // 1_000_000

    def phase(self, phase: int) -> None:
        """Begin a phase."""
        self._words[_PHASE] = phase

    def finish_part(self) -> None:
        """Finish a part of the task."""
        self._words[_BEGAN] = 0
        self._words[_PARTS] += 1

    def finish(self) -> None:
        """Finish the task."""
        self._words[_TASK] = NOTHING

    # ---- the side of the main process ------------------------------------------------------

    def look(self) -> InHand:
        """Return what the worker has in hand; no item while it changes from one to the next."""
        words = self._words
        began, task = words[_BEGAN], words[_TASK]
        first, last, phase, parts = words[_FIRST], words[_LAST], words[_PHASE], words[_PARTS]
        if not began or words[_BEGAN] != began or words[_TASK] != task or not 0 <= first <= last:
            return InHand(task, None, None, 0, phase, parts)
        return InHand(task, first, last, began, phase, parts)


class Watch:
    """Finds the items of a task again in what ops make of them, and writes them into the hand.

    Args:
        hand: Where it writes.
        items: The items of the task; their values are not looked at.
    """

    def __init__(self, hand: Hand, items: Sequence[Item]) -> None:
        self._hand = hand
        self._items = items
        self._own: dict[Place, int] = {item.place: i for i, item in enumerate(items)}
        self._members: dict[Place, tuple[int, int]] = {}
        for i, item in enumerate(items):
            for place in item.members:
                first, _ = self._members.get(place, (i, i))
                self._members[place] = (first, i)
        self.limits = (0, len(items) - 1)

    def __call__(self, items: Sequence[Item]) -> None:
        """Say that an op has these items in hand, each made of one of the task or of several."""
        lowest, highest = self.limits
        first, last = highest + 1, lowest - 1
        for item in items:
            low, high = self._range(item)
            first, last = min(first, low), max(last, high)
        self._hand.take(max(first, lowest), min(last, highest))

    def _range(self, item: Item) -> tuple[int, int]:
        owner = self._owner(item.place)
        if owner is not None and self._items[owner].members == item.members:
            return owner, owner
        found = [self._find(place) for place in item.places]
        ranges = [pair for pair in found if pair is not None] or [self.limits]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def _owner(self, place: Place) -> int | None:
        """Return the item that has this place, or of which it is a part."""
        index = self._own.get(place)
        epoch, source_index, sub = place
        while index is None and sub:
            sub = sub[:-1]
            index = self._own.get((epoch, source_index, sub))
        return index

    def _find(self, place: Place) -> tuple[int, int] | None:
        """Return the items that have this place, or that it is a part or a member of."""
        owner = self._owner(place)
        if owner is not None:
            return owner, owner
        epoch, source_index, sub = place
        known = (self._members.get((epoch, source_index, sub[:n])) for n in range(len(sub), -1, -1))
        return next((pair for pair in known if pair is not None), None)
