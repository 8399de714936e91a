"""Values on their way between processes.

Each value is a pickle of its own, so that one that cannot be rebuilt harms no other, and the
buffers that its pickle left out (arrays, tensors). Together they are one body: bytes where it is
small, a file in memory where it is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edspipe.stream.executors.multiprocess.channel import Body
from edspipe.stream.executors.multiprocess.memory import HAS_MEMFD, make_file
from edspipe.stream.hooks import Packer, Shared, loads

MIN_FILE_BYTES = 1024 * 1024
"""From here on, taking a file is quicker for the receiver than reading a message to its end (and
the sender need not wait for that). Below, making the file costs more than two copies."""
ALIGNMENT = 64
"""Bytes; what arrays like best."""

Sizes = tuple[int, ...]
"""Bytes of the pickle of a value, and of each of its buffers."""


class Packing:
    """Packs values, one after the other.

    Args:
        shared: The objects that both sides have.
        collect: Take new objects of shared types in among them.

    Attributes:
        table: The sizes of each value.
    """

    def __init__(self, shared: Shared, collect: bool = False) -> None:
        self._packer = Packer(shared, collect, with_buffers=True)
        self._parts: list[bytes | memoryview] = []
        self._num_bytes = 0
        self.table: list[Sizes] = []

    def add(self, value: Any) -> None:
        """Pack a value.

        Raises:
            WrongValue: It cannot be pickled.
        """
        data, buffers = self._packer.pack(value)
        self._append(data)
        for buffer in buffers:
            self._append(bytes(-self._num_bytes % ALIGNMENT))
            self._append(buffer)
        self.table.append((len(data), *(buffer.nbytes for buffer in buffers)))

    def _append(self, part: bytes | memoryview) -> None:
        self._parts.append(part)
        self._num_bytes += len(part)

    def body(self) -> Body:
        """Return all values as one body."""
        if HAS_MEMFD and self._num_bytes >= MIN_FILE_BYTES:
            return make_file(self._parts)
        return b"".join(self._parts)


class Parcel:
    """Packed values, as they arrived.

    Args:
        table: The sizes of each value.
        body: The bytes of all.
        shared: The objects that both sides have.
    """

    def __init__(self, table: Sequence[Sizes], body: memoryview, shared: Shared) -> None:
        self._table = table
        self._body = body
        self._shared = shared
        self._begins: list[int] = []
        begin = 0
        for sizes in table:
            self._begins.append(begin)
            begin = _end(begin, sizes)

    def __len__(self) -> int:
        return len(self._table)

    def open(self, index: int) -> Any:
        """Rebuild a value."""
        begin = self._begins[index]
        size, *sizes = self._table[index]
        end = begin + size
        data, buffers = self._body[begin:end], []
        for size in sizes:
            begin = end + -end % ALIGNMENT
            end = begin + size
            buffers.append(self._body[begin:end])
        return loads(data, self._shared, buffers)


def _end(begin: int, sizes: Sizes) -> int:
    """Return where a value ends that begins there."""
    end = begin + sizes[0]
    for size in sizes[1:]:
        end += -end % ALIGNMENT + size
    return end
