"""Character offsets and words: the words that a stretch of characters covers.

A word is a token of the Doc. The blank that may follow a token belongs to no word.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from spacy.attrs import IDX, LENGTH
from spacy.tokens import Doc

Offsets = npt.NDArray[np.int64]


class TokenOffsets:
    """Where the words of one Doc begin and end: build it once, then snap many spans.

    Args:
        doc: The Doc; later changes to its tokens are not seen.

    Attributes:
        starts: Offset of the first character of each word. *Shape:* (words,)
        ends: Offset behind the last character of each word. *Shape:* (words,)
        num_chars: Length of the text.
    """

    def __init__(self, doc: Doc) -> None:
        # Two arrays of one column: spaCy fills them faster than one of two.
        self.starts: Offsets = doc.to_array(IDX).astype(np.int64)
        self.ends: Offsets = self.starts + doc.to_array(LENGTH).astype(np.int64)
        self.num_chars = int(self.ends[-1]) + len(doc[-1].whitespace_) if len(doc) else 0

    # A bisection of a list is several times as fast as one of an array.

    @cached_property
    def _starts(self) -> list[int]:
        return self.starts.tolist()

    @cached_property
    def _ends(self) -> list[int]:
        return self.ends.tolist()

    def snap(self, start_char: int, end_char: int) -> tuple[int, int, bool] | None:
        """Return the smallest word span that covers the characters.

        Args:
            start_char: Offset of the first character.
            end_char: Offset behind the last character.

        Returns:
            The first word, the word behind the last, and whether the words reach beyond the
            characters; None if the characters touch no word.

        Raises:
            ValueError: The offsets are no stretch of the text.
        """
        if not 0 <= start_char <= end_char <= self.num_chars:
            raise ValueError(self._outside(start_char, end_char))
        first = bisect_right(self._ends, start_char)
        end = bisect_left(self._starts, end_char)
        if first >= end or start_char == end_char:
            return None
        widened = self._starts[first] < start_char or self._ends[end - 1] > end_char
        return first, end, widened

    def snap_many(
        self, start_chars: Sequence[int] | Offsets, end_chars: Sequence[int] | Offsets
    ) -> tuple[Offsets, Offsets, npt.NDArray[np.bool_]]:
        """Do the same as `snap` for many spans at once.

        Args:
            start_chars: *Shape:* (spans,)
            end_chars: *Shape:* (spans,)

        Returns:
            First words, words behind the last, and whether the words reach beyond the characters.
            A span that touches no word has -1, -1, False. *Shape:* (spans,) each

        Raises:
            ValueError: There are not as many starts as ends, or some are no stretch of the text.
        """
        starts = np.asarray(start_chars, dtype=np.int64)
        ends = np.asarray(end_chars, dtype=np.int64)
        if starts.shape != ends.shape:
            raise ValueError(
                f"expected as many starts as ends; got {starts.size} starts and {ends.size} ends"
            )
        bad = np.flatnonzero((starts < 0) | (starts > ends) | (ends > self.num_chars))
        if bad.size:
            raise ValueError(self._outside(int(starts[bad[0]]), int(ends[bad[0]])))
        first = np.searchsorted(self.ends, starts, side="right")
        end = np.searchsorted(self.starts, ends, side="left")
        found = (first < end) & (starts < ends)
        if not found.any():
            nothing = np.full(starts.shape, -1, dtype=np.int64)
            return nothing, nothing.copy(), np.zeros(starts.shape, dtype=bool)
        inside, last = np.where(found, first, 0), np.where(found, end - 1, 0)
        widened = found & ((self.starts[inside] < starts) | (self.ends[last] > ends))
        return np.where(found, first, -1), np.where(found, end, -1), widened

    def _outside(self, start_char: int, end_char: int) -> str:
        return (
            f"characters {start_char} to {end_char} are no stretch of a text of "
            f"{self.num_chars} characters: expected 0 <= start <= end <= {self.num_chars}; do the "
            "offsets belong to this very text, line ends included?"
        )


def snap_to_tokens(doc: Doc, start_char: int, end_char: int) -> tuple[int, int, bool] | None:
    """Return the smallest word span of a Doc that covers the characters.

    For many spans of one Doc, build `TokenOffsets` once.

    Args:
        doc: The Doc.
        start_char: Offset of the first character.
        end_char: Offset behind the last character.

    Returns:
        The first word, the word behind the last, and whether the words reach beyond the
        characters; None if the characters touch no word.

    Raises:
        ValueError: The offsets are no stretch of the text.
    """
    return TokenOffsets(doc).snap(start_char, end_char)
