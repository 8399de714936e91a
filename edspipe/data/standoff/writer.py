"""Writing records into a folder of standoff files, all of them or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edspipe.data.output.document_folder import DocumentFolder
from edspipe.data.standoff.files import TXT
from edspipe.data.standoff.record import Record
from edspipe.data.standoff.render import render
from edspipe.errors import DataError

FILES, COUNTS = "files", "counts"


def render_files(record: Record) -> dict[str, Any]:
    """Return a document as the bytes of its files.

    Args:
        record: A standoff record.

    Returns:
        `note_id`; `files`, by suffix; `counts`, what became of the lines of the source.

    Raises:
        DataError: The record holds something that UTF-8 or brat cannot write, or its id is no text.
    """
    note_id = _checked_id(record.get("note_id"))
    texts, counts = render(record)
    files = {suffix: _encode(text, note_id, suffix) for suffix, text in texts.items()}
    # the text comes last: a reader takes a text without annotations for a document
    files[TXT] = _encode(record["text"], note_id, TXT)
    lines = {f"lines_{name}": number for name, number in vars(counts).items()}
    return {"note_id": note_id, FILES: files, COUNTS: lines}


def _checked_id(note_id: Any) -> str | None:
    if note_id is None or isinstance(note_id, str):
        return note_id
    if isinstance(note_id, int) and not isinstance(note_id, bool):
        return str(note_id)
    raise DataError(f"the id of a document is text, got {type(note_id).__name__}")


def _encode(text: str, note_id: str | None, suffix: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"character {error.start} of {len(text)} of the {suffix} is a lone surrogate, which "
            "UTF-8 cannot hold: the text was decoded wrongly",
            file=f"document {note_id}",
        ) from None


class StandoffSink:
    """Writes what `render_files` returns into a folder.

    Attributes:
        counts: Lines that were kept, changed, removed and added; and what else was counted.
    """

    is_folder = True

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._documents = DocumentFolder()

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        self.counts = Counter({} if state is None else state["counts"])
        self._documents.open(folder, old, None if state is None else state["documents"])

    def write(self, record: Any) -> None:
        """Write a document.

        Raises:
            DataError: There is such a document already.
        """
        self._documents.add(record["note_id"], record[FILES])
        self.counts.update(record[COUNTS])

    def commit(self) -> dict[str, Any]:
        return {"documents": self._documents.commit(), "counts": dict(self.counts)}

    def close(self) -> None:
        self._documents.close()

    def abort(self) -> None:
        self._documents.abort()

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of the documents that are kept."""
        return self._documents.ids(TXT)
