"""eds.quantities: numbers with their units, and what they measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from spacy.tokens import Doc, Span

from edspipe.config.registry import registry
from edspipe.doc.span_access import parse_groups, set_spans
from edspipe.errors import ConfigError, did_you_mean
from edspipe.lang.schemas.quantities import MeasureEntry, QuantityWords, UnitsFile
from edspipe.lang.words import choose_lang, load_words
from edspipe.matching.text_view import TextView
from edspipe.pipes.rules.dates.spoken import SpokenNumbers
from edspipe.pipes.rules.quantities.attribute import write_quantity
from edspipe.pipes.rules.quantities.cells import read_cells
from edspipe.pipes.rules.quantities.finder import Finder, Match
from edspipe.pipes.rules.quantities.lexicon import GENERIC, Lexicon
from edspipe.pipes.rules.quantities.units import unit_table, units_file
from edspipe.types import SpanSetter

NAME = "eds.quantities"
LABEL = "quantity"
PREFIX = "eds."
DATE_GROUPS = ("dates", "durations", "frequencies", "periods")
Chosen = dict[str, tuple[MeasureEntry, list[str]]]


@registry.factory.register("eds.quantities")
class Quantities:
    """Finds numbers with their units, and says what they measure.

    ```python
    import edspipe, edspipe.pipes as eds

    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.quantities(lang="fr"))
    doc = nlp("TA 12/7, température à 36,6 °C, PSA de 794, un nodule de 3 x 4 cm.")
    [(span.text, span._.quantity.what, span._.quantity.unit) for span in doc.spans["quantities"]]
    # [('12/7', 'blood_pressure', 'cmHg'), ('36,6 °C', 'temperature', '°C'),
    #  ('794', 'psa', None), ('3 x 4 cm', 'size', 'cm')]
    doc.spans["quantities"][3]._.quantity.to("mm").values
    # (30.0, 40.0)
    ```

    It reads the text, what `eds.normalizer` found to be pollution, and, where they are there, the
    tables of `eds.tables` (a row `Sodium | 135 | mmol/L` is one quantity) and the dates of
    `eds.dates` (no date is a quantity). It writes `doc.spans["quantities"]`, and of each span
    `span._.quantity`, a `Quantity`: value, unit, comparator, kind (`single`, `range`, `product`,
    `ratio`, `pair`), dimension, what it measures, and `.to("kg")`.

    A number counts if a unit stands behind it, or if what it measures stands right before it
    ("PSA de 794"). One in words counts where a unit of two letters or more stands behind it ("deux
    comprimés"; not "un", "une"); the number words are those of the language's `dates.yml`. A
    height in feet and inches is in inches, a weight in pounds and ounces in ounces. Numbers with
    units of time are durations, for `eds.dates`, unless what they measure is named ("temps de
    saignement"); so are ages. Doses of drugs are quantities.

    Args:
        nlp: The pipeline, whose language is taken where `lang` is None.
        name: The name of the pipe.
        lang: `"en"`, `"fr"`, `"es"`, or a folder of word files; None takes the pipeline's language.
        quantities: `"all"`; or the measurements that are kept, by name; or a table of them with
            what they are: `{"eds.weight": {}, "ejection": {"dimension": "ratio", "terms":
            ["FEVG"]}}`, where `dimension` or `unit` says what values they have, `terms` how they
            are named, `bare` whether numbers without a unit count. `eds.` before a name is for
            the reader. Spans of a table have the name as label, otherwise `quantity`.
        span_setter: Where the spans go; groups that it names are emptied of these labels first.
        changes: Words to add or to take away, in the shape of `quantities.yml`.

    Raises:
        ConfigError: There is no such language or measurement, or the changes do not fit.
    """

    def __init__(
        self,
        nlp: Any = None,
        name: str = "quantities",
        *,
        lang: str | Path | None = None,
        quantities: str | Sequence[str] | dict[str, Any] = "all",
        span_setter: SpanSetter = "quantities",
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.span_setter = span_setter
        words = load_words("quantities", choose_lang(lang, nlp, NAME), changes)
        file = units_file()
        self.label_of = _labels(quantities)
        spoken = _spoken_numbers(choose_lang(lang, nlp, NAME))
        self.finder = Finder(Lexicon(words, file, _chosen(quantities, words, file), spoken))

    def __call__(self, doc: Doc) -> Doc:
        """Find the quantities of a Doc."""
        view = TextView.of(doc)
        raw_text = view.raw_text

        def raw(start: int, end: int) -> str:
            first, last = view.raw(start, end)
            return raw_text[first:last]

        cells = read_cells(doc, view, self.finder.lexicon) if doc.spans.get("tables") else None
        dated = _dated(doc)
        matches = self.finder.find(view.text, raw, cells, _starts(doc, view) if dated else ())
        spans = [span for match in matches for span in self._span(doc, view, match, dated)]
        self._empty_groups(doc)
        set_spans(doc, spans, self.span_setter)
        return doc

    def _span(self, doc: Doc, view: TextView, match: Match, dated: frozenset[int]) -> list[Span]:
        label = self._label(match)
        place = view.tokens(match.start, match.end) if label else None
        if place is None or (dated and not dated.isdisjoint(range(*place))):
            return []
        span = Span(doc, *place, label=label)
        write_quantity(doc, span, match.value)
        return [span]

    def _label(self, match: Match) -> str:
        if self.label_of is None:
            return LABEL
        return self.label_of.get(match.value.what or "", "")

    def _empty_groups(self, doc: Doc) -> None:
        if callable(self.span_setter):
            return
        own = {LABEL} if self.label_of is None else set(self.label_of.values())
        for group in parse_groups(self.span_setter):
            if group == "ents":
                doc.ents = tuple(span for span in doc.ents if span.label_ not in own)
            elif group in doc.spans:
                doc.spans[group] = [span for span in doc.spans[group] if span.label_ not in own]


def _dated(doc: Doc) -> frozenset[int]:
    """Return the tokens of dates, where `eds.dates` found some."""
    return frozenset(
        token
        for group in DATE_GROUPS
        for span in doc.spans.get(group, ())
        for token in range(span.start, span.end)
    )


def _starts(doc: Doc, view: TextView) -> list[int]:
    """Return the characters of the view where dates begin, in order."""
    spans = (span for group in DATE_GROUPS for span in doc.spans.get(group, ()))
    return sorted({view.norm(span.start_char, span.end_char)[0] for span in spans})


def _spoken_numbers(lang: str | Path) -> SpokenNumbers | None:
    """Return the numbers in words of a language; None where a user's own has no dates.

    Raises:
        ConfigError: Its file of dates is not well formed.
    """
    if Path(lang).is_dir() and not (Path(lang) / "dates.yml").is_file():
        return None
    return SpokenNumbers(load_words("dates", lang))


def _labels(quantities: str | Sequence[str] | Mapping[str, Any]) -> dict[str, str] | None:
    """Return the label of each measurement that is kept; None where all are."""
    if quantities == "all":
        return None
    if isinstance(quantities, str):
        return {quantities.removeprefix(PREFIX): quantities}
    return {name.removeprefix(PREFIX): name for name in quantities}


def _chosen(
    quantities: str | Sequence[str] | Mapping[str, Any], words: QuantityWords, file: UnitsFile
) -> Chosen:
    if quantities == "all":
        return {}
    if not isinstance(quantities, Mapping):
        listed = [quantities] if isinstance(quantities, str) else quantities
        quantities = {name: {} for name in listed}
    return {
        name.removeprefix(PREFIX): _measure(name, entry or {}, words, file)
        for name, entry in quantities.items()
    }


def _measure(
    label: str, entry: Any, words: QuantityWords, file: UnitsFile
) -> tuple[MeasureEntry, list[str]]:
    """Return a measurement that a user describes, and its terms."""
    name = label.removeprefix(PREFIX)
    where = f"{NAME}: quantities.{label}"
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{where}: expected a mapping; got {type(entry).__name__}")
    known = file.measures.get(name)
    terms = list(entry.get("terms", ())) or list(words.measures.get(name, ()))
    if not terms:
        raise ConfigError(
            f"{where}: no such measurement; a new one needs terms."
            f"{did_you_mean(name, file.measures)}"
        )
    values = {key: value for key, value in entry.items() if key not in ("terms", "unit")}
    values = {"of" if key == "dimension" else key: value for key, value in values.items()}
    if isinstance(values.get("of"), str):
        values["of"] = [values["of"]]
    if "unit" in entry:
        values["of"] = [_dimension_of(entry["unit"], where)]
    try:
        made = MeasureEntry.model_validate({**(known.model_dump() if known else {}), **values})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ConfigError(f"{where}.{problem['loc'][0]}: {problem['msg']}") from None
    for dimension in made.of:
        if dimension not in file.dimensions:
            raise ConfigError(
                f"{where}.dimension: unknown dimension {dimension!r}."
                f"{did_you_mean(dimension, file.dimensions)}"
            )
    return made, terms


def _dimension_of(symbol: str, where: str) -> str:
    unit = unit_table().parse(symbol)
    name = unit_table().name_of(unit.dims) if unit is not None else ""
    if unit is None or name not in unit_table().dimensions:
        raise ConfigError(
            f"{where}.unit: expected a unit of a named dimension of units.yml; got {symbol!r}"
        )
    return name


__all__ = ["GENERIC", "LABEL", "Quantities"]
