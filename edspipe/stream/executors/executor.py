"""The contract of executors: how one runs a stream, in the words that all of them share."""

from __future__ import annotations

import random
import sys
import time
from functools import cached_property, partial
from typing import Any, Protocol

from loguru import logger

from edspipe.errors import EdspipeError
from edspipe.stream.account import Account, RunReport
from edspipe.stream.events import Events, RefuseEmptyEpochs
from edspipe.stream.executors.prefetch import Prefetch, Produced
from edspipe.stream.executors.progress import Progress
from edspipe.stream.markers import Item, Place
from edspipe.stream.ops.batchify import Batchify
from edspipe.stream.ops.op import Op, Run
from edspipe.stream.plan import Segment, SourceEvents, Stage, plan
from edspipe.stream.quarantine import Quarantine
from edspipe.stream.settings import Settings
from edspipe.stream.source import Source

STATE_FORMAT = 1


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

    def start(self, stages: list[Stage], run: Run) -> None:
        """Get ready to run these stages."""

    def run_segment(self, number: int, segment: Segment, events: Events, run: Run) -> Events:
        """Return an iterator over what becomes of the events, in order."""

    def stop(self) -> None:
        """Let a wait in another thread end soon, with an error."""

    def close(self) -> None:
        """Leave nothing behind; may be called twice."""


def draw_seed() -> int:
    """Draw a seed from Python's generator, so that seeding it makes streams repeatable."""
    return random.getrandbits(63)


