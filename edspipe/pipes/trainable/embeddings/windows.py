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
