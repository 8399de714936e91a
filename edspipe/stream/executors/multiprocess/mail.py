"""The worker's side of the channel: a thread takes in what arrives, and sends what waits."""

from __future__ import annotations

import os
import queue
import select
import threading
from multiprocessing import parent_process
from typing import Any

from edspipe.stream.executors.multiprocess.channel import Body, Channel, Frame
from edspipe.stream.executors.multiprocess.messages import pack_head


class Mail:
    """Sends and receives while the worker computes; ends the worker when the main process is gone.

    Args:
        channel: The channel.
        main_pid: The main process.

    Attributes:
        frames: What has arrived.
    """

    def __init__(self, channel: Channel, main_pid: int) -> None:
        self.frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._channel = channel
        self._wake_read, self._wake_write = os.pipe()
        self._main = watch_process(main_pid)
        threading.Thread(target=self._run, name="edspipe mail", daemon=True).start()

    def send(self, head: Any, body: Body = b"") -> None:
        """Send a frame; this never waits."""
        try:
            self._channel.send(pack_head(head), body)
        except OSError:
            os._exit(1)
        if self._channel.has_unsent:
            os.write(self._wake_write, b"x")

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._main, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            unsent = select.POLLOUT if self._channel.has_unsent else 0
            poll.register(self._channel.fileno(), select.POLLIN | unsent)
            happened = dict(poll.poll())
            if self._main in happened:
                os._exit(1)  # the main process is gone: nobody is left to tell
            if self._wake_read in happened:
                os.read(self._wake_read, 4096)
            if self._channel.fileno() in happened:
                self._exchange()

    def _exchange(self) -> None:
        self._channel.flush()
        frames, ended = self._channel.receive()
        for frame in frames:
            self.frames.put(frame)
        if ended:
            os._exit(1)


def watch_process(pid: int) -> int:
    """Return a descriptor that is readable once a process, the parent or its parent, has ended."""
    if hasattr(os, "pidfd_open"):
        try:
            return os.pidfd_open(pid)
        except ProcessLookupError:
            os._exit(1)
        except OSError:
            pass  # an old kernel, or a sandbox
    parent: Any = parent_process()
    return parent.sentinel
