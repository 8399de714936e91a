"""Writing DocBins: one file, or a folder of parts with so many Docs each.

A DocBin is written whole, so Docs wait in memory until theirs is full, and in a journal beside the
output, from which a run that was broken off goes on.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.tokens import DocBin
from spacy.vocab import Vocab

from edspipe import atomic
from edspipe.data.docbin.format import (
    Packed,
    add_packed,
    dumps,
    load_docs,
    loads,
    name_packed,
    pack_doc,
)
from edspipe.data.output.file_sinks import DATA
from edspipe.data.output.journal import Journal
from edspipe.data.parquet.parts import link_files
from edspipe.data.paths import list_files

SUFFIX = ".spacy"
PACKED = "packed"


class DocBinSink:
    """Writes packed Docs: `{"note_id", "packed"}`.

    Args:
        target: A `.spacy` file, or a folder.
        docs_per_file: Docs a part, in a folder.
    """

    def __init__(self, target: str | Path, docs_per_file: int) -> None:
        self.is_folder = not str(target).endswith(SUFFIX)
        self.docs_per_file = docs_per_file if self.is_folder else None
        self._folder = Path()
        self._old_ids: list[str] = []
        self._part = 0
        self._committed_part = 0
        self._journal: Journal | None = None
        self._docs = DocBin(store_user_data=True)

    # ---- beginning -----------------------------------------------------------------------------

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        """Begin, or go on behind what was committed.

        Args:
            folder: Where to write; Docs that wait are kept beside it.
            old: What is taken over: the Docs of a file, or the parts of a folder.
            state: What `commit` returned, or None.

        Raises:
            DataError: The old file is no DocBin.
        """
        self._folder = folder
        if not self.is_folder and not (folder / DATA).exists():
            atomic.FS.open(folder / DATA).close()  # something to force to the disk at a commit
        if state is not None:
            self._go_back(state)
            return
        self._part = self._committed_part = self._take_over_parts(old)
        self._journal = Journal(self._path_of_journal())
        if old is not None and not self.is_folder:
            for doc in load_docs(old.read_bytes(), Vocab()):
                self._note_old(doc)
                self._add(pack_doc(doc))

    def _take_over_parts(self, old: Path | None) -> int:
        """Bring the parts of an old folder here; return the first number that is free."""
        if old is None or not self.is_folder:
            return 0
        link_files(old, self._folder)
        for name in _parts_of(self._folder):
            for doc in load_docs(Path(name).read_bytes(), Vocab()):
                self._note_old(doc)
        numbers = [Path(name).stem.rpartition("-")[2] for name in _parts_of(self._folder)]
        return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)

    def _note_old(self, doc: Any) -> None:
        if doc._.note_id is not None:
            self._old_ids.append(str(doc._.note_id))

    def _go_back(self, state: dict[str, Any]) -> None:
        """Go to a commit: parts that were finished after it are written again."""
        self._part = self._committed_part = state["part"]
        newer = [self._path_of_part(self._part)] if self.is_folder else []
        number = self._part + 1
        while (journal := self._path_of_journal(number)).exists():
            newer += [journal, self._path_of_part(number)]
            number += 1
        for path in newer:
            if path.exists():
                atomic.FS.unlink(path)
        self._journal = Journal(self._path_of_journal(), state["size_bytes"])
        for line in self._journal.lines():
            add_packed(self._docs, loads(base64.b64decode(line)))

    # ---- writing -------------------------------------------------------------------------------

    def write(self, record: Any) -> None:
        """Add a packed Doc."""
        packed = record[PACKED]
        self._add(packed if record["has_id"] else name_packed(packed, str(record["note_id"])))
        if len(self._docs) == self.docs_per_file:
            self._finish_part()
            self._part += 1
            self._journal = Journal(self._path_of_journal())

    def _add(self, packed: Packed) -> None:
        assert self._journal is not None, "open comes before write"
        self._journal.add(base64.b64encode(dumps(packed)))
        add_packed(self._docs, packed)

    def _finish_part(self) -> None:
        assert self._journal is not None
        self._journal.sync()  # a run that goes on may need it: the part is not committed yet
        self._journal.close()
        path = self._path_of_part(self._part) if self.is_folder else self._folder / DATA
        if path.exists():
            atomic.FS.unlink(path)
        with atomic.FS.open(path) as handle:
            handle.write(self._docs.to_bytes())
        self._docs = DocBin(store_user_data=True)

    def commit(self) -> dict[str, int]:
        """Return the part that is being written, and how many bytes of it are in the journal."""
        assert self._journal is not None
        self._journal.sync()
        for number in range(self._committed_part):
            path = self._path_of_journal(number)
            if path.exists():
                atomic.FS.unlink(path)
        self._committed_part = self._part
        return {"part": self._part, "size_bytes": self._journal.size}

    def close(self) -> None:
        """Write the last part."""
        if len(self._docs) or self._part == 0:
            self._finish_part()
        elif self._journal is not None:
            self._journal.close()

    def abort(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.abort()

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of what was taken over."""
        return iter(self._old_ids)

    def _path_of_part(self, number: int) -> Path:
        return self._folder / f"part-{number:05d}{SUFFIX}"

    def _path_of_journal(self, number: int | None = None) -> Path:
        number = self._part if number is None else number
        return self._folder.parent / f"docbin-{number:05d}.waiting"


def _parts_of(folder: Path) -> list[str]:
    try:
        return list_files(folder, (SUFFIX,))
    except FileNotFoundError:
        return []
