"""eds.filter: which documents go on in a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.span_access import get_spans
from edspipe.errors import ConfigError
from edspipe.types import AttributeValue, SpanGetter


@registry.factory.register("eds.filter")
class Filter:
    """Lets those documents of a stream go on that fulfil every condition.

    ```python
    import edspipe, edspipe.pipes as eds
    from edspipe.stream.stream import Stream

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.matcher(terms={"symptom": ["fever"]}))
    docs = [nlp(text) for text in ("No complaint.", "Fever.", "Fever and nothing else at all.")]
    stream = Stream.from_items(docs).map(eds.filter(span_getter="ents", max_words=5))
    assert [doc.text for doc in stream] == ["Fever."]
    ```

    Conditions are plain values, so that they can stand in a config; a function is for all else.
    The others are counted as filtered in the report of the run.

    Limits: it goes into a stream, not into a pipeline.

    Args:
        nlp: The pipeline; not used.
        name: The name of the pipe.
        span_getter: Spans that a document has, `min_spans` of them at least.
        span_attributes: Values that such a span has, e.g. `{"negation": False}`; a list stands for
            one of several.
        min_spans: Spans at least.
        max_spans: Spans at most; 0 keeps documents without such spans, with `min_spans=0`.
        min_words: Words at least, blanks and line breaks not counted.
        max_words: Words at most.
        doc_attributes: Values that `doc._.<name>` has, e.g. `{"ward": ["A", "B"]}`.
        filter_expr: A function Doc -> bool.

    Raises:
        ConfigError: Nothing is asked, a number is out of range, or spans are to be counted and
            `span_getter` does not say which.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "filter",
        *,
        span_getter: SpanGetter | None = None,
        span_attributes: Mapping[str, AttributeValue] | None = None,
        min_spans: int = 1,
        max_spans: int | None = None,
        min_words: int = 0,
        max_words: int | None = None,
        doc_attributes: Mapping[str, AttributeValue] | None = None,
        filter_expr: Callable[[Doc], Any] | None = None,
    ) -> None:
        self.name = name
        self.span_getter = span_getter
        self.span_attributes = dict(span_attributes or {})
        self.spans = _bounds("spans", min_spans, max_spans)
        self.words = _bounds("words", min_words, max_words)
        self.doc_attributes = dict(doc_attributes or {})
        self.filter_expr = filter_expr
        asks_words = min_words > 0 or max_words is not None
        if span_getter is None and (self.span_attributes or max_spans is not None):
            raise ConfigError(f"{name}: expected span_getter, which says what spans are counted")
        if not (span_getter or asks_words or self.doc_attributes or filter_expr):
            raise ConfigError(
                f"{name}: expected a condition: span_getter, min_words, max_words, doc_attributes "
                "or filter_expr"
            )

    def __call__(self, doc: Doc) -> Iterator[Doc]:
        """Yield the Doc if it goes on."""
        if self.keeps(doc):
            yield doc

    def keeps(self, doc: Doc) -> bool:
        """Tell whether a Doc fulfils every condition."""
        if not all(_fits(doc, name, value) for name, value in self.doc_attributes.items()):
            return False
        if not self.words[0] <= sum(not token.is_space for token in doc) <= self.words[1]:
            return False
        if self.span_getter is not None:
            spans = get_spans(doc, self.span_getter)
            number = sum(map(self._counts, spans))
            if not self.spans[0] <= number <= self.spans[1]:
                return False
        return self.filter_expr is None or bool(self.filter_expr(doc))

    def _counts(self, span: Span) -> bool:
        return all(_fits(span, name, value) for name, value in self.span_attributes.items())


def _bounds(what: str, lowest: int, highest: int | None) -> tuple[float, float]:
    bounds = (lowest, float("inf") if highest is None else highest)
    if not 0 <= bounds[0] <= bounds[1]:
        raise ConfigError(
            f"expected 0 <= min_{what} <= max_{what}, got min_{what}={lowest}, max_{what}={highest}"
        )
    return bounds


def _fits(owner: Doc | Span, name: str, expected: AttributeValue) -> bool:
    """Tell whether an attribute has a value, or one of a list; one that is not declared is None."""
    value = owner._.get(name) if owner._.has(name) else None
    return value in expected if isinstance(expected, list) else value == expected
