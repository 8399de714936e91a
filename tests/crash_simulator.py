"""File systems that stop, fail or keep a log at any operation, and what a loss of power leaves.

The model of the disk is the weakest one that POSIX allows (as in ALICE, Pillai et al., OSDI 2014):
until a file is synced, its bytes may be missing, cut, or zeros; until a folder is synced, each
change of its names may be there or not, in any combination. One rename, or one exchange, within
a folder is indivisible; one between two folders is a change of each.
"""

from __future__ import annotations

import io
import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from edspipe.atomic import FileSystem

OPERATIONS = (
    *("open", "reopen", "mkdir", "chmod", "rename", "unlink", "rmdir", "fsync", "syncfs"),
    "exchange",
)
CRASHED, FINISHED = 77, 0  # exit codes of a child
EVERYTHING = -1  # the inode of a sync of the whole disk
MAX_SUBSETS_OF = 8  # pending changes of which every subset is tried: 256 subsets

Tree = dict[str, bytes | None]  # relative path -> bytes, None for a folder


class Killed(BaseException):
    """The process is dead: nothing is run after it, cleaning included."""


class WatchedFileSystem(FileSystem):
    """Calls `before` and `after` around each operation, each write of a handle included.

    Syncs are counted but not done, as they take long and nobody pulls the plug of the real disk.
    """

    def __init__(self, has_exchange: bool = True, has_syncfs: bool = True) -> None:
        self.has_exchange, self.has_syncfs = has_exchange, has_syncfs
        for name in OPERATIONS:
            setattr(self, name, partial(self._perform, name))

    def before(self, name: str, *args: Any) -> None:
        """Look at an operation that is about to be done."""

    def after(self, name: str, *args: Any) -> None:
        """Look at an operation that was done."""

    def _perform(self, name: str, *args: Any) -> Any:
        if (name == "exchange" and not self.has_exchange) or (
            name == "syncfs" and not self.has_syncfs
        ):
            return False
        self.before(name, *args)
        if name in ("open", "reopen"):
            result: Any = io.BufferedWriter(_WatchedRaw(*args, fs=self))
        elif name in ("fsync", "syncfs"):
            result = os.stat(args[0]) and name == "syncfs"
        else:
            result = getattr(FileSystem(), name)(*args)
        self.after(name, *args)
        return result


class _WatchedRaw(io.FileIO):
    def __init__(self, path: Path, size: int | None = None, *, fs: WatchedFileSystem) -> None:
        super().__init__(path, "xb" if size is None else "r+b")
        self.path, self.fs = path, fs
        if size is not None:
            self.truncate(size)
            self.seek(size)

    def write(self, data: Any) -> int:
        data = bytes(data)
        self.fs.before("write", self.path, data, super().write)
        count = super().write(data)
        self.fs.after("write", self.path, data)
        return count


