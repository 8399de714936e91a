"""A Doc as the qualifiers read it: words without blanks, by sentence.

Made once a Doc and shared by all qualifiers. Words are cut alike whatever the tokenizer (`n'` and
`don't` become `n`, `'` and `don`, `'`, `t`), so that cue lists fit them all.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cached_property
from itertools import pairwise

import numpy as np
from spacy.attrs import SENT_START
from spacy.tokens import Doc

from edspipe.matching.folding import fold
from edspipe.matching.text_view import TextView

_PART = re.compile(r"[^\W\d_]+|\d+|\S")
# A capital or a digit behind a mark and a blank, an empty line, or a line that begins so.
_SENTENCE_END = re.compile(r"[.!?…][\"'”»)]?\s+(?=[^\W_a-z])|\n\s*\n|\n(?=\s*[^\s\w]?[^\W_a-z])")
_HEADING = re.compile(
    r"^[ \t]*[^\W\d_a-z][^\n:.;]{1,60}:|\b[A-ZÀ-Þ]{3}[A-ZÀ-Þ /&'-]{0,50}:", re.MULTILINE
)
_LINE_END = re.compile(r"\n")
MAX_CACHED_FORMS = 1 << 17
MAX_SENTENCE_WORDS = 400
"""What has no sentence ends (tables, logs) is cut after as many words: time stays linear."""


class Frame:
    """The words of a Doc, and where its sentences begin.

    Args:
        view: The normalised view of a Doc.
        marks: What it knows of its sentences; None if it knows nothing.

    Attributes:
        words: Normalised words without blanks and line breaks.
        tokens: The token of each word.
        sentences: The first word of each sentence; begins with 0.
    """

    def __init__(self, view: TextView, marks: bytes | None) -> None:
        self.offsets = view.offsets
        self.raw_text = view.raw_text
        self.marks = marks
        self.words: list[str] = []
        self.tokens: list[int] = []
        words, tokens = self.words, self.tokens
        for token, parts in enumerate(map(_PARTS.__getitem__, view.words)):
            for part in parts:
                words.append(part)
                tokens.append(token)
        starts = _split(view) if marks is None else _marked(marks)
        bounds = sorted({0, *(bisect_left(tokens, start) for start in starts), len(tokens)})
        self.sentences = [
            word
            for first, behind in pairwise(bounds)
            for word in range(first, behind, MAX_SENTENCE_WORDS)
        ] or [0]

    @classmethod
    def of(cls, doc: Doc) -> Frame:
        """Return the frame of a Doc; it is made anew where tokens or sentences changed."""
        view = TextView.of(doc)
        marks = doc.to_array(SENT_START).tobytes() if doc.has_annotation("SENT_START") else None
        # Kept with the view, which is forgotten where tokens change or too many are remembered.
        frame: Frame | None = view.kept.get(_KEY)
        if frame is None or frame.marks != marks:
            frame = view.kept[_KEY] = cls(view, marks)
        return frame

    def sentence_of(self, word: int) -> int:
        """Return the number of the sentence that a word stands in."""
        return bisect_right(self.sentences, word) - 1

    def sentence_end(self, sentence: int) -> int:
        """Return the word behind the last of a sentence."""
        behind = sentence + 1
        return self.sentences[behind] if behind < len(self.sentences) else len(self.words)

    def find_words(self, first_token: int, end_token: int) -> tuple[int, int]:
        """Return the first word of some tokens, and the one behind the last."""
        return bisect_left(self.tokens, first_token), bisect_left(self.tokens, end_token)

    def find_chars(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the raw text that some words (one at least) cover."""
        first, last = self.tokens[start], self.tokens[end - 1]
        return int(self.offsets.starts[first]), int(self.offsets.ends[last])

    def heads_section(self, start: int, end: int) -> bool:
        """Tell whether a cue is a heading: a colon follows, or it has a line to itself."""
        if end >= len(self.words) or self.words[end] == ":":
            return True
        return self._begins_line(end) and self._begins_line(start)

    def section_end(self, word: int) -> int:
        """Return the first word at or behind a word that begins a heading, or the end."""
        if word >= len(self.words):
            return len(self.words)
        place = bisect_left(self._headings, word)
        return self._headings[place] if place < len(self._headings) else len(self.words)

    def lines_between(self, first: int, behind: int) -> list[int]:
        """Return the words that begin a line, behind one word and before another."""
        lines = self._lines
        return lines[bisect_right(lines, first) : bisect_left(lines, behind)]

    def ends_paragraph(self, line: int) -> bool:
        """Tell whether an empty line stands before the word that begins a line."""
        starts, ends, tokens = self.offsets.starts, self.offsets.ends, self.tokens
        before = self.raw_text[ends[tokens[line - 1]] : starts[tokens[line]]]
        return before.count("\n") > 1

    def _begins_line(self, word: int) -> bool:
        """Tell whether nothing but signs and numbers stands before a word in its line."""
        place = bisect_right(self._lines, word)
        line = self._lines[place - 1] if place else 0
        return not any(before.isalpha() for before in self.words[line:word])

    @cached_property
    def _lines(self) -> list[int]:
        """The first word of each line, but for the first."""
        return self._words_at([match.end() for match in _LINE_END.finditer(self.raw_text)])

    @cached_property
    def _headings(self) -> list[int]:
        """The first word of each heading."""
        return self._words_at([match.start() for match in _HEADING.finditer(self.raw_text)])

    def _words_at(self, chars: list[int]) -> list[int]:
        """Return the first words that end behind some characters."""
        firsts = np.searchsorted(self.offsets.ends, chars, side="right").tolist()
        return [bisect_left(self.tokens, token) for token in firsts]


class _Parts(dict[str, tuple[str, ...]]):
    """The words that a token's form is cut into; none for blanks."""

    def __missing__(self, form: str) -> tuple[str, ...]:
        if len(self) >= MAX_CACHED_FORMS:
            self.clear()
        parts = self[form] = tuple(_PART.findall(form))
        return parts


_PARTS = _Parts()
_KEY = "qualifiers.frame"


def cut_term(term: str) -> tuple[str, ...]:
    """Return the words of a term, cut and folded as those of a Doc are."""
    return tuple(_PART.findall(fold(term, "NORM")))


def _marked(marks: bytes) -> list[int]:
    return np.flatnonzero(np.frombuffer(marks, dtype=np.uint64) == 1).tolist()


def _split(view: TextView) -> list[int]:
    """Return the tokens that begin a sentence, where nothing is known of sentences."""
    ends = [match.end() for match in _SENTENCE_END.finditer(view.raw_text)]
    return np.searchsorted(view.offsets.ends, ends, side="right").tolist()
