"""read_conll and write_conll: words and their columns, in CoNLL, CoNLL-U and CoNLL-U Plus files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.data.conll.columns import Columns, check_columns, name_columns
from edspipe.data.conll.format import (
    BOM,
    CONLLU,
    NER,
    RawConll,
    count_columns,
    format_head,
    format_mark,
    format_sentences,
    marked_id,
    named_columns,
    parse_document,
    show,
    split_documents,
)
from edspipe.data.converters.base import reading_function, writing_function
from edspipe.data.converters.conll import ConllConverter
from edspipe.data.output.file_sinks import FileSink
from edspipe.data.output.writing import write_records
from edspipe.data.paths import is_remote, list_files, suffix_of
from edspipe.data.raw import open_file
from edspipe.data.sources import check_on_error, shape_source
from edspipe.errors import DataError
from edspipe.stream.account import RunReport
from edspipe.stream.markers import Item
from edspipe.stream.ops.map import Map
from edspipe.stream.ops.op import Run
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream

SUFFIXES = (".conll", ".conllu", ".conllup", ".iob", ".iob2", ".bio")
_COLUMNS_BY_SUFFIX = {".conllu": CONLLU, ".conllup": (*CONLLU, "NER")}


@registry.readers.register("conll")
def read_conll(
    path: str | Path,
    *,
    columns: Columns | None = None,
    by: str = "document",
    suffixes: Sequence[str] = SUFFIXES,
    converter: Any = "conll",
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Stream:
    """Read files of one word a line, a document at a time; the words are those of the Docs.

    Columns stand apart by tabs, or by blanks. A document begins at a line `-DOCSTART-` or at a
    comment `# newdoc`, which may give its id: `-DOCSTART- (id)`, `# newdoc id = id`. A file without
    these is one document. Invalid sequences of tags are counted (`invalid_tags`), and so are
    sentences whose comment `# text =` does not fit the words (`text_differs`).

    Args:
        path: A file, a folder of such files, a pattern, or an address of these.
        columns: Names of the columns, in order, e.g. `["text", "tag_", "ner"]`, or a map from names
            to numbers of columns (from 0; -1 is the last), e.g. `{"text": 0, "_.level": 2}`. One is
            `text` (or `form`). The names of attributes of tokens set these: `tag_`, `pos_`,
            `lemma_`, `morph`, and `_.<name>`; others are those of the converter. None takes those
            of a first line `# global.columns = ...`, or those of CoNLL-U for `.conllu`.
        by: `"document"`, or `"sentence"` for a Doc a sentence.
        suffixes: What is read in a folder.
        converter: `"conll"`; a function of records; or None for the records.
        loop: Read again and again.
        shuffle: `"dataset"`, a buffer as `"100 docs"`, or `"fragment"`.
        seed: Seed of the shuffle.
        on_error: `"raise"`, or `"skip"` to leave out and count bad documents.
        **kwargs: Arguments of the converter: `tag_column`, `scheme`, `span_setter`, ...

    Raises:
        DataError: On reading, with file and line, for a row with another number of columns.
        FileNotFoundError: There is no such file or folder.
        ValueError: `by` is none of its values, or a map of columns is empty.
    """
    if by not in ("document", "sentence"):
        raise ValueError(f"by is 'document' or 'sentence', got {by!r}")
    check_on_error(on_error)
    check_columns(columns)
    files = [ConllFile(file, _stem(file, path), by) for file in list_files(path, tuple(suffixes))]
    stream = Stream(FragmentSource(files))
    stream = shape_source(stream, loop=loop, shuffle=shuffle, seed=seed)
    op = _Read(_converting(converter, kwargs, "read"), columns, on_error)
    return stream.with_op(op)


def _stem(file: str, path: str | Path) -> str:
    """Return the path of a file below the folder, without its suffixes: what its ids begin with."""
    below = not is_remote(path) and Path(path).is_dir()
    name = os.path.relpath(file, path) if below else file.rsplit("/", 1)[-1]
    suffix = suffix_of(name)
    return name[: name.rindex(suffix)] if suffix else name


def _converting(converter: Any, kwargs: dict[str, Any], method: str) -> Any:
    """Return what converts and counts, where the converter is ours, else the plain function."""
    if converter == "conll":
        return getattr(ConllConverter(**kwargs), method)
    wanted = reading_function if method == "read" else writing_function
    function = wanted(converter, kwargs)
    return _Uncounted(function)


class _Uncounted:
    """A function that counts nothing; a class, so that it pickles."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, value: Any) -> tuple[Any, dict[str, int]]:
        return (value if self.function is None else self.function(value)), {}


@dataclass
class ConllFile:
    """A file of documents.

    Attributes:
        name: Its path or address.
        stem: What ids begin with, where the file has none.
        by: `"document"` or `"sentence"`.
    """

    name: str
    stem: str
    by: str

    def read(self, start: int = 0) -> Iterator[RawConll]:
        """Yield the lines of each document, from a number on."""
        with open_file(self.name) as handle:
            yield from islice(split_documents(handle, self.name, self.stem, self.by), start, None)

    def num_items(self) -> int | None:
        """Return None: it takes reading the file."""
        return None


