"""What the sinks of JSON, CSV and text share: one file that grows record by record.

Records are turned into bytes by an op before the sink, so that workers do it, and a record that
cannot be written is treated as `on_error` says. What the op returns is a record of two keys: the
id, and `ENCODED`. A record without an id passes as it is: it gets one on its way to the sink, which
encodes it then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edspipe.data.output.growing_file import GrowingFile, open_unpacked, packing_of
from edspipe.stream.ops.map import Map
from edspipe.stream.stream import Stream

DATA = "data"
"""The name of the one file, while it is staged."""
ENCODED = "\0encoded"
"""Key of the bytes in a record that is encoded already; no column has such a name."""


class FileSink:
    """A sink that adds bytes to one file. Those who derive from it say how a record becomes bytes.

    Args:
        target: The file; its suffix says how it is packed.
        encode: Record -> what `add` takes.
    """

    is_folder = False

    def __init__(self, target: str | Path, encode: Callable[[dict[str, Any]], Any]) -> None:
        self.packing = packing_of(target)
        self.encode = encode
        self._old: Path | None = None
        self._opened: GrowingFile | None = None

    @property
    def file(self) -> GrowingFile:
        """The file that is being written."""
        assert self._opened is not None, "open comes before write"
        return self._opened

    def open(self, folder: Path, old: Path | None, state: Any) -> None:
        """Begin, or go on behind what was committed.

        Args:
            folder: Where to write.
            old: A file whose bytes come first; in a run that goes on they are there already.
            state: What `commit` returned.

        Raises:
            DataError: The old file is damaged, or the staged one does not fit the state.
        """
        self._old = old
        size_bytes = None if state is None else state["size_bytes"]
        self._opened = GrowingFile(folder / DATA, self.packing, size_bytes)
        if old is not None and state is None:
            self.take_over(old)

    def take_over(self, old: Path) -> None:
        """Write what the old file holds."""
        self.file.take_over(old)

    def write(self, record: Any) -> None:
        """Add a record.

        Raises:
            DataError: It cannot be written in this format.
        """
        encoded = record.get(ENCODED) if isinstance(record, dict) else None
        self.add(self.encode(record) if encoded is None else encoded)

    def add(self, encoded: Any) -> None:
        """Add an encoded record, by default as a line."""
        self.file.write(encoded + b"\n")

    def commit(self) -> dict[str, Any]:
        """Return how far the file has come."""
        return {"size_bytes": self.file.commit()}

    def close(self) -> None:
        """Finish the file."""
        self.file.close()

    def abort(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.abort()

    def old_ids(self) -> Iterator[str]:
        """Yield the ids of the old file; by default it has none."""
        return iter(())

    def open_old(self, old: Path) -> Any:
        """Open the old file for reading bytes, unpacked."""
        return open_unpacked(old, self.packing)


class Encode:
    """Encodes the records that have an id.

    Args:
        encode: As of the sink.
        id_key: The key of the id; None encodes all records.
    """

    def __init__(self, encode: Callable[[dict[str, Any]], Any], id_key: str | None) -> None:
        self.encode = encode
        self.id_key = id_key

    def __call__(self, record: Any) -> Any:
        # what is no record is refused by the sink
        if not isinstance(record, dict):
            return record
        if self.id_key is None:
            return {ENCODED: self.encode(record)}
        ident = record.get(self.id_key)
        return record if ident is None else {self.id_key: ident, ENCODED: self.encode(record)}


def encoded_stream(
    data: Any,
    to_record: Callable[[Any], Any] | None,
    encode: Callable[[dict[str, Any]], Any],
    id_key: str | None,
    stage: str,
) -> Stream:
    """Return the stream of encoded records.

    Args:
        data: A stream or an iterable.
        to_record: Turns a Doc into a record; None leaves records as they are.
        encode: As of the sink.
        id_key: The key of the id.
        stage: The name in errors.
    """
    stream = data if isinstance(data, Stream) else Stream.from_items(data)
    stream = stream if to_record is None else stream.map(to_record)
    op = Map(Encode(encode, id_key))
    op.stage = stage
    return stream.with_op(op)


def id_key_of(to_record: Any) -> str:
    """Return the key of the id in the records of a converter: its `id_key`, or "note_id"."""
    return getattr(getattr(to_record, "__self__", None), "id_key", "note_id")


def require_record(record: Any, writer: str, converters: str) -> dict[str, Any]:
    """Return a record.

    Raises:
        TypeError: It is none; the message names the cure.
    """
    if isinstance(record, dict):
        return record
    raise TypeError(
        f"{writer} writes records (dicts), got a {type(record).__name__}; "
        f"pass converter={converters} or a function"
    )
