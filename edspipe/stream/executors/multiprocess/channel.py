"""Frames over a pair of sockets. No side ever waits: what does not go out at once is kept.

A frame is a head (a few bytes) and a body, which travels in the message where it is small, and as
a file in memory where it is large.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from edspipe.stream.executors.multiprocess.memory import File, attach

Body = bytes | File
"""What one side sends; the other side gets a `memoryview`."""

_PREFIX = struct.Struct("<QQ?")
"""Length of the head, length of the body, and whether the body is a file."""
RECEIVE_BYTES = 256 * 1024
SEND_BUFFER_BYTES = 4 * 1024 * 1024
"""Asked for; the system gives what it allows, often 0.4 MB."""
MAX_FILES = 16
"""Descriptors that may come with what one call receives; a frame has at most one."""
_FD_BYTES = array("i").itemsize


class Frame(NamedTuple):
    """What has arrived.

    Attributes:
        head: The head.
        body: The body; values may go on using its memory.
        file: The file that the body is in, if it is in one.
    """

    head: bytes
    body: memoryview
    file: File | None


@dataclass
class _Outgoing:
    """What is left of a frame to send; the file goes with its first byte."""

    rest: list[memoryview]
    file: File | None = None


@dataclass
class _Incoming:
    """Bytes that do not make a frame yet, and files whose frames are not complete."""

    data: bytearray = field(default_factory=bytearray)
    files: deque[File] = field(default_factory=deque)


class Channel:
    """One end of a pair of sockets.

    Args:
        sock: The socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._outgoing: deque[_Outgoing] = deque()
        self._incoming = _Incoming()
        self._lock = threading.Lock()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def fileno(self) -> int:
        """Return the descriptor, for polls."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._outgoing)

    def send(self, head: bytes, body: Body = b"") -> None:
        """Send a frame, or keep what cannot go out now for `flush`.

        Raises:
            OSError: The other side is gone.
        """
        file = body if isinstance(body, File) else None
        size = body.num_bytes if isinstance(body, File) else len(body)
        prefix = _PREFIX.pack(len(head), size, file is not None) + head
        rest = [memoryview(prefix)]
        if isinstance(body, bytes) and body:
            rest.append(memoryview(body))
        with self._lock:
            self._outgoing.append(_Outgoing(rest, file))
            if len(self._outgoing) == 1:
                self._flush()

    def flush(self) -> bool:
        """Send what waits, as far as it goes; return whether all is gone out.

        What the other side will never read, because it is gone, counts as gone out.
        """
        with self._lock:
            try:
                self._flush()
            except OSError:
                self._outgoing.clear()
            return not self._outgoing

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._outgoing:
                self._send_some(self._outgoing[0])
                if not self._outgoing[0].rest:
                    self._outgoing.popleft()

    def _send_some(self, outgoing: _Outgoing) -> None:
        files = [] if outgoing.file is None else [outgoing.file.fd]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", files))] if files else []
        sent = self._socket.sendmsg(outgoing.rest, rights)
        outgoing.file = None
        while outgoing.rest and sent >= len(outgoing.rest[0]):
            sent -= len(outgoing.rest.pop(0))
        if sent:
            outgoing.rest[0] = outgoing.rest[0][sent:]

    def receive(self) -> tuple[list[Frame], bool]:
        """Return the frames that have arrived, and whether the other side has closed its end."""
        frames: list[Frame] = []
        try:
            while self._receive_some():
                frames.extend(self._frames())
            return frames, True
        except BlockingIOError:
            return frames, False
        except ConnectionError:
            return frames, True

    def _receive_some(self) -> bool:
        """Take what has arrived; false at the end."""
        space = socket.CMSG_SPACE(MAX_FILES * _FD_BYTES)
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, rights, _, _ = self._socket.recvmsg(RECEIVE_BYTES, space, flags)
        for level, kind, content in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds = array("i")
                fds.frombytes(content[: len(content) - len(content) % _FD_BYTES])
                self._incoming.files.extend(File(fd, os.fstat(fd).st_size) for fd in fds)
        self._incoming.data += data
        return bool(data)

    def _frames(self) -> list[Frame]:
        """Cut complete frames off what has arrived."""
        data, files, frames, begin = self._incoming.data, self._incoming.files, [], 0
        while len(data) >= begin + _PREFIX.size:
            head_size, body_size, is_file = _PREFIX.unpack_from(data, begin)
            head_at = begin + _PREFIX.size
            body_at = head_at + head_size
            end = body_at if is_file else body_at + body_size
            if len(data) < end:
                break
            file = files.popleft() if is_file else None
            body = memoryview(data[body_at:end]) if file is None else attach(file)
            frames.append(Frame(bytes(data[head_at:body_at]), body, file))
            begin = end
        del data[:begin]
        return frames

    def close(self) -> None:
        """Close the socket; what was not sent is dropped."""
        self._outgoing.clear()
        self._incoming = _Incoming()
        self._socket.close()
