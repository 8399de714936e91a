"""eds.consultation_dates: when the patient was seen."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.span_access import get_spans, parse_groups, set_spans
from edspipe.lang.words import choose_lang, load_words
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.dates.attribute import write_date
from edspipe.pipes.rules.dates.dates import Dates
from edspipe.pipes.rules.dates.lexicon import Lexicon, token_starts, tokenize
from edspipe.pipes.rules.dates.value import DateValue
from edspipe.types import SpanGetter, SpanSetter

LABEL = "consultation_date"
GROUP = "consultation_dates"

MAX_BETWEEN = 6
"""Words and signs between a cue and the date at most."""

PRECISIONS = ("day", "hour", "minute", "second")


@registry.factory.register("eds.consultation_dates")
class ConsultationDates:
    """Finds the date of a consultation by its heading ("Date of visit:") or wording ("seen on").

    ```python
    import edspipe, edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.dates(lang="fr"))
    nlp.add_pipe(eds.consultation_dates(lang="fr"))
    doc = nlp("Né le 3 mai 1950. Vu en consultation le 12/03/2020 pour une toux.")
    doc.spans["consultation_dates"]  # [12/03/2020]
    ```

    It reads the dates of `eds.dates` (or finds them itself where `eds.dates` did not run), and
    writes `doc.spans["consultation_dates"]` with the label `consultation_date`; each span has
    `span._.date`. A date counts that says its day and that stands behind a cue, with a few small
    words between at most.

    Limits: no corpus at hand marks such dates, so only our own examples test it. A letter's date
    ("Paris, le 12/03/2020") is none.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        span_getter: Where the dates are.
        span_setter: Where the spans go.
        changes: Words to add or to take away, in the shape of `consultation_dates.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "consultation_dates",
        *,
        lang: str | Path | None = None,
        span_getter: SpanGetter = "dates",
        span_setter: SpanSetter = GROUP,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.span_getter = span_getter
        self.span_setter = span_setter
        lang = choose_lang(lang, nlp, "eds.consultation_dates")
        words = load_words("consultation_dates", lang, changes)
        self.lexicon = Lexicon([*words.cues, *words.between])
        self.cues = tuple(sorted(map(self.lexicon.encode_term, words.cues), key=len, reverse=True))
        self.between = frozenset(map(self.lexicon.encode_term, words.between))
        self.dates = Dates(lang=lang, span_setter=_keep_none)

    def __call__(self, doc: Doc) -> Doc:
        """Find the consultation dates of a Doc."""
        found = [] if callable(self.span_setter) else list(parse_groups(self.span_setter))
        for group in found:
            if group in doc.spans:
                doc.spans[group] = [span for span in doc.spans[group] if span.label_ != LABEL]
        spans = []
        for date, value in self._announced(doc):
            span = Span(doc, date.start, date.end, label=LABEL)
            write_date(doc, span, value)
            spans.append(span)
        set_spans(doc, spans, self.span_setter)
        return doc

    def _announced(self, doc: Doc) -> Iterator[tuple[Span, DateValue]]:
        dates = [(span, value) for span, value in self._read_dates(doc) if _says_day(value)]
        if not dates:
            return
        view = TextView.of(doc)
        tokens = tokenize(view.text)
        codes, starts = self.lexicon.encode(tokens), token_starts(tokens)
        for span, value in dates:
            place = bisect_left(starts, view.norm(span.start_char, span.end_char)[0] + 1) - 1
            if self._announces(codes, place):
                yield span, value

    def _read_dates(self, doc: Doc) -> Sequence[tuple[Span, DateValue]]:
        if isinstance(self.span_getter, str) and self.span_getter not in doc.spans:
            return self.dates.find_spans(doc)
        return [(span, span._.date) for span in get_spans(doc, self.span_getter)]

    def _announces(self, codes: str, place: int) -> bool:
        """Tell whether a cue stands before a place."""
        for end in range(place, max(-1, place - MAX_BETWEEN - 1), -1):
            if codes.endswith(self.cues, 0, end):
                return True
            if end == 0 or codes[end - 1] not in self.between:
                return False
        return False


def _says_day(value: DateValue | None) -> bool:
    return value is not None and value.type == "DATE" and value.precision in PRECISIONS


def _keep_none(doc: Doc, spans: Sequence[Span]) -> None:
    """Keep no spans."""
