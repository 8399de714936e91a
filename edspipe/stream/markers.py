"""What flows through a stream: items, each with its place in the source, and ends of epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Item(NamedTuple):
    """A value and where it came from.

    Attributes:
        value: The thing itself.
        epoch: How often the source had been read before, from 0.
        source_index: The index of the source item.
        sub: The index among the yields of each generator op on the way.
    """

    value: Any
    epoch: int
    source_index: int
    sub: tuple[int, ...] = ()

    @property
    def place(self) -> tuple[int, int, tuple[int, ...]]:
        """Epoch, source index and sub-indices."""
        return self.epoch, self.source_index, self.sub


@dataclass(frozen=True)
class EndOfEpoch:
    """All items of an epoch have passed."""

    epoch: int


Event = Item | EndOfEpoch
