"""Getting spans from a Doc and putting them there: one small language for both.

A *getter* or *setter* is

- a name: `"ents"` is `doc.ents`, `"*"` all span groups, any other name the group `doc.spans[name]`;
- a list of names;
- a dict `{group: True | label | [labels]}`: only spans with these labels; `{"*": True, "x": False}`
  is all span groups but `x`;
- a callable, `Doc -> spans` for a getter, `(Doc, spans) -> None` for a setter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np
from spacy.attrs import ENT_IOB, ENT_TYPE
from spacy.tokens import Doc, Span

from edspipe.doc.overlaps import keep_longest
from edspipe.types import SpanGetter, SpanSetter

Groups = dict[str, bool | list[str]]

LAYOUT_GROUPS = ("pollution", "section_titles", "sections", "tables")
"""Groups of spans that say how a note is laid out, not what it says."""

IOB_OUTSIDE = 2
"""What spaCy writes for a word in no entity: "O" of IOB."""


def parse_groups(access: SpanGetter | SpanSetter) -> Groups:
    """Turn a name, a list or a dict into `{group: True | [labels]}`.

    Raises:
        TypeError: The value is none of these.
    """
    if isinstance(access, str):
        return {access: True}
    if isinstance(access, dict):
        return {
            group: [chosen] if isinstance(chosen, str) else chosen
            for group, chosen in access.items()
            if chosen is not False
        }
    if isinstance(access, (list, tuple)):
        return dict.fromkeys(access, True)
    raise TypeError(
        "a span getter or setter is a group's name, a list of names, a dict "
        f"{{group: True | [labels]}} or a callable; got {type(access).__name__}"
    )


def without_layout(getter: SpanGetter) -> SpanGetter:
    """Return a getter for which `"*"` is all span groups but those of the layout.

    A group that is named (`["*", "sections"]`) stays. A getter without `"*"` is returned as it is.
    """
    if callable(getter) or "*" not in parse_groups(getter):
        return getter
    named = getter if isinstance(getter, dict) else parse_groups(getter)
    return {**dict.fromkeys(LAYOUT_GROUPS, False), **named}


def get_spans(doc: Doc, getter: SpanGetter) -> list[Span]:
    """Return the spans that a getter names, in text order, each once.

    A group that the Doc does not have holds no spans. A span that stands in several of the groups
    (same words, label and id) is returned once.
    """
    if callable(getter):
        return list(getter(doc))
    seen: dict[tuple[int, int, int, int, int], Span] = {}
    left_out = {x for x, on in getter.items() if on is False} if isinstance(getter, dict) else ()
    for span in _iter_spans(doc, parse_groups(getter), left_out):
        seen.setdefault(_identity(span), span)
    return sorted(seen.values(), key=lambda span: (span.start, span.end, span.label_))


def _iter_spans(doc: Doc, groups: Groups, left_out: Collection[str]) -> Iterator[Span]:
    for group, chosen in groups.items():
        if group == "ents":
            spans: Iterable[Span] = doc.ents
        elif group == "*":
            wanted = [members for name, members in doc.spans.items() if name not in left_out]
            spans = (span for members in wanted for span in members)
        else:
            spans = doc.spans.get(group, ())
        for span in spans:
            if chosen is True or span.label_ in chosen:  # type: ignore[operator]
                yield span


def set_spans(doc: Doc, spans: Iterable[Span], setter: SpanSetter) -> int:
    """Put spans into a Doc; those that are there already stay.

    `doc.ents` takes no overlaps: among the new and the old spans, the longest stay (then the
    leftmost, then the old). A group that is named exists afterwards, even if it is empty.

    Returns:
        How many spans `doc.ents` had no room for (old and new).
    """
    spans = list(spans)
    if callable(setter):
        setter(doc, spans)
        return 0
    dropped = 0
    for group, chosen in parse_groups(setter).items():
        fitting = [s for s in spans if chosen is True or s.label_ in chosen]  # type: ignore[operator]
        if group == "ents":
            candidates = [*doc.ents, *fitting]
            kept = keep_longest(candidates)
            if len(kept) < len(candidates):
                candidates = _unique(candidates)
                kept = keep_longest(candidates)
            dropped += len(candidates) - len(kept)
            _set_ents(doc, kept)
        else:
            doc.spans[group] = _unique([*doc.spans.get(group, ()), *fitting])
    return dropped


def _set_ents(doc: Doc, spans: list[Span]) -> None:
    """Do what `doc.ents = spans` does, in a third of the time; the spans are in text order.

    spaCy makes the spans anew and looks up every word in a set.
    """
    # spaCy does not check here that spans are this Doc's, and would write beyond its end.
    if any(span.doc is not doc for span in spans) or (spans and spans[-1].end > len(doc)):
        doc.ents = tuple(spans)
        return
    outside: Any = np.zeros((len(doc), 2), dtype=np.uint64)
    outside[:, 0] = IOB_OUTSIDE
    doc.from_array([ENT_IOB, ENT_TYPE], outside)
    doc.set_ents(spans, default="unmodified")


def remove_spans(doc: Doc, keep: Callable[[Span], bool], groups: Iterable[str]) -> None:
    """Take the spans for which `keep` is false out of the named groups."""
    for group in groups:
        spans = doc.ents if group == "ents" else doc.spans.get(group, ())
        kept = [span for span in spans if keep(span)]
        if len(kept) == len(spans):
            continue
        if group == "ents":
            doc.ents = kept
        else:
            doc.spans[group] = kept


def _unique(spans: Iterable[Span]) -> list[Span]:
    return list({_identity(span): span for span in reversed(list(spans))}.values())[::-1]


def _identity(span: Span) -> tuple[int, int, int, int, int]:
    """What tells spans of one Doc apart."""
    return span.start, span.end, span.label, span.id, span.kb_id
