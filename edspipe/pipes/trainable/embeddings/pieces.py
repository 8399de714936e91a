"""Word pieces of texts, with a memory for what is between blanks: notes repeat their words.

Most tokenizers split texts at blanks before anything else. Where that holds, a text is cut into
*units* (blanks, then what is not blank), the pieces of a unit do not depend on its neighbours, and
each unit is tokenized once. Other tokenizers, and texts with characters that tokenizers and Python
do not both take for blanks, are tokenized whole.
"""

from __future__ import annotations

import json
import re
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

MAX_UNITS = 100_000
"""Units that are remembered, at most; about 30 MB. Then the memory starts anew."""
MAX_UNIT_CHARS = 64
"""Longer units hardly come twice."""

_UNITS = re.compile(r"\s*\S+|\s+$")
_UNSURE = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
"""Blanks for Python, and control characters, which join what they stand between, for tokenizers."""

_LOCAL_NORMALIZERS = (
    *("BertNormalizer", "Lowercase", "StripAccents", "Precompiled"),
    *("NFC", "NFD", "NFKC", "NFKD"),
)
_SPLIT_AT_BLANKS = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")


class Pieces(NamedTuple):
    """The pieces of a text.

    Attributes:
        ids: *Shape* `(pieces,)`, int64
        starts: First characters. *Shape* `(pieces,)`, int64
        ends: Characters after the last. *Shape* `(pieces,)`, int64
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


class PieceTokenizer:
    """Turns texts into pieces, without specials.

    Args:
        backend: The `tokenizers.Tokenizer`, without truncation and padding.
    """

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        description = json.loads(backend.to_str())
        added = [token["content"] for token in description.get("added_tokens", ())]
        self._added = re.compile("|".join(map(re.escape, added))) if added else None
        self.remembers = splits_at_blanks(description)
        self._memory = _Memory()
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"backend": self.backend}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["backend"])  # type: ignore[misc]

    def __call__(self, text: str) -> Pieces:
        """Tokenize a text."""
        if not self.remembers or _UNSURE.search(text):
            return self._whole(text)
        if self._added is not None and self._added.search(text):
            return self._whole(text)
        units = _UNITS.findall(text)
        memory = self._memory
        rows = list(map(memory.rows.get, units))
        if None in rows:
            memory = self._learn(
                {unit for unit, row in zip(units, rows, strict=True) if row is None}
            )
            rows = list(map(memory.rows.get, units))
            if None in rows:  # Units are too long, or too many, to be remembered.
                return self._whole(text)
        return memory.join(np.array(rows, dtype=np.int64))

    def _whole(self, text: str) -> Pieces:
        encoding = self.backend.encode(text, add_special_tokens=False)
        chars = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        return Pieces(np.array(encoding.ids, dtype=np.int64), chars[:, 0], chars[:, 1])

    def _learn(self, units: set[str]) -> _Memory:
        short = [unit for unit in sorted(units) if len(unit) <= MAX_UNIT_CHARS]
        with self._lock:
            if len(self._memory.rows) + len(short) > MAX_UNITS:
                self._memory = _Memory()
            new = [unit for unit in short if unit not in self._memory.rows]
            if len(new) > MAX_UNITS:
                return self._memory
            # One by one: a batch would start threads, in each of many workers.
            encodings = [self.backend.encode(unit, add_special_tokens=False) for unit in new]
            self._memory.add(new, encodings)
            return self._memory


class _Memory:
    """Units and their pieces, one after the other. What is written stays: readers need no lock."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self._firsts = np.zeros(1024, dtype=np.int64)
        self._counts = np.zeros(1024, dtype=np.int64)
        self._lengths = np.zeros(1024, dtype=np.int64)
        self._pieces = np.zeros((3, 4096), dtype=np.int64)
        self._num_pieces = 0

    def add(self, units: list[str], encodings: list[Any]) -> None:
        """Take units in; their rows are published last."""
        first = len(self.rows)
        rows = slice(first, first + len(units))
        counts = [len(encoding.ids) for encoding in encodings]
        self._counts = _grown(self._counts, rows.stop)
        self._firsts = _grown(self._firsts, rows.stop)
        self._lengths = _grown(self._lengths, rows.stop)
        self._counts[rows] = counts
        self._firsts[rows] = self._num_pieces + np.cumsum(counts) - counts
        self._lengths[rows] = [len(unit) for unit in units]
        pieces = slice(self._num_pieces, self._num_pieces + sum(counts))
        self._pieces = _grown(self._pieces, pieces.stop)
        self._pieces[0, pieces] = [i for encoding in encodings for i in encoding.ids]
        offsets = [pair for encoding in encodings for pair in encoding.offsets]
        self._pieces[1:, pieces] = np.array(offsets, dtype=np.int64).reshape(-1, 2).T
        self._num_pieces = pieces.stop
        self.rows.update(zip(units, range(rows.start, rows.stop), strict=True))

    def join(self, rows: np.ndarray) -> Pieces:
        """Return the pieces of a text.

        Args:
            rows: The rows of its units. *Shape* `(units,)`
        """
        counts, lengths = self._counts[rows], self._lengths[rows]
        before = np.cumsum(counts) - counts
        places = np.repeat(self._firsts[rows] - before, counts)
        places += np.arange(len(places))
        ids, starts, ends = self._pieces[:, places]
        shift = np.repeat(np.cumsum(lengths) - lengths, counts)
        return Pieces(ids, starts + shift, ends + shift)


