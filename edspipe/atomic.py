"""Writes that a kill, a full disk or a loss of power cannot leave half done.

Everything is written under a hidden name beside its target, `.NAME.edspipe-<pid>-<random>`, forced
to the disk, and only then takes the target's place. So a target is always whole: old or new.

    with write_file(path) as handle: ...        one file
    with write_folder(path) as staging: ...     a folder (a model, a dataset) with its manifest
    folder = find_folder(path)                  the folder to read, after a kill too
    verify_manifest(folder)                     every byte is what was saved

An error means that the old version is still there. The one exception is an error of the disk
while it confirms the name of a new *file*: that file is whole, but a loss of power may take it
back. A target that is a link is replaced by what is saved, and what it points to is not touched.
Of two saves to one target at a time the last one wins; where names cannot be exchanged (not on
Linux, or on some network file systems) one of them may fail, and the other one stays whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from loguru import logger

from edspipe.filesystem import FileSystem as FileSystem
from edspipe.filesystem import explaining_no_room
from edspipe.manifest import MANIFEST as MANIFEST
from edspipe.manifest import describe_folder, to_json
from edspipe.manifest import verify_manifest as verify_manifest

_IN_USE: set[Path] = set()  # what the threads of this process are staging
FS = FileSystem()


# Writing


@contextmanager
def write_file(target: Path) -> Iterator[BinaryIO]:
    """Write a file that is replaced whole, or not at all.

    Missing parents are created. Each call looks for leftovers in the parent folder: to write
    thousands of files, fill one `write_folder` instead.

    Args:
        target: The file; its permissions are kept where it exists.

    Yields:
        A handle for the new bytes; whoever gets it may close it.

    Raises:
        IsADirectoryError: The target is a folder.
        OSError: The bytes did not fit; the message names the path and the space left, in bytes.
    """
    target = absolute(target)
    check_no_folder(target)
    with _staging(target) as temporary:
        handle = FS.open(temporary)
        try:
            with _claimed(temporary, target):
                yield handle
                handle.close()
                FS.fsync(temporary)
                FS.rename(temporary, target)
                FS.fsync(target.parent)
        except BaseException:
            with suppress(OSError):  # the bytes that did not fit would fail once more
                handle.close()
            raise


def write_text(target: Path, text: str) -> None:
    """Write a text as UTF-8, its line ends untouched, as `write_file` does."""
    data = text.encode("utf-8")
    with write_file(target) as handle:
        handle.write(data)


def write_json(target: Path, data: Any) -> None:
    """Write plain data as indented JSON in UTF-8, as `write_file` does.

    Raises:
        ValueError: The data holds NaN, infinity or itself, which JSON cannot say.
    """
    try:
        encoded = to_json(data)
    except ValueError as error:
        cure = "Expected plain data: store None for NaN and infinity"
        raise ValueError(f"{target}: cannot be written as JSON ({error}). {cure}") from None
    with write_file(target) as handle:
        handle.write(encoded)


@contextmanager
def write_folder(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Write a folder that is replaced whole, or not at all, with a manifest of its files.

    Missing parents are created.

    Args:
        target: The folder; its own permissions are kept where it exists.
        overwrite: Whether a folder that is not empty may be replaced, stale files included.

    Yields:
        An empty folder beside the target, to be filled by any means.

    Raises:
        FileExistsError: The target is not empty, and `overwrite` is False.
        NotADirectoryError: The target is a file.
        ValueError: The target cannot be replaced: it is a mount point, or we work inside it.
        OSError: The files did not fit; the message names the path and the space left, in bytes.
    """
    target = absolute(target)
    check_replaceable(target, overwrite)
    with _staging(target) as staging:
        FS.mkdir(staging)
        with _claimed(staging, target):
            yield staging
            write_manifest(staging)
            _fsync_tree(staging)
            put_in_place(staging, target, overwrite)


def write_manifest(folder: Path) -> None:
    """List every file below the folder, with size in bytes and sha256, in its manifest.

    Raises:
        CheckpointError: The folder holds a link or a special file.
    """
    write_json(Path(folder) / MANIFEST, describe_folder(Path(folder)))


