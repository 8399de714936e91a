"""Overlapping windows over word pieces, and which word owns which piece: numbers only.

With n pieces, window W and stride S, windows start every S pieces until the text is covered. Each
piece is kept from the window where it is most central: the overlap of two windows is halved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_PADDING = 96
"""Cells of padding that a table may have: another table costs about as much as computing these."""


def align_pieces(
    piece_starts: np.ndarray,
    piece_ends: np.ndarray,
    word_starts: np.ndarray,
    word_ends: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the pieces of each word: those whose characters overlap it.

    A piece may serve two words, and a word may own none.

    Args:
        piece_starts: First characters of the pieces, ascending. *Shape* `(pieces,)`
        piece_ends: Characters after the pieces. *Shape* `(pieces,)`
        word_starts: First characters of the words, ascending. *Shape* `(words,)`
        word_ends: Characters after the words. *Shape* `(words,)`

    Returns:
        The pieces, grouped by word, and how many each word owns.
        *Shapes* `(pairs,)` and `(words,)`, int64.
    """
    first = np.searchsorted(word_ends, piece_starts, side="right")
    last = np.searchsorted(word_starts, piece_ends, side="left")
    num_words_of = np.where(piece_ends > piece_starts, np.maximum(last - first, 0), 0)
    pieces = np.repeat(np.arange(len(piece_starts)), num_words_of)
    words = np.repeat(first, num_words_of) + ranks(num_words_of)
    order = np.argsort(words, kind="stable")
    counts = np.bincount(words, minlength=len(word_starts))
    return pieces[order].astype(np.int64), counts.astype(np.int64)


def ranks(counts: np.ndarray) -> np.ndarray:
    """Number the members of each group from 0. *Shape* `(sum of counts,)`"""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


@dataclass(frozen=True)
class Windows:
    """Windows over several texts.

    Attributes:
        texts: The text of each window. *Shape* `(windows,)`
        firsts: The first piece of each window, among all pieces of all texts. *Shape* `(windows,)`
        lengths: Pieces of each window. *Shape* `(windows,)`
        rows: For each piece, the window that it is kept from. *Shape* `(pieces,)`
        columns: For each piece, its place in that window. *Shape* `(pieces,)`
    """

    texts: np.ndarray
    firsts: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def make_windows(num_pieces: np.ndarray, window: int, stride: int) -> Windows:
    """Cut texts into windows.

    Args:
        num_pieces: Pieces of each text. *Shape* `(texts,)`
        window: Pieces a window.
        stride: Pieces from one window to the next, at most `window`.
    """
    num_pieces = np.asarray(num_pieces, dtype=np.int64)
    beyond = np.maximum(num_pieces - window, 0)
    num_windows = np.where(num_pieces > 0, -(-beyond // stride) + 1, 0)
    texts = np.repeat(np.arange(len(num_pieces)), num_windows)
    starts = ranks(num_windows) * stride
    first_piece = np.cumsum(num_pieces) - num_pieces
    lengths = np.minimum(num_pieces[texts] - starts, window)
    # Where each piece is most central.
    text_of = np.repeat(np.arange(len(num_pieces)), num_pieces)
    within = ranks(num_pieces)
    chosen = np.clip((within - (window - stride) // 2) // stride, 0, num_windows[text_of] - 1)
    first_row = np.cumsum(num_windows) - num_windows
    rows, columns = first_row[text_of] + chosen, within - chosen * stride
    return Windows(texts, first_piece[texts] + starts, lengths, rows, columns)


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
        max_cells: The most cells of a table, unless one window has more.
        merge: Lay windows with the same content out once.
    """
    before = np.array([len(heads[text]) for text in windows.texts.tolist()], dtype=np.int64)
    widths = before + windows.lengths + len(suffix)
    unique = _unique_rows(pieces, windows, heads) if merge else np.arange(len(widths))
    kept = np.flatnonzero(unique == np.arange(len(widths)))
    groups = group_by_length(widths[kept], max_cells)
    groups = [kept[group] for group in groups]
    sizes = [len(group) * int(widths[group[0]]) for group in groups]
    ids = np.full(sum(sizes), padding, dtype=np.int64)
    used = np.zeros(sum(sizes), dtype=np.int64)
    begins = np.zeros(len(widths), dtype=np.int64)
    for group, at in zip(groups, np.cumsum(sizes) - sizes, strict=True):
        begins[group] = at + np.arange(len(group)) * widths[group[0]]
    rank = ranks(windows.lengths[kept])
    repeats = windows.lengths[kept]
    target = np.repeat(begins[kept] + before[kept], repeats) + rank
    ids[target] = pieces[np.repeat(windows.firsts[kept], repeats) + rank]
    used[np.repeat(begins[kept], widths[kept]) + ranks(widths[kept])] = 1
    ends = begins[kept] + before[kept] + windows.lengths[kept]
    for i, special in enumerate(suffix):
        ids[ends + i] = special
    _write_heads(ids, begins[kept], windows.texts[kept], heads)
    tables = [
        Table(cells.reshape(len(group), -1), filled.reshape(len(group), -1))
        for group, cells, filled in zip(groups, _cut(ids, sizes), _cut(used, sizes), strict=True)
    ]
    return Layout(tables, (begins + before)[unique])


def _cut(cells: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    return np.split(cells, np.cumsum(sizes)[:-1]) if sizes else []


def _write_heads(
    ids: np.ndarray, begins: np.ndarray, texts: np.ndarray, heads: Sequence[Sequence[int]]
) -> None:
    if heads and all(head is heads[0] for head in heads):
        for i, special in enumerate(heads[0]):
            ids[begins + i] = special
        return
    for begin, text in zip(begins.tolist(), texts.tolist(), strict=True):
        ids[begin : begin + len(heads[text])] = heads[text]


def _unique_rows(
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


def group_by_length(lengths: np.ndarray, max_cells: int) -> list[np.ndarray]:
    """Group rows so that little padding is needed, longest first.

    Args:
        lengths: Lengths of the rows. *Shape* `(rows,)`
        max_cells: The most cells of a group, unless one row has more.

    Returns:
        The indices of the rows of each group, longest first.
    """
    order = np.argsort(-lengths, kind="stable")
    groups: list[np.ndarray] = []
    begin = width = padding = 0
    for place, length in enumerate(lengths[order].tolist()):
        padding += width - length
        if padding > MAX_PADDING or (place + 1 - begin) * width > max_cells or place == begin:
            if place > begin:
                groups.append(order[begin:place])
            begin, width, padding = place, length, 0
    if begin < len(order):
        groups.append(order[begin:])
    return groups
