"""batchify: groups become items."""

from __future__ import annotations

from collections import deque
from typing import Any

from edspipe.stream.batching import FRAGMENT, BatchSize, OpenBatch
from edspipe.stream.events import Events
from edspipe.stream.markers import EndOfFragment, Event, Item, Place
from edspipe.stream.ops.op import OrderedOp, Run


class Batchify(OrderedOp):
    """Groups the ordered items, so that batches are the same whatever the workers.

    In a loop, a batch may cross the end of an epoch (but not one of `"dataset"` or `"fragment"`);
    it carries the place of its last item, and those of all its members. An epoch whose items have
    no size (empty documents, counted in words) closes it, as nothing would ever fill it.

    Args:
        size: How large the batches are.
        across_epochs: Whether it may; False closes the last batch of each epoch as it is.
    """

    stage = "batchify"
    spans_epochs = True

    def __init__(self, size: BatchSize, across_epochs: bool = True) -> None:
        self.size = size
        self.across_epochs = across_epochs

    def iterate(self, events: Events, run: Run) -> Events:
        return _Batches(self, events, run)


def as_batch(items: list[Item]) -> Item:
    """Return a batch as one item."""
    members: list[Place] = []
    for item in items:
        members.extend(item.places)
    return items[-1]._replace(value=[item.value for item in items], members=tuple(members))


class _Batches(Events):
    """Position: that of the source where the open batch began, the events that came out since then,
    and the items in the open batch."""

    def __init__(self, op: Batchify, source: Events, run: Run) -> None:
        self.op = op
        self.source = source
        self.run = run
        self._batch = OpenBatch(op.size)
        self._begin: Any = None
        self._ready: deque[Event] = deque()
        self._since = 0
        self._ended = False
        self._total_before: float | None = None  # that of the open batch at the last end

    def __next__(self) -> Event:
        while not self._ready:
            if self._ended:
                raise StopIteration
            if not self._batch.items and not self._since:
                self._begin = self.source.get_state()
            self._read()
        event = self._ready.popleft()
        self._since += 1
        if not self._ready and not self._batch.items:
            self._since = 0
        return event

    def _read(self) -> None:
        before = self.source.get_state() if self._batch.items else self._begin
        event = next(self.source, None)
        if event is None:
            self._ended = True
            self._close()
        elif isinstance(event, Item):
            self._add(event, before)
        else:
            if self._closes(event):
                self._close()
            self._ready.append(event)

    def _closes(self, end: Event) -> bool:
        if isinstance(end, EndOfFragment):
            return self.op.size.by == FRAGMENT
        across = self.op.across_epochs and not self.op.size.whole_epoch
        if not (self.run.looping and across):
            return True
        before, self._total_before = self._total_before, self._batch.total
        return bool(self._batch.items) and self._batch.total == before

    def _add(self, item: Item, before: Any) -> None:
        measure = 0.0
        with self.run.guard(self.op.stage, [item]) as guard:
            measure = self.op.size.measure(item.value)
        if guard.caught:
            return
        if not self._batch.has_room(measure):
            self._close()
            self._begin, self._since = before, -1  # the batch goes out, the item is not in it
        self._batch.add(item, measure)

    def _close(self) -> None:
        if self._batch.items:
            self._ready.append(as_batch(self._batch.items))
            self._batch = OpenBatch(self.op.size)
            self._total_before = None

    def get_state(self) -> Any:
        if not self._batch.items and not self._ready:
            return [self.source.get_state(), 0, 0, self._ended]
        return [self._begin, self._since, len(self._batch.items), False]

    def set_state(self, state: Any) -> None:
        begin, since, num_open, self._ended = state
        self.source.set_state(begin)
        for _ in range(since):
            event = next(self)
            if isinstance(event, Item):
                self.run.account.deliver(event)
        self._begin = begin
        while len(self._batch.items) < num_open:
            self._read()
