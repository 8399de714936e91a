"""Which characters of a view stand around a span."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property

import numpy as np
from spacy.attrs import SENT_START
from spacy.tokens import Doc

from edspipe.errors import ConfigError
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.contextual_matcher.rules import Window
from edspipe.pipes.rules.matcher import Finder

IS_START = 1

MAX_TOKENS = 500
"""On either side: no window is longer, so that a text without sentence ends is not searched anew
from end to end for each match."""


class Windows:
    """The windows of one Doc.

    Args:
        doc: The Doc.
    """

    def __init__(self, doc: Doc) -> None:
        self.doc = doc
        self._found: dict[Finder, list[tuple[int, int]]] = {}
        self._views: dict[tuple[str, bool], TextView] = {}

    def view(self, attr: str, ignore_excluded: bool) -> TextView:
        """Return a view of the Doc, looked for once: to find it takes as long as the Doc is."""
        key = attr, ignore_excluded
        if key not in self._views:
            self._views[key] = TextView.of(self.doc, attr, ignore_excluded)
        return self._views[key]

    def terms(self, finder: Finder) -> list[tuple[int, int]]:
        """Return the tokens of what a finder finds in the Doc, which it searches once."""
        if finder not in self._found:
            self._found[finder] = [found[1:] for found in finder.find(self.doc)]
        return self._found[finder]

    def tokens(self, first: int, end: int, window: Window) -> tuple[int, int]:
        """Return the tokens that a window around tokens covers.

        Args:
            first: The first token of the span.
            end: The token behind its last.
            window: How far around it.

        Raises:
            ConfigError: The window counts sentences, and the Doc has none.
        """
        find = self._sentences if window.unit == "sents" else self._words
        start, stop = find(first, end, window)
        return max(start, first - MAX_TOKENS), min(stop, end + MAX_TOKENS)

    def chars(self, view: TextView, first: int, end: int, window: Window) -> tuple[int, int]:
        """Return the characters of a view that a window around tokens covers."""
        start, stop = self.tokens(first, end, window)
        starts, ends = view.token_chars
        return starts[start], ends[stop - 1]

    def _words(self, first: int, end: int, window: Window) -> tuple[int, int]:
        words = self._word_tokens
        before = bisect_left(words, first) + window.before
        behind = bisect_left(words, end) - 1 + window.after
        start = min(first, words[max(before, 0)]) if words and window.before else first
        stop = words[min(behind, len(words) - 1)] + 1 if words and window.after else end
        return start, max(stop, end)

    def _sentences(self, first: int, end: int, window: Window) -> tuple[int, int]:
        starts = self._sentence_starts
        own, last = bisect_right(starts, first) - 1, bisect_left(starts, end) - 1
        behind = last + window.after + 1
        stop = starts[behind] if behind < len(starts) else len(self.doc)
        return starts[max(own + window.before, 0)], stop

    @cached_property
    def _word_tokens(self) -> list[int]:
        """The tokens that are no blanks."""
        words = TextView.of(self.doc).words
        return [place for place, word in enumerate(words) if word and not word.isspace()]

    @cached_property
    def _sentence_starts(self) -> list[int]:
        if not self.doc.has_annotation("SENT_START"):
            raise ConfigError(
                "eds.contextual_matcher: a window in sentences needs sentences: put eds.sentences "
                "before it, or count words (window: 10)"
            )
        starts = np.flatnonzero(self.doc.to_array(SENT_START) == IS_START).tolist()
        return starts if starts[:1] == [0] else [0, *starts]
