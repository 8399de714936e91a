"""Every operation that changes the disk, in one place: tests fail or record any one of them."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)
_AT_FDCWD = -100  # "relative to the current folder", from Linux's fcntl.h
_RENAME_EXCHANGE = 2  # from Linux's fs.h
_HONEST_SYNCFS = (5, 8)  # the first Linux whose syncfs reports bytes that could not be written


class FileSystem:
    """The operations, as the system does them."""

    mkdir = staticmethod(os.mkdir)
    chmod = staticmethod(os.chmod)
    rename = staticmethod(os.replace)
    unlink = staticmethod(os.unlink)
    rmdir = staticmethod(os.rmdir)

    def open(self, path: Path) -> BinaryIO:
        """Create a file, which must not exist, with the permissions of the umask."""
        return open(path, "xb")

    def reopen(self, path: Path, size: int) -> BinaryIO:
        """Cut a file back to a size in bytes, and return a handle that writes at its end."""
        handle = open(path, "r+b")  # noqa: SIM115
        handle.truncate(size)
        handle.seek(size)
        return handle

    def fsync(self, path: Path) -> None:
        """Force the bytes of a file, or the names in a folder, to the disk."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # some network file systems cannot sync a folder, and say so with EINVAL
            if error.errno != errno.EINVAL or not path.is_dir():
                raise
        finally:
            os.close(descriptor)

    def syncfs(self, folder: Path) -> bool:
        """Force all that was written to the disk of a folder; False where that is not sure.

        For thousands of small files this takes a small part of the time of as many `fsync`.
        """
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        release = re.match(r"(\d+)\.(\d+)", os.uname().release)
        if syncfs is None or release is None or tuple(map(int, release.groups())) < _HONEST_SYNCFS:
            return False
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if syncfs(descriptor) == 0:
                return True
            code = ctypes.get_errno()
        finally:
            os.close(descriptor)
        if code in _NOT_SUPPORTED:
            return False
        raise OSError(code, os.strerror(code), str(folder))

    def exchange(self, one: Path, other: Path) -> bool:
        """Swap two names in one instant; False where the system has no such call."""
        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if renameat2 is None:
            return False
        here, there = os.fsencode(one), os.fsencode(other)
        if renameat2(_AT_FDCWD, here, _AT_FDCWD, there, _RENAME_EXCHANGE) == 0:
            return True
        code = ctypes.get_errno()
        if code in _NOT_SUPPORTED:
            return False
        raise OSError(code, os.strerror(code), str(one), None, str(other))


@contextmanager
def explaining_no_room(target: Path) -> Iterator[None]:
    """Turn the error of a full disk into one that names the target and the space left."""
    try:
        yield
    except Exception as error:
        code = _error_code(error)
        if code not in _NO_ROOM:
            raise
        raise OSError(code, _no_room(target, code)) from error


def _error_code(error: Exception) -> int:
    """Return the system's error number, which libraries in Rust only write in their message."""
    if isinstance(error, OSError):
        return error.errno or 0
    said = re.search(r"\(os error (\d+)\)", str(error))
    return int(said[1]) if said else 0


def _no_room(target: Path, code: int) -> str:
    there = next(folder for folder in target.parents if folder.exists())
    free = shutil.disk_usage(there).free
    cure = "Free some space, or raise the limit (quota, ulimit -f), and save again"
    return f"{target}: not saved ({os.strerror(code)}), {free} bytes are free there. {cure}"
