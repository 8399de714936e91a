"""The Spark executor: the segments of any stream, as jobs of Spark, driven from here.

Items go from this process to the workers of Spark and back, a window of tasks at a time, so that
every source, op and writer works. Where source and result are frames, `to_spark` spares them the
way through this process.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from edspipe.stream.events import Events
from edspipe.stream.executors.spark.ahead import SparkEvents
from edspipe.stream.executors.spark.chunks import PackedResult, PackedTask, run_tasks
from edspipe.stream.executors.spark.failures import explained
from edspipe.stream.executors.spark.plans import Plan, packed_plan, warn_ignored
from edspipe.stream.executors.spark.session import active_session, local_session
from edspipe.stream.hooks import Shared
from edspipe.stream.ops.op import Arrive, Run
from edspipe.stream.plan import Segment, Stage
from edspipe.stream.settings import Settings

IGNORED = ("num_gpu_workers", "devices", "timeout_s", "ordered")
"""Settings that Spark has its own for."""
TASKS_PER_CORE = 4
"""Tasks a core in one window: a job of Spark takes some 50 ms, and as long as its slowest task."""


class SparkExecutor:
    """Runs segments as jobs of Spark.

    Args:
        settings: `num_cpu_workers` is how many cores a session of our own takes.
        session: A session, which stays as it is; None takes the one that runs, or starts one for
            as long as the stream is iterated.
    """

    def __init__(self, settings: Settings, session: Any = None) -> None:
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self._session = session
        self._arrivals: dict[int, list[Arrive]] = {}
        self._key = uuid.uuid4().hex
        self._broadcast: Any = None
        self.shared = Shared()
        self._num_known = 0

    def start(self, stages: list[Stage], run: Run) -> None:
        """Get a session, and broadcast the plan."""
        segments = []
        for number, stage in enumerate(stages):
            segment = Segment(())
            if isinstance(stage, Segment):
                segment, self._arrivals[number] = stage.for_worker()
            segments.append(segment)
        if not self._arrivals:
            return
        warn_ignored(run.settings, IGNORED)
        data, self.shared = packed_plan(Plan(tuple(segments), run.settings, run.seed))
        self._num_known = len(self.shared.packed())
        if self._session is None:
            self._session = active_session()
        if self._session is None:
            cores = self._settings.num_cpu_workers or None
            self._session = self._stack.enter_context(local_session(cores))
        with explained():
            self._broadcast = self._session.sparkContext.broadcast(data)
        self._stack.callback(self._broadcast.destroy)

    def run_segment(self, number: int, segment: Segment, events: Events, run: Run) -> Events:
        return SparkEvents(events, segment, number, run, self)

    @property
    def num_tasks(self) -> int:
        """Tasks in one window."""
        return TASKS_PER_CORE * self._session.sparkContext.defaultParallelism

    def new_shared(self) -> list[bytes]:
        """Return the shared objects that came after the plan."""
        return self.shared.packed(self._num_known)

    def run_tasks(self, tasks: list[PackedTask]) -> list[list[PackedResult]]:
        """Run tasks as one job; return their results in order."""
        key, broadcast = self._key, self._broadcast

        def edspipe_task(partition: Iterator[PackedTask]) -> Iterator[list[PackedResult]]:
            return run_tasks(partition, key, broadcast)

        context = self._session.sparkContext
        with explained():
            context.addJobTag(key)
            try:
                rdd = context.parallelize(tasks, len(tasks))
                return rdd.mapPartitions(edspipe_task).collect()
            finally:
                context.removeJobTag(key)

    def arrive(self, number: int, value: Any) -> Any:
        """Finish a value that came from a worker."""
        for arrive in self._arrivals[number]:
            value = arrive(value)
        return value

    def stop(self) -> None:
        """Let a job that another thread waits for end soon."""
        if self._session is not None:
            self._session.sparkContext.cancelJobsWithTag(self._key)

    def close(self) -> None:
        """Let go of the broadcast, and of a session of our own."""
        self._stack.close()