def _grown(array: np.ndarray, size: int) -> np.ndarray:
    """Return an array whose last axis has room for `size`; a new one where it had not."""
    room = array.shape[-1]
    if size <= room:
        return array
    larger = np.zeros((*array.shape[:-1], max(size, 2 * room)), dtype=array.dtype)
    larger[..., :room] = array
    return larger


def splits_at_blanks(description: dict[str, Any]) -> bool:
    """Tell whether the pieces of a unit never depend on what is around it.

    Args:
        description: The content of the `tokenizer.json` of a fast tokenizer.
    """
    if not all(map(_stays_in_its_unit, description.get("added_tokens", ()))):
        return False
    normalizers = _steps(description.get("normalizer"), "normalizers")
    if not all(map(_is_local, normalizers)):
        return False
    post = description.get("post_processor") or {}
    if post.get("trim_offsets") and post.get("add_prefix_space"):  # as if for a text's first word
        return False
    if description["model"].get("dropout"):  # it cuts words in another way each time
        return False
    steps = _steps(description.get("pre_tokenizer"), "pretokenizers")
    if not steps:
        return False
    first, *rest = steps
    if first["type"] == "ByteLevel":
        # Its pattern gives a word the one blank before it, and ends pieces where blanks begin.
        return first["use_regex"] and not first["add_prefix_space"] and not rest
    # A prefix for the first word of a text alone would be given to each unit.
    whole = any(step.get("prepend_scheme") == "first" for step in rest)
    return first["type"] in _SPLIT_AT_BLANKS and not whole


def _is_local(normalizer: dict[str, Any]) -> bool:
    if normalizer["type"] == "Replace":  # of several blanks by one, as SentencePiece does
        return normalizer["pattern"] == {"Regex": " {2,}"} and normalizer["content"] == " "
    return normalizer["type"] in _LOCAL_NORMALIZERS


def _stays_in_its_unit(token: dict[str, Any]) -> bool:
    """Whether an added token holds no blanks, nor takes any along unless seen in the text."""
    takes_blanks = token["lstrip"] or token["rstrip"]
    return not re.search(r"\s", token["content"]) and not (takes_blanks and token["normalized"])


def _steps(step: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    if step is None:
        return []
    return step[key] if step["type"] == "Sequence" else [step]
