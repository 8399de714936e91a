"""The contract of executors: how one runs a stream, in the words that all of them share."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Protocol

from loguru import logger
from tqdm import tqdm

from edspipe.stream.markers import Event, Item
from edspipe.stream.ops.op import Op, Run
from edspipe.stream.plan import Segment, Stage, plan, read_source, refuse_empty_epochs
from edspipe.stream.settings import Settings
from edspipe.stream.source import Source


class Description(Protocol):
    """What an executor needs to know of a stream."""

    @property
    def source(self) -> Source: ...
    @property
    def ops(self) -> tuple[Op, ...]: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def looping(self) -> bool: ...


class Executor(Protocol):
    """Runs the segments of a stream; ordered ops always run in the main process."""

    def run_segment(
        self, number: int, segment: Segment, events: Iterator[Event], run: Run
    ) -> Iterator[Event]:
        """Yield what becomes of the events, in order."""

    def start(self, stages: list[Stage], run: Run) -> None:
        """Get ready to run these stages."""

    def close(self) -> None:
        """Leave nothing behind; may be called twice."""


EXPECTED = ("read", "filtered", "delivered")
"""What is counted in every run; any other count is worth a line at its end."""


def draw_seed() -> int:
    """Draw a seed from Python's generator, so that seeding it makes streams repeatable."""
    return random.getrandbits(63)


class StreamIterator:
    """Iterates over the values of a stream.

    Attributes:
        run: Its counts say what became of the items: read, filtered, skipped, delivered.
        epoch: The epoch of the item that was delivered last.
    """

    def __init__(self, stream: Description, executor: Executor) -> None:
        settings = stream.settings
        seed = draw_seed() if settings.seed is None else settings.seed
        self.run = Run(settings, seed, stream.looping)
        self.epoch = 0
        self._stream = stream
        self._executor = executor
        self._events: Iterator[Event] | None = None
        self._bar: tqdm[Any] | None = None
        self._closed = False

    @property
    def counts(self) -> dict[str, int]:
        """What became of the items so far."""
        return dict(self.run.counts)

    def __iter__(self) -> StreamIterator:
        return self

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        try:
            item = self._next_item()
        except BaseException:
            self.close()
            raise
        if item is None:
            self.close()
            self._report()
            raise StopIteration
        self.run.counts["delivered"] += 1
        self.epoch = item.epoch
        if self._bar is not None:
            self._bar.update()
        return item.value

    def _report(self) -> None:
        """Log what was odd, e.g. how many entities were widened to whole words."""
        odd = {name: n for name, n in self.run.counts.items() if n and name not in EXPECTED}
        if odd:
            shown = ", ".join(f"{name} {n:,}" for name, n in sorted(odd.items()))
            logger.info("of {:,} items read: {}", self.run.counts["read"], shown)

    def _next_item(self) -> Item | None:
        if self._events is None:
            self._events = self._start()
        for event in self._events:
            if isinstance(event, Item):
                return event
        return None

    def _start(self) -> Iterator[Event]:
        stages = plan(self._stream.ops, self.run.settings)
        self._executor.start(stages, self.run)
        if self.run.settings.show_progress:
            self._bar = tqdm(unit="doc", dynamic_ncols=True)
        events = read_source(self._stream.source, self.run)
        checked = not self.run.looping
        for number, stage in enumerate(stages):
            if isinstance(stage, Segment):
                events = self._executor.run_segment(number, stage, events, self.run)
                continue
            if stage.spans_epochs and not checked:
                events, checked = refuse_empty_epochs(events), True
            events = stage.run(events, self.run)
        return events if checked else refuse_empty_epochs(events)

    def close(self) -> None:
        """Stop; workers end, the progress bar too."""
        if self._closed:
            return
        self._closed = True
        self._events = None
        if self._bar is not None:
            self._bar.close()
        self._executor.close()

    def __enter__(self) -> StreamIterator:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
