"""What stands between the words of a CoNLL file: read from its columns and comments, and noted.

`SpaceAfter=No` in MISC is of Universal Dependencies. `SpacesAfter=` and `SpacesBefore=` are of
UDPipe, with `s`, `t`, `n`, `r`, `p` behind a backslash for a blank, a tab, line ends and `|`; they
give any text back exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from spacy.tokens import Doc

from edspipe.data.conll.format import has_ids, is_word, name_key, text_index

_ESCAPES = {"\\": "\\", " ": "s", "\t": "t", "\n": "n", "\r": "r", "|": "p"}
_UNESCAPES = {f"\\{letter}": char for char, letter in _ESCAPES.items()}
_TEXT = re.compile(r"#\s*text\s*=\s?(.*)", re.DOTALL)
# As the clinical tokenizer cuts it: a line break or another space with the blank behind it; blanks.
_BLANK_TOKEN = re.compile(r"(?:(\r\n|[^ ])( ?)| +)")
SPACE_NAMES = ("spaceafter", "space_after")
_NO = frozenset(("no", "false", "0"))


class Layout:
    """The tokens of a Doc, as they come: words, and tokens for blanks that are no single space.

    Attributes:
        words: Their texts.
        spaces: Whether one space follows.
        sent_starts: Whether a sentence begins.
        rows: The token of each word.
    """

    def __init__(self) -> None:
        self.words: list[str] = []
        self.spaces: list[bool] = []
        self.sent_starts: list[bool] = []
        self.rows: list[int] = []

    def add_sentence(self, words: Sequence[str], spaces: Sequence[str]) -> None:
        """Append a sentence.

        Args:
            words: Its words.
            spaces: What stands before the first, and behind each of them.
        """
        start = len(self.words)
        self._add_blank(spaces[0])
        for word, space in zip(words, spaces[1:], strict=True):
            self.rows.append(len(self.words))
            self._add(word, False)
            self._add_blank(space)
        self.sent_starts[start] = True

    def spread(self, values: Sequence[str]) -> list[str]:
        """Return a value for each token, given one for each word."""
        out = [""] * len(self.words)
        for token, value in zip(self.rows, values, strict=True):
            out[token] = value
        return out

    def _add(self, word: str, space: bool) -> None:
        self.words.append(word)
        self.spaces.append(space)
        self.sent_starts.append(False)

    def _add_blank(self, blank: str) -> None:
        if blank.startswith(" ") and self.words and not self.spaces[-1]:
            self.spaces[-1] = True
            blank = blank[1:]
        for match in _BLANK_TOKEN.finditer(blank):
            self._add(match[1] or match[0], bool(match[2]))


def following(
    sentence: dict[str, Any], columns: Sequence[str], *, is_last: bool
) -> tuple[list[str], bool]:
    """Return what stands before the first word of a sentence, and behind each word.

    Args:
        sentence: Its comments and rows.
        columns: The columns.
        is_last: Whether the document ends with it.

    Returns:
        The spaces, and whether a comment `# text = ` fits the words (or there is none).
    """
    keys = [name_key(column) for column in columns]
    with_ids, form = has_ids(columns), text_index(columns)
    words = [row for row in sentence["rows"] if is_word(row, with_ids)]
    gaps, fits = _gaps_of_text(sentence["comments"], [row[form] for row in words])
    between = gaps if gaps is not None else [" "] * (len(words) - 1)
    spaces = ["", *between, "" if is_last else "\n"]
    if "misc" in keys:
        _read_misc(sentence["rows"], keys.index("misc"), with_ids, spaces)
    for name in SPACE_NAMES:
        if name in keys:
            column = keys.index(name)
            for i, row in enumerate(words, start=1):
                spaces[i] = "" if row[column].lower() in _NO else spaces[i]
    return spaces, fits


def _gaps_of_text(comments: list[str], words: list[str]) -> tuple[list[str] | None, bool]:
    """Find the words in the text of a comment; each gap must be nothing or one space."""
    found = next(filter(None, map(_TEXT.fullmatch, comments)), None)
    if found is None:
        return None, True
    text, at, gaps = found[1], 0, []
    for word in words:
        gap = " " if at and text.startswith(" ", at) else ""
        if not text.startswith(word, at + len(gap)):
            return None, False
        gaps.append(gap)
        at += len(gap) + len(word)
    return (gaps[1:], True) if not text[at:].strip() else (None, False)


def _read_misc(rows: list[list[str]], misc: int, with_ids: bool, spaces: list[str]) -> None:
    """Put in what MISC says; that of a range counts behind its last word."""
    number, ranges = 0, {}
    for row in rows:
        noted = dict(part.partition("=")[::2] for part in row[misc].split("|"))
        if not is_word(row, with_ids):
            if "-" in row[0]:
                ranges[row[0].partition("-")[2]] = noted
            continue
        number += 1
        noted = {**ranges.pop(row[0], {}), **noted} if with_ids else noted
        if noted.get("SpaceAfter") == "No":
            spaces[number] = ""
        if "SpacesAfter" in noted:
            spaces[number] = _unescape(noted["SpacesAfter"], spaces[number])
        if number == 1 and "SpacesBefore" in noted:
            spaces[0] = _unescape(noted["SpacesBefore"], "")


def _unescape(noted: str, default: str) -> str:
    blank = re.sub(r"\\.", lambda match: _UNESCAPES.get(match[0], match[0]), noted)
    return blank if not blank.strip() else default


def note_spaces(doc: Doc, sentences: Sequence[Sequence[int]]) -> dict[int, str]:
    """Return what MISC must say for the text to come back, by token.

    Args:
        doc: The Doc.
        sentences: The tokens of each sentence that are words.
    """
    words = [token for sentence in sentences for token in sentence]
    lasts = {sentence[-1] for sentence in sentences}
    noted: dict[int, str] = {}
    for token, later in zip_longest(words, words[1:]):
        begin = doc[token].idx + len(doc[token])
        blank = doc.text[begin : len(doc.text) if later is None else doc[later].idx]
        default = "" if later is None else "\n" if token in lasts else " "
        if blank != default:
            noted[token] = f"SpacesAfter={_escape(blank)}" if blank else "SpaceAfter=No"
    if words and (before := doc.text[: doc[words[0]].idx]):
        spaces = f"SpacesBefore={_escape(before)}"
        noted[words[0]] = "|".join(filter(None, [spaces, noted.get(words[0])]))
    return noted


def _escape(blank: str) -> str:
    return "".join(f"\\{_ESCAPES[char]}" if char in _ESCAPES else char for char in blank)
