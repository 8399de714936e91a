"""shuffle: items in random order, all of an epoch or block by block."""

from __future__ import annotations

from typing import Any

from edspipe.stream.batching import FRAGMENT, BatchSize
from edspipe.stream.events import Events
from edspipe.stream.markers import End, EndOfEpoch, Event, Item
from edspipe.stream.ops.op import OrderedOp, Run


class Shuffle(OrderedOp):
    """Shuffles within each epoch; the order depends on seed and epoch only.

    Items are collected in a block, which goes out in random order. While it does, the next block is
    collected, one item for one, so that a training loop never waits for a whole epoch to be read;
    memory holds about one block.

    Args:
        size: The block: `"100 docs"`, `"fragment"`, or `"dataset"`, a whole epoch.
        seed: Seed of its own; None takes the seed of the run.
    """

    stage = "shuffle"

    def __init__(self, size: BatchSize, seed: int | None) -> None:
        if not (size.whole_epoch or size.by in ("docs", "items")):
            raise ValueError(
                f"shuffle takes 'dataset', 'fragment' or a number of docs, got {size!r}"
            )
        self.limit = size.limit
        self.by_fragment = size.by == FRAGMENT
        self.seed = seed

    def iterate(self, events: Events, run: Run) -> Events:
        return _Shuffled(self, events, run)


class _Block:
    """Items that are shuffled together, and the end behind them.

    Attributes:
        begin: The position of the source at its first item.
        number: How many blocks of the epoch came before.
    """

    def __init__(self, begin: Any, number: int) -> None:
        self.begin = begin
        self.number = number
        self.items: list[Item] = []
        self.end: End | None = None
        self.is_full = False


class _Shuffled(Events):
    """Position: that of the block that goes out, its number, the events taken from it, and how far
    the next block has been collected."""

    def __init__(self, op: Shuffle, source: Events, run: Run) -> None:
        self.op = op
        self.source = source
        self.run = run
        self._ready: list[Event] = []
        self._taken = 0
        self._out = _Block(None, 0)
        self._next: _Block | None = None

    def __next__(self) -> Event:
        while self._taken == len(self._ready):
            self._begin_block()
        if self._next is not None:
            self._collect(self._next)
        self._taken += 1
        return self._ready[self._taken - 1]

    def _begin_block(self) -> None:
        block = self._next or _Block(self.source.get_state(), 0)
        while not block.is_full:
            self._collect(block)
        if not block.items and block.end is None:
            raise StopIteration
        self._out, self._ready, self._taken = block, self._in_random_order(block), 0
        self._next = _Block(self.source.get_state(), self._number_after(block))

    def _collect(self, block: _Block) -> None:
        """Take one item into a block, unless it is full."""
        while not block.is_full:
            event = next(self.source, None)
            if isinstance(event, Item):
                block.items.append(event)
                block.is_full = len(block.items) >= self.op.limit
                return
            if event is None:
                block.is_full = True
            elif isinstance(event, EndOfEpoch) or self.op.by_fragment:
                block.end, block.is_full = event, True

    def _number_after(self, block: _Block) -> int:
        return 0 if isinstance(block.end, EndOfEpoch) else block.number + 1

    def _in_random_order(self, block: _Block) -> list[Event]:
        out: list[Event] = []
        if block.items:
            epoch = block.items[-1].epoch
            rng = self.run.rng(self.op.seed, self.op.place, epoch, block.number)
            out = [block.items[i] for i in rng.permutation(len(block.items))]
        return out if block.end is None else [*out, block.end]

    def get_state(self) -> Any:
        if self._next is None:
            return [self.source.get_state(), 0, 0, 0, False]
        ahead = [len(self._next.items), self._next.is_full]
        if self._taken == len(self._ready):
            return [self._next.begin, self._next.number, 0, *ahead]
        return [self._out.begin, self._out.number, self._taken, *ahead]

    def set_state(self, state: Any) -> None:
        begin, number, taken, num_ahead, is_full = state
        self.source.set_state(begin)
        self._next = _Block(begin, number)
        for _ in range(taken):
            event = next(self)
            if isinstance(event, Item):
                self.run.account.deliver(event)
        while len(self._next.items) < num_ahead or (is_full and not self._next.is_full):
            self._collect(self._next)
