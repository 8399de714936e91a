"""What happens to documents on which workers die, or take too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edspipe.errors import WorkerError
from edspipe.stream.account import Failure
from edspipe.stream.executors.multiprocess.hand import RUNNING, InHand
from edspipe.stream.executors.multiprocess.memory import File, attach
from edspipe.stream.executors.multiprocess.parcels import Parcel
from edspipe.stream.executors.multiprocess.tasks import Death, Task
from edspipe.stream.hooks import Shared, plain
from edspipe.stream.markers import Item
from edspipe.stream.ops.op import Run, name_items


class Poison:
    """Gives documents up as the stream says.

    Args:
        run: The run.
        stages: The names of the segments, for errors.
        shared: The objects that main and workers have.
    """

    def __init__(self, run: Run, stages: Mapping[int, str], shared: Shared) -> None:
        self._run = run
        self._stages = stages
        self._shared = shared

    def give_up(self, task: Task, index: int, death: Death, in_hand: InHand) -> Failure:
        """Say why an item is left out.

        Raises:
            WorkerError: Under `on_error="raise"`.
        """
        policy = self._run.settings.on_error
        item = self._item(task, index, in_hand)
        tried = task.deaths[index]
        times = f" ({tried} attempts)" if tried > 1 else ""
        stage = self._stages[task.segment]
        message = f"{stage}: {death} {death.preposition} {name_items([item])}{times}"
        if policy == "raise":
            raise WorkerError(
                f"{message}. To leave such documents out, use set_processing(on_error=...)"
            )
        document = None if policy == "skip" else plain(item.value)
        return Failure(stage, death.error, message, document)

    def names(self, task: Task, in_hand: InHand) -> str:
        """Name the items in hand."""
        assert in_hand.first is not None
        assert in_hand.last is not None
        indices = range(in_hand.first, in_hand.last + 1)
        return name_items([self._item(task, index, in_hand) for index in indices])

    def enter(self, task: Task) -> None:
        """Write into the books what became of items on which workers died."""
        status = "skipped" if self._run.settings.on_error == "skip" else "quarantined"
        for index, attempts in task.attempts.items():
            item = Item(None, *task.items[index])
            self._run.books.retried(item, attempts)
            if index in task.given_up:
                self._run.books.drop(item, status, task.given_up[index])

    def _item(self, task: Task, index: int, in_hand: InHand) -> Item:
        return Item(self._value(task, index, in_hand), *task.items[index])

    def _value(self, task: Task, index: int, in_hand: InHand) -> Any:
        """Return a value, None where it cannot be had: rebuilding it may be what is deadly."""
        if in_hand.phase != RUNNING:
            return None
        body = attach(task.body) if isinstance(task.body, File) else memoryview(task.body)
        try:
            return Parcel(task.table, body, self._shared).open(index)
        except Exception:
            return None
