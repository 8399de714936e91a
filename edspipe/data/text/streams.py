"""read_text and write_text: plain text, a document a file, a line or a paragraph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.data.converters.base import reading_function, writing_function
from edspipe.data.output.file_sinks import encoded_stream, id_key_of
from edspipe.data.output.writing import write_records
from edspipe.data.paths import list_files, suffix_of
from edspipe.data.safe_names import decode_path
from edspipe.data.sources import read_with, shape_source
from edspipe.data.standoff.files import read_map
from edspipe.data.text.files import ParseText, TextFile, stems_of
from edspipe.data.text.sinks import TXT, TextFolderSink, TextLinesSink
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream


@registry.readers.register("text")
def read_text(
    path: str | Path,
    *,
    by: str = "file",
    converter: Any = "text",
    suffixes: Sequence[str] = (TXT,),
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Stream:
    r"""Read plain text as Docs.

    The text is that of the file, byte for byte: no line end is translated, and a byte-order mark is
    a character (U+FEFF) as in `read_standoff`, so that offsets of other tools stay right. Files are
    UTF-8. By file, they are opened in the workers; by line and paragraph, a file is never held
    whole.

    The id is the path below the folder (or below the fixed part of a pattern) without suffix:
    `a/n1` for `a/n1.txt`; by line and paragraph with its number, `a/n1#17`.

    Args:
        path: A file (also packed, `.txt.gz`), a folder, a pattern such as `notes/*.txt`, or an
            address of these that fsspec knows.
        by: What a document is. `"file"`: a whole file. `"line"`: a line without its end, \n or
            \r\n; lines with nothing but blanks are none, but count for the number. `"paragraph"`:
            lines between such blank lines, without the last line end; paragraphs are counted from
            1.
        converter: How records `{"note_id", "note_text"}` become Docs: a registered name, or a
            function; None leaves them as dicts.
        suffixes: Which files of a folder or of a pattern are read.
        loop: Read again and again.
        shuffle: `"dataset"`, a buffer, as `"100 docs"`, or `"fragment"`: the order of the files.
        seed: Seed of the shuffle.
        on_error: What happens to bad documents: `"raise"`, `"skip"` to leave out and count them, or
            None to do as the stream does.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: On reading, with file and line, for a text that is not UTF-8.
        FileNotFoundError: There is no such file or folder.
        ValueError: `by` is none of its values.
    """
    if by not in ("file", "line", "paragraph"):
        raise ValueError(f"by is 'file', 'line' or 'paragraph', got {by!r}")
    files = list_files(path, tuple(suffixes))
    ids = read_map(Path(path)) if Path(path).is_dir() else {}
    fragments = [
        TextFile(file, by, decode_path(stem, ids))
        for file, stem in zip(files, stems_of(files, path), strict=True)
    ]
    stream = shape_source(Stream(FragmentSource(fragments)), loop=loop, shuffle=shuffle, seed=seed)
    return read_with(stream, ParseText(reading_function(converter, kwargs)), "read_text", on_error)


@registry.writers.register("text")
def write_text(
    data: Any,
    path: str | Path,
    *,
    converter: Any = "text",
    overwrite: bool | str = False,
    resume: bool = False,
    receipt: bool = True,
    **kwargs: Any,
) -> Any:
    """Run a stream and write its texts, without any annotation.

    Args:
        data: A stream or an iterable of Docs, or of records where `converter` is None.
        path: A folder, which gets a `.txt` a document, named by its id; or a `.txt` file (also
            packed, `.txt.gz`), which gets a line a document, without ids.
        converter: How Docs become records `{"note_id", "note_text"}`: a registered name, or a
            function; None takes records as they are.
        overwrite: False refuses what exists, True replaces it, `"append"` adds to it.
        resume: Go on with a run that was broken off.
        receipt: Leave a receipt: what became of each document.
        **kwargs: Arguments of the converter.

    Returns:
        What was counted: items read, filtered, skipped, delivered.

    Raises:
        FileExistsError: The output exists, and `overwrite` is False.
        DataError: A text cannot be kept: in a file of lines one that is blank or has a line end; or
            two documents have the same id. Nothing is written then.
        ValueError: `overwrite` is none of its values.
    """
    to_record = writing_function(converter, kwargs)
    id_key = id_key_of(to_record)
    in_lines = suffix_of(path) == TXT
    sink: Any = TextLinesSink(path, id_key) if in_lines else TextFolderSink(id_key)
    return write_records(
        encoded_stream(data, to_record, sink.encode, id_key, "write_text"),
        path,
        sink,
        stage="write_text",
        overwrite=overwrite,
        resume=resume,
        receipt=receipt,
        id_key=id_key,
    )
