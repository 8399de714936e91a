"""read_json and write_json: records in JSON lines (`.jsonl`) or JSON arrays (`.json`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edspipe.config.registry import registry
from edspipe.data.converters.base import reading_function, writing_function
from edspipe.data.json.array import iterate_array
from edspipe.data.json.sinks import JsonArraySink, JsonLinesSink, check_record, parse_record
from edspipe.data.output.file_sinks import encoded_stream, id_key_of
from edspipe.data.output.writing import write_records
from edspipe.data.paths import list_files, suffix_of
from edspipe.data.raw import BOM, Raw, convert, open_file
from edspipe.data.sources import read_with, shape_source
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream

LINES = (".jsonl", ".ndjson")
SUFFIXES = (".json", *LINES)


@registry.readers.register("json")
def read_json(
    path: str | Path,
    *,
    converter: Any = None,
    loop: bool = False,
    shuffle: Any = None,
    seed: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Stream:
    """Read records, one at a time, never a whole file.

    Blank lines, a byte-order mark and the kind of line ends do not matter.

    Args:
        path: A `.jsonl` or `.json` file (also packed, `.jsonl.gz`), a folder of such files, a
            pattern such as `notes/*.jsonl`, or an address of these that fsspec knows.
        converter: How records become Docs: `"omop"`, `"standoff"`, `"text"`, another registered
            name, or a function; None leaves them as dicts.
        loop: Read again and again.
        shuffle: `"dataset"`, a buffer, as `"100 docs"`, or `"fragment"`: the order of the files.
        seed: Seed of the shuffle.
        on_error: What happens to bad records: `"raise"`, `"skip"` to leave out and count them, or
            None to do as the stream does.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: On reading, with file and line, for a line that is not a JSON object.
        FileNotFoundError: There is no such file or folder.
    """
    files = [JsonFile(file) for file in list_files(path, SUFFIXES)]
    stream = Stream(FragmentSource(files))
    stream = shape_source(stream, loop=loop, shuffle=shuffle, seed=seed)
    return read_with(stream, _Parse(reading_function(converter, kwargs)), "read_json", on_error)


@dataclass
class JsonFile:
    """A file of records, not parsed.

    Attributes:
        name: Its path or address.
    """

    name: str

    def read(self, start: int = 0) -> Iterator[Raw]:
        """Yield its records; those before the start are not parsed where each has a line."""
        with open_file(self.name) as handle:
            in_lines = suffix_of(self.name) in LINES
            raws = self._lines(handle) if in_lines else self._array(handle)
            yield from islice(raws, start, None)

    def num_items(self) -> None:
        """Return None: it takes reading the file."""

    def _lines(self, handle: Any) -> Iterator[Raw]:
        for number, line in enumerate(handle, start=1):
            line = line.removeprefix(BOM) if number == 1 else line
            if line.strip():
                yield Raw(self.name, number, line.rstrip(b"\r\n"))

    def _array(self, handle: Any) -> Iterator[Raw]:
        for number, value in enumerate(iterate_array(handle, self.name)):
            yield Raw(self.name, None, value, number)


class _Parse:
    """Turns a raw record into a dict, or into a Doc."""

    def __init__(self, to_doc: Any) -> None:
        self.to_doc = to_doc

    def __call__(self, raw: Raw) -> Any:
        file, line, data, _ = raw
        parse = parse_record if isinstance(data, bytes) else check_record
        return convert(self.to_doc, parse(data, file, line), file, line)


@registry.writers.register("json")
def write_json(
    data: Any,
    path: str | Path,
    *,
    converter: Any = None,
    overwrite: bool | str = False,
    resume: bool = False,
    receipt: bool = True,
    **kwargs: Any,
) -> Any:
    """Run a stream and write its records to one file, which appears when it is whole.

    Args:
        data: A stream or an iterable of Docs (with a converter) or of dicts.
        path: A `.jsonl` file, or a `.json` file for an array; also packed, `.jsonl.gz`.
        converter: How Docs become records: `"omop"`, `"standoff"`, `"text"`, another registered
            name, or a function.
        overwrite: False refuses an existing file, True replaces it, `"append"` adds records.
        resume: Go on with a run that was broken off. Packed files can go on too: what is committed
            together is packed together.
        receipt: Leave a receipt beside the file: what became of each document.
        **kwargs: Arguments of the converter.

    Returns:
        What was counted: items read, filtered, skipped, delivered.

    Raises:
        FileExistsError: The file exists, and `overwrite` is False.
        DataError: Two records have the same id; nothing is written then.
        ValueError: The suffix is not known, or `overwrite` is none of its values.
    """
    kind = suffix_of(path)
    if kind not in SUFFIXES:
        raise ValueError(f"{path}: expected one of {', '.join(SUFFIXES)} (or .jsonl.gz)")
    to_record = writing_function(converter, kwargs)
    id_key = id_key_of(to_record)
    sink = (JsonLinesSink if kind in LINES else JsonArraySink)(path, id_key)
    return write_records(
        encoded_stream(data, to_record, sink.encode, id_key, "write_json"),
        path,
        sink,
        stage="write_json",
        overwrite=overwrite,
        resume=resume,
        receipt=receipt,
        id_key=id_key,
    )
