"""The multiprocess executor: segments run on workers, in order, a bounded number of tasks ahead.

Main cuts each segment's input into numbered tasks and takes their results in the order of the
numbers, so that what comes out does not depend on how many workers there are, nor on their deaths.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edspipe.errors import WorkerError
from edspipe.stream.account import Notes
from edspipe.stream.events import Events
from edspipe.stream.executors.multiprocess.ahead import Team, WorkerEvents
from edspipe.stream.executors.multiprocess.crew import Crew
from edspipe.stream.executors.multiprocess.parcels import Packing
from edspipe.stream.executors.multiprocess.poison import Poison
from edspipe.stream.executors.multiprocess.pool import Pool
from edspipe.stream.hooks import Shared, WrongValue, dumps
from edspipe.stream.ops.op import Arrive, Run
from edspipe.stream.plan import LocalEvents, Segment, Stage
from edspipe.stream.settings import Settings


@dataclass
class _Plan:
    """What workers of each kind run, and what is left to do when a value comes back."""

    segments: dict[str, dict[int, Segment]] = field(default_factory=dict)
    arrivals: dict[int, list[Arrive]] = field(default_factory=dict)


class MultiprocessExecutor:
    """Runs segments on worker processes, those on a device on workers of their own.

    Args:
        settings: How the stream is run.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._num_workers = {"cpu": settings.num_cpu_workers, "gpu": settings.num_gpu_workers}
        self._team: Team | None = None
        self._last: int | None = None
        self._finalizer: weakref.finalize | None = None

    def start(self, stages: list[Stage], run: Run) -> None:
        plan = self._plan(stages)
        if not plan.segments:
            return
        shared = Shared()
        names = {i: stage.stage for i, stage in enumerate(stages) if isinstance(stage, Segment)}
        self._last = max(names)
        poison = Poison(run, names, shared)
        crews = [
            self._crew(kind, segments, run, shared) for kind, segments in plan.segments.items()
        ]
        pool = Pool(crews, self._settings, shared, poison, run.counts)
        self._team = Team(pool, shared, poison, plan.arrivals, itertools.count())
        self._finalizer = weakref.finalize(self, pool.close)  # also when the interpreter ends

    def _plan(self, stages: list[Stage]) -> _Plan:
        plan = _Plan()
        for number, stage in enumerate(stages):
            if isinstance(stage, Segment) and self._num_workers[_kind(stage)]:
                segment, plan.arrivals[number] = stage.for_worker()
                plan.segments.setdefault(_kind(stage), {})[number] = segment
        return plan

    def _crew(self, kind: str, segments: dict[int, Segment], run: Run, shared: Shared) -> Crew:
        packing = Packing(shared, collect=True)
        worker_run = replace(run, counts=Counter(), seconds=Counter(), books=Notes())
        try:
            packing.add((segments, worker_run))
        except WrongValue as error:
            raise _cannot_travel(segments, shared, error) from None
        devices = _devices(self._settings.devices) if kind == "gpu" else ()
        return Crew(kind, self._num_workers[kind], packing.table, packing.body(), devices)

    def run_segment(self, number: int, segment: Segment, events: Events, run: Run) -> Events:
        if self._team is None or number not in self._team.arrivals:
            return LocalEvents(events, segment, run)
        ordered = self._settings.ordered or number != self._last
        return WorkerEvents(events, segment, number, run, self._team, ordered)

    def stop(self) -> None:
        if self._team is not None:
            self._team.pool.stop()

    def close(self) -> None:
        if self._finalizer is not None:
            self._finalizer()


def _kind(segment: Segment) -> str:
    return "gpu" if segment.on_device else "cpu"


def _cannot_travel(segments: dict[int, Segment], shared: Shared, found: WrongValue) -> WorkerError:
    """Name the op that cannot be sent to a worker."""
    for op in [op for segment in segments.values() for op in segment.ops]:
        try:
            dumps(op, shared)
        except WrongValue as error:
            return WorkerError(f"{op.stage} cannot run in a worker: {error}")
    return WorkerError(f"the settings of the stream cannot be sent to a worker: {found}")


def _devices(devices: Sequence[str] | None) -> Sequence[str]:
    """Return the devices to use: those asked for, or all that torch sees if it is loaded."""
    torch = sys.modules.get("torch")
    if devices or torch is None:
        return devices or ("cpu",)
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ("cpu",)
