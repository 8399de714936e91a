"""Tables in memory as fragments of a stream: read slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edspipe.data.rows import BATCH_ROWS, Row, read_rows
from edspipe.data.sources import shape_source
from edspipe.stream.source import FragmentSource
from edspipe.stream.stream import Stream

Slice = Callable[[int, int], list[dict[str, Any]]]
"""First row and the row behind the last -> records."""


@dataclass
class SlicedTable:
    """A table in memory.

    Attributes:
        name: What kind of table it is, for errors.
        num_rows: Its rows.
        records: Returns some of its rows as records.
    """

    name: str
    num_rows: int
    records: Slice

    def num_items(self) -> int:
        """Return how many rows it has."""
        return self.num_rows

    def read(self, start: int = 0) -> Iterator[Row]:
        """Yield rows."""
        for first in range(start, self.num_rows, BATCH_ROWS):
            behind = min(first + BATCH_ROWS, self.num_rows)
            for number, record in enumerate(self.records(first, behind), start=first + 1):
                yield Row(self.name, number, record)


def read_table(
    table: Any,
    converter: Any,
    kwargs: dict[str, Any],
    *,
    stage: str,
    loop: bool,
    shuffle: Any,
    seed: int | None,
    on_error: str | None,
) -> Stream:
    """Return the stream of a table.

    Args:
        table: A fragment.
        converter: As of all readers.
        kwargs: Arguments of the converter.
        stage: The name of the reader.
        loop: As of all readers.
        shuffle: Likewise.
        seed: Likewise.
        on_error: Likewise.
    """
    stream = Stream(FragmentSource([table]))
    stream = shape_source(stream, loop=loop, shuffle=shuffle, seed=seed)
    return read_rows(stream, converter, kwargs, stage, on_error)


def check_kind(value: Any, expected: type, reader: str, cure: str) -> None:
    """Refuse a table of another kind.

    Raises:
        TypeError: It is one.
    """
    if not isinstance(value, expected):
        raise TypeError(
            f"{reader} takes a {expected.__name__}, got a {type(value).__name__}; {cure}"
        )
