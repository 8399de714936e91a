"""The simple executor: everything in this process."""

from __future__ import annotations

from collections.abc import Iterator

from edspipe.stream.markers import EndOfEpoch, Event
from edspipe.stream.ops.op import Run
from edspipe.stream.plan import Segment, Stage, chunks


class SimpleExecutor:
    """Runs each chunk where it is asked for."""

    def start(self, stages: list[Stage], run: Run) -> None:
        """Nothing to prepare."""

    def run_segment(
        self, number: int, segment: Segment, events: Iterator[Event], run: Run
    ) -> Iterator[Event]:
        for chunk in chunks(events, segment.chunk_items):
            if isinstance(chunk, EndOfEpoch):
                yield chunk
            else:
                yield from segment.apply(chunk, run)

    def close(self) -> None:
        """Nothing to leave behind."""
