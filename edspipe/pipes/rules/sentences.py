"""eds.sentences: where sentences begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc

from edspipe.config.registry import registry

PUNCT_CHARS = (".", "!", "?", "…", "。", "۔", "؟")
"""Marks that end a sentence."""


@registry.factory.register("eds.sentences")
class Sentences:
    """Sets sentence starts from punctuation and line breaks.

    A sentence ends at a mark (`.`, `!`, `?` ...), and at a line break where the next line begins
    with a capital, a digit or a bullet. An abbreviation's full stop does not end one where the next
    word is in lower case, nor does the point inside a number. It writes `token.is_sent_start` on
    every token.

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        punct_chars: The marks; None takes `PUNCT_CHARS`.
        check_capitalized: Whether the next word must not begin in lower case.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "sentences",
        *,
        punct_chars: Sequence[str] | None = None,
        check_capitalized: bool = True,
    ) -> None:
        self.name = name
        self.punct_chars = frozenset(PUNCT_CHARS if punct_chars is None else punct_chars)
        self.check_capitalized = check_capitalized

    def __call__(self, doc: Doc) -> Doc:
        """Set the sentence starts of a Doc."""
        starts = np.full(len(doc), -1, dtype=np.int64)
        after_mark = after_break = after_blank = seen_word = False
        starts[:1] = 1
        for i, token in enumerate(doc):
            text = token.text
            if not text.strip():
                after_break = after_break or "\n" in text or "\r" in text
                after_blank = True
                continue
            ends = after_mark and self._may_begin(text) and (after_blank or not text[0].isdigit())
            if seen_word and (ends or (after_break and _begins_line(text))):
                starts[i] = 1
            after_break, after_blank, seen_word = False, bool(token.whitespace_), True
            closes = text in self.punct_chars
            after_mark = closes or (after_mark and not text[0].isalnum() and starts[i] != 1)
        values: Any = starts.astype(np.uint64).reshape(-1, 1)
        doc.from_array(["SENT_START"], values)
        return doc

    def _may_begin(self, text: str) -> bool:
        if not text[0].isalnum():
            return False
        return not (self.check_capitalized and text[0].islower())


def _begins_line(text: str) -> bool:
    return not text[0].islower()
