"""What an op is, and what it gets to know while it runs.

There are two kinds. A *local* op looks at one chunk of items and nothing else, so that it may run
in any process. An *ordered* op (shuffle, batchify, take) sees all items in their order, in the
main process. Ops are descriptions: they hold no state of a run.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edspipe.errors import EdspipeError, PipeError
from edspipe.stream.account import Account, Books, Failure
from edspipe.stream.events import Events
from edspipe.stream.hooks import WrongValue, describe, plain
from edspipe.stream.markers import Item
from edspipe.stream.settings import Settings

SHOWN_IDS = 5
"""How many documents of a batch an error lists."""


@dataclass
class Run:
    """One run of a stream: its settings, its seed, and what was counted.

    Attributes:
        settings: How the stream is run.
        seed: Seed of all random ops that have none of their own.
        looping: Whether the source is read again and again.
        counts: What ops count besides the documents, e.g. `snapped`.
        seconds: Where the time went, by stage.
        books: What became of the documents; in a worker, notes for the main process.
        watch: Told which items an op has in hand, so that a death or a delay has a name.
        keeps_ids: Whether somebody will read who the documents were.
        cut_short: Whether a `take` ended the stream before its source.
    """

    settings: Settings
    seed: int
    looping: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    books: Books = field(default_factory=Account)
    watch: Callable[[Sequence[Item]], None] | None = None
    keeps_ids: bool = False
    cut_short: bool = False

    @property
    def account(self) -> Account:
        """The books, in the main process."""
        assert isinstance(self.books, Account)
        return self.books

    def rng(self, seed: int | None, *place: int) -> np.random.Generator:
        """Return a generator that depends on the seed and the place only."""
        base = self.seed if seed is None else seed
        return np.random.default_rng(np.random.SeedSequence([base, *place]))

    def add_seconds(self, stage: str, start: float) -> float:
        """Count the seconds since a moment of `time.perf_counter` for a stage; return now."""
        now = time.perf_counter()
        self.seconds[stage] += now - start  # type: ignore[assignment]
        return now

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the seconds inside for a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add_seconds(stage, start)

    def guard(self, stage: str, items: Sequence[Item], on_error: str | None = None) -> Guard:
        """Return a context in which an op works on items: what it raises goes to `failed`."""
        if self.watch is not None:
            self.watch(items)
        return Guard(self, stage, items, on_error)

    def failed(
        self,
        stage: str,
        items: Sequence[Item],
        error: BaseException,
        on_error: str | None = None,
        documents: Sequence[Any] | None = None,
    ) -> None:
        """Deal with an op that raised: raise for the caller, or leave the items out.

        Args:
            stage: The op.
            items: What it was working on.
            error: What it raised.
            on_error: A policy; None takes that of the stream.
            documents: The values of the items, where the items do not hold them.

        Raises:
            PipeError: With the stage, the document and the type of the error, under
                `on_error="raise"`.
            EdspipeError: The error itself, if it is one of ours: its message is safe.
        """
        policy = on_error or self.settings.on_error
        error_type = type(error).__name__
        if not isinstance(error, EdspipeError):
            error = pipe_error(stage, items, error, self.settings.debug_show_text)
        if policy == "raise":
            raise error.with_traceback(None) from None
        status = "skipped" if policy == "skip" else "quarantined"
        message = str(error).partition("\n")[0]
        for i, item in enumerate(items):
            value = item.value if documents is None else documents[i]
            document = plain(value) if status == "quarantined" else None
            self.books.drop(item, status, Failure(stage, error_type, message, document))


class Guard:
    """Around the work on items: any exception but Ctrl-C is dealt with as the stream says.

    Attributes:
        caught: Whether something was raised inside (and the items are skipped).
    """

    def __init__(self, run: Run, stage: str, items: Sequence[Item], on_error: str | None) -> None:
        self._run = run
        self._stage = stage
        self._items = items
        self._on_error = on_error
        self.caught = False

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None or isinstance(error, KeyboardInterrupt):
            return False
        self._run.failed(self._stage, self._items, error, self._on_error)
        self.caught = True
        return True


def pipe_error(
    stage: str, items: Sequence[Item], error: BaseException, show_text: bool
) -> PipeError:
    """Say what failed where, without the original message, which may quote the note."""
    frames = "\n".join(
        f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        for frame in traceback.extract_tb(error.__traceback__)[1:]
    )
    shown = str(error) if show_text or isinstance(error, WrongValue) else ""
    stage = getattr(error, "edspipe_stage", stage)
    return PipeError(stage, name_items(items), type(error).__name__, frames, shown)


def name_items(items: Sequence[Item]) -> str:
    """Name the items that an op has in hand, for errors."""
    names = [describe(item.value, item.source_index) for item in items[:SHOWN_IDS]]
    more = f" and {len(items) - SHOWN_IDS} more" if len(items) > SHOWN_IDS else ""
    return ", ".join(names) + more


Arrive = Callable[[Any], Any]
"""Finishes, in the main process, a value that comes back from a worker."""


class LocalOp:
    """An op that looks at one chunk of items and nothing else."""

    stage: str = "op"
    place: int = 0
    """The number of the op in its stream; part of its random seeds."""
    on_device: bool = False
    """Whether the op runs a model: on device workers where there are any, else where it is told."""

    def chunk_items(self, settings: Settings) -> int | float:
        """Return how many items the op wants to see at once: 1, a number, or infinity (an epoch).

        It depends on the stream alone, never on the workers.
        """
        return 1

    def apply(self, items: list[Item], run: Run) -> list[Item]:
        """Return what becomes of the items, in order."""
        raise AssertionError(f"{type(self).__name__} does not say what it does")

    def for_worker(self) -> tuple[LocalOp, Arrive | None]:
        """Return the op as it travels to a worker, and what finishes its values on their return."""
        return self, None

    def worker_init(self) -> None:
        """Prepare a worker process, before its first item."""


class OrderedOp:
    """An op that sees all items in their order."""

    stage: str = "op"
    place: int = 0
    spans_epochs: bool = False
    """Whether whole epochs may rightly pass it without an item coming out."""

    def iterate(self, events: Events, run: Run) -> Events:
        """Return an iterator over what becomes of the events."""
        raise AssertionError(f"{type(self).__name__} does not say what it does")


Op = LocalOp | OrderedOp


def name_of(function: Callable[..., Any]) -> str:
    """Return a readable name of a callable, for stages and errors."""
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return name.replace("<locals>.", "")
