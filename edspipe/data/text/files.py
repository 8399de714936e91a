"""Reading plain text: a file is a fragment of a source, its documents are decoded by an op."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import fsspec

from edspipe.data.paths import is_remote, suffix_of
from edspipe.data.raw import convert, open_file
from edspipe.errors import DataError
from edspipe.stream.hooks import Identity, register_describer, register_identity, register_plain


class RawText(NamedTuple):
    """A document that is not decoded yet.

    Attributes:
        id: Its id.
        file: Where it stands.
        line: The line where it begins, from 1.
        data: Its bytes; None for a whole file, which is not read yet.
    """

    id: str
    file: str
    line: int | None = None
    data: bytes | None = None


def _identify(raw: RawText) -> Identity:
    source = raw.file if raw.line is None else f"{raw.file}:{raw.line}"
    # a whole file is read by the op that makes a Doc of it
    sha256 = None if raw.data is None else hashlib.sha256(raw.data).hexdigest()
    return Identity(raw.id, source, sha256)


def _to_plain(raw: RawText) -> dict[str, str | None]:
    text = None if raw.data is None else raw.data.decode("utf-8", "replace")
    return {"note_id": raw.id, "file": raw.file, "note_text": text}


register_identity(RawText, _identify)
register_describer(RawText, lambda raw: raw.id)
register_plain(RawText, _to_plain)


@dataclass
class TextFile:
    """A file of text.

    Attributes:
        name: Its path or address.
        by: What a document is: `"file"`, `"line"` or `"paragraph"`.
        stem: The id of the file.
    """

    name: str
    by: str
    stem: str

    def read(self, start: int = 0) -> Iterator[RawText]:
        """Yield its documents, not decoded."""
        if self.by == "file":
            yield from [RawText(self.stem, self.name)][start:]
            return
        with open_file(self.name) as handle:
            pieces = self._lines(handle) if self.by == "line" else self._paragraphs(handle)
            yield from islice(pieces, start, None)

    def num_items(self) -> int | None:
        """Return 1 for a whole file, else None: it takes reading the file."""
        return 1 if self.by == "file" else None

    def _lines(self, handle: Any) -> Iterator[RawText]:
        for number, line in enumerate(handle, start=1):
            if line.strip():
                yield self._piece(number, number, line)

    def _paragraphs(self, handle: Any) -> Iterator[RawText]:
        lines: list[bytes] = []
        number = begin = 0
        for line_number, line in enumerate(handle, start=1):
            if line.strip():
                begin = begin if lines else line_number
                lines.append(line)
            elif lines:
                number += 1
                yield self._piece(number, begin, b"".join(lines))
                lines = []
        if lines:
            yield self._piece(number + 1, begin, b"".join(lines))

    def _piece(self, number: int, line: int, data: bytes) -> RawText:
        data = data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data
        return RawText(f"{self.stem}#{number}", self.name, line, data)


class ParseText:
    """Turns a raw document into a record, or into a Doc.

    Args:
        to_doc: The function of a converter; None leaves records as they are.
    """

    def __init__(self, to_doc: Any) -> None:
        self.to_doc = to_doc

    def __call__(self, raw: RawText) -> Any:
        """Return the record or Doc.

        Raises:
            DataError: It is not UTF-8; names file and line.
        """
        data = raw.data
        if data is None:
            with open_file(raw.file) as handle:
                data = handle.read()
        record = {"note_id": raw.id, "note_text": _decode(data, raw)}
        return convert(self.to_doc, record, raw.file, raw.line)


def _decode(data: bytes, raw: RawText) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start
    line = (raw.line or 1) + data.count(b"\n", 0, offset)
    column = offset - data.rfind(b"\n", 0, offset)
    message = f"not UTF-8 at byte {column} of the line: convert the file to UTF-8"
    raise DataError(message, raw.file, line)


def stems_of(files: list[str], path: str | Path) -> list[str]:
    """Return paths below the folder that was asked for, `/` between names, without suffixes.

    Args:
        files: What was found.
        path: What was asked for: a file, a folder, a pattern, or an address of these.
    """
    if is_remote(path):
        system, asked = fsspec.core.url_to_fs(str(path))
        is_folder = not glob.has_magic(asked) and not system.isfile(asked)
        names = [system._strip_protocol(file) for file in files]
    else:
        asked, is_folder, names = str(path), os.path.isdir(path), files
    root = asked if is_folder else _before_pattern(asked)
    return [_without_suffix(os.path.relpath(name, root or ".")) for name in names]


def _before_pattern(path: str) -> str:
    """Return the folder of a file, or the folders before the first part with a wildcard."""
    *parts, _ = path.split("/")
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return "/".join(parts[:fixed])


def _without_suffix(name: str) -> str:
    suffix = suffix_of(name)
    return name[: name.rindex(suffix)] if suffix else name
