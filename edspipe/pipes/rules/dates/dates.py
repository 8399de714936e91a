"""eds.dates: dates, times, durations, periods and frequencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.span_access import parse_groups, set_spans
from edspipe.lang.words import choose_lang, load_words
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.dates.attribute import write_date
from edspipe.pipes.rules.dates.finder import Finder, Match, Text
from edspipe.pipes.rules.dates.grammar import Grammar
from edspipe.pipes.rules.dates.periods import join_periods
from edspipe.pipes.rules.dates.value import DateValue, parse_note_datetime
from edspipe.types import SpanSetter

LABELS = {"DATE": "date", "TIME": "time", "DURATION": "duration", "SET": "frequency"}
LABELS["PERIOD"] = "period"

GROUPS: dict[str, Any] = {
    "dates": ["date", "time"],
    "durations": ["duration"],
    "frequencies": ["frequency"],
    "periods": ["period"],
}
"""Where the spans go, by their labels."""


@registry.factory.register("eds.dates")
class Dates:
    """Finds dates, times of day, durations, frequencies and periods, and says what they mean.

    ```python
    import edspipe, edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.dates(lang="en"))
    doc = nlp.make_doc("Seen on 12 March 2020. Fever for 3 days, ibuprofen twice a day.")
    doc._.note_datetime = "2020-03-12"
    doc = nlp(doc)
    [(span.text, span._.date.value) for span in doc.spans["dates"]]
    # [('12 March 2020', '2020-03-12')]
    ```

    It reads the words (not sentences), what `eds.normalizer` found to be pollution, and
    `doc._.note_datetime`: a datetime, a date or a text in ISO 8601. It writes `doc.spans["dates"]`
    (labels `date`, `time`), `["durations"]` (`duration`), `["frequencies"]` (`frequency`) and
    `["periods"]` (`period`; its two dates are in `dates` too where each is one by itself), and of
    each span `span._.date`, a `DateValue`: type, value in ISO 8601 as TIMEX3 has it, precision,
    mode (`from`, `until`), modifier, and methods that give a datetime or a timedelta.

    What counts from the note ("3 days ago", "yesterday") is resolved where the note has a date, as
    precisely as it is said: "2 years ago" is a year. So are dates without a year: the last one that
    is not after the note; the two dates of a period go together ("10 to 15 March" in a note of the
    12th ends behind it). What counts from something else ("3 days later", "day 3 after surgery")
    has an `offset` or `ordinal` and stays `XXXX-XX-XX`. A year of two digits is the last one that
    lies at most 9 years behind the note; in a note without a date, 30 and more are of the last
    century (12/03/29 is 2029, 12/03/30 is 1930). A decade is `198X`, a season `2019-SU`; without
    its year it is the last one that has begun.

    Overlap F1 on real cases: 0.97 in each language (see below). Limits: what is counted from an
    operation or an admission is not placed on the calendar; a date without its year is never read
    as one to come; years in words, months in Roman numerals, trimesters, week-ends, holidays and
    spans such as "childhood" are mostly not found; behind a month alone, a year of two digits
    counts with an apostrophe or, in French and Spanish, with a zero ("août 06", not "mars 98").

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        ages: Whether ages ("a 65-year-old man") are durations as well; `span._.date.age` is true.
        span_setter: Where the spans go; groups that it names are emptied of these labels first.
        changes: Words to add or to take away, in the shape of `dates.yml`.

    Raises:
        ConfigError: There is no such language, or the changes do not fit.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "dates",
        *,
        lang: str | Path | None = None,
        ages: bool = False,
        span_setter: SpanSetter = GROUPS,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.ages = ages
        self.span_setter = span_setter
        lang = choose_lang(lang, nlp, "eds.dates")
        self.finder = Finder(Grammar(load_words("dates", lang, changes)))

    def __call__(self, doc: Doc) -> Doc:
        """Find the dates of a Doc.

        Raises:
            DataError: `doc._.note_datetime` is no date.
        """
        found = self.find_spans(doc)
        for span, value in found:
            write_date(doc, span, value)
        self._empty_groups(doc)
        set_spans(doc, [span for span, _ in found], self.span_setter)
        return doc

    def find_spans(self, doc: Doc) -> list[tuple[Span, DateValue]]:
        """Return the spans of a Doc with their values, and write nothing.

        Raises:
            DataError: `doc._.note_datetime` is no date.
        """
        note = parse_note_datetime(doc._.note_datetime, doc._.note_id)
        view = TextView.of(doc)
        text, matches = self.find(view.text)
        found = []
        for match, value in zip(matches, _resolve(matches, note), strict=True):
            place = view.tokens(*text.chars(match.start, match.end))
            if place is not None:
                found.append((Span(doc, *place, label=LABELS[value.type]), value))
        return found

    def find(self, text: str) -> tuple[Text, list[Match]]:
        """Return what stands in a normalised text, in order, periods behind the rest."""
        cut, matches = self.finder.find(text)
        if not self.ages:
            matches = [match for match in matches if not match.value.age]
        periods, matches = join_periods(cut, matches, self.finder.grammar)
        return cut, [*matches, *periods]

    def _empty_groups(self, doc: Doc) -> None:
        if callable(self.span_setter):
            return
        own = frozenset(LABELS.values())
        for group in parse_groups(self.span_setter):
            if group == "ents":
                doc.ents = tuple(span for span in doc.ents if span.label_ not in own)
            elif group in doc.spans:
                doc.spans[group] = [span for span in doc.spans[group] if span.label_ not in own]


