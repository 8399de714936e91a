"""Memory that two processes share, or that one hands to the other.

It is a file without a name: nothing can be left behind, however the processes end. Its descriptor
crosses a socket.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

HAS_MEMFD = hasattr(os, "memfd_create")
"""Linux; elsewhere values cross inside messages."""
_MAP_FIXED = 0x10


class File:
    """An open file without a name, closed with its last reference.

    Attributes:
        fd: Its descriptor.
        num_bytes: Its length.
    """

    def __init__(self, fd: int, num_bytes: int) -> None:
        self.fd = fd
        self.num_bytes = num_bytes

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        close(self.fd)  # bound early: `os` may be gone when the interpreter ends


def make_file(parts: Sequence[bytes | memoryview]) -> File:
    """Write parts into a new file, one behind the other.

    Raises:
        OSError: Memory is short.
    """
    if HAS_MEMFD:
        file = File(os.memfd_create("edspipe", os.MFD_CLOEXEC), 0)
    else:
        with tempfile.TemporaryFile() as handle:
            file = File(os.dup(handle.fileno()), 0)
    for part in parts:
        rest = memoryview(part).cast("B")
        while rest:
            rest = rest[os.write(file.fd, rest) :]
        file.num_bytes += len(part) if isinstance(part, bytes) else part.nbytes
    return file


def share(file: File) -> memoryview:
    """Return the content of a file, shared with all who do the same."""
    return memoryview(mmap.mmap(file.fd, file.num_bytes))


def attach(file: File) -> memoryview:
    """Return the content of a file without a copy; what is written to it stays in this process.

    The file may be closed. (A map of Python's own would keep a descriptor open as long as a value
    uses the memory: so the file is put in the place of a map of nothing.)

    Raises:
        OSError: Memory is short.
    """
    size = file.num_bytes
    if not HAS_MEMFD:
        return memoryview(mmap.mmap(file.fd, size, access=mmap.ACCESS_COPY))
    place = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    first = ctypes.c_char.from_buffer(place)
    address = ctypes.addressof(first)
    del first  # as long as it lives, the map cannot be freed
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    flags = mmap.MAP_PRIVATE | _MAP_FIXED
    if _libc().mmap(address, size, protection, flags, file.fd, 0) != address:
        raise OSError(ctypes.get_errno(), "a file in memory cannot be mapped")
    return memoryview(place)


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        *(ctypes.c_void_p, ctypes.c_size_t),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long),
    ]
    return libc
