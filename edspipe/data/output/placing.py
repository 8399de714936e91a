"""Putting what a run wrote in the place of its target: a file, or a folder of files."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edspipe import atomic
from edspipe.data.output.ledger import OutputFile, read_files
from edspipe.data.output.staging import LEDGER, Staging
from edspipe.data.paths import RECEIPT
from edspipe.errors import DataError
from edspipe.manifest import manifest_chunks

DATA = "data"
"""The one file that the sink of a file writes."""


class FilePlace:
    """A target that is one file; its receipt stands beside it.

    Args:
        target: The file.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.receipt = target.with_name(f"{target.name}.receipt")

    def check(self, overwrite: bool | str) -> None:
        """Refuse a target that must stay.

        Raises:
            FileExistsError: It exists, and `overwrite` is False.
            IsADirectoryError: It is a folder.
        """
        if overwrite is False and os.path.lexists(self.target):
            cure = "pass overwrite=True to replace it, or overwrite='append' to add"
            raise FileExistsError(f"{self.target} exists; {cure}")
        atomic.check_no_folder(self.target)

    def sync(self, staging: Staging) -> None:
        """Force what the sink wrote to the disk."""
        atomic.FS.fsync(staging.files / DATA)

    def list_files(self, staging: Staging) -> Iterator[OutputFile]:
        """Yield the file of the output."""
        size, sha256 = _hash(staging.files / DATA)
        yield OutputFile(self.target.name, size, sha256)

    def put(self, staging: Staging, overwrite: bool | str, receipt: bool, files_at: int) -> None:
        """Put the file in place, then its receipt; without one, that of an older file goes."""
        data = staging.files / DATA
        atomic.take_permissions(data, self.target)
        atomic.FS.fsync(data)
        self.check(overwrite)
        with staging.no_return(data):
            atomic.FS.rename(data, self.target)
        atomic.FS.fsync(self.target.parent)
        if receipt:
            atomic.FS.rename(staging.path / LEDGER, self.receipt)
            atomic.FS.fsync(self.target.parent)
        elif os.path.lexists(self.receipt):
            atomic.FS.unlink(self.receipt)


class FolderPlace:
    """A target that is a folder; its receipt and its manifest are in it.

    Args:
        target: The folder.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.receipt = target / RECEIPT

    def check(self, overwrite: bool | str) -> None:
        """Refuse a target that must stay.

        Raises:
            FileExistsError: It is not empty, and `overwrite` is False.
            NotADirectoryError: It is a file.
        """
        atomic.check_replaceable(self.target, overwrite is not False)

    def sync(self, staging: Staging) -> None:
        """Force what the sink wrote to the disk."""
        if not atomic.FS.syncfs(staging.files):
            os.sync()

    def list_files(self, staging: Staging) -> Iterator[OutputFile]:
        """Yield the files of the output."""
        return list_folder(staging.files)

    def put(self, staging: Staging, overwrite: bool | str, receipt: bool, files_at: int) -> None:
        """Add receipt and manifest, and swap the folder with the target."""
        ledger = staging.path / LEDGER
        last: list[OutputFile] = []
        if receipt:
            ledger = staging.files / RECEIPT
            last = [OutputFile(RECEIPT, *_hash(staging.path / LEDGER))]
            atomic.FS.rename(staging.path / LEDGER, ledger)
        with atomic.FS.open(staging.files / atomic.MANIFEST) as handle:
            for chunk in manifest_chunks(partial(_chain, ledger, files_at, last)):
                handle.write(chunk)
        atomic.take_permissions(staging.files, self.target)
        atomic.sync_tree(staging.files)
        with staging.no_return(staging.files):
            atomic.put_in_place(staging.files, self.target, overwrite is not False)


def _chain(ledger: Path, files_at: int, last: list[OutputFile]) -> Iterator[OutputFile]:
    yield from read_files(ledger, files_at)
    yield from last


def list_folder(folder: Path, prefix: str = "") -> Iterator[OutputFile]:
    """Yield the files below a folder: those of each folder by name, then what is in its folders.

    Raises:
        DataError: There is a link or a special file.
    """
    folders = []
    for raw in _sorted_names(folder):
        name = os.fsdecode(raw)
        mode = os.lstat(folder / name).st_mode
        if stat.S_ISDIR(mode):
            folders.append(name)
        elif stat.S_ISREG(mode):
            yield OutputFile(prefix + name, *_hash(folder / name))
        else:
            text = "expected a plain file, found a link or a special file"
            raise DataError(f"{text}. Put a copy of the file in its place", folder / name)
    for name in folders:
        yield from list_folder(folder / name, f"{prefix}{name}/")


def _sorted_names(folder: Path) -> Any:
    """Return the names in a folder; an array of bytes, as there may be a million of them."""
    with os.scandir(folder) as entries:
        lengths = [0, 0]
        for entry in entries:
            lengths = [lengths[0] + 1, max(lengths[1], len(os.fsencode(entry.name)))]
    with os.scandir(folder) as entries:
        raw = (os.fsencode(entry.name) for entry in entries)
        names = np.fromiter(raw, dtype=f"S{max(lengths[1], 1)}", count=lengths[0])
    names.sort()
    return names


def _hash(path: Path) -> tuple[int, str]:
    """Return the size and the sha256 of a file."""
    with open(path, "rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        return handle.tell(), sha256