class StreamIterator:
    """Iterates over the values of a stream.

    Attributes:
        run: The run: its seed, its books, what was counted.
        epoch: The epoch of the item that was delivered last.
        places: The places in the source of its members, for a batch; else its own.
    """

    def __init__(self, stream: Description, executor: Executor) -> None:
        settings = stream.settings
        seed = draw_seed() if settings.seed is None else settings.seed
        path = settings.quarantine_path
        account = Account(quarantine=None if path is None else Quarantine(path))
        self.run = Run(settings, seed, stream.looping, books=account)
        self.epoch = 0
        self.places: tuple[Place, ...] = ()
        self._stream = stream
        self._executor = executor
        self._source: SourceEvents | None = None
        self._events: Events | None = None
        self._restored: Any = None
        self._prefetch: Prefetch | None = None
        self._last: Produced | None = None
        self._progress: Progress | None = None
        self._began = time.perf_counter()
        self._wall_s = 0.0
        self._closed = False

    # ---- counts ----------------------------------------------------------------------------

    @property
    def report(self) -> RunReport:
        """What became of the documents so far, and what was counted besides."""
        account = self.run.account
        return RunReport(account.totals, self.run.counts, account.num_open)

    @property
    def counts(self) -> dict[str, int]:
        """The report as a dict of what is not zero."""
        return dict(self.report)

    def stats(self) -> dict[str, float]:
        """Return where the time went, in seconds.

        `reading` is the source; each op has its own line (of all workers together); `transport` is
        packing and unpacking for workers, `waiting` what this process waited for them; `wall` is
        the time since the iterator was made.
        """
        wall = self._wall_s if self._closed else time.perf_counter() - self._began
        return {"wall": wall, **self.run.seconds}

    # ---- position --------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return the position behind the item that was delivered last, as small plain data.

        Raises:
            ValueError: The stream gives up the order of its items (`ordered=False`).
        """
        if not self.run.settings.ordered:
            raise ValueError("a stream with ordered=False has no position; leave out ordered=False")
        if self._restored is not None:
            return self._restored
        if self._last is not None:
            return self._last.state
        return _state(self._events, self.run, self.fingerprint, self.epoch)

    @property
    def fingerprint(self) -> list[str]:
        """What must be the same for a position to mean the same: the source and the ops."""
        ops = [f"{type(op).__name__} {op.stage}" for op in self._stream.ops]
        return [type(self._stream.source).__name__, *ops]

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to a position, of this stream or of another one that is described alike.

        What was buffered is made again: at most one chunk, batch or block of a shuffle.

        Raises:
            ValueError: Iteration has begun, or the position is of another stream.
        """
        if self._events is not None or self._closed:
            raise ValueError("set_state comes before the first item")
        if state.get("format") != STATE_FORMAT or state["stream"] != self.fingerprint:
            raise ValueError(
                f"the position is of another stream ({state.get('stream')}), not of this one "
                f"({self.fingerprint})"
            )
        self.run.seed = state["seed"]
        self.epoch = state["epoch"]
        self._restored = state

    def _restore(self, events: Events) -> None:
        state, self._restored = self._restored, None
        if state is None:
            return
        self.run.account.muted = True
        if state["position"] is not None:
            events.set_state(state["position"])
        self.run.account.muted = False
        self.run.account.totals.clear()
        self.run.account.totals.update(state["totals"])
        self.run.counts.clear()
        self.run.counts.update(state["counts"])

    # ---- iteration -------------------------------------------------------------------------

    def __iter__(self) -> StreamIterator:
        return self

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        try:
            produced = self._next()
            if produced is None:
                self._finish()
        except BaseException:
            self.close()
            raise
        if produced is None:
            self.close()
            raise StopIteration
        self.epoch, self.places = produced.item.epoch, produced.item.places
        if self._progress is not None:
            self._progress.update(produced.item.value)
        return produced.item.value

    def _next(self) -> Produced | None:
        if self._events is None:
            self._events = self._start()
            if self._num_ahead:
                told = self.fingerprint if self.run.settings.ordered else None
                produce = partial(_produce, self._events, self.run, told)
                self._prefetch = Prefetch(produce, self._num_ahead)
        if self._prefetch is None:
            return _produce(self._events, self.run)
        with self.run.timed("waiting"):
            produced = self._prefetch.take()
        self._last = produced or self._last
        return produced

    def _start(self) -> Events:
        settings = self.run.settings
        stages = plan(self._stream.ops, settings)
        self.run.keeps_ids = self.run.account.keeps_ids
        self._executor.start(stages, self.run)
        if self.run.account.quarantine is not None:
            size = 0 if self._restored is None else self._restored.get("quarantine_bytes", 0)
            self.run.account.quarantine.begin(size)
        if settings.show_progress:
            total = None if self.run.looping else self._stream.source.num_items()
            self._progress = Progress(total, self.run)
        events = self._link(stages)
        self._restore(events)
        return events

    def _link(self, stages: list[Stage]) -> Events:
        self._source = SourceEvents(self._stream.source, self.run)
        events: Events = self._source
        checked = not self.run.looping
        for number, stage in enumerate(stages):
            if isinstance(stage, Segment):
                events = self._executor.run_segment(number, stage, events, self.run)
                continue
            if stage.spans_epochs and not checked:
                events, checked = RefuseEmptyEpochs(events), True
            events = stage.iterate(events, self.run)
        return events if checked else RefuseEmptyEpochs(events)

    @cached_property
    def _num_ahead(self) -> int:
        """Items that are made ahead of need; by default batches that workers make are."""
        settings = self.run.settings
        if settings.prefetch is not None:
            return settings.prefetch
        batched = any(isinstance(op, Batchify) for op in self._stream.ops)
        return 2 if batched and settings.num_cpu_workers else 0

    # ---- the end ---------------------------------------------------------------------------

    def _finish(self) -> None:
        """Check the balance, and log what was odd.

        Raises:
            EdspipeError: Documents were lost.
        """
        if self.run.cut_short:
            self.run.account.abandon()
        self.run.account.check()
        report = self.report
        if not report.balanced:
            raise EdspipeError(f"the books of the run do not balance: {report}")
        odd = {**report.others, "skipped": report.skipped, "quarantined": report.quarantined}
        if any(odd.values()):
            shown = ", ".join(f"{name} {n:,}" for name, n in sorted(odd.items()) if n)
            logger.info("of {:,} documents read: {}", report.read, shown)

    def close(self) -> None:
        """Stop; workers end, the progress bar too."""
        if self._closed:
            return
        self._closed = True
        self._wall_s = time.perf_counter() - self._began
        if self._prefetch is not None:
            self._executor.stop()
            self._prefetch.close()
        if self._progress is not None:
            self._progress.close()
        self._executor.close()
        if self._source is not None:
            self._source.close()
        if self.run.account.quarantine is not None:
            self.run.account.quarantine.close()

    def __enter__(self) -> StreamIterator:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        ending = sys is None or sys.is_finalizing()  # modules go before objects do
        if hasattr(self, "_closed") and not ending:
            self.close()


def _produce(events: Events, run: Run, fingerprint: list[str] | None = None) -> Produced | None:
    """Return the next item, entered as delivered; with its position where it is told what of.

    (A thread that works ahead knows the events and not the iterator, which may be dropped.)
    """
    for event in events:
        if isinstance(event, Item):
            run.account.deliver(event)
            run.counts["delivered"] += 1
            told = fingerprint is not None
            return Produced(event, _state(events, run, fingerprint, event.epoch) if told else {})
    return None


def _state(
    events: Events | None, run: Run, fingerprint: list[str] | None, epoch: int
) -> dict[str, Any]:
    quarantine = run.account.quarantine
    return {
        "format": STATE_FORMAT,
        "stream": fingerprint,
        "seed": run.seed,
        "epoch": epoch,
        "position": None if events is None else events.get_state(),
        "totals": dict(run.account.totals),
        "counts": dict(run.counts),
        "quarantine_bytes": 0 if quarantine is None else quarantine.size,
    }
