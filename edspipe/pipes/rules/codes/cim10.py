"""eds.cim10: codes of ICD-10 (CIM-10, CIE-10) in a text, and the terms of a file of one's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.attributes import declare_span_attribute
from edspipe.doc.span_access import set_spans
from edspipe.lang.words import choose_lang, languages, load_words
from edspipe.matching.phrases import PhraseMatcher
from edspipe.matching.regex import compile_pattern
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.codes.chapters import chapter_of, write_code
from edspipe.pipes.rules.terminology import read_pairs
from edspipe.types import SpanSetter

LABEL = "cim10"

declare_span_attribute("cim10_chapter")
declare_span_attribute("cim10_title")

_BODY = r"[A-Z]\d[0-9AB]"
_POINTED = re.compile(rf"(?<![\w.]){_BODY}\.[0-9A-Z]{{1,4}}(?:\+\d{{1,2}})?(?![\w]|\.\d)")
_ANY = re.compile(rf"{_BODY}(?:\.?[0-9A-Z]{{1,4}})?(?:\+\d{{1,2}})?(?![\w]|\.\d)")
_GAP = re.compile(r"[\s:=,;()\[\]-]{1,6}")
_NEXT = re.compile(r"[\s,;/-]{1,4}(?:[a-z]{1,3} )?")


@registry.factory.register("eds.cim10")
class Cim10:
    """Finds codes of ICD-10, and the terms of your own file of it.

    ```python
    import edspipe

    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.cim10", config={"lang": "fr"})
    doc = nlp("Sepsis (A41.9). Vitamine B12 normale. DP : I500, DAS : E119, J96.0")
    found = [(span.text, span.kb_id_, span._.cim10_chapter) for span in doc.spans["cim10"]]
    assert found == [
        ("A41.9", "A41.9", "I"),
        ("I500", "I50.0", "IX"),
        ("E119", "E11.9", "IV"),
        ("J96.0", "J96.0", "X"),
    ]
    ```

    A code with a point counts anywhere; one without ("I10", "E119") only behind a word that tells
    it: "CIM-10", "ICD-10 code", "DP" and such, see `edspipe/lang/<lang>/cim10.yml`, or behind such
    a code in a list. Its letter and number must lie in one of the chapters, of the WHO or of the
    clinical modification (ICD-10-CM).

    A file of codes and terms (as `eds.terminology` reads it) gives the codes their titles, and its
    terms are found in the text too; none comes along, as they are not free in all countries.

    | | |
    |---|---|
    | reads | the text, `doc.spans["pollution"]` |
    | writes | `doc.spans["cim10"]`, label `cim10`, the code with its point as `kb_id_`; |
    | | `span._.cim10_chapter`, `span._.cim10_title` (None without a file) |

    Limits: codes are in capitals. That a code exists within its chapter is not checked. A version
    or a room that is written like one ("V10.2") is found as well.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None; without any, the words of
            all languages count.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files.
        path: A file of codes and terms.
        code_column: The column, or key, of codes in this file.
        term_column: The column, or key, of terms in this file; a code's first is its title.
        delimiter: What stands between columns; None goes by the file's suffix.
        find_terms: Whether the file's terms are found in the text; else only codes are.
        changes: Words to add or to take away, in the shape of `cim10.yml`.
        span_setter: Where spans are put.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
        DataError: The file is missing or not of this form.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "cim10",
        *,
        lang: str | Path | None = None,
        path: str | Path | None = None,
        code_column: str = "code",
        term_column: str = "term",
        delimiter: str | None = None,
        find_terms: bool = True,
        changes: Mapping[str, Any] | None = None,
        span_setter: SpanSetter = "cim10",
    ) -> None:
        self.name = name
        self.span_setter = span_setter
        self.cue = _cue_pattern(nlp, lang, changes)
        self.titles: dict[str, str] = {}
        pairs = []
        if path is not None:
            pairs = list(read_pairs(path, code_column, term_column, delimiter=delimiter))
        for code, term in pairs:
            self.titles.setdefault(write_code(code), term)
        self.phrases = PhraseMatcher.from_pairs(
            (write_code(code), term) for code, term in (pairs if find_terms else ())
        )

    def __call__(self, doc: Doc) -> Doc:
        """Find the codes and terms in a Doc."""
        spans = []
        for code, first, end in self.find(doc):
            span = Span(doc, first, end, label=LABEL, kb_id=code)
            span._.cim10_chapter = chapter_of(code)
            span._.cim10_title = self.titles.get(code)
            spans.append(span)
        set_spans(doc, spans, self.span_setter)
        return doc

    def find(self, doc: Doc) -> list[tuple[str, int, int]]:
        """Return what stands in a Doc, in text order. *Each:* (code, first token, token behind)"""
        view = TextView.of(doc, "TEXT")
        places = {match.span() for match in _POINTED.finditer(view.text)}
        places.update(self._behind_cues(doc, view.text))
        found = self.phrases.find(doc) if len(self.phrases) else []
        for start, end in sorted(places):
            code = write_code(view.text[start:end])
            tokens = view.tokens(start, end)
            if chapter_of(code) is not None and tokens is not None:
                found.append((code, *tokens))
        return sorted(set(found), key=lambda place: place[1:])

    def _behind_cues(self, doc: Doc, text: str) -> Iterator[tuple[int, int]]:
        norm = TextView.of(doc)
        for cue in self.cue.finditer(norm.text):
            place = norm.raw(*cue.span())[1]
            gap = _GAP.match(text, place)
            while gap is not None:
                code = _ANY.match(text, gap.end())
                if code is None:
                    break
                yield code.span()
                gap = _NEXT.match(text, code.end())


def _cue_pattern(
    nlp: Any, lang: str | Path | None, changes: Mapping[str, Any] | None
) -> re.Pattern[str]:
    known = lang is not None or getattr(nlp, "lang", None) in languages()
    chosen = [choose_lang(lang, nlp, "eds.cim10")] if known or changes else languages()
    cues = [cue for one in chosen for cue in load_words("cim10", one, changes).cues]
    return compile_pattern(rf"(?<!\w)(?:{'|'.join(cues)})(?!\w)", key="cim10")
