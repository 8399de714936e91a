"""Tasks, and what becomes of them when workers die: no process, no clock, no pipe in here.

A task belongs to the main process until its result has arrived. A death is held against the items
that the worker had in hand. One item: it is tried again, and given up after a few deaths. Several
(a batch): the task is cut so that each half of them runs apart, until one item is found.
"""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from edspipe.stream.executors.multiprocess.channel import Body
from edspipe.stream.executors.multiprocess.hand import InHand
from edspipe.stream.executors.multiprocess.messages import PackedItem, Work
from edspipe.stream.executors.multiprocess.parcels import Sizes

MAX_DEATHS = 2
"""Deaths after which an item is given up: the first may have been bad luck."""
MAX_KILLS = 3
"""The same where the system, or somebody, killed the worker: by memory running out, which the item
may be to blame for, or for reasons that have nothing to do with it."""
KILLS = (-signal.SIGKILL, -signal.SIGTERM)
"""Exit codes of workers that were killed from outside."""
MAX_DEATHS_IN_A_ROW = 10
"""Deaths without any progress after which the run ends: it is not the documents."""


@dataclass(frozen=True)
class Death:
    """How a worker ended.

    Attributes:
        worker: Its name.
        exit_code: Of its process; negative for a signal.
        timeout_s: The time limit that was overrun, where that is why it was killed.
        peak_mb: The most memory that it was seen to use, 0 where that is not known.
    """

    worker: str
    exit_code: int
    timeout_s: float | None = None
    peak_mb: int = 0

    @property
    def cause(self) -> str:
        """The exit code in words."""
        try:
            return signal.Signals(-self.exit_code).name
        except ValueError:
            return f"exit code {self.exit_code}"

    @property
    def error(self) -> str:
        """What stands where the type of an error stands otherwise."""
        if self.timeout_s is not None:
            return f"Timeout after {self.timeout_s:g} s"
        return f"WorkerDied ({self.cause})"

    @property
    def max_deaths(self) -> int:
        """How many deaths an item may be in hand at."""
        if self.timeout_s is not None:
            return 1
        return MAX_KILLS if self.exit_code in KILLS else MAX_DEATHS

    @property
    def preposition(self) -> str:
        """What goes between this and the name of a document."""
        return "on" if self.timeout_s is None else "for"

    def __str__(self) -> str:
        if self.timeout_s is not None:
            return f"{self.worker} took longer than {self.timeout_s:g} s"
        used = f" (it had used {self.peak_mb:,} MB)" if self.peak_mb else ""
        hint = f": perhaps memory ran out{used}" if self.exit_code == -signal.SIGKILL else ""
        name = f" ({self.cause}{hint})" if self.exit_code < 0 else ""
        return f"{self.worker} died with exit code {self.exit_code}{name}"


@dataclass
class Task:
    """Some items on their way through a segment.

    Attributes:
        number: The number of the task.
        segment: The number of the segment.
        items: The items, without their values.
        table: The sizes of the values.
        body: The values.
        num_shared: How many shared objects a worker must have to open them.
        parts: Which items run together.
        deaths: The deaths that each item was in hand at, by its index.
        given_up: The items that are left out, and why.
    """

    number: int
    segment: int
    items: list[PackedItem]
    table: list[Sizes] = field(default_factory=list)
    body: Body = b""
    num_shared: int = 0
    parts: list[tuple[int, int]] = field(default_factory=list)
    deaths: Counter[int] = field(default_factory=Counter)
    given_up: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.parts and self.items:
            self.parts = [(0, len(self.items))]

    @property
    def num_bytes(self) -> int:
        """How much memory the values take."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.num_bytes

    def as_work(self) -> Work:
        """Return the task as it travels."""
        return Work(self.number, self.segment, self.items, self.table, self.parts)

    def blame(self, in_hand: InHand, death: Death) -> int | None:
        """Hold a death against what the worker had in hand.

        Args:
            in_hand: It is of this task.
            death: How the worker ended.

        Returns:
            The index of an item that is to be given up, if one is.
        """
        if in_hand.first is None or in_hand.last is None:
            return None
        first, last = in_hand.first, in_hand.last
        self.deaths.update(range(first, last + 1))
        if first < last:
            self._cut(first, last)
        elif self.deaths[first] >= death.max_deaths:
            return first
        return None

    def _cut(self, first: int, last: int) -> None:
        """Let each half of some items run apart from the other, and from the rest."""
        middle = (first + last + 1) // 2
        self.parts = [
            piece for part in self.parts for piece in _pieces(part, (first, middle, last + 1))
        ]

    def give_up(self, index: int, failure: Any) -> None:
        """Leave an item out; the rest runs without it."""
        self.given_up[index] = failure
        self.parts = [
            piece
            for part in self.parts
            for piece in _pieces(part, (index, index + 1))
            if piece != (index, index + 1)
        ]

    @property
    def attempts(self) -> dict[int, int]:
        """How often each item was tried that was tried more than once."""
        return {i: n if i in self.given_up else n + 1 for i, n in sorted(self.deaths.items())}


def _pieces(part: tuple[int, int], cuts: tuple[int, ...]) -> list[tuple[int, int]]:
    """Cut a part at those places that lie inside it."""
    first, behind = part
    places = [first, *(cut for cut in cuts if first < cut < behind), behind]
    return list(pairwise(places))


class Row:
    """Counts deaths in a row: those between which nothing got further.

    Attributes:
        length: How many.
    """

    def __init__(self) -> None:
        self.length = 0

    def progress(self) -> None:
        """A task was finished."""
        self.length = 0

    def death(self, in_hand: InHand | None) -> bool:
        """A worker died; return whether that is one too many.

        Args:
            in_hand: What it had in hand, None for nothing.
        """
        if in_hand is not None and in_hand.num_parts > 0:
            self.length = 0
        if in_hand is None or in_hand.num_items < 2:  # else: it brought us nearer to the item
            self.length += 1
        return self.length >= MAX_DEATHS_IN_A_ROW
