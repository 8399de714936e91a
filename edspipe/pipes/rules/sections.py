"""eds.sections: the sections of a note, by their headings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.attributes import span_key
from edspipe.doc.span_access import set_spans
from edspipe.lang.words import choose_lang, load_words
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.headings import OTHER, Headings
from edspipe.pipes.rules.tables import empty_groups
from edspipe.types import SpanSetter

NAME = "eds.sections"
ATTRIBUTE = "section_title"

TITLE_TABLE = "edspipe.section_titles"
"""Key of `doc.user_data`: of each section, by its key, the characters of its heading."""


@registry.factory.register("eds.sections")
class Sections:
    """Cuts a note into sections, by their headings.

    ```python
    import edspipe, edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.sections(lang="fr"))
    doc = nlp("Antécédents :\\nAsthme\\nCONCLUSION\\nRetour à domicile")
    [(span.label_, span._.section_title.text) for span in doc.spans["sections"]]
    # [('history', 'Antécédents'), ('conclusion', 'CONCLUSION')]
    ```

    A heading begins with a term of `sections.yml` and stands at the beginning of a line (behind a
    bullet or a number), with a colon or a dash, alone on its line, or in capitals; or behind a full
    stop, with a colon. A line that no term begins is a heading too, of kind `other`, if it is in
    capitals, underlined, or emphasised (`## Course`, `**Course**`). Letters ("S:", "O:", "A:",
    "P:") are headings where three kinds of them follow each other in this order, without a bare
    number behind. Every word behind a heading belongs to
    its section, up to the next heading; a section begins and ends with a word, not with a line
    break.

    Kinds: `reason`, `history`, `family_history`, `social_history`, `allergies`, `home_treatment`,
    `present_illness`, `review_of_systems`, `exam`, `vitals`, `labs`, `imaging`, `pathology`,
    `procedures`, `diagnosis`, `course`, `treatment`, `discharge_treatment`, `plan`, `conclusion`,
    `assessment_and_plan`, `death`, `administrative`, `other`.

    It reads the text, and writes `doc.spans["sections"]` (what stands behind headings) and
    `doc.spans["section_titles"]` (the headings), with the kind as label. Of a section,
    `span._.section_title` is the heading, a span; of any other span, such as an entity, it is the
    heading of the section that the span begins in, or None.

    Limits: what stands before the first heading is in no section; a section with nothing in it has
    a title only; headings in the middle of a sentence are not found.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        unknown: Whether lines that are not in the lexicon may be headings, of kind `other`.
        span_setter: Where sections go; groups that it names are emptied of these labels first.
        title_setter: Where their titles go.
        changes: Words to add or to take away, in the shape of `sections.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "sections",
        *,
        lang: str | Path | None = None,
        unknown: bool = True,
        span_setter: SpanSetter = "sections",
        title_setter: SpanSetter = "section_titles",
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.span_setter = span_setter
        self.title_setter = title_setter
        words = load_words("sections", choose_lang(lang, nlp, NAME), changes)
        self.labels = frozenset((*words.headings, OTHER))
        self.headings = Headings(
            words.headings, words.fillers, words.not_headings, unknown, words.letters
        )

    def __call__(self, doc: Doc) -> Doc:
        """Find the sections of a Doc."""
        titles = self._titles(doc)
        ends = [*(begin for _, _, begin in titles[1:]), len(doc)]
        bodies = []
        table = doc.user_data.setdefault(TITLE_TABLE, {})
        for (title, body, _), end in zip(titles, ends, strict=False):
            first, last = _without_breaks(doc, body, end)
            if first >= last:
                continue
            section = Span(doc, first, last, label=title.label_)
            table[span_key(section)] = [title.start_char, title.end_char]
            bodies.append(section)
        for setter, spans in (
            (self.span_setter, bodies),
            (self.title_setter, [title for title, _, _ in titles]),
        ):
            empty_groups(doc, setter, self.labels)
            set_spans(doc, spans, setter)
        return doc

    def _titles(self, doc: Doc) -> list[tuple[Span, int, int]]:
        """Return the headings, the first token behind each, and that of its line."""
        view = TextView.of(doc)

        def raw(start: int, end: int) -> str:
            first, last = view.raw(start, end)
            return view.raw_text[first:last]

        titles: list[tuple[Span, int, int]] = []
        for heading in self.headings.find(view.text, raw):
            place = view.tokens(heading.start, heading.end)
            whole = view.tokens(heading.begin, heading.body)
            if place is None or whole is None or (titles and place[0] < titles[-1][1]):
                continue
            titles.append((Span(doc, *place, label=heading.label), whole[1], whole[0]))
        return titles


def _without_breaks(doc: Doc, first: int, end: int) -> tuple[int, int]:
    """Return the words of a stretch without the blanks and line breaks at its ends."""
    while first < end and doc[first].is_space:
        first += 1
    while first < end and doc[end - 1].is_space:
        end -= 1
    return first, end


def declare_section_title() -> None:
    """Make `span._.section_title` exist: the heading of a section, or of what stands in one."""
    if Span.has_extension(ATTRIBUTE):
        return

    def get(span: Span) -> Span | None:
        table = span.doc.user_data.get(TITLE_TABLE, {})
        stored = table.get(span_key(span))
        if stored is None and table:
            for section in span.doc.spans.get("sections", ()):
                if section.start <= span.start < section.end:
                    stored = table.get(span_key(section))
        return None if stored is None else span.doc.char_span(*stored)

    Span.set_extension(ATTRIBUTE, getter=get)


declare_section_title()
