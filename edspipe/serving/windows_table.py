"""Documents as one table of windows, and their words as flat lists: numbers only, no torch.

What `eds.transformer` and `eds.doc_classifier` collate, in the form that a graph of fixed
operations can read, whatever the number of windows, pieces, words and documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from edspipe.pipes.trainable.embeddings.windows import make_windows, ranks


@dataclass(frozen=True)
class Reading:
    """How texts are cut into windows.

    Attributes:
        window: Pieces a window, without specials.
        stride: Pieces from one window to the next.
        prefix: Specials before the pieces of a window.
        suffix: Specials after them.
        padding: The piece that fills up.
    """

    window: int
    stride: int
    prefix: list[int]
    suffix: list[int]
    padding: int

    @classmethod
    def of(cls, source: Any) -> Reading:
        """Take the fields from a table, or from an object that has them as attributes."""
        if isinstance(source, Mapping):
            return cls(**{field.name: source[field.name] for field in fields(cls)})
        padding = source.tokenizer.pad_token_id or 0
        return cls(source.window, source.stride, list(source.prefix), list(source.suffix), padding)


class ReadDoc(NamedTuple):
    """A document, read.

    Attributes:
        pieces: *Shape* `(pieces,)`
        owned: The pieces of its tokens, grouped by token. *Shape* `(pairs,)`
        num_owned: How many each token has. *Shape* `(tokens,)`
        words: The tokens that are words, not blanks. *Shape* `(words,)`
        numbers: The features beside the text. *Shape* `(columns,)`
    """

    pieces: np.ndarray
    owned: np.ndarray
    num_owned: np.ndarray
    words: np.ndarray
    numbers: np.ndarray


class Cells(NamedTuple):
    """A table of windows.

    Attributes:
        ids: What each cell holds. *Shape* `(windows, width)`
        used: 1 where a cell holds something. *Shape* `(windows, width)`
        pieces: The piece of each cell, among those of all documents; -1 for specials and padding.
            *Shape* `(windows, width)`
        kept: The cell that each piece is kept from. *Shape* `(pieces,)`
        texts: The text of each window. *Shape* `(windows,)`
    """

    ids: np.ndarray
    used: np.ndarray
    pieces: np.ndarray
    kept: np.ndarray
    texts: np.ndarray


def lay_out_cells(texts: Sequence[np.ndarray], reading: Reading) -> Cells:
    """Put all windows of some texts into one table.

    There is one window at least, of the first text: graphs cannot be trusted with empty tables.

    Args:
        texts: The pieces of each.
        reading: How they are cut.
    """
    pieces = np.concatenate([*texts, np.zeros(0, dtype=np.int64)])
    windows = make_windows(np.array([len(text) for text in texts]), reading.window, reading.stride)
    before, after = len(reading.prefix), len(reading.suffix)
    lengths, firsts, texts_of = (
        array if len(array) else np.zeros(1, dtype=np.int64)
        for array in (windows.lengths, windows.firsts, windows.texts)
    )
    width = before + int(lengths.max()) + after
    rows = np.arange(len(lengths))
    ids = np.full((len(lengths), width), reading.padding, dtype=np.int64)
    ids[:, :before] = reading.prefix
    for i, special in enumerate(reading.suffix):
        ids[rows, before + lengths + i] = special
    numbers = np.full_like(ids, -1)
    within = ranks(lengths)
    numbers[np.repeat(rows, lengths), before + within] = np.repeat(firsts, lengths) + within
    ids[numbers >= 0] = pieces[numbers[numbers >= 0]]
    used = np.arange(width) < (before + lengths + after)[:, None]
    kept = windows.rows * width + before + windows.columns
    return Cells(ids, used.astype(np.int64), numbers, kept.astype(np.int64), texts_of)


def graph_inputs(docs: Sequence[ReadDoc], reading: Reading) -> dict[str, np.ndarray]:
    """Return what the graph of a classifier is given, by name.

    Returns:
        `input_ids` and `attention_mask`, *Shape* `(windows, width)`; `windows`, the document of
        each window, *Shape* `(windows,)`; `cells`, the cells of the tokens' pieces, and `owners`,
        the token of each, *Shape* `(pairs,)`; `num_pieces`, of each token, *Shape* `(tokens,)`;
        `words`, the tokens that are words, and `docs`, the document of each, *Shape* `(words,)`;
        `num_windows`, `num_words` and `num_tokens`, *Shape* `(documents,)`; all int64; and
        `numbers`, float32, *Shape* `(documents, columns)`.
    """
    cells = lay_out_cells([doc.pieces for doc in docs], reading)
    num_pieces = np.array([len(doc.pieces) for doc in docs])
    num_windows = np.bincount(cells.texts, minlength=len(docs)) * (num_pieces > 0)
    num_tokens = np.array([len(doc.num_owned) for doc in docs])
    num_words = np.array([len(doc.words) for doc in docs])
    owned = _shifted([doc.owned for doc in docs], num_pieces)
    counts = np.concatenate([doc.num_owned for doc in docs])
    return {
        "input_ids": cells.ids,
        "attention_mask": cells.used,
        "windows": cells.texts,
        "num_windows": num_windows,
        "cells": cells.kept[owned],
        "owners": np.repeat(np.arange(len(counts)), counts),
        "num_pieces": counts.astype(np.int64),
        "words": _shifted([doc.words for doc in docs], num_tokens),
        "docs": np.repeat(np.arange(len(docs)), num_words),
        "num_words": num_words,
        "num_tokens": num_tokens,
        "numbers": np.stack([doc.numbers for doc in docs]),
    }


def _shifted(parts: Sequence[np.ndarray], sizes: np.ndarray) -> np.ndarray:
    """Join places in documents to places in all of them."""
    starts = np.cumsum(sizes) - sizes
    return np.concatenate([part + at for part, at in zip(parts, starts, strict=True)]).astype(
        np.int64
    )
