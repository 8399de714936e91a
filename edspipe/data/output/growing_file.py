"""What sinks of one file share: a file that grows, and can go back to what was committed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from edspipe import atomic
from edspipe.data.raw import name_damage
from edspipe.errors import DataError

_LAYOUT_GZIP = 31  # zlib's number for: gzip headers, the largest window
PACKERS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.compressobj(level=6, wbits=_LAYOUT_GZIP),
    ".bz2": bz2.BZ2Compressor,
    ".xz": lzma.LZMACompressor,
}
"""How files are packed, by suffix. Each allows several packed members in a row."""
_OPENERS: dict[str, Callable[..., Any]] = {
    "": open,
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


def packing_of(target: str | Path) -> str:
    """Return the suffix of a file's packing, empty where it is none that we write."""
    suffix = Path(target).suffix
    return suffix if suffix in PACKERS else ""


@contextmanager
def open_unpacked(path: Path, packing: str) -> Iterator[BinaryIO]:
    """Open a file whose name may not say how it is packed.

    Raises:
        DataError: On reading, where it is damaged.
    """
    with name_damage(path, packing), _OPENERS[packing](path, "rb") as handle:
        yield handle


class GrowingFile:
    """A file that grows; packed, each commit ends a member, so that it can be cut there.

    Args:
        path: The file.
        packing: Suffix of the packing, or an empty string.
        size_bytes: What was committed of a file that goes on; None begins a new one.

    Raises:
        DataError: The file is shorter than what was committed.
    """

    def __init__(self, path: Path, packing: str = "", size_bytes: int | None = None) -> None:
        self._packing = packing
        self._packer: Any = None
        if size_bytes is None:
            self._handle = atomic.FS.open(path)
        else:
            _check_size(path, size_bytes)
            self._handle = atomic.FS.reopen(path, size_bytes)

    def write(self, data: bytes) -> None:
        """Add bytes."""
        if self._packing and self._packer is None:
            self._packer = PACKERS[self._packing]()
        self._handle.write(data if self._packer is None else self._packer.compress(data))

    def take_over(self, old: Path) -> None:
        """Begin with the bytes of an old file, as they are, and a line end if it has none."""
        with open(old, "rb") as handle:
            shutil.copyfileobj(handle, self._handle)
        with open_unpacked(old, self._packing) as handle:
            last = b"\n"
            while block := handle.read(1 << 20):
                last = block[-1:]
        if last != b"\n":
            self.write(b"\n")

    def commit(self) -> int:
        """Hand what was written to the system; return the size of the file in bytes."""
        if self._packer is not None:
            self._handle.write(self._packer.flush())
            self._packer = None
        self._handle.flush()
        return self._handle.tell()

    def close(self) -> None:
        """Finish the file."""
        if self._packing and self._packer is None and self._handle.tell() == 0:
            self.write(b"")  # an empty file is no packed file
        try:
            self.commit()
        finally:
            self._handle.close()

    def abort(self) -> None:
        """Let go of the file."""
        self._packer = None
        with suppress(OSError):  # what the buffer holds may not fit the disk; it is not wanted
            self._handle.close()


def _check_size(path: Path, size_bytes: int) -> None:
    found = path.stat().st_size
    if found < size_bytes:
        raise DataError(
            f"holds {found} bytes, and {size_bytes} were committed: the run cannot go on from "
            "here, run it again without resume",
            path,
        )
