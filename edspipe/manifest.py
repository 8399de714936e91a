"""What a saved folder must hold: the size and the sha256 of each of its files.

The manifest is JSON, and holds a sha256 of its own list. It shows damage, not forgery: whoever can
change a file can also write a new manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from edspipe.errors import CheckpointError

MANIFEST = "manifest.json"

_CURE = "Copy the folder again from its source, or load an earlier save"


def to_json(data: Any) -> bytes:
    """Return plain data as indented JSON in UTF-8, with a newline at the end.

    Raises:
        ValueError: The data holds NaN, infinity or itself, which JSON cannot say.
    """
    return (json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode("utf-8")


def describe_folder(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder: relative POSIX paths, sizes in bytes, sha256.

    Raises:
        CheckpointError: The folder holds a link or a special file.
    """
    files = {
        name: {"size": path.lstat().st_size, "sha256": _digest(path)}
        for name, path in sorted(_files_below(folder).items())
    }
    return _with_own_digest(files)


def verify_manifest(folder: Path, *, strict: bool = True) -> None:
    """Check that a folder holds what was saved; no link is followed, nothing is unpickled.

    Args:
        folder: A folder that `write_folder` made.
        strict: Whether a file that the manifest does not list is an error.

    Raises:
        CheckpointError: Something is missing, damaged, unexpected or a link; it is named.
    """
    folder = Path(folder)
    found = _files_below(folder)
    listed = _read_manifest(folder)
    for name, record in listed.items():
        if name not in found:
            raise CheckpointError(f"{folder / name}: listed in {MANIFEST}, but missing. {_CURE}")
        with _naming(found[name]):
            size, sha256 = found[name].lstat().st_size, _digest(found[name])
        if size != record["size"]:
            text = f"expected {record['size']} bytes, found {size}"
            raise CheckpointError(f"{found[name]}: {text}. {_CURE}")
        if sha256 != record["sha256"]:
            text = "its bytes are not those that were saved (another sha256)"
            raise CheckpointError(f"{found[name]}: {text}. {_CURE}")
    extra = sorted(found.keys() - listed.keys())
    if strict and extra:
        cure = "Move it away, or save again"
        raise CheckpointError(f"{folder / extra[0]}: not listed in {MANIFEST}. {cure}")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not os.path.lexists(path):
        raise CheckpointError(f"{path}: missing, so {folder} is not a complete save. {_CURE}")
    with _naming(path), open(path, "rb", opener=_open_no_follow) as handle:
        raw = handle.read()
    try:
        files = json.loads(raw)["files"]
        # bytes, not values: a changed blank is damage too
        intact = raw == to_json(_with_own_digest(files)) and all(
            isinstance(name, str) and record.keys() == {"size", "sha256"}
            for name, record in files.items()
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise CheckpointError(f"{path}: damaged, or written by a newer edspipe. {_CURE}")
    for name in files:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or str(pure) != name:
            raise CheckpointError(f"{path}: lists {name!r}, not a path below the folder. {_CURE}")
    return files


def _files_below(folder: Path) -> dict[str, Path]:
    """Return the files below the folder by relative POSIX path, without its own manifest."""
    files: dict[str, Path] = {}
    folders = [folder]
    while folders:
        with _naming(folders[-1]), os.scandir(folders.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file(follow_symlinks=False):
                    files[path.relative_to(folder).as_posix()] = path
                else:
                    text = "expected a plain file, found a link or a special file"
                    raise CheckpointError(f"{path}: {text}. Put a copy of the file in its place")
    files.pop(MANIFEST, None)
    return files


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn an error of reading into one that names the file."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}). {_CURE}") from error


def _digest(path: Path) -> str:
    with open(path, "rb", opener=_open_no_follow) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _open_no_follow(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def manifest_chunks(files: Callable[[], Iterable[tuple[str, int, str]]]) -> Iterator[bytes]:
    """Yield a manifest piece by piece, for folders of more files than should be in memory.

    Args:
        files: Returns the name, the size and the sha256 of each file; called twice.
    """
    digest = hashlib.sha256()
    for chunk in _list_chunks(files(), ""):
        digest.update(chunk)
    digest.update(b"\n")
    head = f'{{\n  "format": 1,\n  "sha256": "{digest.hexdigest()}",\n  "files": '
    yield head.encode("ascii")
    yield from _list_chunks(files(), "  ")
    yield b"\n}\n"


def _list_chunks(files: Iterable[tuple[str, int, str]], margin: str) -> Iterator[bytes]:
    """Yield the bytes of `to_json` of the list of files, without the newline at the end."""
    separator = "{"
    for name, size, sha256 in files:
        quoted = json.dumps(name, ensure_ascii=False)
        values = f'{margin}    "size": {size},\n{margin}    "sha256": "{sha256}"\n{margin}  }}'
        yield f"{separator}\n{margin}  {quoted}: {{\n{values}".encode()
        separator = ","
    yield b"{}" if separator == "{" else f"\n{margin}}}".encode()


def _with_own_digest(files: dict[str, Any]) -> dict[str, Any]:
    return {"format": 1, "sha256": hashlib.sha256(to_json(files)).hexdigest(), "files": files}
