"""How texts are read character by character: rows, windows and chunks. Numbers only.

Each text is a row; a long one is several, with an overlap in which a network that begins anew warms
up. Rows are read in groups, longest first, and in chunks, from one to the next of which a network
carries its state; rows that ended are left out of the chunks that follow. Of all the states that
a network goes through, only those at wanted places are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

MIN_ROWS = 2
"""A single row goes through other kernels, which round in another way: its vectors would depend on
whether others are read with it."""


@dataclass(frozen=True)
class Chunk:
    """What is read at once.

    Attributes:
        ids: Numbers of characters; 0 behind the end of a row. *Shape* `(rows, width)`
        picks: The cells whose states are wanted, row by row. *Shape* `(picks,)`
    """

    ids: np.ndarray
    picks: np.ndarray


@dataclass(frozen=True)
class Plan:
    """How texts are read.

    Attributes:
        groups: For each group of rows its chunks, from left to right. Each chunk has the first
            rows of the one before.
        order: Where the state at each wanted place comes in the order of picks.
            *Shape* `(places,)`
    """

    groups: list[list[Chunk]]
    order: np.ndarray


@dataclass(frozen=True)
class _Rows:
    """Rows of characters, and wanted places in them.

    Attributes:
        ids: The characters of each row.
        row_of: The row of each wanted place. *Shape* `(places,)`
        column_of: Its place in the row. *Shape* `(places,)`
    """

    ids: list[np.ndarray]
    row_of: np.ndarray
    column_of: np.ndarray


def plan_reading(
    texts: Sequence[np.ndarray],
    places: Sequence[np.ndarray],
    *,
    window: int,
    overlap: int,
    chunk: int,
    max_rows: int,
) -> Plan:
    """Say how texts are read.

    Args:
        texts: The characters of each, as they are read. *Shape* `(characters,)` each
        places: The characters of each text behind which the state is wanted, in any order.
            *Shape* `(places,)` each
        window: Characters of a row, at most.
        overlap: Characters that a row has read before its first place counts, unless it is the
            first one of a text; less than `window`.
        chunk: Characters of each row that are read at once.
        max_rows: Rows that are read at once.
    """
    rows = _cut(texts, places, window, overlap)
    lengths = np.array([len(row) for row in rows.ids], dtype=np.int64)
    by_length = np.argsort(-lengths, kind="stable")
    rank = np.empty_like(by_length)
    rank[by_length] = np.arange(len(by_length))
    chunk_of = rows.column_of // chunk
    ranks = rank[rows.row_of]
    group_of = ranks // max_rows
    # Picks come group by group, chunk by chunk, row by row.
    in_order = np.lexsort((rows.column_of, ranks, chunk_of, group_of))
    order = np.empty_like(in_order)
    order[in_order] = np.arange(len(in_order))
    groups = []
    for number, first in enumerate(range(0, len(by_length), max_rows)):
        mine = in_order[group_of[in_order] == number]
        cells = np.stack([chunk_of[mine], ranks[mine] - first, rows.column_of[mine] % chunk])
        ids = [rows.ids[i] for i in by_length[first : first + max_rows]]
        groups.append(list(_chunks(ids, cells, chunk)))
    return Plan(groups, order)


def _chunks(rows: list[np.ndarray], cells: np.ndarray, chunk: int) -> Iterator[Chunk]:
    """Yield the chunks of rows, as far as a place is wanted.

    Args:
        rows: Characters, the longest row first.
        cells: Chunk, row and column in the chunk of each wanted place. *Shape* `(3, places)`
        chunk: Characters of a chunk.
    """
    lengths = np.array([len(row) for row in rows])
    for number in range(int(cells[0].max(initial=-1)) + 1):
        start = number * chunk
        width = int(min(chunk, lengths[0] - start))
        num_rows = max(MIN_ROWS, int((lengths > start).sum()))
        ids = np.zeros((num_rows, width), dtype=np.int64)
        for i, row in enumerate(rows[:num_rows]):
            part = row[start : start + width]
            ids[i, : len(part)] = part
        _, row_of, column_of = cells[:, cells[0] == number]
        yield Chunk(ids, row_of * width + column_of)


def _cut(
    texts: Sequence[np.ndarray], places: Sequence[np.ndarray], window: int, overlap: int
) -> _Rows:
    """Cut texts into rows; each but the first of a text begins with the text's first character."""
    step = window - overlap
    ids: list[np.ndarray] = []
    row_of, column_of = [], []
    for text, wanted in zip(texts, places, strict=True):
        number = np.where(wanted < window, 0, (wanted - overlap) // step)
        starts = np.arange(int(number.max(initial=0)) + 1) * step
        row_of.append(number + len(ids))
        column_of.append(wanted - number * step + (number > 0))
        ids += [_row(text, int(start), window) for start in starts]
    empty = np.zeros(0, dtype=np.int64)
    return _Rows(ids, np.concatenate([empty, *row_of]), np.concatenate([empty, *column_of]))


def _row(text: np.ndarray, start: int, window: int) -> np.ndarray:
    part = text[start : start + window]
    return part if start == 0 else np.concatenate([text[:1], part])
