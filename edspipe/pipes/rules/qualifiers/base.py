"""What all qualifiers share: spans in, attribute and cue out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from spacy.tokens import Doc, Span, Token

from edspipe.doc.attributes import SPAN_TABLE, declare_span_attribute, span_key
from edspipe.doc.span_access import LAYOUT_GROUPS, get_spans
from edspipe.lang.words import choose_lang, load_words
from edspipe.pipes.rules.qualifiers.cues import Cues
from edspipe.pipes.rules.qualifiers.frame import Frame
from edspipe.pipes.rules.qualifiers.reach import Reach, Reaches
from edspipe.types import SpanGetter

CUE_TABLE = "edspipe.cues"
"""Key of `doc.user_data`: of each qualifier, the characters of the cue that decided, by span."""

TOKEN_TABLE = "edspipe.qualified"
"""Key of `doc.user_data`: of each qualifier, the stretches of characters that cues reach."""

ALL_SPANS: dict[str, bool] = {"ents": True, "*": True, **dict.fromkeys(LAYOUT_GROUPS, False)}
"""All spans that say something, not those of the layout."""


def declare_qualifier(name: str) -> None:
    """Make `span._.<name>`, `span._.<name>_cue` and `token._.<name>` exist."""
    declare_span_attribute(name)

    def get_cue(span: Span) -> Span | None:
        stored = span.doc.user_data.get(CUE_TABLE, {}).get(name, {}).get(span_key(span))
        if stored is None:
            return None
        start, end = stored
        return span.doc.char_span(start, end, alignment_mode="expand")

    def get_token(token: Token) -> bool | None:
        stretches = token.doc.user_data.get(TOKEN_TABLE, {}).get(name)
        if stretches is None:
            return None
        return any(start <= token.idx < end for start, end in stretches)

    if not Span.has_extension(f"{name}_cue"):
        Span.set_extension(f"{name}_cue", getter=get_cue)
    if not Token.has_extension(name):
        Token.set_extension(name, getter=get_token)


class Qualifier:
    """The base of the qualifiers; a subclass names its attribute, and its words have that name.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_getter: Which spans are qualified; by default `ALL_SPANS`.
        within: Whether a cue counts that stands within the span itself ("absence of pain"); None
            is as `looks_within` says.
        on_tokens: Whether `token._.<attribute>` is set as well.
        changes: Cues to add or to take away, in the shape of the word file.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    attribute: ClassVar[str]
    looks_within: ClassVar[bool] = False
    """Whether cues within the span count by default: "old" does in "old infarction", "no" does not
    in "diabetes with no complications"."""

    def __init__(
        self,
        nlp: Any = None,
        name: str | None = None,
        *,
        lang: str | Path | None = None,
        span_getter: SpanGetter = ALL_SPANS,  # type: ignore[assignment]
        within: bool | None = None,
        on_tokens: bool = False,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        lang = choose_lang(lang, nlp, f"eds.{self.attribute}")
        self.name = self.attribute if name is None else name
        self.span_getter = span_getter
        self.within = self.looks_within if within is None else within
        self.on_tokens = on_tokens
        words = load_words(self.attribute, lang, changes)
        self.cues = Cues(words, load_words("clauses", lang))

    def __call__(self, doc: Doc) -> Doc:
        """Qualify the spans of a Doc."""
        spans = get_spans(doc, self.span_getter)
        if not spans and not self.on_tokens:
            return doc
        frame = Frame.of(doc)
        places = [frame.find_words(span.start, span.end) for span in spans]
        sentences = [frame.sentence_of(start) for start, _ in places]
        found = Reaches(self.cues, frame).find(None if self.on_tokens else set(sentences))
        reaches = {
            sentence: [reach for reach in listed if reach.end > reach.start]
            for sentence, listed in found.items()
        }
        flat = [reach for listed in reaches.values() for reach in listed]
        by_sentence = _by_sentence(frame, reaches, set(sentences))
        cues = [
            self._decide(frame, by_sentence.get(sentence, []), start, end)
            for (start, end), sentence in zip(places, sentences, strict=True)
        ]
        self._write_spans(doc, frame, spans, cues)
        if self.on_tokens:
            doc.user_data.setdefault(TOKEN_TABLE, {})[self.attribute] = [
                list(frame.find_chars(reach.start, reach.end)) for reach in flat
            ]
        return doc

    def _decide(
        self, frame: Frame, reaches: list[Reach], start: int, end: int
    ) -> tuple[int, int] | None:
        """Return the words of the nearest cue that reaches a span."""
        if self.within:
            inside = Reaches(self.cues, frame).find_inside(start, end)
            if inside is not None:
                return inside
        best, nearest = None, len(frame.words) + 1
        for reach in reaches:
            decisive = end - 1 if reach.backwards else start
            if reach.start <= decisive < reach.end and not reach.is_spared(frame.words[start:end]):
                distance = max(start - reach.cue_end, reach.cue_start - end)
                if distance < nearest:
                    nearest, best = distance, (reach.cue_start, reach.cue_end)
        return best

    def _write_spans(
        self, doc: Doc, frame: Frame, spans: list[Span], found: list[tuple[int, int] | None]
    ) -> None:
        values = doc.user_data.setdefault(SPAN_TABLE, {})
        cues = doc.user_data.setdefault(CUE_TABLE, {}).setdefault(self.attribute, {})
        for span, cue in zip(spans, found, strict=True):
            key = span_key(span)
            values.setdefault(key, {})[self.attribute] = cue is not None
            if cue is None:
                cues.pop(key, None)
            else:
                cues[key] = list(frame.find_chars(*cue))


def _by_sentence(
    frame: Frame, reaches: Mapping[int | None, list[Reach]], wanted: set[int]
) -> dict[int, list[Reach]]:
    """Return the reaches that matter in each sentence, those of headings behind its own.

    A heading's reach is dealt out to its sentences: a text of headings alone stays linear.
    """
    dealt = {sentence: list(listed) for sentence, listed in reaches.items() if sentence is not None}
    for reach in reaches.get(None, ()):
        first, last = frame.sentence_of(reach.start), frame.sentence_of(reach.end - 1)
        for sentence in wanted.intersection(range(first, last + 1)):
            dealt.setdefault(sentence, []).append(reach)
    return dealt
