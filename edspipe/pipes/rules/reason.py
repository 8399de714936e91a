"""eds.reason: why a patient came."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.attributes import declare_span_attribute
from edspipe.doc.span_access import get_spans, set_spans
from edspipe.lang.words import choose_lang, load_words
from edspipe.matching.folding import fold
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.headings import Headings
from edspipe.pipes.rules.tables import empty_groups
from edspipe.types import SpanGetter, SpanSetter

NAME = "eds.reason"
LABEL = "reason"
MAX_CHARS = 300
"""Characters of a reason."""

_NOT_BLANK = re.compile(r"[^\s:\-–•*]")
_STOP = re.compile(r"[.!?;](?=\s|\Z)|\n(?=[ \t]*\n)")


@registry.factory.register("eds.reason")
class Reason:
    """Finds why a patient came: the reason of a consultation or of a stay.

    ```python
    import edspipe, edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.matcher(terms={"symptom": ["dyspnée", "toux"]}))
    nlp.add_pipe(eds.reason(lang="fr"))
    doc = nlp("Motif d'hospitalisation : dyspnée fébrile.\\nPas de toux.")
    [span.text for span in doc.spans["reasons"]], [ent._.is_reason for ent in doc.ents]
    # (['dyspnée fébrile'], [True, False])
    ```

    A reason stands behind a heading ("Motif d'hospitalisation :", then the rest of the line, or the
    next one) or a wording ("admitted for", then up to the end of the sentence or to a word that
    ends it, such as "who"). It reads the text, and `doc.spans["section_titles"]` where
    `eds.sections` ran: a reason ends with its section. It writes `doc.spans["reasons"]`, and
    `span._.is_reason` of the spans of `span_getter`: true of those that lie inside a reason.

    Limits: among wordings, the first of a note is most often that of the current stay, and later
    ones may be of others; all are kept. A reason has 300 characters at most.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        wordings: Whether wordings count, or headings alone.
        span_getter: The spans of which `is_reason` is written.
        span_setter: Where reasons go; groups that it names are emptied of this label first.
        changes: Words to add or to take away, in the shape of `reason.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "reason",
        *,
        lang: str | Path | None = None,
        wordings: bool = True,
        span_getter: SpanGetter = "ents",
        span_setter: SpanSetter = "reasons",
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.span_getter = span_getter
        self.span_setter = span_setter
        words = load_words("reason", choose_lang(lang, nlp, NAME), changes)
        self.headings = Headings({LABEL: words.headings}, unknown=False)
        self.wording = _any_of(words.wordings) if wordings else None
        self.end = _any_of(words.ends)
        self.never_first = _any_of(words.never_first)

    def __call__(self, doc: Doc) -> Doc:
        """Find the reasons of a Doc, and flag the spans inside."""
        view = TextView.of(doc)
        limits = self._limits(doc, view)
        spans: list[Span] = []
        for start, end in self.find(view, limits):
            place = view.tokens(start, end)
            if place is not None and (not spans or place[0] >= spans[-1].end):
                spans.append(Span(doc, *place, label=LABEL))
        empty_groups(doc, self.span_setter, frozenset((LABEL,)))
        set_spans(doc, spans, self.span_setter)
        for span in get_spans(doc, self.span_getter):
            inside = any(r.start <= span.start and span.end <= r.end for r in spans)
            span._.is_reason = inside
        return doc

    def find(self, view: TextView, limits: list[int]) -> list[tuple[int, int]]:
        """Return the characters of the reasons of a view, in order.

        Args:
            view: The normalised text.
            limits: Where sections begin and end, in order: a reason ends there.
        """
        return sorted(
            stretch
            for found in (self._behind_headings(view, limits), self._behind_wordings(view.text))
            for stretch in found
        )

    def _limits(self, doc: Doc, view: TextView) -> list[int]:
        titles = doc.spans.get("section_titles", ())
        return sorted(view.norm(span.start_char, span.end_char)[0] for span in titles)

    def _behind_headings(self, view: TextView, limits: list[int]) -> Iterator[tuple[int, int]]:
        text = view.text

        def raw(start: int, end: int) -> str:
            first, last = view.raw(start, end)
            return view.raw_text[first:last]

        headings = self.headings.find(text, raw)
        limits = sorted([*limits, *(heading.start for heading in headings)])
        for heading in headings:
            first = _NOT_BLANK.search(text, heading.body, heading.body + MAX_CHARS)
            if first is None:
                continue
            limit = next((place for place in limits if place > heading.start), len(text))
            if first.start() >= limit:
                continue
            line_end = text.find("\n", first.start())
            end = min(limit, len(text) if line_end < 0 else line_end, first.start() + MAX_CHARS)
            yield _trimmed(text, first.start(), end)

    def _behind_wordings(self, text: str) -> Iterator[tuple[int, int]]:
        if self.wording is None:
            return
        for match in self.wording.finditer(text):
            first = _NOT_BLANK.search(text, match.end(), match.end() + 3)
            if first is None or not text[first.start()].isalpha():
                continue
            start = first.start()
            if self.never_first is not None and self.never_first.match(text, start):
                continue
            end = min(len(text), start + MAX_CHARS)
            stop = _STOP.search(text, start, end)
            end = stop.start() if stop else end
            word = self.end.search(text, start, end) if self.end is not None else None
            end = word.start() if word is not None and word.start() > start else end
            if text[start:end].strip(" ,\n"):
                yield _trimmed(text, start, end)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    return start, start + len(text[start:end].rstrip(" \t\n,;.:("))


def _any_of(terms: Iterable[str]) -> re.Pattern[str] | None:
    """Compile a pattern of any of some terms, the longest first, as whole words."""
    listed = sorted({fold(term, "NORM") for term in terms}, key=len, reverse=True)
    if not listed:
        return None
    # Terms that begin with the same word are tried together: the search is faster by far.
    by_first: dict[str, list[str]] = {}
    for term in listed:
        first, _, rest = term.partition(" ")
        by_first.setdefault(first, []).append(rest)
    parts = []
    for first, rests in sorted(by_first.items(), key=lambda entry: -len(entry[0])):
        tails = "|".join((r"\s" + _loose(rest)) if rest else "" for rest in rests)
        parts.append(f"{re.escape(first)}(?:{tails})(?![^\\W_])")
    return re.compile(rf"\b(?:{'|'.join(parts)})")


def _loose(term: str) -> str:
    return r"\s".join(map(re.escape, term.split(" ")))


declare_span_attribute("is_reason", False)
