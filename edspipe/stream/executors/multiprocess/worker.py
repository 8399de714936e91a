"""A worker process: gets tasks over a pipe, sends back results; never outlives the main process.

Three threads, so that no side ever waits on a full pipe: one receives, the main thread computes,
one sends.
"""

from __future__ import annotations

import os
import queue
import threading
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from edspipe.stream.executors.multiprocess.messages import (
    READY,
    PackedItem,
    Result,
    Task,
    pack_error,
)
from edspipe.stream.hooks import Shared, dumps, loads
from edspipe.stream.markers import Item
from edspipe.stream.ops.op import Run
from edspipe.stream.plan import Segment


def main(connection: Connection) -> None:
    """Run until the main process says stop, or is gone."""
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    results: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
    shared = Shared()
    try:
        segments, run = _receive_plan(connection, shared)
        for segment in segments.values():
            for op in segment.ops:
                op.worker_init()
        first = Result(READY)
    except BaseException as error:
        segments, run = {}, None
        first = Result(READY, error=pack_error(_start_error(error)))
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    sender = threading.Thread(target=_send, args=(connection, results), daemon=True)
    sender.start()
    results.put(first)
    while run is not None and (task := tasks.get()) is not None:
        results.put(_work(task, segments[task.segment], run, shared))
    results.put(None)
    sender.join()


def _start_error(error: BaseException) -> BaseException:
    from edspipe.errors import EdspipeError, WorkerError

    if isinstance(error, EdspipeError):
        return error
    return WorkerError(
        f"a worker could not load what it should run ({type(error).__name__}: {error})"
    )


def _receive_plan(connection: Connection, shared: Shared) -> tuple[dict[int, Segment], Run]:
    for number, data in enumerate(connection.recv()):
        shared.keep(number, loads(data, shared))
    return loads(connection.recv_bytes(), shared)


def _receive(connection: Connection, tasks: queue.SimpleQueue[Task | None]) -> None:
    parent = parent_process()
    watched: list[Any] = [connection] + ([parent.sentinel] if parent is not None else [])
    while True:
        if connection not in wait(watched):
            os._exit(1)  # the main process is gone: nobody is left to tell
        try:
            task = connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        tasks.put(task)
        if task is None:
            return


def _send(connection: Connection, results: queue.SimpleQueue[Result | None]) -> None:
    while (result := results.get()) is not None:
        try:
            connection.send(result)
        except (BrokenPipeError, OSError):
            os._exit(1)


def _work(task: Task, segment: Segment, run: Run, shared: Shared) -> Result:
    run.counts.clear()
    try:
        items = [Item(loads(item.data, shared), *item.place) for item in task.items]
        done = segment.apply(items, run)
        packed = [PackedItem(item.place, dumps(item.value, shared)) for item in done]
        return Result(task.number, packed, dict(run.counts))
    except BaseException as error:
        return Result(task.number, counts=dict(run.counts), error=pack_error(error))
