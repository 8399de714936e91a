"""Folders with some files for each document: written once, and brought back to a commit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any

from edspipe import atomic
from edspipe.data.output.ids import HashSet
from edspipe.data.output.journal import Journal
from edspipe.data.paths import RECEIPT
from edspipe.data.safe_names import MAP_FILE, decode_path, encode_id, needs_map
from edspipe.data.standoff.files import read_map
from edspipe.errors import DataError

WRITTEN = "written.jsonl"
"""The list of the files that were written, beside the folder."""
_OURS = (atomic.MANIFEST, RECEIPT, MAP_FILE)


class DocumentFolder:
    """Files by the ids of documents, of which a sink is made; `/` in an id is a subfolder.

    A list of all files that were written tells those of a commit from those that came after.
    """

    def __init__(self) -> None:
        self._folder = Path()
        self._written: Journal | None = None
        self._ids: dict[str, str] = {}
        self._parent = ""

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        """Begin, or go back to a commit.

        Args:
            folder: Where to write; the list of files is made beside it.
            old: A folder whose files are kept: by hard links, where the disk has them.
            state: What `commit` returned, or None.

        Raises:
            DataError: The old folder holds a link.
        """
        self._folder, self._ids, self._parent = folder, {}, ""
        if state is not None:
            self._go_back(state["bytes"])
            return
        self._written = Journal(folder.parent / WRITTEN)
        if old is not None:
            self._ids = read_map(old)
            for path, note_id in self._ids.items():
                self._log([path, note_id])
            for name in _keep_files(old, folder):
                self._log(name)

    def add(self, note_id: str, files: Mapping[str, bytes]) -> None:
        """Write the files of a document.

        Args:
            note_id: Its id.
            files: Their bytes, by suffix.

        Raises:
            DataError: There is such a file already.
        """
        stem = encode_id(note_id)
        parent = os.path.dirname(stem)
        if parent != self._parent:
            self._make_folders(parent)
        if needs_map(stem):
            self._ids[stem] = note_id
            self._log([stem, note_id])
        for suffix, data in files.items():
            path = self._folder / f"{stem}{suffix}"
            try:
                with atomic.FS.open(path) as handle:
                    handle.write(data)
            except FileExistsError:
                cure = "give each document an id of its own"
                text = f"there is such a document already: {cure}"
                raise DataError(text, file=path.name, id=note_id) from None
            self._log(f"{stem}{suffix}")

    def commit(self) -> dict[str, int]:
        """Return what `open` takes to come back to this moment."""
        assert self._written is not None
        self._written.flush()
        return {"bytes": self._written.size}

    def close(self) -> None:
        """Finish: the map of ids whose names are cut is written, if there are any."""
        assert self._written is not None
        self._written.close()
        if self._ids:
            # lone surrogates, which JSON escapes, may stand in ids: so ASCII only
            text = json.dumps({"ids": self._ids}, indent=1, sort_keys=True)
            with atomic.FS.open(self._folder / MAP_FILE) as handle:
                handle.write(f"{text}\n".encode("ascii"))

    def abort(self) -> None:
        """Close what is open."""
        if self._written is not None:
            self._written.abort()

    def ids(self, suffix: str) -> Iterator[str]:
        """Yield the ids of the documents that have a file with a suffix."""
        for folder, _, names in os.walk(self._folder):
            prefix = os.path.relpath(folder, self._folder) + "/"
            for name in names:
                if name.endswith(suffix) and not name.startswith("."):
                    path = f"{prefix}{name}".removeprefix("./")
                    yield decode_path(path.removesuffix(suffix), self._ids)

    def _log(self, said: Any) -> None:
        assert self._written is not None
        line = encode_basestring_ascii(said) if isinstance(said, str) else json.dumps(said)
        self._written.add(line.encode("ascii"))

    def _make_folders(self, parent: str) -> None:
        path = self._folder
        for part in parent.split("/") if parent else ():
            path = path / part
            with suppress(FileExistsError):
                atomic.FS.mkdir(path)
        self._parent = parent

    def _go_back(self, size: int) -> None:
        """Delete what is not in the first bytes of the list."""
        self._written = Journal(self._folder.parent / WRITTEN, size)
        known = HashSet()
        for lines in batched(self._written.lines()):
            said = [json.loads(line) for line in lines]
            self._ids.update(pair for pair in said if not isinstance(pair, str))
            known.add([hash(name) for name in said if isinstance(name, str)])
        _delete_others(self._folder, "", known)


def batched(lines: Iterator[bytes], size: int = 10_000) -> Iterator[list[bytes]]:
    """Yield lists of so many lines."""
    while batch := list(islice(lines, size)):
        yield batch


def _delete_others(folder: Path, prefix: str, known: HashSet) -> None:
    """Delete all files that are not known, and the folders that nothing known is in."""
    names = os.listdir(folder)
    files = [name for name in names if not (folder / name).is_dir()]
    numbers = {hash(f"{prefix}{name}"): name for name in files}
    for name in set(files) - {numbers[number] for number in known.find(numbers)}:
        atomic.FS.unlink(folder / name)
    for name in set(names) - set(files):
        _delete_others(folder / name, f"{prefix}{name}/", known)
        if not known.find([hash(f"{prefix}{name}/")]) and not os.listdir(folder / name):
            atomic.FS.rmdir(folder / name)


def _keep_files(old: Path, folder: Path, prefix: str = "") -> Iterator[str]:
    """Link files into a folder, or copy them; yield their names, those of folders with a `/`.

    Raises:
        DataError: There is a link.
    """
    for path in sorted(old.iterdir()):
        if path.is_symlink():
            cure = "put a copy in its place, or write to a new folder"
            raise DataError(f"a link, which cannot be appended to: {cure}", file=path)
        name = f"{prefix}{path.name}"
        if path.is_dir():
            atomic.FS.mkdir(folder / name)
            yield f"{name}/"
            yield from _keep_files(path, folder, f"{name}/")
        elif name not in _OURS:
            try:
                os.link(path, folder / name)
            except OSError:
                shutil.copy2(path, folder / name)
            yield name
