"""Vectors on disk: written in shards, each whole or not there, and checked before they are used.

    FOLDER/edspipe-vectors/<place>/<random>.safetensors
        tensors by key, with the CRC-32 of each in the header

Several processes may share the folder. A shard is written beside and renamed, so that readers see
whole ones; each process looks for new ones of the others when a folder has changed. What is
damaged, or was deleted meanwhile, is computed again. Room is made by deleting the places (other
weights, other settings) that were used longest ago, unless somebody is using them. Only files with
names as they are given here are read or deleted: whatever else lies about is somebody else's.

Only its owner may open `edspipe-vectors`, also where others may read the folder around it.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import math
import os
import re
import secrets
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakSet, finalize

import torch
from loguru import logger
from safetensors.torch import save

from edspipe import atomic

OWN_FOLDER = "edspipe-vectors"
"""The folder of all places: nothing outside it is touched."""
PLACE = re.compile(r"[0-9a-f]{32}")
SHARD_BYTES = 32 * 2**20
"""A shard is written when so much has come together, and at the end."""
MAX_SHARDS = 256
"""Shards of a full folder, about: with more room they are larger."""
SUFFIX = ".safetensors"
SHARD = re.compile(r"[0-9a-f]{16}\.safetensors")
LEFTOVER = re.compile(r"\.[0-9a-f]{16}\.safetensors\.edspipe-[0-9]+-[0-9a-f]+")
"""A shard whose write was killed, as `atomic` names it."""
CRCS = "crc32"
ENTRY_BYTES, HEADER_BYTES = 256, 256
"""What the header of a shard takes for a tensor, and besides, at most."""
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_LENGTH_BYTES = 8
ALIGNMENT = 8
"""Tensors that are read begin at multiples of so many bytes, as their types ask for."""


@dataclass
class Entry:
    """Where a tensor lies.

    Attributes:
        file: The shard.
        start: Its first byte in the file.
        shape: Its shape.
        dtype: Its type.
        crc: The CRC-32 of its bytes.
        checked: Whether this process has compared it.
    """

    file: Path
    start: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    crc: int
    checked: bool = False

    @property
    def nbytes(self) -> int:
        """Its bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class DiskVectors:
    """Keeps tensors in a folder, under keys.

    Args:
        folder: A folder; one that is missing is made, for its owner only, and the permissions of
            one that exists stay. Vectors go to `edspipe-vectors` in it, which is made, or set, to
            be opened by its owner alone (0700).
        place: A digest (32 hex digits) of what the vectors depend on besides their keys.
        max_bytes: Room for all places.

    Attributes:
        is_full: Whether a tensor had no room, or could not be written.

    Raises:
        ValueError: The place is no such digest.
        OSError: A folder cannot be made, is a link, or is somebody else's.
    """

    def __init__(self, folder: Path, place: str, max_bytes: int) -> None:
        if not PLACE.fullmatch(place):
            raise ValueError(f"place: expected 32 hex digits, got {place!r}")
        self.root, self.max_bytes = folder / OWN_FOLDER, max_bytes
        self.folder = self.root / place
        self.shard_bytes = max(SHARD_BYTES, max_bytes // MAX_SHARDS)
        self.is_full = False
        self._entries: dict[bytes, Entry] = {}
        self._files: dict[str, int] = {}
        self._seen = 0
        self._waiting: dict[bytes, torch.Tensor] = {}
        self._waiting_bytes = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_private(self.root)
        with _locked(self.root):
            _make_private(self.folder)
            os.utime(self.folder)
            in_use = _lock(self.folder, fcntl.LOCK_SH)
        if in_use is not None:
            finalize(self, os.close, in_use)
        _OPEN.add(self)
        self._look()

    @property
    def num_bytes(self) -> int:
        """Bytes of this place: its shards, and what is not written yet."""
        return sum(self._files.values()) + self._waiting_bytes

    def get(self, keys: Sequence[bytes]) -> list[torch.Tensor | None]:
        """Return what is kept under keys, so far as it is whole."""
        found = [self._waiting[key] if key in self._waiting else self._find(key) for key in keys]
        rooms = _rooms([0 if one is None else one.nbytes for one in found])
        return [self._fetch(one, room) for one, room in zip(found, rooms, strict=True)]

    def _fetch(self, found: Entry | torch.Tensor | None, room: torch.Tensor) -> torch.Tensor | None:
        """Bring what was found into its room."""
        if isinstance(found, torch.Tensor):
            return room.view(found.dtype).view(found.shape).copy_(found)
        return None if found is None else self._read(found, room)

    def _find(self, key: bytes) -> Entry | None:
        entry = self._entries.get(key)
        if entry is None and self._look():
            entry = self._entries.get(key)
        return entry

    def add(self, key: bytes, vectors: torch.Tensor) -> None:
        """Keep a tensor of floats, if there is room; it is written with others."""
        if self.is_full or key in self._waiting or vectors.dtype not in _DTYPES.values():
            return
        self._waiting[key] = vectors.to("cpu", copy=True).contiguous()
        self._waiting_bytes += _size(vectors)
        if self._waiting_bytes >= min(self.shard_bytes, self.max_bytes):
            self.flush()

    # ---- reading ---------------------------------------------------------------------------

    def _look(self) -> bool:
        """Take in the shards that are new; return whether there were some."""
        try:
            now = os.stat(self.folder).st_mtime_ns
            if now == self._seen:
                return False
            names = {file.name for file in os.scandir(self.folder) if _is_shard(file)}
        except FileNotFoundError:
            return False
        self._seen = now
        new = sorted(names - set(self._files))
        for name in new:
            self._take_in(self.folder / name)
        return bool(new)

    def _take_in(self, file: Path) -> None:
        try:
            entries, size = _read_header(file)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._give_up(file)
            return
        self._files[file.name] = size
        for key, entry in entries.items():
            self._entries.setdefault(key, entry)

    def _read(self, entry: Entry, room: torch.Tensor) -> torch.Tensor | None:
        data = room.numpy().data
        try:
            with open(entry.file, "rb", buffering=0) as handle:
                whole = os.preadv(handle.fileno(), [data], entry.start) == len(data)
        except FileNotFoundError:
            self._forget(entry.file)
            return None
        if not whole or not (entry.checked or zlib.crc32(data) == entry.crc):
            self._give_up(entry.file)
            return None
        entry.checked = True
        return room.view(entry.dtype).view(entry.shape)

    def _give_up(self, file: Path) -> None:
        """Delete a damaged shard: what was in it is computed again."""
        logger.warning("{}: damaged, and deleted; the vectors in it are computed again", file)
        with suppress(OSError):
            file.unlink()
        self._forget(file)

    def _forget(self, file: Path) -> None:
        self._files.pop(file.name, None)
        self._entries = {k: e for k, e in self._entries.items() if e.file != file}

    # ---- writing ---------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what waits, as far as there is room."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
        if not waiting:
            return
        try:
            with _locked(self.root):
                self._write(waiting)
        except OSError as error:
            self.is_full = True
            logger.warning(
                "{}: vectors cannot be written ({}): no more are kept", self.folder, error
            )

    def _write(self, waiting: dict[bytes, torch.Tensor]) -> None:
        needed = sum(map(_size_on_disk, waiting.values())) + HEADER_BYTES
        room = self._make_room(needed) - HEADER_BYTES
        chosen: dict[str, torch.Tensor] = {}
        for key, vectors in waiting.items():
            room -= _size_on_disk(vectors)
            if room < 0:
                self.is_full = True
                break
            chosen[key.hex()] = vectors
        if not chosen:
            return
        crcs = {key: zlib.crc32(_bytes_of(vectors)) for key, vectors in chosen.items()}
        data = save(chosen, metadata={CRCS: json.dumps(crcs)})
        file = self.folder / f"{secrets.token_hex(8)}{SUFFIX}"
        with atomic.write_file(file) as handle:
            handle.write(data)
        self._take_in(file)

    def _make_room(self, needed: int) -> int:
        """Delete other places, those used longest ago first; return the bytes that are free."""
        found = [Path(entry) for entry in os.scandir(self.root) if _is_place(entry)]
        places = {place: _used(place) for place in found}
        free = self.max_bytes - sum(size for _, size in places.values())
        for place, (_, size) in sorted(places.items(), key=lambda item: item[1]):
            if free >= needed:
                break
            if place != self.folder and size:
                free += _delete(place)
        return free


_OPEN: WeakSet[DiskVectors] = WeakSet()


@atexit.register
def flush_all() -> None:
    """Write what waits in all folders of this process."""
    for vectors in list(_OPEN):
        vectors.flush()


def _rooms(sizes: Sequence[int]) -> list[torch.Tensor]:
    """Return room for so many bytes each, one behind the other: what is read need not be joined."""
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size // ALIGNMENT) * ALIGNMENT)
    room = torch.empty(starts[-1], dtype=torch.uint8)
    return [room[at : at + size] for at, size in zip(starts[:-1], sizes, strict=True)]


def _size(vectors: torch.Tensor) -> int:
    return vectors.numel() * vectors.element_size()


def _size_on_disk(vectors: torch.Tensor) -> int:
    return _size(vectors) + ENTRY_BYTES


def _bytes_of(vectors: torch.Tensor) -> memoryview:
    return vectors.view(-1).view(torch.uint8).numpy().data


def _is_place(entry: os.DirEntry[str]) -> bool:
    return bool(PLACE.fullmatch(entry.name)) and entry.is_dir(follow_symlinks=False)


def _is_shard(entry: os.DirEntry[str]) -> bool:
    return bool(SHARD.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """Whether a file in a place was written here, whole or not."""
    is_leftover = bool(LEFTOVER.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False)
    return is_leftover or _is_shard(entry)


def _read_header(file: Path) -> tuple[dict[bytes, Entry], int]:
    """Return what a shard holds, and its size in bytes.

    Tensors of a type that is not known here, as another version may write them, are passed over.

    Raises:
        ValueError: It is damaged; so do other errors of a header that is not one.
    """
    with open(file, "rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        length = int.from_bytes(handle.read(_LENGTH_BYTES), "little")
        if length > size:
            raise ValueError("the header does not fit the file")
        header = json.loads(handle.read(length))
    crcs = json.loads(header.pop("__metadata__")[CRCS])
    first = _LENGTH_BYTES + length
    entries = {}
    for key, found in header.items():
        start, end = found["data_offsets"]
        shape, dtype = tuple(found["shape"]), _DTYPES.get(found["dtype"])
        expected = end - start if dtype is None else math.prod(shape) * dtype.itemsize
        if end - start != expected or first + end > size:
            raise ValueError("a tensor does not fit the file")
        if dtype is None:
            continue
        entries[bytes.fromhex(key)] = Entry(file, first + start, shape, dtype, crcs[key])
    return entries, size


def _used(place: Path) -> tuple[int, int]:
    """Return when a place was used last, and how many bytes of ours it holds."""
    size = 0
    with suppress(FileNotFoundError):  # somebody gave a damaged shard up
        for file in os.scandir(place):
            if _is_ours(file):
                size += file.stat(follow_symlinks=False).st_size
    return place.stat().st_mtime_ns, size


def _delete(place: Path) -> int:
    """Delete what is ours in a place, unless somebody is using it; return the bytes that it took.

    The place goes too, unless something else is in it.
    """
    try:
        descriptor = _lock(place, fcntl.LOCK_EX)
    except OSError:  # not ours to open
        return 0
    if descriptor is None:
        return 0
    try:
        freed = _delete_ours(descriptor)
        with suppress(OSError):
            os.rmdir(place)
        return freed
    finally:
        os.close(descriptor)


def _delete_ours(place: int) -> int:
    """Delete our files in an open folder; return their bytes."""
    freed = 0
    with os.scandir(place) as entries:
        ours = [entry for entry in entries if _is_ours(entry)]
    for entry in ours:
        with suppress(OSError):
            size = entry.stat(follow_symlinks=False).st_size
            os.unlink(entry.name, dir_fd=place)
            freed += size
    return freed


def _make_private(folder: Path) -> None:
    """Make a folder that its owner alone may open, also if it was there."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    descriptor = _open_folder(folder)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            os.fchmod(descriptor, mode & ~0o077)
    finally:
        os.close(descriptor)


def _open_folder(folder: Path) -> int:
    """Open a folder; a link to one is refused, as it may lead anywhere."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _lock(folder: Path, kind: int) -> int | None:
    """Lock a folder; None where somebody holds it, or the file system has no locks."""
    descriptor = _open_folder(folder)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until nobody else opens places or writes to them."""
    descriptor = _open_folder(folder)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
