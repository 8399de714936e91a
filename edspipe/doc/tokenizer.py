"""The clinical tokenizer, `lang="eds"`: fast, and its Docs give the text back exactly.

How a text is cut:

- a run of letters is a word (`CamelCase` stays whole), a run of digits is another: `b12` is
  `b`, `12`. Superscripts and fractions count as digits: `m²` is `m`, `²`;
- a combining mark belongs to the character before it, and a soft hyphen or a joiner between two
  letters belongs to the word, so a text is cut alike whether its accents are composed or not;
- every other character is a token of its own: `M.` is `M`, `.`, and an underscore is punctuation.
  The parts of one emoji (skin tone, joined figures, the two letters of a flag) stay together;
- one blank after a token is the token's trailing space, and further blanks are one token;
- a line break is a token: `"\\n"`, `"\\r\\n"` (one break, hence one token, so that a file with
  Windows line ends has as many words as its Unix twin), `"\\r"`, and so are a tab and every other
  vertical space. A run of other Unicode spaces (no-break, thin, ...) is a token.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.vocab import Vocab

from edspipe.errors import DataError

MAX_CACHED_RUNS = 1 << 16
"""Runs that one tokenizer remembers before it starts afresh: about 20 MB."""

MAX_CACHED_CHARS = 40
"""Longer runs (addresses, sequences) hardly come back, so they are not remembered."""


NO_BLANK = "\0"
"""Ends the key of a run that no blank follows. A text that holds it is cut without any memory."""


def _ranges(category: str, first: int, last: int) -> str:
    """Return the body of a character class: the characters of a Unicode category.

    As ranges, because the `re` module tests the characters beyond U+FFFF one by one.
    """
    codes = [c for c in range(first, last + 1) if unicodedata.category(chr(c)).startswith(category)]
    members = set(codes)
    starts = [chr(code) for code in codes if code - 1 not in members]
    ends = [chr(code) for code in codes if code + 1 not in members]
    return "".join(f"{start}-{end}" for start, end in zip(starts, ends, strict=True))


def _compile_token() -> re.Pattern[str]:
    """Build the pattern of one token, for a run that holds no blank.

    All repetitions are possessive, so no input makes it backtrack: time is linear. The order of
    the alternatives puts the frequent ones first; the last one takes any character.
    """
    # The bounds hold all marks (but for the variation selectors) and all other numbers. The
    # look-ahead and the Latin letters only spare most characters the walk through the classes.
    mark = f"(?=[^\\x00-\u02ff])[{_ranges('M', 0x300, 0x1EFFF)}\U000e0100-\U000e01ef]"
    number = _ranges("No", 0x80, 0x1FFFF)
    letter, digit = rf"[^\W\d_{number}]", rf"[\d{number}]"
    latin = "[A-Za-zÀ-ÖØ-öø-ɏ]"
    letters = rf"(?:{latin}++{letter}*+|{letter}++)(?:(?:{mark})++{letter}*+)*+"
    picture = r"[\u2190-\u2bff\U0001f000-\U0001faff]"
    emoji = rf"{picture}(?:{mark})*+[\U0001f3fb-\U0001f3ff]?+(?:{mark})*+"
    return re.compile(
        rf"{letters}(?:[\u00ad\u200c\u200d\u2060]++{letters})*+"
        rf"|[!-/:-@\[-`{{-~](?:{mark})*+"
        rf"|{digit}++(?:(?:{mark})++{digit}*+)*+"
        r"|\r\n"
        r"|[^\S \t\n\r\v\f\x1c-\x1f\x85\u2028\u2029]++"
        r"|\s"
        r"|[\U0001f1e6-\U0001f1ff]{2}"
        rf"|{emoji}(?:\u200d{emoji})*+"
        rf"|.(?:{mark})*+",
        flags=re.DOTALL,
    )


# A line break, or what stands between blanks and line breaks, with the blank that follows; or
# blanks that follow no token. No token crosses the end of a run.
_RUN = re.compile(r"(?:[^ \r\n]++|\r?\n|\r) ?| ++")
_TOKEN = _compile_token()
_LONG_BLANKS = re.compile(r"((?:\A|(?<= )) {2,}+)")


class EdsTokenizer:
    """Cut a text into words, numbers, punctuation and spaces, such that `doc.text == text`.

    Clinical text repeats itself, so the cut of each run between blanks is remembered. The memory
    is bounded and never saved. The tokenizer has no state otherwise.

    Args:
        vocab: The vocabulary of the Docs.
    """

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab
        self._start_afresh()

    def __call__(self, text: str) -> Doc:
        """Return the Doc of a text.

        Raises:
            DataError: The text holds a lone surrogate, which no Doc can.
            TypeError: `text` is no string.
        """
        _check(text)
        if NO_BLANK in text:
            words, spaces = self.tokenize(text)
            return Doc(self.vocab, words=words, spaces=spaces)
        keys = _split(text)
        try:
            return self._make_doc(keys)
        except KeyError:
            # The vocabulary does not know these hashes: it forgot strings at the end of a memory
            # zone, or it is another one.
            self._start_afresh()
            return self._make_doc(keys)

    def _start_afresh(self) -> None:
        self._orths = _Orths(self.vocab)

    def _make_doc(self, keys: list[str]) -> Doc:
        packed = b"".join(map(self._orths.__getitem__, keys))
        rows: Any = np.frombuffer(packed, dtype=np.uint64).reshape(-1, 2)
        return Doc(self.vocab, words=rows[:, 0].tolist(), spaces=rows[:, 1].tolist())

    def pipe(self, texts: Iterable[str], batch_size: int = 1000) -> Iterator[Doc]:
        """Yield the Doc of each text; `batch_size` is there for spaCy and changes nothing."""
        return map(self, texts)

    def tokenize(self, text: str) -> tuple[list[str], list[bool]]:
        """Return the words, and whether a blank follows each.

        Raises:
            DataError: The text holds a lone surrogate.
            TypeError: `text` is no string.
        """
        _check(text)
        runs = _RUN.findall(text)
        cuts = [_cut(run) for run in runs]
        spaces = b"".join(map(_blanks_after, runs, map(len, cuts)))
        return list(chain.from_iterable(cuts)), list(map(bool, spaces))

    def to_disk(self, path: str | Path, **kwargs: Any) -> None:
        """Write nothing: there is no state."""

    def from_disk(self, path: str | Path, **kwargs: Any) -> EdsTokenizer:
        """Read nothing: there is no state."""
        return self

    def to_bytes(self, **kwargs: Any) -> bytes:
        """Return no bytes: there is no state."""
        return b""

    def from_bytes(self, data: bytes, **kwargs: Any) -> EdsTokenizer:
        """Read nothing: there is no state."""
        return self

    def __reduce__(self) -> tuple[type[EdsTokenizer], tuple[Vocab]]:
        return type(self), (self.vocab,)


class _Orths(dict[str, bytes]):
    """The words of each run, by its key: of each the hash, and 1 if a blank follows, else 0.

    spaCy makes Docs of hashes thrice as fast as Docs of words. They are 64 bits each, side by side
    in one object, because what is slow is to fetch scattered objects from memory.
    """

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab

    def __missing__(self, key: str) -> bytes:
        run = _run_of(key)
        words = _cut(run)
        orths = map(self.vocab.strings.add, words)
        rows = zip(orths, _blanks_after(run, len(words)), strict=True)
        packed = array("Q", chain.from_iterable(rows)).tobytes()
        if len(key) <= MAX_CACHED_CHARS:
            if len(self) >= MAX_CACHED_RUNS:
                self.clear()
            self[key] = packed
        return packed


def _split(text: str) -> list[str]:
    """Return the keys of the runs of a text that holds no `NO_BLANK`.

    The key of a run is the run without its last blank, or with `NO_BLANK` where it has none. Then
    `str.split` finds them (a word and the line break behind it as one), in half the time of `_RUN`.
    """
    if "   " not in text and not text.startswith("  "):
        return _split_at_blanks(text)
    keys: list[str] = []
    for place, part in enumerate(_LONG_BLANKS.split(text)):
        keys += [part[:-1]] if place % 2 else _split_at_blanks(part)
    return keys


def _split_at_blanks(text: str) -> list[str]:
    """Do so for a text in which at most one blank follows no token at a time."""
    # A line break ends a run, and so does the one blank that may follow it.
    keys = text.replace("\n", f"\n{NO_BLANK} ").replace(f"\n{NO_BLANK}  ", "\n ").split(" ")
    if keys[-1]:
        keys[-1] += NO_BLANK
    else:
        keys.pop()
    return keys


def _run_of(key: str) -> str:
    return key[:-1] if key.endswith(NO_BLANK) else key + " "


def _cut(run: str) -> list[str]:
    """Return the words of a run; blanks that follow no token are one word."""
    return _TOKEN.findall(run.removesuffix(" ")) if run[0] != " " else [run]


def _blanks_after(run: str, num_words: int) -> bytes:
    """Return 1 for each word of a run that a blank follows, else 0: only the last may have 1."""
    return bytes(num_words - 1) + (b"\1" if run[-1] == " " != run[0] else b"\0")


def _check(text: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"a tokenizer takes a str; got {type(text).__name__}")
    offset = None if text.isascii() else _surrogate_offset(text)
    if offset is not None:
        # Raised out here: the codec's own error would carry the text along as its context.
        raise DataError(
            f"the text holds a lone surrogate at character {offset}, which is no Unicode text; "
            "read the file with the right encoding, or with errors='replace'"
        )


def _surrogate_offset(text: str) -> int | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None
