"""Windows laid out in tables, those of similar length together: numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from edspipe.pipes.trainable.embeddings.windows import Windows, ranks

MAX_PADDING = 64
"""Cells of padding that a table may have: another table costs about as much as computing these."""
MAX_CELLS = 4096
"""Cells of a table: the products of larger ones leave the caches of a processor."""
MAX_PADDING_ON_GPU, MAX_CELLS_ON_GPU = 4096, 65_536
"""A GPU waits for its host longer than it computes; these are guesses until one is measured."""


def table_limits() -> tuple[int, int]:
    """Return the padding and the cells that a table may have, on a machine with or without GPU."""
    if torch.cuda.is_available():
        return MAX_PADDING_ON_GPU, MAX_CELLS_ON_GPU
    return MAX_PADDING, MAX_CELLS


@dataclass(frozen=True)
class Table:
    """Rows of similar length that are computed together.

    Attributes:
        ids: What each cell holds. *Shape* `(rows, width)`
        used: 1 where a cell holds something, 0 on padding. *Shape* `(rows, width)`
    """

    ids: np.ndarray
    used: np.ndarray


@dataclass(frozen=True)
class Layout:
    """Windows laid out in tables.

    Attributes:
        tables: The tables, widest first.
        offsets: For each window, the cell of its first piece, where the cells of all tables are
            numbered one after the other. *Shape* `(windows,)`
    """

    tables: list[Table]
    offsets: np.ndarray


def lay_out(
    pieces: np.ndarray,
    windows: Windows,
    *,
    heads: Sequence[Sequence[int]],
    suffix: Sequence[int],
    padding: int,
    max_padding: int,
    max_cells: int,
    merge: bool,
) -> Layout:
    """Fill tables with head, pieces, suffix and padding; windows of similar length go together.

    Args:
        pieces: The pieces of all texts. *Shape* `(pieces,)`
        windows: How they are cut.
        heads: For each text, what stands before its pieces.
        suffix: What stands after the pieces.
        padding: The piece that fills up.
        max_padding: The most cells of a table that are filled up.
        max_cells: The most cells of a table, unless one window has more.
        merge: Lay windows with the same content out once.
    """
    before = np.array([len(heads[text]) for text in windows.texts.tolist()], dtype=np.int64)
    widths = before + windows.lengths + len(suffix)
    same_as = _first_equal(pieces, windows, heads) if merge else np.arange(len(widths))
    kept = np.flatnonzero(same_as == np.arange(len(widths)))
    groups = [kept[group] for group in group_by_length(widths[kept], max_padding, max_cells)]
    shapes = [(len(group), int(widths[group[0]])) for group in groups]
    begins = _places(groups, shapes, len(widths))
    num_cells = sum(rows * width for rows, width in shapes)

    ids = np.full(num_cells, padding, dtype=np.int64)
    begin, length, first = begins[kept], windows.lengths[kept], windows.firsts[kept]
    ids[_runs(begin + before[kept], length)] = pieces[_runs(first, length)]
    for i, special in enumerate(suffix):
        ids[begin + before[kept] + length + i] = special
    _write_heads(ids, begin, windows.texts[kept], heads)

    used = np.zeros(num_cells, dtype=np.int64)
    used[_runs(begin, widths[kept])] = 1
    tables = map(Table, _cut(ids, shapes), _cut(used, shapes))
    return Layout(list(tables), (begins + before)[same_as])


def _places(groups: list[np.ndarray], shapes: list[tuple[int, int]], num_rows: int) -> np.ndarray:
    """Say where each row begins; rows in no group begin at 0. *Shape* `(num_rows,)`"""
    begins = np.zeros(num_rows, dtype=np.int64)
    at = 0
    for group, (rows, width) in zip(groups, shapes, strict=True):
        begins[group] = at + np.arange(rows) * width
        at += rows * width
    return begins


def _runs(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Count up from each start, so many times. *Shape* `(sum of lengths,)`"""
    return np.repeat(starts, lengths) + ranks(lengths)


def _cut(cells: np.ndarray, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    if not shapes:
        return []
    ends = np.cumsum([rows * width for rows, width in shapes])
    parts = np.split(cells, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _write_heads(
    ids: np.ndarray, begins: np.ndarray, texts: np.ndarray, heads: Sequence[Sequence[int]]
) -> None:
    if heads and all(head is heads[0] for head in heads):
        for i, special in enumerate(heads[0]):
            ids[begins + i] = special
        return
    for begin, text in zip(begins.tolist(), texts.tolist(), strict=True):
        ids[begin : begin + len(heads[text])] = heads[text]


def _first_equal(
    pieces: np.ndarray, windows: Windows, heads: Sequence[Sequence[int]]
) -> np.ndarray:
    """For each window, the first one with the same content. *Shape* `(windows,)`"""
    first: dict[tuple[tuple[int, ...], bytes], int] = {}
    keys = {id(head): tuple(head) for head in heads}
    spans = zip(
        windows.texts.tolist(), windows.firsts.tolist(), windows.lengths.tolist(), strict=True
    )
    return np.array(
        [
            first.setdefault((keys[id(heads[text])], pieces[at : at + size].tobytes()), row)
            for row, (text, at, size) in enumerate(spans)
        ],
        dtype=np.int64,
    )


def group_by_length(lengths: np.ndarray, max_padding: int, max_cells: int) -> list[np.ndarray]:
    """Group rows so that little padding is needed, longest first.

    Args:
        lengths: Lengths of the rows. *Shape* `(rows,)`
        max_padding: The most cells of a group that are filled up.
        max_cells: The most cells of a group, unless one row has more.

    Returns:
        The indices of the rows of each group, longest first.
    """
    order = np.argsort(-lengths, kind="stable")
    groups: list[np.ndarray] = []
    begin = width = padding = 0
    for place, length in enumerate(lengths[order].tolist()):
        padding += width - length
        if padding > max_padding or (place + 1 - begin) * width > max_cells or place == begin:
            if place > begin:
                groups.append(order[begin:place])
            begin, width, padding = place, length, 0
    if begin < len(order):
        groups.append(order[begin:])
    return groups
