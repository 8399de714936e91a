"""Writing records into a folder of standoff files, all of them or none."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from edspipe.atomic import MANIFEST, write_folder
from edspipe.data.safe_names import MAP_FILE, encode_id, needs_map
from edspipe.data.standoff.files import TXT, read_map
from edspipe.data.standoff.record import Record
from edspipe.data.standoff.render import RenderCounts, render
from edspipe.data.standoff.report import WriteReport
from edspipe.errors import DataError


def write_record(folder: str | Path, record: Record) -> RenderCounts:
    """Write one document into a folder, without any staging; it must not be there yet.

    Args:
        folder: The folder; `/` in the document's id is a subfolder.
        record: A standoff record with an id.

    Raises:
        DataError: The document is there already, would leave the folder through a link, or holds
            something that UTF-8 or brat cannot write.
    """
    note_id = record["note_id"]
    files, counts = render(record)
    contents = {suffix: _encode(text, note_id, suffix) for suffix, text in files.items()}
    # the text comes last: a killed writer leaves an error for readers, not a text without marks
    contents[TXT] = _encode(record["text"], note_id, TXT)
    stem = encode_id(note_id)
    _make_parents(Path(folder), stem, note_id)
    paths = {suffix: os.path.join(folder, stem + suffix) for suffix in contents}
    for path in paths.values():
        if os.path.lexists(path):
            cure = "give each document an id of its own"
            raise DataError(f"there is such a document already: {cure}", file=path, id=note_id)
    for suffix, data in contents.items():
        with open(paths[suffix], "xb") as handle:
            handle.write(data)
    return counts


def _encode(text: str, note_id: str, suffix: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"character {error.start} of {len(text)} of the {suffix} is a lone surrogate, which "
            "UTF-8 cannot hold: the text was decoded wrongly",
            file=f"document {note_id}",
        ) from None


def _make_parents(folder: Path, stem: str, note_id: str) -> None:
    path = folder
    for part in stem.split("/")[:-1]:
        path = path / part
        if path.is_symlink():
            raise DataError("a link: nothing is written through it", file=path, id=note_id)
        path.mkdir(exist_ok=True)


class StandoffWriter:
    """Writes a folder of standoff files that appears whole at the end, or not at all.

        with StandoffWriter(folder) as writer:
            for record in records:
                writer.write(record)

    Args:
        folder: The folder.
        overwrite: False refuses a folder that is not empty; True replaces the whole folder, stale
            files included; `"append"` keeps what is there (by hard links, where the disk has them)
            and refuses ids that are there.

    Attributes:
        report: Counts of documents and lines.
    """

    def __init__(self, folder: str | Path, *, overwrite: bool | str = False) -> None:
        if overwrite not in (True, False, "append"):
            raise ValueError(f"overwrite is True, False or 'append', got {overwrite!r}")
        self.folder = Path(folder)
        self.overwrite = overwrite
        self.report = WriteReport()
        self.ids: dict[str, str] = {}
        self.taken: set[str] = set()
        self.staging: Path | None = None
        self._stack = ExitStack()

    def __enter__(self) -> StandoffWriter:
        overwrite = self.overwrite is not False
        with ExitStack() as stack:
            staging = stack.enter_context(write_folder(self.folder, overwrite=overwrite))
            if self.overwrite == "append" and self.folder.is_dir():
                self.ids = read_map(self.folder)
                _keep_files(self.folder, staging)
            self._stack = stack.pop_all()
        self.staging = staging
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        staging, self.staging = self.staging, None
        if kind is None and staging is not None and self.ids:
            with self._stack:
                _write_map(staging, self.ids)
        else:
            self._stack.__exit__(kind, error, trace)

    def write(self, record: Record) -> str:
        """Write a document; it is seen once the writer is left without an error.

        Returns:
            Its id: a document without one gets `doc-000001` and so on, by its place in the order.

        Raises:
            DataError: Its id was written before, or something cannot be written.
        """
        if self.staging is None:
            raise ValueError("a StandoffWriter writes inside its 'with' block only")
        note_id = self._id_of(record)
        if note_id in self.taken:
            raise DataError(
                "two documents have this id: give each document an id of its own", id=note_id
            )
        counts = write_record(self.staging, {**record, "note_id": note_id})
        self.taken.add(note_id)
        path = encode_id(note_id)
        if needs_map(path):
            self.ids[path] = note_id
        self._count(counts)
        return note_id

    def _id_of(self, record: dict[str, Any]) -> str:
        note_id = record.get("note_id")
        if isinstance(note_id, str):
            return note_id
        if isinstance(note_id, int) and not isinstance(note_id, bool):
            return str(note_id)
        if note_id is not None:
            raise DataError(f"the id of a document is text, got {type(note_id).__name__}")
        assert self.staging is not None
        number = self.report.documents + 1
        while (self.staging / f"doc-{number:06d}{TXT}").exists():
            number += 1
        self.report.generated_ids += 1
        return f"doc-{number:06d}"

    def _count(self, counts: RenderCounts) -> None:
        self.report.documents += 1
        self.report.lines_kept += counts.kept
        self.report.lines_changed += counts.changed
        self.report.lines_removed += counts.removed
        self.report.lines_added += counts.added


def _write_map(staging: Path, ids: dict[str, str]) -> None:
    # lone surrogates, which JSON escapes, may stand in ids: so ASCII only
    text = json.dumps({"ids": ids}, indent=1, sort_keys=True)
    path = staging / MAP_FILE
    path.unlink(missing_ok=True)  # it may be a hard link to the version before
    path.write_text(text + "\n", encoding="ascii")


def _keep_files(folder: Path, staging: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            cure = "put a copy in its place, or write to a new folder"
            raise DataError(f"a link, which cannot be appended to: {cure}", file=path)
        if path.is_dir():
            (staging / path.name).mkdir()
            _keep_files(path, staging / path.name)
        elif path != folder / MANIFEST:
            try:
                os.link(path, staging / path.name)
            except OSError:
                shutil.copy2(path, staging / path.name)
