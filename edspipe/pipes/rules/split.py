"""eds.split: one document to several, with all that belongs to each part."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.alignment import TokenOffsets
from edspipe.doc.attributes import declare_doc_attribute, span_attributes

declare_doc_attribute("split_offset", 0)
declare_doc_attribute("parent_id")
declare_doc_attribute("num_cut_spans", 0)


@registry.factory.register("eds.split")
class Split:
    """Splits Docs at a pattern, or into parts of a bounded length.

    Parts carry entities, span groups, their attributes, and `doc._.note_id` (`<id>-0`, `<id>-1`
    ...); `doc._.parent_id` is the id of the whole document and `doc._.split_offset` the character
    where the part begins in it. A span that a boundary cuts goes to no part;
    `doc._.num_cut_spans` counts those that begin in a part and end beyond it. Parts without any
    word are left out.

    ```python
    stream.map(eds.split(regex="\\n\\n"))
    ```

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        regex: Where to split: a part ends after each match.
        max_length: Words a part at most; a sentence end or a line break is preferred as its end.
        randomize: Share of `max_length` by which the length of parts varies at random, 0 to 1.
        filter_expr: Which parts are kept: `"ents"` those with entities, the name of a span group
            those with spans in it, or a function Doc -> bool.

    Raises:
        ValueError: The pattern is not valid, a number is out of range, or there is nothing to do.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "split",
        *,
        regex: str | None = None,
        max_length: int = 0,
        randomize: float = 0.0,
        filter_expr: str | Callable[..., Any] | None = None,
    ) -> None:
        try:
            self.pattern = None if regex is None else re.compile(regex)
        except re.error as error:
            raise ValueError(f"regex: {error}") from None
        if max_length < 0 or not 0 <= randomize <= 1:
            raise ValueError(
                f"expected max_length >= 0 and 0 <= randomize <= 1, got {max_length}, {randomize}"
            )
        self.name = name
        self.max_length = max_length
        self.randomize = randomize
        self.filter_expr = filter_expr

    def __call__(self, doc: Doc, rng: np.random.Generator | None = None) -> Iterator[Doc]:
        """Yield the parts of a Doc.

        Args:
            doc: The Doc.
            rng: Where random lengths are drawn from; streams pass one.
        """
        rng = np.random.default_rng(0) if rng is None else rng
        cuts = [0, *self._cuts(doc, rng), len(doc)]
        number = 0
        spans = _all_spans(doc)
        for start, end in pairwise(cuts):
            inside = [(g, s) for g, s in spans if start <= s.start and s.end <= end]
            if not any(not token.is_space for token in doc[start:end]):
                continue
            part = _part(doc, start, end, number, inside)
            part._.num_cut_spans = sum(start <= s.start < end < s.end for _, s in spans)
            number += 1
            if self._keeps(part):
                yield part

    def _keeps(self, part: Doc) -> bool:
        if self.filter_expr is None:
            return True
        if callable(self.filter_expr):
            return bool(self.filter_expr(part))
        if self.filter_expr == "ents":
            return len(part.ents) > 0
        return len(part.spans.get(self.filter_expr, ())) > 0

    def _cuts(self, doc: Doc, rng: np.random.Generator) -> Iterator[int]:
        """Yield the words where parts begin, but for the first."""
        begin = 0
        for end in [*self._matches(doc), len(doc)]:
            while self.max_length and end - begin > self.max_length:
                begin = self._shorter(doc, begin, end, rng)
                yield begin
            if end < len(doc) and end > begin:
                yield end
                begin = end

    def _matches(self, doc: Doc) -> list[int]:
        if self.pattern is None or len(doc) == 0:
            return []
        starts = TokenOffsets(doc).starts
        after = [m.end() for m in self.pattern.finditer(doc.text) if m.end() > m.start()]
        return [int(i) for i in np.searchsorted(starts, after) if i < len(doc)]

    def _shorter(self, doc: Doc, begin: int, end: int, rng: np.random.Generator) -> int:
        """Return where a part that begins at a word ends: after a sentence or line if it can."""
        longest = self.max_length
        if self.randomize:
            longest = max(1, int(longest * (1 - self.randomize * rng.random())))
        limit = min(begin + longest, end)
        for i in range(limit, begin + longest // 2, -1):
            if doc[i - 1].text in (".", "!", "?") or "\n" in doc[i - 1].text:
                return i
        return limit


def _all_spans(doc: Doc) -> list[tuple[str, Span]]:
    grouped = [(group, span) for group, spans in doc.spans.items() for span in spans]
    return [("ents", span) for span in doc.ents] + grouped


def _part(doc: Doc, start: int, end: int, number: int, spans: list[tuple[str, Span]]) -> Doc:
    offset = doc[start].idx
    last = doc[end - 1]
    words = [token.text for token in doc[start:end]]
    spaces = [bool(token.whitespace_) for token in doc[start:end]]
    part = Doc(doc.vocab, words=words, spaces=[*spaces[:-1], bool(last.whitespace_)])
    for key, value in doc.user_data.items():
        if isinstance(key, tuple) and key[0] == "._." and key[2] is None:
            part.user_data[key] = value
    if doc.has_annotation("SENT_START"):
        for i, token in enumerate(doc[start:end]):
            part[i].is_sent_start = i == 0 or token.is_sent_start
    part._.parent_id = doc._.note_id
    part._.note_id = None if doc._.note_id is None else f"{doc._.note_id}-{number}"
    part._.split_offset = offset + (doc._.split_offset or 0)
    for group in doc.spans:
        part.spans[group] = [_moved(part, s, start) for g, s in spans if g == group]
    part.ents = tuple(_moved(part, span, start) for group, span in spans if group == "ents")
    return part


def _moved(part: Doc, span: Span, start: int) -> Span:
    moved = Span(
        part,
        span.start - start,
        span.end - start,
        label=span.label_,
        kb_id=span.kb_id_,
        span_id=span.id_,
    )
    for name, value in span_attributes(span).items():
        moved._.set(name, value)
    return moved
