"""The lines of CoNLL files, and the records that stand for documents.

A record is plain data: `{"note_id", "columns", "sentences": [{"comments", "rows"}]}`, where a row
is the list of its fields. Rows of CoNLL-U that are no words (ranges such as `3-4`, empty nodes
such as `3.1`) are rows too. What separates documents is not in it: `note_id` stands for that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from edspipe.data.raw import BOM
from edspipe.errors import DataError
from edspipe.stream.hooks import Identity, register_describer, register_identity

CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
"""Columns of CoNLL-U."""
NER = "ner"
TEXT_NAMES = ("text", "form", "word", "token")
SHOWN_COLUMNS = 16
DOCSTART = "-DOCSTART-"

_NEWDOC = re.compile(r"#\s*newdoc\b(?:\s+id\s*=\s*(.*))?")
_SENT_ID = re.compile(r"#\s*sent_id\s*=\s*(\S.*)")
_COLUMNS = re.compile(r"#\s*global\.columns\s*=\s*(.*)")
_KNOWN_COMMENT = re.compile(r"#\s*(?:newdoc\b|newpar\b|\w[\w.]*\s*=)")
_MAY_BE_COMMENT = re.compile(r"#(?: |$)|#\w[\w.]*\s*=")
_BLANKS = re.compile("[ \t]+")
_BAD_IN_FIELD = {"\t": re.compile(r"[\t\n\r]"), " ": re.compile(r"[ \t\n\r]")}

Record = dict[str, Any]


class RawConll(NamedTuple):
    """The lines of one document that are not parsed yet.

    Attributes:
        file: The file.
        line: Line where it begins, counted from 1.
        note_id: The id, where the lines have none.
        columns: The columns that the head of the file names, if it does.
        data: The lines.
        is_sentence: Whether it is one sentence: its id is that of the sentence then.
    """

    file: str
    line: int
    note_id: str
    columns: tuple[str, ...] | None
    data: bytes
    is_sentence: bool = False


def _identity(raw: RawConll) -> Identity:
    return Identity(None, f"{raw.file}:{raw.line}", hashlib.sha256(raw.data).hexdigest())


register_describer(RawConll, lambda raw: f"{raw.file}:{raw.line}")
register_identity(RawConll, _identity)


def name_key(column: str) -> str:
    """Return what a column is known by: `ner` of `FRAME:NER`."""
    return column.rpartition(":")[2].lower()


def show(columns: Sequence[str]) -> str:
    """Return the names of columns for a message."""
    more = ", ..." if len(columns) > SHOWN_COLUMNS else ""
    return ", ".join(columns[:SHOWN_COLUMNS]) + more


def count_columns(raw: RawConll) -> int | None:
    """Return how many columns the first row has; None without one.

    A line that begins with `#` is taken for a row only where no other line is one.
    """
    unsure = None
    for data in raw.data.split(b"\n"):
        line = data.decode("utf-8", "replace").rstrip("\r")
        if not line.strip(" \t") or line.startswith(DOCSTART):
            continue
        if not line.startswith("#"):
            return len(_fields(line))
        if unsure is None and _KNOWN_COMMENT.match(line) is None:
            unsure = len(_fields(line))
    return unsure


def _fields(line: str) -> list[str]:
    return line.split("\t") if "\t" in line.strip() else _BLANKS.split(line.strip(" \t"))


def has_ids(columns: Sequence[str]) -> bool:
    """Whether rows begin with a number, as in CoNLL-U: then `#` begins a comment, not a word."""
    return name_key(columns[0]) == "id"


def text_index(columns: Sequence[str]) -> int:
    """Return the number of the column with the words.

    Raises:
        DataError: No column has one of the names for it.
    """
    for i, column in enumerate(columns):
        if name_key(column) in TEXT_NAMES:
            return i
    raise DataError(
        f"no column holds the words: expected one named {', '.join(TEXT_NAMES)} among "
        f"{show(columns)}; pass columns=[...]"
    )


# ---- lines to documents ------------------------------------------------------------------------


def split_documents(handle: BinaryIO, file: str, stem: str, by: str) -> Iterator[RawConll]:
    """Yield the documents (or sentences) of a file as raw lines, one at a time.

    A document begins at `-DOCSTART-` and at `# newdoc`; a file without these is one document.

    Args:
        handle: The file.
        file: Its path, for errors.
        stem: What ids begin with, where the file has none.
        by: `"document"` or `"sentence"`.
    """
    columns: tuple[str, ...] | None = None
    sentences = by == "sentence"
    number, marked, start = 0, False, 1
    parts: list[bytes] = []
    for line, block in _blocks(handle):
        if line == 1:
            columns = named_columns(block)
        marks = _marks_document(block)
        if marks or sentences:
            if _is_worth(parts, marked):
                number += 1
                ident = f"{stem}-{number}"
                yield RawConll(file, start, ident, columns, b"".join(parts), sentences)
            start, parts = line, []
            marked = marks and not sentences
        parts.extend(block)
    if _is_worth(parts, marked):
        ident = f"{stem}-{number + 1}" if number or marked or sentences else stem
        yield RawConll(file, start, ident, columns, b"".join(parts), sentences)


def _blocks(handle: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    """Yield sentences as lists of lines, blank lines behind them included, and where they begin."""
    start, ended = 1, False
    block: list[bytes] = []
    for number, line in enumerate(handle, start=1):
        line = line.removeprefix(BOM) if number == 1 else line
        blank = not line.strip(b" \t\r\n")
        begins = line.startswith(DOCSTART.encode())
        if block and ((ended and not blank) or begins):
            yield start, block
            start, block = number, []
        block.append(line)
        ended = blank or begins
    if block:
        yield start, block


def _marks_document(block: list[bytes]) -> bool:
    if any(line.startswith(DOCSTART.encode()) for line in block):
        return True
    comments = (line for line in block if line.startswith(b"#"))
    return any(_NEWDOC.match(line.decode("utf-8", "replace")) for line in comments)


def _is_worth(parts: list[bytes], marked: bool) -> bool:
    """Whether lines are a document: one that is marked may be empty."""
    if marked:
        return True
    return any(line.strip(b" \t\r\n") and not _is_head(line) for line in parts)


def _is_head(line: bytes) -> bool:
    if line.startswith(DOCSTART.encode()):
        return True
    return line.startswith(b"#") and _COLUMNS.match(line.decode("utf-8", "replace")) is not None


def named_columns(block: Sequence[bytes]) -> tuple[str, ...] | None:
    """Return the columns that a line `# global.columns =` names, None where there is none."""
    found = (_COLUMNS.match(line.decode("utf-8", "replace")) for line in block)
    named = next((match for match in found if match is not None), None)
    return tuple(named[1].split()) or None if named is not None else None


# ---- a document as a record --------------------------------------------------------------------


def parse_document(raw: RawConll, columns: Sequence[str]) -> Record:
    """Turn the lines of a document into a record.

    Raises:
        DataError: With file and line: a row with another number of columns, without a text or with
            an id that is none; bytes that are not UTF-8.
    """
    reader = _Reader(raw, columns)
    for line, data in enumerate(raw.data.split(b"\n"), start=raw.line):
        reader.add(line, data)
    reader.end_sentence()
    return {"note_id": reader.note_id, "columns": list(columns), "sentences": reader.sentences}


class _Reader:
    """Reads the lines of one document."""

    def __init__(self, raw: RawConll, columns: Sequence[str]) -> None:
        self.file = raw.file
        self.note_id = raw.note_id
        self.is_sentence = raw.is_sentence
        self.columns = columns
        self.text = text_index(columns)
        self.has_ids = has_ids(columns)
        self.sentences: list[dict[str, Any]] = []
        self.comments: list[str] = []
        self.rows: list[list[str]] = []

    def add(self, number: int, data: bytes) -> None:
        """Read one line, without its end."""
        try:
            line = data.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError as error:
            raise DataError(f"not UTF-8 at byte {error.start}", self.file, number) from None
        if not line.strip(" \t"):
            self.end_sentence()
        elif line.startswith(DOCSTART):
            self._name_document(_id_of_mark(line))
        else:
            fields = _fields(line)
            if self._is_comment(line, fields):
                self._add_comment(line)
            else:
                self._add_row(number, fields)

    def end_sentence(self) -> None:
        """Close the sentence, if one is open."""
        if self.rows or self.comments:
            self.sentences.append({"comments": self.comments, "rows": self.rows})
            self.comments, self.rows = [], []

    def _is_comment(self, line: str, fields: list[str]) -> bool:
        if not line.startswith("#"):
            return False
        if self.has_ids:
            return True
        if len(fields) == len(self.columns):
            return _KNOWN_COMMENT.match(line) is not None
        return _MAY_BE_COMMENT.match(line) is not None

    def _add_comment(self, line: str) -> None:
        sentence = _SENT_ID.match(line)
        if self.is_sentence and sentence is not None:
            self.note_id = sentence[1].strip()
        if _NEWDOC.match(line):
            self._name_document(_id_of_mark(line))
        elif not _COLUMNS.match(line):
            self.comments.append(line)

    def _name_document(self, ident: str) -> None:
        if ident and not self.is_sentence:
            self.note_id = ident

    def _add_row(self, number: int, fields: list[str]) -> None:
        if len(fields) != len(self.columns):
            raise DataError(
                f"expected {len(self.columns)} columns ({show(self.columns)}), got {len(fields)}",
                self.file,
                number,
            )
        if not fields[self.text].strip():
            name = self.columns[self.text]
            raise DataError(f"the column '{name}' is empty", self.file, number)
        if self.has_ids and not ROW_ID.fullmatch(fields[0]):
            message = "expected an id such as 3, 3-4 or 3.1 in the first column"
            raise DataError(message, self.file, number)
        self.rows.append(fields)


def _id_of_mark(line: str) -> str:
    """Return the id in a line that begins a document, empty where there is none."""
    if line.startswith(DOCSTART):
        found = re.search(r"\((.+)\)\s*$", line)
    else:
        found = _NEWDOC.match(line)
    return (found[1] or "").strip() if found is not None else ""


def marked_id(raw: RawConll) -> str:
    """Return the id of a document that is not parsed."""
    for line in raw.data.decode("utf-8", "replace").split("\n"):
        if line.startswith(DOCSTART) or _NEWDOC.match(line):
            return _id_of_mark(line) or raw.note_id
    return raw.note_id


ROW_ID = re.compile(r"[0-9]+(?:[-.][0-9]+)?")


def is_word(row: Sequence[str], with_ids: bool) -> bool:
    """Whether a row is a word, not a range of words or an empty node."""
    return not with_ids or row[0].isdigit()


# ---- a record as lines -------------------------------------------------------------------------


def format_head(columns: Sequence[str]) -> str:
    """Return the first line of a file; empty where its columns need none."""
    if not has_ids(columns) or tuple(columns) == CONLLU:
        return ""
    return f"# global.columns = {' '.join(columns)}\n"


def format_mark(columns: Sequence[str], note_id: str) -> str:
    """Return the lines that begin a document.

    Raises:
        DataError: The id holds a line end.
    """
    if "\n" in note_id or "\r" in note_id:
        raise DataError("an id with a line end cannot be written to a CoNLL file", id=repr(note_id))
    return f"# newdoc id = {note_id}\n" if has_ids(columns) else f"{DOCSTART} ({note_id})\n\n"


def format_sentences(record: Record, separator: str) -> str:
    """Return the sentences of a record as lines, a blank line behind each.

    Raises:
        DataError: A field holds what separates columns or lines.
    """
    bad = _BAD_IN_FIELD[separator]
    lines: list[str] = []
    for number, sentence in enumerate(record["sentences"], start=1):
        lines.extend(sentence["comments"])
        for i, row in enumerate(sentence["rows"], start=1):
            if any(map(bad.search, row)):
                ident = record.get("note_id")
                raise DataError(
                    f"sentence {number}, row {i}: a field holds a blank, a tab or a line end, "
                    f"which cannot be written with separator={separator!r}",
                    id=None if ident is None else str(ident),
                )
            lines.append(separator.join(row))
        lines.append("")
    if not record["sentences"] and has_ids(record["columns"]):
        lines.append("")
    return "".join(f"{line}\n" for line in lines)
