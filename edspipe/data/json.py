"""read_json and write_json: records in JSON lines (`.jsonl`) or JSON arrays (`.json`)."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from edspipe import atomic
from edspipe.config.registry import registry
from edspipe.data.converters.base import reading_function, writing_function
from edspipe.data.ids import UniqueIds
from edspipe.data.safe_names import MAP_FILE
from edspipe.data.sources import read_with, shape_source
from edspipe.errors import DataError
from edspipe.stream.stream import Stream

LINES = (".jsonl", ".ndjson")
SUFFIXES = (".json", *LINES)
BOM = b"\xef\xbb\xbf"


class Raw(NamedTuple):
    """A record that is not parsed yet: where it stands, and its bytes (or value)."""

    file: str
    line: int | None
    data: Any


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
    """Read records, one at a time, never a whole file of lines.

    Args:
        path: A `.jsonl` or `.json` file (also `.gz`), or a folder of such files.
        converter: How records become Docs: `"omop"`, `"standoff"`, `"text"`, another registered
            name, or a function; None leaves them as dicts.
        loop: Read again and again.
        shuffle: `"dataset"` or a buffer, as `"100 docs"`.
        seed: Seed of the shuffle.
        on_error: `"raise"`, or `"skip"` to leave out and count bad records.
        **kwargs: Arguments of the converter.

    Raises:
        DataError: On reading, with file and line, for a line that is not a JSON object.
        FileNotFoundError: There is no such file or folder.
    """
    files = _files(Path(path))
    stream = Stream.from_items(_Lines(files))
    stream = shape_source(stream, loop=loop, shuffle=shuffle, seed=seed)
    function = _Parse(reading_function(converter, kwargs))
    return read_with(stream, function, "read_json", on_error)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if _kind(file) in SUFFIXES]
        files = [file for file in files if not _is_hidden(file.relative_to(path))]
        files = [file for file in files if file.name not in (atomic.MANIFEST, MAP_FILE)]
        if files:
            return files
        raise FileNotFoundError(f"{path}: expected {', '.join(SUFFIXES)} files, found none")
    raise FileNotFoundError(f"{path}: expected a file or a folder, found none")


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)


def _kind(file: Path) -> str:
    return file.suffixes[-2] if file.suffix == ".gz" and len(file.suffixes) > 1 else file.suffix


class _Lines:
    """Yields the raw records of files, reading them as it goes."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __call__(self) -> Iterator[Raw]:
        for file in self.files:
            opener: Any = gzip.open if file.suffix == ".gz" else open
            with opener(file, "rb") as handle, _explain_gzip(file):
                if _kind(file) in LINES:
                    yield from self._lines(file, handle)
                else:
                    yield from self._array(file, handle.read())

    def _lines(self, file: Path, handle: Any) -> Iterator[Raw]:
        for number, line in enumerate(handle, start=1):
            line = line.removeprefix(BOM) if number == 1 else line
            if line.strip():
                yield Raw(str(file), number, line.rstrip(b"\r\n"))

    def _array(self, file: Path, data: bytes) -> Iterator[Raw]:
        try:
            value = json.loads(data.removeprefix(BOM))
        except (ValueError, RecursionError) as error:
            raise _not_json(error, str(file), None) from None
        for item in value if isinstance(value, list) else [value]:
            yield Raw(str(file), None, item)


