"""Getting spans from a Doc and putting them there: one small language for both.

A *getter* or *setter* is

- a name: `"ents"` is `doc.ents`, `"*"` all span groups, any other name the group `doc.spans[name]`;
- a list of names;
- a dict `{group: True | label | [labels]}`: only spans with these labels;
- a callable, `Doc -> spans` for a getter, `(Doc, spans) -> None` for a setter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from spacy.tokens import Doc, Span

from edspipe.doc.overlaps import keep_longest
from edspipe.types import SpanGetter, SpanSetter

Groups = dict[str, bool | list[str]]


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


def get_spans(doc: Doc, getter: SpanGetter) -> list[Span]:
    """Return the spans that a getter names, in text order, each once.

    A group that the Doc does not have holds no spans. A span that stands in several of the groups
    (same words, label and id) is returned once.
    """
    if callable(getter):
        return list(getter(doc))
    seen: dict[tuple[int, int, int, int, int], Span] = {}
    for span in _iter_spans(doc, parse_groups(getter)):
        seen.setdefault(_identity(span), span)
    return sorted(seen.values(), key=lambda span: (span.start, span.end, span.label_))


def _iter_spans(doc: Doc, groups: Groups) -> Iterator[Span]:
    for group, chosen in groups.items():
        if group == "ents":
            spans: Iterable[Span] = doc.ents
        elif group == "*":
            spans = (span for members in doc.spans.values() for span in members)
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
            candidates = _unique([*doc.ents, *fitting])
            kept = keep_longest(candidates)
            dropped += len(candidates) - len(kept)
            doc.ents = tuple(kept)
        else:
            doc.spans[group] = _unique([*doc.spans.get(group, ()), *fitting])
    return dropped


def remove_spans(doc: Doc, keep: Callable[[Span], bool], groups: Iterable[str]) -> None:
    """Take the spans for which `keep` is false out of the named groups."""
    for group in groups:
        if group == "ents":
            doc.ents = tuple(span for span in doc.ents if keep(span))
        elif group in doc.spans:
            doc.spans[group] = [span for span in doc.spans[group] if keep(span)]


def _unique(spans: Iterable[Span]) -> list[Span]:
    return list({_identity(span): span for span in reversed(list(spans))}.values())[::-1]


def _identity(span: Span) -> tuple[int, int, int, int, int]:
    """What tells spans of one Doc apart."""
    return span.start, span.end, span.label, span.id, span.kb_id
