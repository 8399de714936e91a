"""What flows through a stream: items, each with its place in the source, and ends.

An end of a fragment (a file, a group of rows) or of an epoch passes through every op, so that those
who group or shuffle know where to stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

Place = tuple[int, int, tuple[int, ...]]
"""Epoch, source index, and the index among the yields of each generator op on the way."""


class Item(NamedTuple):
    """A value and where it came from.

    Attributes:
        value: The thing itself.
        epoch: How often the source had been read before, from 0.
        source_index: The index of the source item.
        sub: The index among the yields of each generator op on the way.
        members: The places of all that is in it, where it is made of several items (a batch).
    """

    value: Any
    epoch: int
    source_index: int
    sub: tuple[int, ...] = ()
    members: tuple[Place, ...] = ()

    @property
    def place(self) -> Place:
        """Epoch, source index and sub-indices."""
        return self.epoch, self.source_index, self.sub

    @property
    def places(self) -> tuple[Place, ...]:
        """The places of all that is in it: its own, or those of its members."""
        return self.members or (self.place,)


@dataclass(frozen=True)
class EndOfFragment:
    """All items of a fragment have passed.

    Attributes:
        epoch: The epoch.
        number: How many fragments of the epoch had passed before.
    """

    epoch: int
    number: int


@dataclass(frozen=True)
class EndOfEpoch:
    """All items of an epoch have passed."""

    epoch: int


End = EndOfFragment | EndOfEpoch
Event = Item | End