class FaultyFileSystem(WatchedFileSystem):
    """Counts operations from 1, and strikes at those that are due; a write is first half done."""

    def __init__(
        self,
        is_due: Callable[[int, str], bool],
        strike: Callable[[], None],
        has_exchange: bool = True,
        has_syncfs: bool = True,
    ) -> None:
        super().__init__(has_exchange, has_syncfs)
        self.is_due, self.strike = is_due, strike
        self.count = 0
        self.done: list[str] = []

    def after(self, name: str, *args: Any) -> None:
        self.done.append(name)

    def before(self, name: str, *args: Any) -> None:
        self.count += 1
        if self.is_due(self.count, name):
            if name == "write":
                _, data, write = args
                write(data[: len(data) // 2])
            self.strike()


def run_and_crash(action: Callable[[], None]) -> int:
    """Run an action in a forked child, which may `os._exit`; return its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # "multi-threaded": a test runner is
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = FINISHED
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def read_tree(folder: Path) -> Tree:
    """Read all files and folders below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def build_tree(folder: Path, tree: Tree) -> None:
    """Make a folder that holds a tree."""
    folder.mkdir(parents=True)
    for name, data in sorted(tree.items()):
        if data is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(data)


# The log, and the disk after a loss of power


@dataclass
class Disk:
    """Inodes by number: the names in a folder, the bytes of a file. 0 is the root."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})
    files: dict[int, bytes] = field(default_factory=dict)

    def tree(self, inode: int = 0, prefix: str = "") -> Tree:
        """Return what can be reached from a folder."""
        found: Tree = {}
        for name, child in self.folders[inode].items():
            path = prefix + name
            if child in self.folders:
                found[path] = None
                found |= self.tree(child, path + "/")
            else:
                found[path] = self.files[child]
        return found


@dataclass(frozen=True)
class Change:
    """One line of the log: names set in a folder, bytes added to a file or cut, or a sync."""

    inode: int
    names: tuple[tuple[str, int | None], ...] = ()
    data: bytes = b""
    cut_at: int | None = None
    is_sync: bool = False


class RecordingFileSystem(WatchedFileSystem):
    """Does all operations below a root, and keeps a log of them.

    Args:
        root: The folder to watch; what it holds now is taken to be on the disk.
        has_exchange: Whether two names can be swapped in one instant.
        syncs: Which syncs reach the disk: a test of the simulator leaves some out.
    """

    def __init__(
        self,
        root: Path,
        has_exchange: bool = True,
        syncs: Callable[[Path], bool] = lambda path: True,
        has_syncfs: bool = True,
    ) -> None:
        super().__init__(has_exchange, has_syncfs)
        self.root, self.syncs = root, syncs
        self.start, self.log = Disk(), list[Change]()
        self.numbers = itertools.count(1)
        self.volatile: dict[str, int] = {".": 0}  # path -> inode
        for name, data in read_tree(root).items():
            inode = self.volatile[name] = next(self.numbers)
            parent, _, base = name.rpartition("/")
            self.start.folders[self.volatile[parent or "."]][base] = inode
            if data is None:
                self.start.folders[inode] = {}
            else:
                self.start.files[inode] = data

    def after(self, name: str, *args: Any) -> None:
        paths = [path.relative_to(self.root).as_posix() for path in args if isinstance(path, Path)]
        inodes = [self.volatile.get(path) for path in paths]
        if name in ("open", "mkdir"):
            number = next(self.numbers)
            if name == "open":
                self.start.files[number] = b""  # without a name yet
            else:
                self.start.folders[number] = {}
            self._set({paths[0]: number})
        elif name in ("unlink", "rmdir"):
            self._set({paths[0]: None})
        elif name == "rename":
            self._set({paths[0]: None, paths[1]: inodes[0]})
        elif name == "exchange":
            self._set({paths[0]: inodes[1], paths[1]: inodes[0]})
        elif name == "write":
            self.log.append(Change(cast(int, inodes[0]), data=args[1]))
        elif name == "reopen":
            self.log.append(Change(cast(int, inodes[0]), cut_at=args[1]))
        elif name == "fsync" and self.syncs(args[0]):
            self.log.append(Change(cast(int, inodes[0]), is_sync=True))
        elif name == "syncfs" and self.syncs(args[0]):
            self.log.append(Change(EVERYTHING, is_sync=True))

    def _set(self, names: dict[str, int | None]) -> None:
        """Log new owners of names, and move what lies below them."""
        parents = dict.fromkeys(os.path.dirname(path) or "." for path in names)
        for parent in parents:
            here = [path for path in names if (os.path.dirname(path) or ".") == parent]
            bases = tuple((os.path.basename(path), names[path]) for path in here)
            self.log.append(Change(self.volatile[parent], names=bases))
        old = self.volatile
        moved = {inode: path for path, inode in names.items()}
        self.volatile = {}
        for path, inode in old.items():
            top = next((p for p in names if path == p or path.startswith(p + "/")), None)
            if top is None:
                self.volatile[path] = inode
            elif (target := moved.get(old[top])) is not None:
                self.volatile[target + path[len(top) :]] = inode
        self.volatile |= {path: inode for path, inode in names.items() if inode is not None}


def power_loss_states(start: Disk, log: list[Change]) -> Iterator[tuple[int, Tree]]:
    """Yield, for a loss of power after each line of the log, what the disk may hold.

    Yields:
        How many lines were done, and a tree; equal trees after the same line come once.
    """
    for num_done in range(len(log) + 1):
        seen = set()
        for disk in _disks_after(start, log[:num_done]):
            tree = disk.tree()
            key = frozenset(tree.items())
            if key not in seen:
                seen.add(key)
                yield num_done, tree


def _disks_after(start: Disk, log: list[Change]) -> Iterator[Disk]:
    synced = Disk({i: dict(names) for i, names in start.folders.items()}, dict(start.files))
    written, pending = dict(start.files), list[Change]()
    for change in log:
        if change.data:
            written[change.inode] += change.data
        elif change.cut_at is not None:
            written[change.inode] = written[change.inode][: change.cut_at]
        elif change.inode == EVERYTHING:
            synced.files |= written
            _apply(synced, pending)
            pending = []
        elif not change.is_sync:
            pending.append(change)
        elif change.inode in written:
            synced.files[change.inode] = written[change.inode]
        else:
            _apply(synced, [other for other in pending if other.inode == change.inode])
            pending = [other for other in pending if other.inode != change.inode]
    for kept in _subsets(pending):
        for files in _contents(synced.files, written):
            disk = Disk({i: dict(names) for i, names in synced.folders.items()}, files)
            _apply(disk, kept)
            yield disk


def _apply(disk: Disk, changes: list[Change]) -> None:
    for change in changes:
        for name, inode in change.names:
            if inode is None:
                disk.folders[change.inode].pop(name, None)
            else:
                disk.folders[change.inode][name] = inode


def _subsets(pending: list[Change]) -> Iterator[list[Change]]:
    """Yield every subset or, of many changes, those where some, one or all but one are kept."""
    num = len(pending)
    if num <= MAX_SUBSETS_OF:
        for picks in itertools.product((False, True), repeat=num):
            yield list(itertools.compress(pending, picks))
        return
    for i in range(num):
        yield pending[:i]
        yield pending[i:]
        yield pending[i : i + 1]
        yield pending[:i] + pending[i + 1 :]


def _contents(synced: dict[int, bytes], written: dict[int, bytes]) -> Iterator[dict[int, bytes]]:
    """Yield what the files may hold: of all that are not synced, the same kind of loss."""
    dirty = {i: data for i, data in written.items() if synced[i] != data}
    yield dict(synced)
    if dirty:
        yield synced | dirty
        yield synced | {i: data[: (len(synced[i]) + len(data)) // 2] for i, data in dirty.items()}
        yield synced | {i: synced[i].ljust(len(data), b"\0") for i, data in dirty.items()}
