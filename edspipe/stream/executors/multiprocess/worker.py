"""A worker process: gets tasks over a channel, sends back results; never outlives main."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from multiprocessing import forkserver
from typing import Any

from edspipe.errors import EdspipeError, WorkerError
from edspipe.stream.account import Notes
from edspipe.stream.executors.multiprocess.channel import Body, Channel, Frame
from edspipe.stream.executors.multiprocess.hand import LOADING, RUNNING, Hand, Watch
from edspipe.stream.executors.multiprocess.mail import Mail
from edspipe.stream.executors.multiprocess.memory import share
from edspipe.stream.executors.multiprocess.messages import (
    PackedItem,
    Ready,
    Result,
    Share,
    Start,
    Stop,
    Work,
    open_head,
    pack_error,
    pack_item,
    plain_notes,
)
from edspipe.stream.executors.multiprocess.parcels import Packing, Parcel
from edspipe.stream.hooks import Shared, release_memory
from edspipe.stream.markers import Item
from edspipe.stream.ops.op import Run
from edspipe.stream.plan import Segment

_PR_SET_PDEATHSIG = 1
_NAMING_ERRORS = (ImportError, AttributeError, OSError)
"""Errors of loading whose messages name modules, functions and files, and quote no text."""


def main(sock: socket.socket, main_pid: int, dies_with_parent: bool) -> None:
    """Run until the main process says stop, or is gone.

    Args:
        sock: Our end of the channel.
        main_pid: The main process.
        dies_with_parent: Whether our end is near when the thread that made this process ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if dies_with_parent:
        _die_with_parent()
    _let_server_go()
    mail = Mail(Channel(sock), main_pid)
    hand_file = mail.frames.get().file
    assert hand_file is not None
    desk = Desk(mail, Hand(share(hand_file)))
    while desk.serve(mail.frames.get()):
        pass


def _die_with_parent() -> None:
    """Have the kernel end us with our parent, even inside a C function that nothing interrupts."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _let_server_go() -> None:
    """Close our copy of the pipe that keeps a fork server alive: it should end with main, and not
    live on with a worker, which would then not be told that its parent is gone."""
    server: Any = getattr(forkserver, "_forkserver", None)
    alive = getattr(server, "_forkserver_alive_fd", None)
    if alive is not None:
        server._forkserver_alive_fd = None
        os.close(alive)


class Desk:
    """Where a worker does its tasks.

    Args:
        mail: How it talks to the main process.
        hand: Where it writes what it has in hand.
    """

    def __init__(self, mail: Mail, hand: Hand) -> None:
        self._mail = mail
        self._hand = hand
        self._shared = Shared()
        self._segments: dict[int, Segment] = {}
        self._run: Any = None

    def serve(self, frame: Frame) -> bool:
        """Do what a frame says; false if it says stop."""
        head = open_head(frame.head)
        if isinstance(head, Work):
            self._work(head, frame.body)
            release_memory(self._shared)
        elif isinstance(head, Share):
            self._take_shared(head, frame.body)
        elif isinstance(head, Start):
            return self._start(head, frame.body)
        return not isinstance(head, Stop)

    def _take_shared(self, head: Share, body: memoryview) -> None:
        parcel = Parcel(head.table, body, self._shared)
        for index in range(len(parcel)):
            self._shared.keep(parcel.open(index))

    def _start(self, head: Start, body: memoryview) -> bool:
        try:
            self._segments, self._run = Parcel(head.table, body, self._shared).open(0)
            for op in [op for segment in self._segments.values() for op in segment.ops]:
                op.worker_init()
                if head.device is not None and hasattr(op, "to_device"):
                    op.to_device(head.device)
        except BaseException as error:
            self._mail.send(Ready(pack_error(_start_error(error, head.shows_text))))
            return False
        self._mail.send(Ready(None))
        return True

    def _work(self, head: Work, body: memoryview) -> None:
        self._hand.begin(head.number)
        parcel = Parcel(head.table, body, self._shared)
        job = _Job(head, parcel, self._run, self._hand, Packing(self._shared))
        try:
            job.do(self._segments[head.segment])
            result = job.result()
        except BaseException as error:
            result = Result(head.number, [], [], [], {}, {}, pack_error(error)), b""
        self._hand.finish()
        self._mail.send(*result)


class _Job:
    """A task, being done."""

    def __init__(self, head: Work, parcel: Parcel, run: Run, hand: Hand, packing: Packing) -> None:
        self._head = head
        self._parcel = parcel
        self._run = run
        self._hand = hand
        self._packing = packing
        self._items = [Item(None, *packed) for packed in head.items]
        self._done: list[PackedItem] = []
        self._notes = run.books = Notes()
        self._watch = run.watch = Watch(hand, self._items)
        run.counts.clear()
        run.seconds.clear()

    def do(self, segment: Segment) -> None:
        """Run the segment on each part of the task."""
        for first, behind in self._head.parts:
            self._watch.limits = (first, behind - 1)
            self._hand.phase(LOADING)
            items = self._load(segment.stage, first, behind)
            self._hand.phase(RUNNING)
            self._watch(self._items[first:behind])
            self._pack(segment.stage, segment.apply(items, self._run))
            self._hand.finish_part()

    def _load(self, stage: str, first: int, behind: int) -> list[Item]:
        start = time.perf_counter()
        items: list[Item] = []
        for index in range(first, behind):
            item = self._items[index]
            with self._run.guard(stage, [item]):
                items.append(Item(self._parcel.open(index), *item[1:]))
        self._run.add_seconds("transport", start)
        return items

    def _pack(self, stage: str, items: list[Item]) -> None:
        start = time.perf_counter()
        for item in items:
            with self._run.guard(stage, [item]):
                self._packing.add(item.value)
                self._done.append(pack_item(item))
        self._run.add_seconds("transport", start)

    def result(self) -> tuple[Result, Body]:
        """Return what became of the task."""
        run, notes = self._run, plain_notes(self._notes.notes)
        counts: dict[str, int] = dict(run.counts)
        seconds: dict[str, float] = dict(run.seconds)
        number, table = self._head.number, self._packing.table
        return Result(number, self._done, table, notes, counts, seconds), self._packing.body()


def _start_error(error: BaseException, shows_text: bool) -> BaseException:
    if isinstance(error, EdspipeError):
        return error
    said = f": {error}" if shows_text or isinstance(error, _NAMING_ERRORS) else ""
    return WorkerError(f"a worker could not load what it should run ({type(error).__name__}{said})")