def _resolve(matches: Sequence[Match], note: datetime | None) -> list[DateValue]:
    """Return the values with what the note's date tells; the ends of a period go together."""
    values = [_not_ahead(match, match.value.resolve(note), note) for match in matches]
    ends: dict[tuple[str, int], DateValue] = {}
    for number, match in enumerate(matches):
        if note is None or match.value.type != "PERIOD":
            continue
        first, last = match.value.value.split("/")
        ends_said = match.ends or (DateValue("DATE", first), DateValue("DATE", last))
        start, end = _resolve_ends(*ends_said, note)
        values[number] = replace(match.value, value=f"{start.value}/{end.value}")
        ends["from", match.start] = start
        ends["until", match.end] = end
    for number, match in enumerate(matches):
        mode = match.value.mode
        if ends and mode is not None and match.value.type != "PERIOD":
            edge = match.start if mode == "from" else match.end
            values[number] = ends.get((mode, edge), values[number])
    return values


def _not_ahead(match: Match, value: DateValue, note: datetime | None) -> DateValue:
    """Return a day of birth in a century that puts it not behind the note."""
    if note is None or not match.born or value.value[:10] <= f"{note:%Y-%m-%d}":
        return value
    year = int(value.value[:4]) - 100
    return replace(value, value=f"{year:04d}{value.value[4:]}", short_year=False)


def _resolve_ends(
    first: DateValue, second: DateValue, note: datetime
) -> tuple[DateValue, DateValue]:
    start, end = first.resolve(note), second.resolve(note)
    if not start.value[:4].isdigit() or end.value >= start.value or second.offset:
        return start, end
    if second.value.startswith("XXXX-W"):
        # "Monday to Wednesday" in a note of a Tuesday: the Monday before that Wednesday.
        moment = start.datetime()
        if moment is not None and moment.year > 1:
            start = replace(start, value=f"{moment - timedelta(days=7):%Y-%m-%d}")
    elif second.value.startswith("XXXX"):
        # "10 to 15 March" in a note of 12 March: it has begun, and ends behind the note.
        year = int(start.value[:4]) + (end.value[4:] < start.value[4:])
        moved = replace(end, value=f"{year:04d}{end.value[4:]}")
        if moved.datetime() is None:
            # A 29 February: the last that there was, and what begins before it.
            year = int(end.value[:4]) - (start.value[4:] > end.value[4:])
            return replace(start, value=f"{year:04d}{start.value[4:]}"), end
        end = moved
    return start, end
