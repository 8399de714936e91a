"""The simple executor: everything in this process."""

from __future__ import annotations

from edspipe.stream.events import Events
from edspipe.stream.ops.op import Run
from edspipe.stream.plan import LocalEvents, Segment, Stage


class SimpleExecutor:
    """Runs each chunk where it is asked for."""

    def start(self, stages: list[Stage], run: Run) -> None:
        """Nothing to prepare."""

    def run_segment(self, number: int, segment: Segment, events: Events, run: Run) -> Events:
        return LocalEvents(events, segment, run)

    def stop(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing to leave behind."""
