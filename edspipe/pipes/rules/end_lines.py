"""eds.end_lines: which line breaks end a line of meaning, and which only wrap it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc, Token

from edspipe.config.registry import registry
from edspipe.lang.words import choose_lang, load_words
from edspipe.matching.folding import fold

SOFT_BREAKS = "edspipe.soft_breaks"
"""Key of `doc.user_data`: the characters of the line breaks that only wrap a line."""

MIN_WIDTH = 40
"""Characters of the shortest lines that a text is wrapped at."""

MIN_WRAPPED = 2
"""Lines that must be full before a document counts as wrapped at a width."""

WIDTH_QUANTILE = 0.95

_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\n|\r|\Z)")
_BULLET = re.compile(r"[-–—•*·>+]|\d{1,2}[.)/]|[a-zA-Z][.)]\s")
_HEADING = re.compile(r"[^\W\d_][^:.\n]{0,50}:(?!\S)")
_FIRST_WORD = re.compile(r"\S{1,40}")
_LAST_WORD = re.compile(r"([^\W\d_]{1,20})['’]?\s{0,4}\Z")


def soft_breaks(doc: Doc) -> frozenset[int]:
    """Return the characters of the line breaks that `eds.end_lines` took for wrapped lines."""
    return frozenset(doc.user_data.get(SOFT_BREAKS, ()))


def _get_end_line(token: Token) -> bool | None:
    if "\n" not in token.text and "\r" not in token.text:
        return None
    return token.idx not in soft_breaks(token.doc)


if not Token.has_extension("end_line"):
    Token.set_extension("end_line", getter=_get_end_line)


@registry.factory.register("eds.end_lines")
class EndLines:
    """Tells line breaks that end a line of meaning from those that only wrap it.

    ```python
    import edspipe, edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.end_lines(lang="en"))
    nlp.add_pipe(eds.sentences(lang="en"))
    doc = nlp("Seen by the\\nCardiology team.\\nFever")
    [token._.end_line for token in doc if token.text == "\\n"]  # [False, True]
    ```

    A break wraps a line where the line before cannot end there (its last word is an article or a
    preposition, or it ends with a comma), where the next line goes on in lower case, or where
    the document is wrapped at a width and the first word of the next line had not fit. A break
    before a blank line, a bullet or a heading never wraps; nor does one behind a heading.

    It writes `token._.end_line` (true or false on line breaks, None on other words), which
    `eds.sentences` reads, so put it before. The words themselves stay.

    Limits: no corpus at hand marks the line breaks, so only our own examples test it. In a note
    that is not wrapped, a list of long lines that begin with capitals may be taken for prose.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        changes: Words to add or to take away, in the shape of `sentences.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "end_lines",
        *,
        lang: str | Path | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        words = load_words("sentences", choose_lang(lang, nlp, "eds.end_lines"), changes)
        self.never_last = frozenset(fold(term, "NORM") for term in words.never_last)

    def __call__(self, doc: Doc) -> Doc:
        """Mark the line breaks of a Doc."""
        doc.user_data[SOFT_BREAKS] = self.find(doc.text)
        return doc

    def find(self, text: str) -> list[int]:
        """Return the characters of the line breaks that only wrap a line."""
        bounds = [match.span() for match in _LINE.finditer(text) if match[0]]
        lines = [text[start:end].strip() for start, end in bounds]
        ends = [start + len(text[start:end].rstrip("\r\n")) for start, end in bounds]
        width = _width(lines)
        return [
            ends[i] for i in range(len(lines) - 1) if self._wraps(lines[i], lines[i + 1], width)
        ]

    def _wraps(self, line: str, following: str, width: float) -> bool:
        if not line or not following or _BULLET.match(following) or _HEADING.match(following):
            return False
        if line.endswith((",", "(", "-")):
            return True
        if line.endswith((":", ".", "!", "?", ";")):
            return line[-1] in ".;" and _fills(line, following, width) and line[-1] != ":"
        last = _LAST_WORD.search(line[-30:])
        if last is not None and fold(last[1], "NORM") in self.never_last:
            return True
        return following[0].islower() or _fills(line, following, width)


def _width(lines: list[str]) -> float:
    """Return the width at which a document is wrapped, or infinity."""
    lengths = np.array([len(line) for line in lines[:-1] if len(line) >= MIN_WIDTH])
    if len(lengths) < MIN_WRAPPED:
        return float("inf")
    width = float(np.quantile(lengths, WIDTH_QUANTILE))
    full = sum(_fills(a, b, width) for a, b in pairwise(lines) if a and b)
    return width if full >= MIN_WRAPPED and lengths.max() <= 2 * width else float("inf")


def _fills(line: str, following: str, width: float) -> bool:
    """Tell whether the first word of the next line would not have fit on a line."""
    word = _FIRST_WORD.match(following)
    return len(line) <= 1.1 * width < 1.1 * (len(line) + 1 + len(word[0] if word else "") + 1)
