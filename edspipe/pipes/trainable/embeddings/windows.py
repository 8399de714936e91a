"""Overlapping windows over word pieces, and which word owns which piece: numbers only.

With n pieces, window W and stride S, windows start every S pieces until the text is covered. Each
piece is kept from the window where it is most central: the overlap of two windows is halved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
    offsets = np.arange(len(pieces)) - np.repeat(
        np.cumsum(num_words_of) - num_words_of, num_words_of
    )
    words = np.repeat(first, num_words_of) + offsets
    order = np.argsort(words, kind="stable")
    counts = np.bincount(words, minlength=len(word_starts))
    return pieces[order].astype(np.int64), counts.astype(np.int64)


@dataclass(frozen=True)
class Windows:
    """Windows over several texts, as rows of one table.

    Attributes:
        pieces: For each cell of the table, the index of its piece among all pieces of all texts,
            -1 for padding. *Shape* `(windows, width)`
        lengths: Pieces of each window. *Shape* `(windows,)`
        texts: The text of each window. *Shape* `(windows,)`
        cells: For each piece, the flat index (row * width + column) of the cell that it is kept
            from. *Shape* `(pieces,)`
    """

    pieces: np.ndarray
    lengths: np.ndarray
    texts: np.ndarray
    cells: np.ndarray


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
    first_row = np.cumsum(num_windows) - num_windows
    first_piece = np.cumsum(num_pieces) - num_pieces
    starts = (np.arange(len(texts)) - first_row[texts]) * stride
    lengths = np.minimum(num_pieces[texts] - starts, window)
    width = int(lengths.max(initial=0))
    columns = np.arange(width)
    pieces = (first_piece[texts] + starts)[:, None] + columns
    pieces[columns >= lengths[:, None]] = -1
    cells = _central_cells(num_pieces, num_windows, first_row, window, stride, width)
    return Windows(pieces, lengths, texts, cells)


def _central_cells(
    num_pieces: np.ndarray,
    num_windows: np.ndarray,
    first_row: np.ndarray,
    window: int,
    stride: int,
    width: int,
) -> np.ndarray:
    texts = np.repeat(np.arange(len(num_pieces)), num_pieces)
    within = np.arange(len(texts)) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
    half_overlap = (window - stride) // 2
    chosen = np.clip((within - half_overlap) // stride, 0, num_windows[texts] - 1)
    return (first_row[texts] + chosen) * width + within - chosen * stride