def find_folder(target: Path) -> Path:
    """Return the folder to read: the target or, after a kill in mid-swap, the version before.

    Raises:
        FileNotFoundError: There is neither.
    """
    target = Path(target)
    if target.exists():
        return target
    previous = _previous(target)
    if previous.exists():
        logger.warning("{} is missing, its save was cut short: reading {}", target, previous)
        return previous
    if target.exists():  # a swap was completed between the two looks
        return target
    raise FileNotFoundError(errno.ENOENT, "expected a saved folder, found nothing", str(target))


def remove_leftovers(target: Path) -> None:
    """Delete what killed saves to this target left beside it; live ones are not touched."""
    target = absolute(target)
    pattern = re.compile(rf"\.{re.escape(target.name)}\.edspipe-([1-9]\d{{0,8}})-[0-9a-f]+")
    names = sorted(os.listdir(target.parent)) if target.parent.is_dir() else []
    found = [
        (target.parent / match[0], int(match[1]))
        for match in map(pattern.fullmatch, names)
        if match
    ]
    stale = [path for path, pid in found if _is_stale(path, pid)]
    finished = target.is_dir() and _previous(target).is_dir()
    if stale or finished:
        # a save that was killed after its swap had not yet forced the swap to the disk
        FS.fsync(target.parent)
    for path in stale:
        discard(path)
    if finished:
        _retire_previous(target, _staging_name(target))


# Staging, swapping, cleaning


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """Yield a hidden name beside the target; whatever has that name at the end is deleted."""
    staging = _staging_name(target)
    _IN_USE.add(staging)
    try:
        with explaining_no_room(target):
            make_parents(target.parent)
            remove_leftovers(target)
            yield staging
    finally:
        try:
            discard(staging)
        finally:
            _IN_USE.discard(staging)


@contextmanager
def _claimed(staging: Path, target: Path) -> Iterator[None]:
    """Hold the lock of what is staged, and give it the target's permissions: private stays so."""
    with ExitStack() as stack:
        with suppress(OSError):  # some network file systems have no locks
            stack.callback(os.close, lock(staging))
        take_permissions(staging, target)
        yield


def take_permissions(staging: Path, target: Path) -> None:
    """Give what is staged the permissions of the target, if there is one: private stays so."""
    if target.exists() and not target.is_symlink():
        mode = stat.S_IMODE(target.stat().st_mode)
        FS.chmod(staging, mode | (stat.S_IRWXU if target.is_dir() else stat.S_IRUSR))


def put_in_place(staging: Path, target: Path, overwrite: bool) -> None:
    """Swap a folder, all of it on the disk, with the target, if there is one.

    Afterwards what was at the target has the name of the staging, which is on the same disk.

    Raises:
        FileExistsError: A folder with content is there, and `overwrite` is False.
    """
    with ExitStack() as undo:
        undo.callback(_rename_back, staging, target)
        if (overwrite and os.path.lexists(target)) or not _rename_onto_nothing(staging, target):
            if not overwrite:
                raise _occupied(target)
            _swap(staging, target, undo)
        FS.fsync(target.parent)
        undo.pop_all()
    if not os.path.lexists(staging):
        _retire_previous(target, staging)


def _swap(staging: Path, target: Path, undo: ExitStack) -> None:
    if FS.exchange(staging, target):
        undo.callback(FS.exchange, staging, target)
        return
    previous = _previous(target)
    undo.callback(_rename_back, target, previous)
    FS.rename(target, previous)
    undo.callback(_rename_back, staging, target)
    FS.rename(staging, target)


