"""What all disorders share: mentions in, spans with a status out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from spacy.tokens import Doc, Span

from edspipe.doc.attributes import declare_span_attribute
from edspipe.doc.span_access import set_spans
from edspipe.lang.schemas.disorders import DisorderWords
from edspipe.lang.words import choose_lang, load_words
from edspipe.pipes.rules.disorders.finder import DisorderFinder, Found
from edspipe.types import SpanSetter

for _name in ("status", "detailed_status", "source", "assigned"):
    declare_span_attribute(_name)


class DisorderBase:
    """Finds mentions of disorders and writes them; a pipe says which.

    Args:
        name: The name of the pipe.
        words: The words of each disorder.
        span_setter: Where spans are put; None puts each into the group of its disorder.
    """

    def __init__(
        self, name: str, words: Mapping[str, DisorderWords], span_setter: SpanSetter | None
    ) -> None:
        self.name = name
        self.span_setter = span_setter
        self.finder = DisorderFinder(words)
        for of_disorder in words.values():
            for one in of_disorder.assign:
                declare_span_attribute(one.name)

    def __call__(self, doc: Doc) -> Doc:
        """Find the disorders in a Doc."""
        spans: dict[str, list[Span]] = {name: [] for name in self.finder.disorders}
        for found in self.finder.find(doc):
            spans[found.disorder].append(_write(doc, found))
        if self.span_setter is not None:
            set_spans(doc, [span for listed in spans.values() for span in listed], self.span_setter)
            return doc
        for name, listed in spans.items():
            set_spans(doc, listed, name)
        return doc


def _write(doc: Doc, found: Found) -> Span:
    span = Span(doc, *found.tokens, label=found.disorder)
    values = {
        "status": found.status,
        "detailed_status": found.detailed_status,
        "source": found.source,
        "assigned": found.values,
        **found.values,
    }
    for name, value in values.items():
        span._.set(name, value)
    return span


class Disorder(DisorderBase):
    """The base of the pipes of one disorder; a subclass names it, and its words have that name.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe; None takes the disorder's.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_setter: Where spans are put; None puts them into the group of the disorder's name.
        changes: Words to add or to take away, in the shape of the word file.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        ValueError: A regular expression is not valid.
    """

    disorder: ClassVar[str]

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        lang: str | Path | None = None,
        span_setter: SpanSetter | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        lang = choose_lang(lang, nlp, f"eds.{self.disorder}")
        words = load_words(self.disorder, lang, changes)
        super().__init__(name or self.disorder, {self.disorder: words}, span_setter)
