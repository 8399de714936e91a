"""A worker process: gets tasks over a pipe, sends back results; never outlives the main process.

Three threads, so that no side ever waits on a full pipe: one receives, the main thread computes,
one sends.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from edspipe.errors import EdspipeError, WorkerError
from edspipe.stream.executors.multiprocess.messages import (
    NOTHING,
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


def main(connection: Connection, doing: Any) -> None:
    """Run until the main process says stop, or is gone.

    Args:
        connection: Our end of the pipe.
        doing: A word of shared memory that holds the number of our task: should we die, the main
            process knows of what.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    results: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
    shared = Shared()
    try:
        segments, run = _receive_plan(connection, shared)
        for segment in segments.values():
            for op in segment.ops:
                op.worker_init()
    except BaseException as error:
        connection.send(Result(READY, error=pack_error(_start_error(error))))
        return
    connection.send(Result(READY))
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    sender = threading.Thread(target=_send, args=(connection, results), daemon=True)
    sender.start()
    while (task := tasks.get()) is not None:
        doing.value = task.number
        results.put(_work(task, segments[task.segment], run, shared))
        doing.value = NOTHING
    results.put(None)
    sender.join()


def _start_error(error: BaseException) -> BaseException:
    if isinstance(error, EdspipeError):
        return error
    return WorkerError(
        f"a worker could not load what it should run ({type(error).__name__}: {error})"
    )


def _receive_plan(connection: Connection, shared: Shared) -> tuple[dict[int, Segment], Run]:
    _take_shared(connection.recv(), shared)
    return loads(connection.recv(), shared)


def _take_shared(objects: list[bytes], shared: Shared) -> None:
    for data in objects:
        shared.keep(loads(data, shared))


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
    items: list[Item] = []
    done: list[PackedItem] = []
    try:
        _take_shared(task.shared, shared)
        for packed in task.items:
            item = Item(None, *packed.place)
            with run.guard(segment.stage, [item]):
                items.append(item._replace(value=loads(packed.data, shared)))
        for item in segment.apply(items, run):
            with run.guard(segment.stage, [item]):
                done.append(PackedItem(item.place, dumps(item.value, shared)))
        return Result(task.number, done, dict(run.counts))
    except BaseException as error:
        return Result(task.number, error=pack_error(error))
