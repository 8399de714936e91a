"""Where files are: local paths, folders, patterns, and remote addresses through fsspec."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from edspipe.atomic import MANIFEST
from edspipe.data.safe_names import MAP_FILE

RECEIPT = "edspipe.receipt"
"""The ledger of the run that wrote a folder; beside a file it is `<file>.receipt`."""
_NOT_DATA = (MANIFEST, MAP_FILE, RECEIPT)


def is_remote(path: str | Path) -> bool:
    """Whether a path is an address such as `s3://bucket/notes`."""
    return "://" in str(path)


@contextmanager
def open_input(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes; `.gz`, `.bz2`, `.xz` and `.zst` are unpacked on the way.

    Args:
        path: A local path, or an address that fsspec knows.
    """
    with fsspec.open(_address(path), "rb", compression="infer") as handle:
        yield handle


def list_files(path: str | Path, suffixes: Sequence[str]) -> list[str]:
    """List the files of a dataset, sorted: one file, a folder and what is below it, or a pattern.

    Hidden files and folders are ignored, as is what edspipe itself leaves beside the data.

    Args:
        path: A file, a folder, a pattern such as `notes/*.csv`, or an address of these.
        suffixes: What counts in a folder, e.g. `(".csv",)`; compressed files count too.

    Raises:
        FileNotFoundError: There is nothing there, or no file with such a suffix.
    """
    found = _list_remote(str(path)) if is_remote(path) else _list_local(Path(path))
    if found is None:
        return [str(path)]
    files = sorted(name for name, rest in found if _is_data(rest, suffixes))
    if files:
        return files
    raise FileNotFoundError(f"{path}: expected {', '.join(suffixes)} files, found none")


def suffix_of(path: str | Path) -> str:
    """Return the suffix of a file without that of its compression: `.csv` of `x.csv.gz`."""
    parts = Path(str(path).rstrip("/")).suffixes
    packed = len(parts) > 1 and parts[-1] in (".gz", ".bz2", ".xz", ".zst")
    return parts[-2] if packed else parts[-1] if parts else ""


def _address(path: str | Path) -> str:
    # an absolute local path may hold '::', which fsspec takes for a chain of file systems
    return str(path) if is_remote(path) else f"file://{os.path.abspath(path)}"


def _list_local(path: Path) -> list[tuple[str, str]] | None:
    """Return (path, path below the folder) of what may be data; None for one plain file."""
    if path.is_file():
        return None
    if path.is_dir():
        return [
            (os.path.join(folder, name), os.path.relpath(os.path.join(folder, name), path))
            for folder, _, names in os.walk(path)
            for name in names
        ]
    matches = glob.glob(str(path), recursive=True) if glob.has_magic(str(path)) else []
    if not matches:
        raise FileNotFoundError(f"{path}: expected a file, a folder or a pattern, found none")
    return [(name, os.path.basename(name)) for name in matches if os.path.isfile(name)]


def _list_remote(path: str) -> list[tuple[str, str]] | None:
    system, root = fsspec.core.url_to_fs(path)
    if not glob.has_magic(root):
        if system.isfile(root):
            return None
        names = system.find(root)
    else:
        names = [name for name in system.glob(root) if system.isfile(name)]
        root = ""
    if not names:
        raise FileNotFoundError(f"{path}: expected a file, a folder or a pattern, found none")
    return [(system.unstrip_protocol(name), _below(root, name)) for name in names]


def _below(root: str, name: str) -> str:
    return name[len(root) :].lstrip("/") if root else name.rsplit("/", 1)[-1]


def _is_data(name: str, suffixes: Sequence[str]) -> bool:
    parts: Any = name.split("/")
    hidden = any(part.startswith(".") for part in parts)
    return not hidden and suffix_of(name) in suffixes and parts[-1] not in _NOT_DATA
