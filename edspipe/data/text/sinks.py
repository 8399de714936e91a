"""Writing plain text: a file a document in a folder, or a line a document in one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edspipe.data.converters.base import text_of
from edspipe.data.output.document_folder import DocumentFolder
from edspipe.data.output.file_sinks import ENCODED, FileSink, require_record
from edspipe.errors import DataError

TXT = ".txt"


class EncodeText:
    """Turns a record into the bytes of its text.

    Args:
        id_key: The key of the id, for errors.
        in_lines: Whether the text must fit one line.
    """

    def __init__(self, id_key: str, in_lines: bool) -> None:
        self.id_key = id_key
        self.in_lines = in_lines

    def __call__(self, record: Any) -> bytes:
        text = text_of(require_record(record, "write_text", "'text'"), "note_text", "text")
        problem = _problem_of_line(text) if self.in_lines else None
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            data = b""
            problem = f"character {error.start} is a lone surrogate, which UTF-8 cannot hold"
        if problem is not None:
            ident = record.get(self.id_key)
            raise DataError(problem, id=None if ident is None else str(ident))
        return data


def _problem_of_line(text: str) -> str | None:
    """Say why a text would not come back as it was from a file of lines."""
    cure = f"a {TXT} file holds a document a line: write to a folder instead"
    at = text.find("\n")
    if at < 0 and text.endswith("\r"):
        at = len(text) - 1
    if at >= 0:
        return f"the text has a line end at character {at} of {len(text)}, and {cure}"
    if not text.encode("utf-8", "surrogatepass").strip():
        return f"the text has nothing but blanks, and {cure}"
    return None


class TextLinesSink(FileSink):
    """Writes a document a line, without ids; lines of an old file come first.

    Args:
        target: A `.txt` file; it may be packed.
        id_key: The key of the id, for errors.
    """

    def __init__(self, target: str | Path, id_key: str = "note_id") -> None:
        super().__init__(target, EncodeText(id_key, in_lines=True))


class TextFolderSink:
    """Writes a `.txt` a document; `/` in an id is a subfolder.

    Args:
        id_key: The key of the id.
    """

    is_folder = True

    def __init__(self, id_key: str = "note_id") -> None:
        self.id_key = id_key
        self.encode = EncodeText(id_key, in_lines=False)
        self._documents = DocumentFolder()
        self._adds = False

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        """Begin, or go on behind what was committed.

        Args:
            folder: Where to write.
            old: A folder whose files are kept.
            state: What `commit` returned.

        Raises:
            DataError: The old folder holds a link.
        """
        self._adds = old is not None
        self._documents.open(folder, old, state)

    def write(self, record: Any) -> None:
        """Write a document.

        Raises:
            DataError: There is such a document already.
        """
        data = record.get(ENCODED) if isinstance(record, dict) else None
        data = self.encode(record) if data is None else data
        self._documents.add(str(record[self.id_key]), {TXT: data})

    def commit(self) -> dict[str, Any]:
        """Return how far the folder has come."""
        return self._documents.commit()

    def close(self) -> None:
        """Finish the folder."""
        self._documents.close()

    def abort(self) -> None:
        """Let go of the folder."""
        self._documents.abort()

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of the old folder."""
        return self._documents.ids(TXT) if self._adds else iter(())
