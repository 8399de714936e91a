"""From one piece of text to the windows of it that a character model is trained on, in order.

    text of N characters -> C columns, each a contiguous L = ceil(N / C) of them
                         -> windows of `window` characters of all columns; the state of a column
                            goes on from one window to the next

Suffixes: N characters, C columns, L characters of a column, W characters of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edspipe.pipes.trainable.char_lm import DIRECTIONS, IGNORED, START
from edspipe.pipes.trainable.char_vocab import CharVocab, code_points
from edspipe.pretraining.splits import TextSplit

WINDOW = 250
COLUMNS = 100


class CharWindows:
    """Cuts a split into the features of one training step each.

    Every character is predicted exactly once an epoch, in each direction: the first of a column
    from the one before it in the text, and that of the split from a new line. The backward
    direction reads the split from its end. A short split has fewer columns, so that each has about
    a window of text.

    Args:
        vocab: The alphabet.
        directions: `"forward"`, `"backward"`, or both.
        window: Characters that gradients flow through.
        columns: Pieces of a split that are read side by side, at most.
        pipe_name: The pipe that learns.

    Raises:
        ValueError: `window` or `columns` is below 1.
    """

    def __init__(
        self,
        vocab: CharVocab,
        directions: Sequence[str] = DIRECTIONS,
        window: int = WINDOW,
        columns: int = COLUMNS,
        pipe_name: str = "char_lm",
    ) -> None:
        if window < 1 or columns < 1:
            raise ValueError(f"window and columns are 1 or more, got {window} and {columns}")
        self.vocab, self.directions = vocab, list(directions)
        self.window, self.columns, self.pipe_name = window, columns, pipe_name
        self.__qualname__ = "char_windows"

    def __call__(self, split: TextSplit) -> Iterator[dict[str, Any]]:
        """Yield the windows of a split, as samples of the pipeline.

        Each holds, by direction, `inputs` and `targets`, int64, *Shape* `(columns, window)`;
        `starts`, whether the state begins anew, and `num_chars`, how many are predicted.
        """
        text = self.vocab.normalised(split.read())
        if not text:
            return
        ids_N = self.vocab.encode(text)
        start = self.vocab.encode(START)
        tables = {
            direction: self._columns(ids_N if direction == "forward" else ids_N[::-1], start)
            for direction in self.directions
        }
        words_before = np.concatenate([[0], np.cumsum(word_ends(text))])
        length = next(iter(tables.values()))[0].shape[1]
        for number, first in enumerate(range(0, length, self.window)):
            part = slice(first, first + self.window)
            inputs = {key: inputs[:, part] for key, (inputs, _) in tables.items()}
            targets = {key: targets[:, part] for key, (_, targets) in tables.items()}
            starts_C, ends_C = self._ranges(len(ids_N), length, first)
            num_chars = int((ends_C - starts_C).sum())
            num_words = int((words_before[ends_C] - words_before[starts_C]).sum())
            yield {
                self.pipe_name: {
                    "inputs": inputs,
                    "targets": targets,
                    "starts": number == 0,
                    "num_chars": num_chars,
                },
                "stats": {"words": num_words, "chars": num_chars},
                "doc_id": f"{split.split_id}#{number}",
            }

    def num_columns(self, num_chars: int) -> int:
        """Return how many columns a split of so many characters has."""
        return max(1, min(self.columns, num_chars // self.window))

    def num_windows(self, num_chars: int) -> int:
        """Return how many windows, and so training steps, a split of so many characters gives."""
        return -(-_length(num_chars, self.num_columns(num_chars)) // self.window)

    def _columns(self, ids_N: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is read and what is to be predicted, *Shape* `(C, L)` each."""
        num_columns = self.num_columns(len(ids_N))
        length = _length(len(ids_N), num_columns)
        targets = np.full(num_columns * length, IGNORED, np.int64)
        targets[: len(ids_N)] = ids_N
        inputs = np.zeros(num_columns * length, np.int64)
        inputs[0] = start[0]
        inputs[1 : len(ids_N)] = ids_N[:-1]
        return inputs.reshape(num_columns, length), targets.reshape(num_columns, length)

    def _ranges(self, num_chars: int, length: int, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where the text of a window begins and ends in each column."""
        starts_C = np.arange(self.num_columns(num_chars)) * length + first
        ends_C = starts_C + min(self.window, length - first)
        return np.minimum(starts_C, num_chars), np.minimum(ends_C, num_chars)


def _length(num_chars: int, num_columns: int) -> int:
    return -(-num_chars // num_columns)


def word_ends(text: str) -> np.ndarray:
    """Return whether a blank-separated word ends with each character, bool."""
    blank = _BLANK[np.minimum(code_points(text), len(_BLANK) - 1)]
    return ~blank & np.append(blank[1:], True)


_BLANK = np.array([chr(point).isspace() for point in range(0x3002)])
"""Whether each code point is a blank; the last one stands for all behind it."""
