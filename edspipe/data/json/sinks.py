"""How JSON is written: a record a line, or an array of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edspipe.data.json.array import iterate_array, not_json
from edspipe.data.output.file_sinks import FileSink, require_record
from edspipe.data.raw import BOM
from edspipe.errors import DataError


class EncodeJson:
    """Turns a record into a line of JSON, without its end.

    Args:
        id_key: The key of the id, for errors.
    """

    def __init__(self, id_key: str) -> None:
        self.id_key = id_key

    def __call__(self, record: Any) -> bytes:
        record = require_record(record, "write_json", "'omop', 'standoff'")
        try:
            return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8")
        except (TypeError, ValueError, UnicodeEncodeError, RecursionError) as error:
            ident = record.get(self.id_key)
            raise DataError(
                f"a value of the record is not plain data ({type(error).__name__})",
                id=None if ident is None else str(ident),
            ) from None


class JsonLinesSink(FileSink):
    """Writes a record a line; lines of an old file come first, byte for byte.

    Args:
        target: A `.jsonl` file; it may be packed.
        id_key: The key of the id.
    """

    def __init__(self, target: str | Path, id_key: str = "note_id") -> None:
        super().__init__(target, EncodeJson(id_key))
        self.id_key = id_key

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of the old file.

        Raises:
            DataError: A line of it is not a record.
        """
        if self._old is None:
            return
        with self.open_old(self._old) as lines:
            for number, line in enumerate(lines, start=1):
                if line.removeprefix(BOM).strip():
                    record = parse_record(line.removeprefix(BOM), str(self._old), number)
                    if record.get(self.id_key) is not None:
                        yield str(record[self.id_key])


class JsonArraySink(FileSink):
    """Writes an array, a record a line; records of an old file come first.

    Args:
        target: A `.json` file; it may be packed.
        id_key: The key of the id.
    """

    def __init__(self, target: str | Path, id_key: str = "note_id") -> None:
        super().__init__(target, EncodeJson(id_key))
        self.id_key = id_key
        self._is_empty = True

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        self._is_empty = state is None or state["is_empty"]
        super().open(folder, old, state)

    def take_over(self, old: Path) -> None:
        for record in self._old_records(old):
            self.add(self.encode(record))

    def add(self, encoded: bytes) -> None:
        self.file.write((b"[\n" if self._is_empty else b",\n") + encoded)
        self._is_empty = False

    def commit(self) -> dict[str, Any]:
        return {**super().commit(), "is_empty": self._is_empty}

    def close(self) -> None:
        self.file.write(b"[]\n" if self._is_empty else b"\n]\n")
        super().close()

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of the old file."""
        for record in self._old_records(self._old) if self._old is not None else ():
            if record.get(self.id_key) is not None:
                yield str(record[self.id_key])

    def _old_records(self, old: Path) -> Iterator[dict[str, Any]]:
        with self.open_old(old) as handle:
            for value in iterate_array(handle, str(old)):
                yield check_record(value, str(old), None)


def parse_record(data: bytes, file: str, line: int | None) -> dict[str, Any]:
    """Parse a line of JSON.

    Raises:
        DataError: It is no JSON object, or not UTF-8.
    """
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise not_json(error, file, line) from None
    return check_record(value, file, line)


def check_record(value: Any, file: str, line: int | None) -> dict[str, Any]:
    """Return a record.

    Raises:
        DataError: The value is none.
    """
    if isinstance(value, dict):
        return value
    kind = type(value).__name__
    raise DataError(f"expected a JSON object (a record), got a {kind}", file, line)
