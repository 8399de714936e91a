"""What readers of files share: items that are not parsed yet, and errors that say where.

Files are read in the main process, and only cut into pieces there; the pieces are parsed by an op,
which may run in a worker, and which skips bad ones where asked.
"""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from edspipe.data.paths import open_input
from edspipe.errors import DataError
from edspipe.stream.hooks import Identity, identity_of, register_identity, register_plain

BOM = b"\xef\xbb\xbf"
BLOCK_BYTES = 1 << 18  # of what is read at once: large enough for remote files, small in memory
_PACKED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstandard"}


class Raw(NamedTuple):
    """A record that is not parsed yet.

    Attributes:
        file: Where it stands.
        line: The line in the file, from 1, where there are lines.
        data: Its bytes, or the value itself.
        number: Its place among the records of the file, from 0, where there are no lines.
    """

    file: str
    line: int | None
    data: Any
    number: int | None = None


def _identify(raw: Raw) -> Identity:
    source = f"{raw.file}:{raw.line}" if raw.line is not None else f"{raw.file}[{raw.number}]"
    if isinstance(raw.data, bytes):
        return Identity(None, source, hashlib.sha256(raw.data).hexdigest())
    return identity_of(raw.data)._replace(source=source)


def _to_plain(raw: Raw) -> Any:
    data = raw.data
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else data


register_identity(Raw, _identify)
register_plain(Raw, _to_plain)


@contextmanager
def open_file(file: str) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, as `open_input` does.

    Args:
        file: A local path, or an address that fsspec knows.

    Raises:
        DataError: On reading, where a packed file is damaged; names it.
    """
    with name_damage(file), open_input(file) as handle:
        yield handle


@contextmanager
def name_damage(file: str | Path, packing: str | None = None) -> Iterator[None]:
    """Turn what unpacking a damaged file raises into a `DataError` that names the file.

    Args:
        file: The file.
        packing: The suffix of its packing; None takes the suffix of the file.
    """
    packing = Path(file).suffix if packing is None else packing
    try:
        yield
    except Exception as error:
        if packing not in _PACKED or not _is_damage(error):
            raise
        raise DataError(f"not a whole {_PACKED[packing]} file", file) from None


def _is_damage(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno is None  # the system's own errors have a number
    # zstandard is optional, so its error is known by name
    return isinstance(error, (EOFError, zlib.error, lzma.LZMAError)) or (
        type(error).__name__ == "ZstdError"
    )


def split_lines(handle: Any) -> Iterator[bytes]:
    r"""Yield the lines of a file with their ends: \n, or \r in a file that has no \n.

    Args:
        handle: What is read, in blocks.
    """
    block = handle.read(BLOCK_BYTES)
    end = b"\r" if b"\r" in block and b"\n" not in block else b"\n"
    pieces: list[bytes] = []
    while block:
        *lines, rest = block.split(end)
        for line in lines:
            yield b"".join([*pieces, line, end])
            pieces = []
        if rest:
            pieces.append(rest)
        block = handle.read(BLOCK_BYTES)
    if pieces:
        yield b"".join(pieces)


def convert(to_doc: Callable[[Any], Any] | None, record: Any, file: str, line: int | None) -> Any:
    """Turn a record into a Doc.

    Args:
        to_doc: The function of a converter; None leaves the record as it is.
        record: The record.
        file: Where it stands.
        line: Likewise.

    Raises:
        DataError: The converter refused it; names file and line.
    """
    if to_doc is None:
        return record
    try:
        return to_doc(record)
    except DataError as error:
        raise DataError(error.message, file, line, error.id) from None
