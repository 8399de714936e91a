"""What an op is, and what it gets to know while it runs.

There are two kinds. A *local* op looks at one chunk of items and nothing else, so that it may run
in any process. An *ordered* op (shuffle, batchify, take) sees all items in their order, in the
main process. Ops are descriptions: they hold no state of a run.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from loguru import logger

from edspipe.errors import EdspipeError, PipeError
from edspipe.stream.hooks import WrongValue, describe
from edspipe.stream.markers import Event, Item
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
        counts: Items read, filtered, skipped, delivered.
    """

    settings: Settings
    seed: int
    looping: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def rng(self, seed: int | None, *place: int) -> np.random.Generator:
        """Return a generator that depends on the seed and the place only."""
        base = self.seed if seed is None else seed
        return np.random.default_rng(np.random.SeedSequence([base, *place]))

    def guard(self, stage: str, items: Sequence[Item], on_error: str | None = None) -> Guard:
        """Return a context in which an op works on items: what it raises goes to `failed`."""
        return Guard(self, stage, items, on_error)

    def failed(
        self,
        stage: str,
        items: Sequence[Item],
        error: BaseException,
        on_error: str | None = None,
    ) -> None:
        """Deal with an op that raised: raise for the caller, or say and count what is skipped.

        Args:
            stage: The op.
            items: What it was working on.
            error: What it raised.
            on_error: `"raise"` or `"skip"`; None takes the setting of the stream.

        Raises:
            PipeError: With the stage, the document and the type of the error, under
                `on_error="raise"`.
            EdspipeError: The error itself, if it is one of ours: its message is safe.
        """
        if not isinstance(error, EdspipeError):
            error = pipe_error(stage, items, error, self.settings.debug_show_text)
        if (on_error or self.settings.on_error) == "skip":
            self.counts["skipped"] += len(items)
            logger.warning("skipped: {}", error)
            return
        raise error.with_traceback(None) from None


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

    def run(self, events: Iterator[Event], run: Run) -> Iterator[Event]:
        """Yield what becomes of the events."""
        raise AssertionError(f"{type(self).__name__} does not say what it does")


Op = LocalOp | OrderedOp


def name_of(function: Callable[..., Any]) -> str:
    """Return a readable name of a callable, for stages and errors."""
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return name.replace("<locals>.", "")