def _rename_onto_nothing(staging: Path, target: Path) -> bool:
    """Rename; False where another process was faster, and a folder with content is there."""
    try:
        FS.rename(staging, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _rename_back(source: Path, target: Path) -> None:
    """Undo a rename, which may not have been done when an interrupt came."""
    if os.path.lexists(target) and not os.path.lexists(source):
        FS.rename(target, source)


def _retire_previous(target: Path, staging: Path) -> None:
    """Delete the version before, under another name: what has its name is always whole."""
    previous = _previous(target)
    if previous.is_dir():
        with _only_warning(previous):
            FS.rename(previous, staging)
        discard(staging)


def discard(path: Path) -> None:
    """Delete a file or a folder; where that fails, say so and go on."""
    if os.path.lexists(path):
        with _only_warning(path):
            _delete(path)


@contextmanager
def _only_warning(path: Path) -> Iterator[None]:
    """Let cleaning fail: what was saved is safe, and the next save tries again."""
    try:
        yield
    except OSError as error:
        logger.warning("{} could not be deleted ({}); the next save tries again", path, error)


def _delete(path: Path) -> None:
    """Delete a file, a folder with all that is in it, or a link but not what it points to."""
    if path.is_dir() and not path.is_symlink():
        for name in sorted(os.listdir(path)):
            _delete(path / name)
        FS.rmdir(path)
    else:
        FS.unlink(path)


def lock(path: Path) -> int:
    """Lock what is staged, as a pid means nothing to a container that shares the disk.

    Returns:
        A descriptor; closing it opens the lock.

    Raises:
        BlockingIOError: Somebody else holds the lock.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_stale(staging: Path, pid: int) -> bool:
    """Whether nobody is working on it: its process is gone (or is ours), and so is its lock."""
    ours = pid == os.getpid()
    if staging in _IN_USE or (not ours and _is_alive(pid)):
        return False
    try:
        os.close(lock(staging))
    except BlockingIOError:
        return False
    except OSError:
        return not ours
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def sync_tree(folder: Path) -> None:
    """Force a folder of any number of files to the disk, at once where the system can."""
    if not FS.syncfs(folder):
        _fsync_tree(folder)


def _fsync_tree(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            _fsync_tree(path)
        else:
            FS.fsync(path)
    FS.fsync(folder)


def make_parents(folder: Path) -> None:
    """Make a folder, and those above it, whose names survive a loss of power."""
    if not folder.exists():
        make_parents(folder.parent)
        with suppress(FileExistsError):  # another process was faster
            FS.mkdir(folder)
        FS.fsync(folder.parent)


# Checks and names


def check_no_folder(target: Path) -> None:
    """Refuse to replace a folder by a file.

    Raises:
        IsADirectoryError: There is a folder.
    """
    if target.is_dir() and not target.is_symlink():
        text = "expected the path of a file, and found a folder there; choose another name"
        raise IsADirectoryError(errno.EISDIR, text, str(target))


def check_replaceable(target: Path, overwrite: bool) -> None:
    """Refuse to replace what is no folder, or must stay; complete a swap that a kill cut in two.

    Raises:
        FileExistsError: The target is not empty, and `overwrite` is False.
        NotADirectoryError: The target is a file.
        ValueError: The target is a mount point, or we work inside it.
    """
    _rename_back(target, _previous(target))
    if os.path.lexists(target) and not target.is_dir():
        text = "expected the path of a folder, and found a file there; choose another name"
        raise NotADirectoryError(errno.ENOTDIR, text, str(target))
    if not overwrite and target.is_dir() and any(target.iterdir()):
        raise _occupied(target)
    if os.path.ismount(target) or _current_folder().is_relative_to(target.resolve()):
        text = "a mount point, or holds the current folder, and cannot be replaced"
        raise ValueError(f"{target}: {text}. Save to a new folder inside it")


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # deleted under our feet
        return Path("/")


def _occupied(target: Path) -> FileExistsError:
    text = "the folder is not empty; choose another one, or pass overwrite=True to replace it"
    return FileExistsError(errno.EEXIST, text, str(target))


def absolute(target: Path) -> Path:
    """Return a path that still holds after a `chdir`."""
    target = Path(target)
    if target.name in ("", ".."):
        raise ValueError(f"expected a path that ends in a name, got '{target}'")
    return target.absolute()


def _previous(target: Path) -> Path:
    return target.parent / f".{target.name}.previous"


def _staging_name(target: Path) -> Path:
    return target.parent / f".{target.name}.edspipe-{os.getpid()}-{secrets.token_hex(4)}"
