"""What all scores share: words in, spans with values out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from spacy.tokens import Doc, Span

from edspipe.doc.attributes import declare_span_attribute
from edspipe.doc.span_access import set_spans
from edspipe.lang.words import choose_lang, load_words
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.scores.finder import Found, ScoreFinder
from edspipe.pipes.rules.scores.kind import ScoreKind
from edspipe.types import SpanSetter

GROUP = "scores"

declare_span_attribute("score_name")
declare_span_attribute("score_value")
declare_span_attribute("score_value_max")
declare_span_attribute("score_class")


class ScoreWriter:
    """Writes what a finder finds; the base of all scores."""

    name: str
    finder: ScoreFinder
    span_setter: SpanSetter

    def __call__(self, doc: Doc) -> Doc:
        """Find the score in a Doc."""
        view = TextView.of(doc)
        label = self.finder.kind.name
        spans = []
        for found in self.finder.find(view.text):
            tokens = view.tokens(found.start, found.end)
            if tokens is not None:
                span = Span(doc, *tokens, label=label)
                span._.score_name = label
                _write_value(span, found)
                spans.append(span)
        set_spans(doc, spans, self.span_setter)
        return doc


def _write_value(span: Span, found: Found) -> None:
    """Write the value: numbers always with a point, and words apart, as columns of tables ask."""
    if isinstance(found.value, str):
        span._.score_class = found.value
        return
    span._.score_value = float(found.value)
    if found.value_max is not None:
        span._.score_value_max = float(found.value_max)


class KnownScore(ScoreWriter):
    """A score whose names stand in `scores.yml`; a subclass names its kind.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        changes: Words to add or to take away, in the shape of `scores.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    kind: ClassVar[ScoreKind]

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        lang: str | Path | None = None,
        changes: Mapping[str, Any] | None = None,
        span_setter: SpanSetter = GROUP,
    ) -> None:
        self.name = self.kind.name if name is None else name
        self.span_setter = span_setter
        words = load_words("scores", choose_lang(lang, nlp, f"eds.{self.kind.name}"), changes)
        self.finder = ScoreFinder(self.kind, words.names.get(self.kind.name, ()), words)