@contextmanager
def _explain_gzip(file: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError("not a whole gzip file", file) from None


class _Parse:
    """Turns a raw record into a dict, or into a Doc."""

    def __init__(self, to_doc: Any) -> None:
        self.to_doc = to_doc

    def __call__(self, raw: Raw) -> Any:
        record = raw.data
        if isinstance(record, bytes):
            try:
                record = json.loads(record)
            except (ValueError, RecursionError) as error:
                raise _not_json(error, raw.file, raw.line) from None
        if not isinstance(record, dict):
            raise DataError(
                f"expected a JSON object (a record), got a {type(record).__name__}",
                raw.file,
                raw.line,
            )
        if self.to_doc is None:
            return record
        try:
            return self.to_doc(record)
        except DataError as error:
            raise DataError(error.message, raw.file, raw.line, error.id) from None


def _not_json(error: Exception, file: str, line: int | None) -> DataError:
    if isinstance(error, UnicodeDecodeError):
        return DataError(f"not UTF-8 at byte {error.start}", file, line)
    if isinstance(error, json.JSONDecodeError):
        at = f"column {error.colno}" if line is not None else f"line {error.lineno}"
        return DataError(f"not valid JSON at {at} ({error.msg})", file, line)
    return DataError("not valid JSON: nested too deeply", file, line)


@registry.writers.register("json")
def write_json(
    data: Any,
    path: str | Path,
    *,
    converter: Any = None,
    overwrite: bool | str = False,
    **kwargs: Any,
) -> dict[str, int]:
    """Run a stream and write its records to one file, which appears when it is whole.

    Args:
        data: A stream or an iterable of Docs (with a converter) or of dicts.
        path: A `.jsonl` file (also `.jsonl.gz`), or a `.json` file for an array.
        converter: How Docs become records: `"omop"`, `"standoff"`, `"text"`, another registered
            name, or a function.
        overwrite: False refuses an existing file, True replaces it, `"append"` adds lines.
        **kwargs: Arguments of the converter.

    Returns:
        What was counted: items read, filtered, skipped, delivered.

    Raises:
        FileExistsError: The file exists, and `overwrite` is False.
        DataError: Two records have the same id; nothing is written then.
        ValueError: The suffix is not known, or `overwrite` is none of its values.
    """
    target = Path(path)
    if _kind(target) not in SUFFIXES:
        raise ValueError(f"{target}: expected one of {', '.join(SUFFIXES)} (or .jsonl.gz)")
    if overwrite not in (True, False, "append"):
        raise ValueError(f"overwrite is True, False or 'append', got {overwrite!r}")
    if overwrite is False and target.exists():
        raise FileExistsError(
            f"{target} exists; pass overwrite=True to replace it, or overwrite='append' to add"
        )
    stream = data if isinstance(data, Stream) else Stream.from_items(data)
    to_record = writing_function(converter, kwargs)
    stream = stream if to_record is None else stream.map(to_record)
    ids = UniqueIds("note_id")
    old = target if overwrite == "append" and target.exists() else None
    write = _write_lines if _kind(target) in LINES else _write_array
    with iter(stream) as records, atomic.write_file(target) as handle:
        if target.suffix == ".gz":
            with gzip.GzipFile(filename="", fileobj=handle, mode="wb", mtime=0) as packed:
                write(packed, records, ids, old)
        else:
            write(handle, records, ids, old)
        return records.counts


def _write_lines(handle: Any, records: Any, ids: UniqueIds, old: Path | None) -> None:
    """Write a record a line; lines of the old file come first, byte for byte."""
    if old is not None:
        opener: Any = gzip.open if old.suffix == ".gz" else open
        with opener(old, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.removeprefix(BOM).strip():
                    ids.add(_Parse(None)(Raw(str(old), number, line.removeprefix(BOM))))
                handle.write(line if line.endswith(b"\n") else line + b"\n")
    for record in records:
        handle.write(_to_bytes(ids.add(record)) + b"\n")


def _write_array(handle: Any, records: Any, ids: UniqueIds, old: Path | None) -> None:
    """Write an array, a record a line; records of the old file come first."""
    separator = b"[\n"
    for record in chain([] if old is None else read_json(old), records):
        handle.write(separator + _to_bytes(ids.add(record)))
        separator = b",\n"
    handle.write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def _to_bytes(record: Any) -> bytes:
    if not isinstance(record, dict):
        raise TypeError(
            f"write_json writes records (dicts), got a {type(record).__name__}; "
            "pass converter='omop', 'standoff' or a function"
        )
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        ident = record.get("note_id")
        raise DataError(
            f"a value of the record is not plain data ({type(error).__name__})",
            id=None if ident is None else str(ident),
        ) from None
