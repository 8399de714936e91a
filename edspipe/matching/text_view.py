"""A Doc's text as it is compared: matched there, reported on the raw text, offsets exact.

```python
view = TextView.of(doc)  # NORM: lower case, no accents, plain quotes and dashes
for match in pattern.finditer(view.text):
    start_char, end_char = view.raw(*match.span())  # characters of doc.text
    first, end, _ = view.offsets.snap(start_char, end_char)  # words of the Doc
```

What `eds.normalizer` found to be pollution (the span group `pollution`) is blank in the view.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, cached_property, partial
from itertools import compress
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from spacy.attrs import ORTH, SPACY
from spacy.tokens import Doc

from edspipe.doc.alignment import TokenOffsets
from edspipe.matching.folding import NO_WIDTH, Attr, Offsets, fold, fold_text, parts_of

POLLUTION = "pollution"
"""The span group of what is no part of the text."""

BLANK = " "
"""The word that stands for each token inside pollution."""

MAX_CACHED_FORMS = 1 << 18
"""Tokens whose normal form is remembered, in a process: about 40 MB."""

MAX_CACHED_CHARS = 4_000_000
"""Characters of the Docs whose views are remembered: a few hundred MB at most."""

UNIT = r"[^\W\d_]+|\d+|[^\w\s]|_"
"""A run of letters, a run of digits, or a sign: what no tokenizer and no term differ in."""
_PIECE = re.compile(rf"\s+|{UNIT}|.", flags=re.DOTALL)


class Units(NamedTuple):
    """The units of a view, and where they begin and end in it. *Shape:* (units,) each"""

    words: list[str]
    starts: Offsets
    ends: Offsets


class TextView:
    """The text of a Doc, folded: see `TextView.of`.

    Args:
        doc: The Doc; later changes to its tokens are not seen.
        attr: `"TEXT"` as it is, `"LOWER"` lower case, `"NORM"` also without accents, and so on.
        polluted: Stretches of characters that are blank. *Each:* (start, end)
        tokens: What is known of the tokens; views of one Doc share it.

    Attributes:
        raw_text: The text of the Doc.
        text: The folded text.
        kept: What others derived from the view, by a key of theirs: it lives as long.
    """

    def __init__(
        self,
        doc: Doc,
        attr: Attr = "NORM",
        polluted: tuple[tuple[int, int], ...] = (),
        tokens: _Tokens | None = None,
    ) -> None:
        self.attr: Attr = attr
        self.polluted = polluted
        self._tokens = _Tokens(doc) if tokens is None else tokens
        self.kept: dict[str, Any] = {}
        self.raw_text = self._tokens.text
        self.text, self._counts = fold_text(_blanked(self.raw_text, polluted), attr)

    @classmethod
    def of(cls, doc: Doc, attr: Attr = "NORM", ignore_excluded: bool = True) -> TextView:
        """Return the view of a Doc; it is made once, and anew where tokens or pollution change.

        Args:
            doc: The Doc.
            attr: What the text is folded to, see `edspipe.matching.folding`.
            ignore_excluded: Whether pollution is blank.

        Raises:
            ValueError: There is no such attribute.
        """
        parts_of(attr)
        tokens = _REMEMBERED.of(doc)
        polluted = _polluted(doc) if ignore_excluded else ()
        key = attr, polluted
        view = tokens.views.get(key)
        if view is None:
            view = tokens.views[key] = cls(doc, attr, polluted, tokens)
        return view

    @property
    def offsets(self) -> TokenOffsets:
        """Where the tokens begin and end, in the raw text."""
        return self._tokens.offsets

    @cached_property
    def words(self) -> list[str]:
        """The folded form of each token; `BLANK` for those inside pollution."""
        words = _forms_of(self.attr).of(self._tokens)
        for first, end in self.polluted_tokens:
            words[first:end] = [BLANK] * (end - first)
        return words

    @cached_property
    def units(self) -> Units:
        """The runs of letters, runs of digits and signs of the text, without what is blank."""
        pieces = _PIECE.findall(self.text)
        ends = np.cumsum(np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces)))
        blank = np.fromiter(map(str.isspace, pieces), dtype=bool, count=len(pieces))
        starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1]))[: len(ends)]
        return Units(list(compress(pieces, ~blank)), starts[~blank], ends[~blank])

    @cached_property
    def polluted_tokens(self) -> list[tuple[int, int]]:
        """The tokens inside pollution. *Each:* (first, end)"""
        found = [self.offsets.snap(*stretch) for stretch in self.polluted]
        return [snapped[:2] for snapped in found if snapped is not None]

    def raw(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the raw text that characters of the view stand for."""
        if self._counts is None:
            return start, end
        if start >= end:
            place = int(self._sources[start]) if start < len(self.text) else len(self.raw_text)
            return place, place
        return int(self._sources[start]), int(self._source_ends[end - 1])

    def raw_many(self, starts: Offsets, ends: Offsets) -> tuple[Offsets, Offsets]:
        """Do the same as `raw` for stretches of at least one character. *Shape:* (stretches,)"""
        if self._counts is None:
            return starts, ends
        return self._sources[starts], self._source_ends[ends - 1]

    def norm(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the view that stand for characters of the raw text."""
        if self._counts is None:
            return start, end
        first = int(np.searchsorted(self._source_ends, start, side="right"))
        behind = int(np.searchsorted(self._sources, end, side="left"))
        return first, max(first, behind)

    @cached_property
    def token_chars(self) -> tuple[list[int], list[int]]:
        """The characters of the view where each token begins, and where it ends."""
        starts, ends = self.offsets.starts, self.offsets.ends
        if self._counts is not None:
            starts = np.searchsorted(self._source_ends, starts, side="right")
            ends = np.maximum(starts, np.searchsorted(self._sources, ends, side="left"))
        return starts.tolist(), ends.tolist()

    def tokens(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the first token and the one behind the last that characters of the view touch."""
        snapped = self.offsets.snap(*self.raw(start, end))
        return None if snapped is None else snapped[:2]

    @cached_property
    def _sources(self) -> Offsets:
        """Where the raw character begins that each character stands for. *Shape:* (characters,)"""
        assert self._counts is not None
        return np.repeat(np.arange(len(self._counts)), self._counts)

    @cached_property
    def _source_ends(self) -> Offsets:
        """Where it ends, with the accents behind it. *Shape:* (characters,)"""
        assert self._counts is not None
        ends = np.arange(1, len(self._counts) + 1)
        owner = -1
        for place in np.flatnonzero(self._counts == 0).tolist():
            # An accent belongs to the character before it, a soft hyphen or a lone accent to none.
            if self.raw_text[place] in NO_WIDTH:
                continue
            if owner < 0 or ends[owner] != place:
                owner = place - 1
            if owner >= 0 and self._counts[owner] and not self.raw_text[owner].isspace():
                ends[owner] = place + 1
        return np.repeat(ends, self._counts)


class _Tokens:
    """What all views of a Doc share, as long as its tokens are the same."""

    def __init__(self, doc: Doc) -> None:
        orths: Any = doc.to_array(ORTH)
        self.orths = orths.tobytes()
        # A token and the blank behind it, if any, in one number.
        self.keys: list[int] = (orths ^ doc.to_array(SPACY)).tolist()
        # Not the Doc itself: what is kept beside it must not keep it alive.
        self.strings = doc.vocab.strings
        self.text = "".join(_WITH_BLANKS.of(self))
        self.views: dict[tuple[str, tuple[tuple[int, int], ...]], TextView] = {}
        self.offsets = TokenOffsets(doc)


class _Forms(dict[int, str]):
    """What tokens become, by their key: hashes of strings are the same in all vocabularies.

    Args:
        form: Token and the blank behind it -> what they become.
    """

    def __init__(self, form: Callable[[str, str], str]) -> None:
        self.form = form

    def of(self, tokens: _Tokens) -> list[str]:
        while True:
            try:
                return list(map(self.__getitem__, tokens.keys))
            except KeyError:
                self._learn(tokens)

    def _learn(self, tokens: _Tokens) -> None:
        if len(self) >= MAX_CACHED_FORMS:
            self.clear()
        orths = np.frombuffer(tokens.orths, dtype=np.uint64).tolist()
        for key, orth in zip(tokens.keys, orths, strict=True):
            if key not in self:
                self[key] = self.form(tokens.strings[orth], " " if key != orth else "")


def _folded(attr: Attr, text: str, blank: str) -> str:
    return fold(text, attr)


_WITH_BLANKS = _Forms(lambda text, blank: text + blank)


@cache
def _forms_of(attr: Attr) -> _Forms:
    return _Forms(partial(_folded, attr))


class _Remembered:
    """What is known of the Docs that were looked at, as long as these live.

    It stands beside the Docs and not in them, so that saving, copying and pickling one does not
    carry it. It is emptied before it grows too large.
    """

    def __init__(self) -> None:
        self.tokens: WeakKeyDictionary[Doc, _Tokens] = WeakKeyDictionary()
        self.num_chars = 0

    def of(self, doc: Doc) -> _Tokens:
        tokens = self.tokens.get(doc)
        if tokens is None or tokens.orths != doc.to_array(ORTH).tobytes():
            tokens = _Tokens(doc)
            self._make_room(len(tokens.text))
            self.tokens[doc] = tokens
        return tokens

    def _make_room(self, num_chars: int) -> None:
        self.num_chars += num_chars
        if self.num_chars > MAX_CACHED_CHARS:
            alive = list(self.tokens.values())
            self.num_chars = num_chars + sum(len(tokens.text) for tokens in alive)
            if self.num_chars > MAX_CACHED_CHARS // 2:
                self.tokens.clear()
                self.num_chars = num_chars


_REMEMBERED = _Remembered()


def _polluted(doc: Doc) -> tuple[tuple[int, int], ...]:
    spans = doc.spans.get(POLLUTION, ())
    return tuple(sorted({(span.start_char, span.end_char) for span in spans}))


def _blanked(text: str, stretches: tuple[tuple[int, int], ...]) -> str:
    if not stretches:
        return text
    pieces, done = [], 0
    for start, end in stretches:
        if end > done:
            begin = max(start, done)
            pieces += [text[done:begin], BLANK * (end - begin)]
            done = end
    return "".join([*pieces, text[done:]])