class _Read(Map):
    """Parses one document; what is odd about it is counted in the run."""

    def __init__(self, convert: Any, columns: Columns | None, on_error: str | None) -> None:
        super().__init__(convert, on_error=on_error)
        self.stage = "read_conll"
        self.columns = columns

    def _one(self, item: Item, run: Run) -> list[Item]:
        raw = item.value
        try:
            record = parse_document(raw, self.columns_of(raw))
            value, counts = self.function(record)
        except DataError as error:
            line = raw.line if error.line is None else error.line
            raise DataError(error.message, raw.file, line, error.id) from None
        run.counts.update(counts)
        return [item._replace(value=value)]

    def columns_of(self, raw: RawConll) -> Sequence[str]:
        """Return the columns of a file.

        Raises:
            DataError: Nobody said which they are.
        """
        columns: Columns | None = self.columns or raw.columns
        if columns is None and suffix_of(raw.file) == ".conllu":
            columns = CONLLU
        if columns is None:
            raise DataError(
                "which columns are these? pass columns=['text', ..., 'ner'], or begin the file "
                "with a line '# global.columns = ...'"
            )
        return name_columns(columns, count_columns(raw) if isinstance(columns, Mapping) else None)


@registry.writers.register("conll")
def write_conll(
    data: Any,
    path: str | Path,
    *,
    columns: Columns | None = None,
    by: str = "document",
    separator: str = "\t",
    converter: Any = "conll",
    overwrite: bool | str = False,
    resume: bool = False,
    receipt: bool = True,
    **kwargs: Any,
) -> RunReport:
    """Run a stream and write its Docs to one file, a word a line.

    Where rows begin with an id, as in CoNLL-U, a document begins with `# newdoc id = ...`,
    else with `-DOCSTART- (id)`.

    Args:
        data: A stream, or an iterable of Docs.
        path: The file; `.gz`, `.bz2` and `.xz` are packed.
        columns: Names of the columns, or a map, as of `read_conll`. None takes those of CoNLL-U
            for `.conllu`, else those that the Docs were read with, else CoNLL-U with a column NER
            for `.conllup`, and `text` and `ner` otherwise.
        by: `"document"`, or `"sentence"` for Docs that are sentences: no line between them, and
            their ids are not written.
        separator: A tab or a blank.
        converter: `"conll"`, or a function that returns records.
        overwrite: False refuses an existing file, True replaces it, `"append"` adds documents.
        resume: Go on with a run that was broken off.
        receipt: Write a ledger of the documents beside the file.
        **kwargs: Arguments of the converter: `tag_column`, `scheme`, `span_getter`, `on_overlap`.

    Returns:
        The report of the run; `spans_left_out` counts spans that found no place.

    Raises:
        DataError: Spans overlap or cross the end of a sentence; Docs have different columns; two
            documents have the same id.
        FileExistsError: The file exists, and `overwrite` is False.
        ValueError: `by` or `separator` is none of its values, or a map of columns is empty.
    """
    if by not in ("document", "sentence"):
        raise ValueError(f"by is 'document' or 'sentence', got {by!r}")
    if separator not in ("\t", " "):
        raise ValueError(f"separator is a tab or a blank, got {separator!r}")
    check_columns(columns)
    if converter == "conll":
        suffix = suffix_of(path)
        fixed = CONLLU if suffix == ".conllu" else None
        kwargs = {"columns": name_columns(columns) if columns else fixed, **kwargs}
        kwargs.setdefault("default_columns", _COLUMNS_BY_SUFFIX.get(suffix, ("text", NER)))
    stream = data if isinstance(data, Stream) else Stream.from_items(data)
    stream = stream.with_op(_Write(_converting(converter, kwargs, "write"), separator))
    return write_records(
        stream,
        path,
        ConllSink(path, marks=by == "document"),
        stage="write_conll",
        overwrite=overwrite,
        resume=resume,
        receipt=receipt,
        id_key="note_id" if by == "document" else None,
    )


class _Write(Map):
    """Turns a Doc into the lines of its document."""

    def __init__(self, convert: Any, separator: str) -> None:
        super().__init__(convert)
        self.stage = "write_conll"
        self.separator = separator

    def _one(self, item: Item, run: Run) -> list[Item]:
        record, counts = self.function(item.value)
        run.counts.update(counts)
        value = {
            "note_id": record["note_id"],
            "columns": record["columns"],
            "lines": format_sentences(record, self.separator),
        }
        return [item._replace(value=value)]


class ConllSink(FileSink):
    """Writes documents to one file.

    Args:
        target: The file; its suffix says how it is packed.
        marks: Whether a line marks where a document begins.
    """

    def __init__(self, target: str | Path, *, marks: bool = True) -> None:
        super().__init__(target, encode=dict)
        self.marks = marks
        self._columns: list[str] | None = None

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        """Begin, or go on behind what was committed; see `FileSink`."""
        self._columns = None if state is None else state["columns"]
        super().open(folder, old, state)

    def take_over(self, old: Path) -> None:
        """Write what the old file holds; its columns are those of what follows."""
        super().take_over(old)
        self.file.write(b"\n")  # the last sentence may have no blank line behind it
        with self.open_old(old) as handle:
            columns = named_columns([handle.readline().removeprefix(BOM)])
        self._columns = None if columns is None else list(columns)

    def write(self, record: Any) -> None:
        """Append a document.

        Raises:
            DataError: It has other columns than the documents before it.
        """
        head = ""
        if self._columns is None:
            self._columns = record["columns"]
            head = "" if self._old is not None else format_head(self._columns)
        elif record["columns"] != self._columns:
            raise DataError(
                f"expected the columns {show(self._columns)} of the documents before, got "
                f"{show(record['columns'])}: pass columns=[...]",
                id=str(record["note_id"]),
            )
        mark = format_mark(self._columns, str(record["note_id"])) if self.marks else ""
        self.file.write(f"{head}{mark}{record['lines']}".encode())

    def commit(self) -> dict[str, Any]:
        """Return how far the file has come, and its columns."""
        return {**super().commit(), "columns": self._columns}

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of the documents that were there before."""
        if self._old is not None and self.marks:
            with self.open_old(self._old) as handle:
                for raw in split_documents(handle, str(self._old), self._old.name, "document"):
                    yield marked_id(raw)
