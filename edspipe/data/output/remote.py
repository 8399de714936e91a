"""Targets behind an address, e.g. `s3://bucket/notes`: written here first, then uploaded."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from edspipe.atomic import MANIFEST
from edspipe.data.paths import RECEIPT

LAST = (RECEIPT, MANIFEST)
"""What vouches for the data comes after it."""


@contextmanager
def staged_for_upload(
    address: str, is_folder: bool, overwrite: bool | str, resume: bool
) -> Iterator[Path]:
    """Yield a local target; what is there at the end is uploaded.

    Files are put one after the other. A run that is killed meanwhile leaves files without a
    receipt and a manifest, which come last.

    Args:
        address: An address that fsspec knows.
        is_folder: Whether it is a folder of files, or one file.
        overwrite: False refuses an address where something is, True replaces it, `"append"` adds:
            what is there is downloaded first.
        resume: Must be False.

    Raises:
        FileExistsError: Something is there, and `overwrite` is False.
        ValueError: `resume` is True.
    """
    if resume:
        raise ValueError(
            f"{address}: a run whose output is uploaded at its end cannot be resumed. Write to a "
            "local path with resume=True, and copy it"
        )
    system, root = fsspec.core.url_to_fs(address)
    root = root.rstrip("/")
    found = sorted(system.find(root)) if is_folder else [root] if system.exists(root) else []
    if found and overwrite is False:
        raise FileExistsError(
            f"{address} exists; pass overwrite=True to replace it, or overwrite='append' to add"
        )
    with tempfile.TemporaryDirectory(prefix="edspipe-") as folder:
        local = Path(folder) / posixpath.basename(root)
        if found and overwrite == "append":
            _download(system, root, local, is_folder)
        yield local
        _upload(system, root, local, found)


def _download(system: Any, root: str, local: Path, is_folder: bool) -> None:
    if not is_folder:
        system.get_file(root, str(local))
        if system.exists(f"{root}.receipt"):
            system.get_file(f"{root}.receipt", str(local.with_name(f"{local.name}.receipt")))
        return
    for name in system.find(root):
        path = local / name[len(root) :].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(name, str(path))


def _upload(system: Any, root: str, local: Path, found: list[str]) -> None:
    """Put the files, then remove those of the version before."""
    if local.is_dir():
        files = [path for path in sorted(local.rglob("*")) if path.is_file()]
        pairs = [(path, f"{root}/{path.relative_to(local).as_posix()}") for path in files]
    else:
        receipt = local.with_name(f"{local.name}.receipt")
        pairs = [(local, root)]
        if receipt.exists():
            pairs.append((receipt, f"{root}.receipt"))
    vouching = [f"{root}.receipt", *(f"{root}/{name}" for name in LAST)]
    for name in vouching:
        if system.exists(name):
            system.rm_file(name)
    for path, name in sorted(pairs, key=lambda pair: pair[1] in vouching):
        system.makedirs(posixpath.dirname(name), exist_ok=True)
        system.put_file(str(path), name)
    written = {name for _, name in pairs} | set(vouching)
    for name in found:
        if name not in written:
            system.rm_file(name)
