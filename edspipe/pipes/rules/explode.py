"""eds.explode: one document to several, each with one span of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.attributes import SPAN_TABLE, declare_doc_attribute, span_key
from edspipe.doc.span_access import get_spans, remove_spans, set_spans
from edspipe.types import SpanGetter

declare_doc_attribute("parent_id")

GROUP = "exploded"
"""Where a span goes that a function gave and that stands in no group."""


@registry.factory.register("eds.explode")
class Explode:
    """Makes a Doc of each span: the whole text, and of the spans asked for this one only.

    ```python
    import edspipe, edspipe.pipes as eds
    from edspipe.stream.stream import Stream

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.matcher(terms={"symptom": ["fever", "cough"]}))
    stream = Stream.from_items([nlp("Cough and fever.")]).map(eds.explode(span_getter="ents"))
    assert [[ent.text for ent in doc.ents] for doc in stream] == [["Cough"], ["fever"]]
    ```

    This is for what looks at one span at a time: a sheet with a row a mention, a classifier of a
    mention in its note. The span stays where it stood, in `doc.ents` or in its groups, with its
    attributes; the spans that were not asked for (dates, sections), sentences, and the attributes
    of the document and of words stay in every Doc. `doc._.note_id` is `<id>-0`, `<id>-1` ... and
    `doc._.parent_id` the id of the document, as `eds.split` has them. A document without such
    spans yields nothing.

    Limits: each Doc holds the whole text, so that time and memory grow with words times spans:
    put `eds.split` before it for long notes. It goes into a stream, not into a pipeline.

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        span_getter: Which spans get a Doc of their own. A span that a function gives and that
            stands in no group (such as a sentence) goes into `doc.spans["exploded"]`.
        filter_expr: Which Docs are kept: a function Doc -> bool; None keeps all.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "explode",
        *,
        span_getter: SpanGetter = "ents",
        filter_expr: Callable[[Doc], Any] | None = None,
    ) -> None:
        self.name = name
        self.span_getter = span_getter
        self.filter_expr = filter_expr

    def __call__(self, doc: Doc) -> Iterator[Doc]:
        """Yield a Doc for each span, in text order; the Doc that was given stays as it is."""
        spans = get_spans(doc, self.span_getter)
        for number, span in enumerate(spans):
            one = _copy_with(doc, span, spans)
            one._.parent_id = doc._.note_id
            one._.note_id = None if doc._.note_id is None else f"{doc._.note_id}-{number}"
            if self.filter_expr is None or self.filter_expr(one):
                yield one


def _copy_with(doc: Doc, span: Span, spans: list[Span]) -> Doc:
    """Return a copy of a Doc that lacks all of some spans but one."""
    copy = doc.copy()
    asked, kept = {_identity(each) for each in spans}, _identity(span)

    def stays(each: Span) -> bool:
        return _identity(each) == kept or _identity(each) not in asked

    places = ["ents", *copy.spans]
    remove_spans(copy, stays, places)
    if not any(_identity(each) == kept for each in get_spans(copy, places)):
        moved = Span(copy, span.start, span.end, span.label, kb_id=span.kb_id, span_id=span.id)
        set_spans(copy, [moved], GROUP)
    values = copy.user_data.get(SPAN_TABLE, {})
    for key in {span_key(each) for each in spans} - {span_key(span)}:
        values.pop(key, None)
    return copy


def _identity(span: Span) -> tuple[int, int, int, int, int]:
    return span.start, span.end, span.label, span.id, span.kb_id
