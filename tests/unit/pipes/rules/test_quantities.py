"""eds.quantities: what is found, and what it says."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import pytest
import spacy
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

import edspipe
from edspipe.doc.markup import parse_markup
from edspipe.errors import ConfigError
from edspipe.lang.schemas.quantities import UnitEntry, UnitsFile
from edspipe.pipes.rules.dates.dates import Dates
from edspipe.pipes.rules.quantities.numbers import read_number
from edspipe.pipes.rules.quantities.quantities import Quantities
from edspipe.pipes.rules.quantities.units import UnitTable, find_unit, units_file
from edspipe.pipes.rules.quantities.value import Quantity
from edspipe.pipes.rules.tables import Tables

SENTENCES = Path(__file__).parent / "sentences"
LANGS = ("en", "fr", "es")
NLP = edspipe.blank("eds")
PIPES = {lang: Quantities(lang=lang) for lang in LANGS}
SLOWEST_S = 2.0
NUM_CHARS = 100_000


def find(text: str, lang: str = "fr", **options: Any) -> Doc:
    pipe = Quantities(lang=lang, **options) if options else PIPES[lang]
    return pipe(NLP.make_doc(text))


def values(text: str, lang: str = "fr", **options: Any) -> list[Quantity]:
    doc = find(text, lang, **options)
    return [span._.quantity for span in doc.spans["quantities"]]


def marked_sentences() -> list[Any]:
    return [
        pytest.param(lang, marked, id=f"{lang}-{number}")
        for lang in LANGS
        for number, marked in enumerate(
            yaml.safe_load((SENTENCES / f"quantities_{lang}.yml").read_text(encoding="utf-8"))
        )
    ]


@pytest.mark.parametrize(("lang", "marked"), marked_sentences())
def test_all_that_is_marked_and_nothing_else_is_found(lang, marked):
    text, expected = parse_markup(marked)
    doc = find(text, lang)
    spans = doc.spans["quantities"]
    assert [span.text for span in spans] == [text[span.start : span.end] for span in expected]
    for span, wanted in zip(spans, expected, strict=True):
        defaults = {"unit": None, "kind": "single", "what": None, "comparator": None}
        told = span._.quantity.to_dict()
        for field, value in (defaults | wanted.attributes).items():
            assert told[field] == value, (span.text, field)


@pytest.mark.parametrize(
    ("written", "decimal", "value"),
    [
        ("12", ".", 12),
        ("1,5", ",", 1.5),
        ("1.5", ",", 1.5),
        ("27.690", ",", 27690),
        ("27.690", ".", 27.69),
        ("436,000", ".", 436000),
        ("0.125", ",", 0.125),
        ("14 400", ",", 14400),
        ("1.234.567", ",", 1234567),
        ("1.234,5", ",", 1234.5),
        ("1,234.5", ".", 1234.5),
        ("2½", ".", 2.5),
        ("½", ".", 0.5),
        ("12.03.2020", ",", None),
        ("1" * 40, ",", None),
    ],
)
def test_a_number_is_read(written, decimal, value):
    assert read_number(written, decimal) == value


@pytest.mark.parametrize(
    ("quantity", "unit", "value"),
    [
        (Quantity(80, "kg"), "g", 80000),
        (Quantity(37, "°C"), "°F", 98.6),
        (Quantity(12, "cmHg"), "mmHg", 120),
        (Quantity(1.5, "g/L"), "mg/dL", 150),
        (Quantity(7.5, "10^9/L"), "/mm3", 7500),
        (Quantity(5, "lb"), "kg", 2.26796185),
        (Quantity(1, "g/L", what="glucose"), "mmol/L", 5.550744909967),
        (Quantity(5.550744909967, "mmol/L", what="glucose"), "g/L", 1),
        (Quantity(80, "bpm"), "/min", 80),
        (Quantity(2, "L/min"), "mL/s", 33.333333333333),
    ],
)
def test_a_quantity_is_converted(quantity, unit, value):
    converted = quantity.to(unit)
    assert converted.value == pytest.approx(value, rel=1e-9)
    assert converted.unit == unit


@pytest.mark.parametrize(
    ("lang", "text", "value", "unit", "what"),
    [
        ("en", "Urine culture 10^5 CFU/mL.", 1e5, "CFU/mL", None),
        ("fr", "Uroculture : 10⁶ UFC/mL.", 1e6, "/mL", None),
        ("fr", "Héparine 4000 UI/j.", 4000, "U/d", None),
        ("fr", "Poids 3.250 kg.", 3.25, "kg", "weight"),
        ("en", "Weight 3,250 kg.", 3.25, "kg", "weight"),
        ("en", "Weight 3,250 g.", 3250, "g", "weight"),
        ("fr", "Température 37°5.", 37.5, "°C", "temperature"),
        ("fr", "Température à 38°.", 38, "°C", "temperature"),
        ("en", "Temperature 101°.", 101, "°F", "temperature"),
        ("en", "Urine protein 30 mg/g.", 30, "mg/g", "proteinuria"),
        ("en", "Transferrin 250 mg/dL.", 250, "mg/dL", "transferrin"),
        ("fr", "Clairance 60 mL/min/1,73 m2.", 60, "mL/min/1,73 m2", "clearance"),
    ],
)
def test_values_and_units_are_those_that_are_meant(lang, text, value, unit, what):
    (found,) = values(text, lang)
    assert (found.value, found.unit, found.what) == (value, unit, what)


@pytest.mark.parametrize(
    ("lang", "text", "value", "unit", "kind"),
    [
        ("fr", "TA 13,5/8", 13.5, "cmHg", "pair"),
        ("fr", "entre 10 et 15 mg", 10, "mg", "range"),
        ("fr", "10 à 15 mg", 10, "mg", "range"),
        ("en", "between 10 and 15 mg", 10, "mg", "range"),
        ("es", "entre 10 y 15 mg", 10, "mg", "range"),
        ("es", "de 10 a 15 mg", 10, "mg", "range"),
        ("en", "height 5'10\"", 70, "inch", "single"),
        ("en", "height 5'10", 70, "inch", "single"),
        ("en", "5 ft 10 in tall", 70, "inch", "single"),
        ("en", "6 feet 2 inches", 74, "inch", "single"),
        ("en", "weighed 7 lb 3 oz", 115, "oz", "single"),
        ("fr", "un poids de 3 kg 250", 3.25, "kg", "single"),
        ("fr", "deux comprimés", 2, "tablet", "single"),
        ("fr", "soixante et onze kilos", 71, "kg", "single"),
        ("fr", "quatre-vingt-dix pour cent", 90, "%", "single"),
        ("en", "three episodes of vomiting", 3, "episode", "single"),
        ("en", "one hundred and twenty mL", 120, "mL", "single"),
        ("es", "dos comprimidos", 2, "tablet", "single"),
        ("es", "veinticinco miligramos", 25, "mg", "single"),
        ("en", "20 pack-years", 20, "pack-year", "single"),
        ("es", "40 cigarrillos/día", 40, "cigarette/d", "single"),
        ("es", "un pH de 7,31 con lactato normal", 7.31, None, "single"),
        ("es", "FiO2 100%", 100, "%", "single"),
        ("en", "PO2 105 mmHg", 105, "mmHg", "single"),
        ("fr", "Hb15,6 g/dL", 15.6, "g/dL", "single"),
        ("es", "9100 leucocitos", 9100, None, "single"),
    ],
)
def test_numbers_are_written_in_many_ways(lang, text, value, unit, kind):
    (quantity,) = values(text, lang)
    assert (quantity.value, quantity.unit, quantity.kind) == (value, unit, kind)


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("fr", "deux fois par jour, trois jours, un comprimé, six g de mesure, trente-trois ans"),
        ("en", "two patients, a tablet, walked 5'10 today, two days, nine lives"),
        ("es", "dos veces al día, tres días, dos hijos, un sobre, tres sobre la mesa"),
    ],
)
def test_number_words_without_a_unit_are_no_quantity(lang, text):
    assert values(text, lang) == []


@pytest.mark.parametrize(
    ("lang", "text", "comparator"),
    [
        ("fr", "inférieure à 5 mg", "<"),
        ("fr", "supérieur ou égal à 5 mg", ">="),
        ("fr", "inférieur ou égal à 5 mg", "<="),
        ("fr", "au moins 5 mg", ">="),
        ("en", "greater than or equal to 5 mg", ">="),
        ("en", "at least 5 mg", ">="),
        ("en", "not exceeding 5 mg", "<="),
        ("en", "≥ 5 mg", ">="),
        ("es", "menos de 5 mg", "<"),
        ("es", "mayor o igual a 5 mg", ">="),
        ("es", "igual o inferior a 5 mg", "<="),
    ],
)
def test_words_compare(lang, text, comparator):
    (quantity,) = values(text, lang)
    assert quantity.comparator == comparator


def test_two_numbers_share_a_unit_only_where_it_fits_what_they_measure():
    found = values("leucocitos 9800 y 58,4% de neutrófilos", "es")
    assert [(one.value, one.unit, one.what) for one in found] == [
        (9800, None, "white_cells"),
        (58.4, "%", "neutrophils"),
    ]


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [("es", "tomaba 15 mg al día", "15 mg"), ("fr", "1310 mg par jour", "1310 mg")],
)
def test_a_date_behind_takes_nothing_but_itself(lang, text, expected):
    doc = PIPES[lang](Dates(lang=lang)(NLP.make_doc(text)))
    assert [span.text for span in doc.spans["quantities"]] == [expected]
    assert doc.spans["frequencies"]


def test_a_language_without_dates_has_no_number_words(tmp_path):
    (tmp_path / "quantities.yml").write_text("extends: fr\n", encoding="utf-8")
    pipe = Quantities(lang=tmp_path)
    doc = pipe(NLP.make_doc("deux comprimés, 3 comprimés"))
    assert [span.text for span in doc.spans["quantities"]] == ["3 comprimés"]


def test_pack_years_are_no_pressure():
    assert values("Tabac 20 PA.") == []


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("BUN 20 mg/dL", "mmol/L", 7.139),
        ("Urea 20 mg/dL", "mmol/L", 3.330),
        ("Creatinine 1 mg/dL", "µmol/L", 88.40),
        ("Glucose 90 mg/dL", "mmol/L", 4.996),
        ("Calcium 10 mg/dL", "mmol/L", 2.495),
        ("Bilirubin 1 mg/dL", "µmol/L", 17.10),
        ("Uric acid 5 mg/dL", "µmol/L", 297.4),
    ],
)
def test_results_are_converted_as_laboratories_do(text, unit, value):
    (found,) = values(text, "en")
    assert found.to(unit).value == pytest.approx(value, rel=1e-3)


def test_transferrin_is_not_converted_as_iron():
    (found,) = values("Transferrin 250 mg/dL", "en")
    with pytest.raises(ConfigError, match="cannot be converted"):
        found.to("µmol/L")


@pytest.mark.parametrize("lang", LANGS)
def test_a_word_for_a_unit_means_this_unit(lang):
    table, words = PIPES[lang].finder.lexicon.units, PIPES[lang].finder.lexicon.words
    for symbol, listed in words.units.items():
        for word in listed:
            unit, wanted = table.parse(word), table.exact[symbol]
            assert unit is not None, word
            assert (unit.dims, unit.factor) == (wanted.dims, wanted.factor), word


def test_all_numbers_of_a_quantity_are_converted():
    (size,) = values("Nodule de 3 x 4 cm.")
    assert size.to("mm").values == (30.0, 40.0)


@pytest.mark.parametrize(
    ("quantity", "unit", "message"),
    [
        (Quantity(3, "cm"), "kg", "cm .* cannot be converted to kg .mass."),
        (Quantity(3, "g/L"), "mmol/L", "cannot be converted to mmol/L"),
        (Quantity(0.8, None, "ratio", (4.0, 5.0)), "%", "no unit .* cannot be converted"),
        (Quantity(3, "cm"), "furlong", "unit: expected a unit of .* got 'furlong'"),
    ],
)
def test_what_cannot_be_converted_is_refused(quantity, unit, message):
    with pytest.raises(ConfigError, match=message):
        quantity.to(unit)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("3 à 5 kg", 3, 5), ("moins de 5 kg", None, 5), ("> 5 kg", 5, None), ("5 kg", 5, 5)],
)
def test_bounds(text, low, high):
    (quantity,) = values(text)
    assert (quantity.low, quantity.high) == (low, high)


def test_a_unit_is_written_in_many_ways_and_reported_in_one():
    texts = ["5 g/dL", "5 g/dl", "5 g / dL", "5 g par dl", "5 grammes par dl", "5 gr/dl"]
    assert {values(text)[0].unit for text in texts} == {"g/dL"}


@pytest.mark.parametrize("symbol", sorted(units_file().units))
def test_every_unit_is_found_by_its_symbol(symbol):
    assert find_unit(symbol).symbol == symbol


def test_capital_g_counts_cells_and_small_g_weighs():
    assert [q.unit for q in values("GB 7 G/L, albumine 30 g/L, HB 12 G/DL")] == [
        "10^9/L",
        "g/L",
        "g/dL",
    ]


def test_only_the_chosen_measurements_are_kept():
    doc = find("Poids 70 kg, taille 180 cm, PSA 3 ng/mL", quantities={"eds.weight": {}, "psa": {}})
    assert [(span.text, span.label_) for span in doc.spans["quantities"]] == [
        ("70 kg", "eds.weight"),
        ("3 ng/mL", "psa"),
    ]


@pytest.mark.parametrize("chosen", ["eds.weight", ["eds.weight"]])
def test_measurements_are_chosen_by_name(chosen):
    assert [q.what for q in values("Poids 70 kg, taille 180 cm", quantities=chosen)] == ["weight"]


@pytest.mark.parametrize("how", [{"dimension": "length"}, {"unit": "cm"}])
def test_a_measurement_of_ones_own(how):
    chosen = {"ombilic": {**how, "terms": ["distance à l'ombilic"]}}
    found = values("Distance à l'ombilic : 4 cm, poids 3 kg", quantities=chosen)
    assert [(q.what, q.value) for q in found] == [("ombilic", 4.0)]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"eds.wieght": {}}, "quantities.eds.wieght: no such measurement; .*weight"),
        ({"weight": 3}, "quantities.weight: expected a mapping; got int"),
        ({"weight": {"dimension": "mas"}}, "quantities.weight.dimension: unknown dimension 'mas'"),
        ({"weight": {"unit": "stone"}}, "quantities.weight.unit: expected a unit .*'stone'"),
        ({"weight": {"colour": 1}}, "quantities.weight.colour: "),
    ],
)
def test_a_choice_that_cannot_be_is_refused(chosen, message):
    with pytest.raises(ConfigError, match=message):
        Quantities(lang="fr", quantities=chosen)


def test_words_are_added():
    changes = {"units": {"L": ["godet"]}, "measures": {"weight": ["masse corporelle"]}}
    found = values("2 godet ; masse corporelle : 70", changes=changes)
    assert [(q.value, q.unit, q.what) for q in found] == [(2.0, "L", None), (70.0, "kg", "weight")]


def test_words_for_a_unit_that_is_none_are_refused():
    with pytest.raises(ConfigError, match=r"units\.stone: unknown unit"):
        Quantities(lang="en", changes={"units": {"stone": ["stones"]}})


def test_a_unit_of_an_unknown_dimension_is_refused():
    file = UnitsFile(
        prefixes={}, dimensions={}, units={"m": UnitEntry(of="length", factor=1)}, measures={}
    )
    with pytest.raises(ConfigError, match=r"units\.m\.of: unknown dimension 'length'"):
        UnitTable(file)


def test_the_units_file_is_checked(tmp_path, monkeypatch):
    (tmp_path / "units.yml").write_text("units: 3", encoding="utf-8")
    monkeypatch.setattr("edspipe.pipes.rules.quantities.units.FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=r"units\.yml: "):
        units_file.__wrapped__()


def test_a_language_must_be_known():
    with pytest.raises(ConfigError, match=r"eds\.quantities: expected lang="):
        Quantities()


def test_a_row_of_a_table_is_a_quantity():
    text = "Sodium    |  135  | mmol/L\nPotassium |  4,1  | mmol/L\nToux | 3 | -\n"
    doc = PIPES["fr"](Tables()(NLP.make_doc(text)))
    assert [(q.what, q.value, q.unit) for q in (s._.quantity for s in doc.spans["quantities"])] == [
        ("sodium", 135.0, "mmol/L"),
        ("potassium", 4.1, "mmol/L"),
    ]


def test_in_aligned_columns_the_unit_is_read_from_the_row():
    text = "Poids      80      kg\nTaille     180     cm\nCRP        12      mg/L\n"
    doc = PIPES["fr"](Tables()(NLP.make_doc(text)))
    found = [span._.quantity for span in doc.spans["quantities"]]
    assert [(q.what, q.unit) for q in found] == [
        ("weight", "kg"),
        ("height", "cm"),
        ("crp", "mg/L"),
    ]


def test_a_date_is_no_quantity():
    doc = NLP.make_doc("TA le 12/7 puis TA 12/7")
    dates = Dates(lang="fr")
    doc = PIPES["fr"](dates(doc))
    taken = {i for span in doc.spans["dates"] for i in range(span.start, span.end)}
    assert all(taken.isdisjoint(range(s.start, s.end)) for s in doc.spans["quantities"])


def test_twice_is_as_once_and_others_spans_stay():
    doc = NLP.make_doc("Poids 70 kg")
    doc.spans["quantities"] = [doc[0:1]]
    once = [(s.start, s.end, s.label_) for s in PIPES["fr"](doc).spans["quantities"]]
    assert len(once) == 2
    assert [(s.start, s.end, s.label_) for s in PIPES["fr"](doc).spans["quantities"]] == once


def test_quantities_go_to_the_entities_if_asked_and_twice_is_as_once():
    pipe = Quantities(lang="fr", span_setter="ents")
    doc = pipe(pipe(NLP.make_doc("Poids 70 kg")))
    assert [ent._.quantity.value for ent in doc.ents] == [70.0]


def test_spans_go_where_a_function_puts_them():
    def put(doc, spans):
        doc.spans["mine"] = spans

    assert len(find("Poids 70 kg", span_setter=put).spans["mine"]) == 1


def test_a_quantity_can_be_set_and_survives_saving():
    doc = find("Poids 70 kg, taille 1m80")
    doc.spans["quantities"][0]._.quantity = Quantity(3.0, "kg", values=(3.0,))
    expected = [span._.quantity for span in doc.spans["quantities"]]
    assert expected[0] == Quantity(3.0, "kg", values=(3.0,))
    for copy in (
        Doc(NLP.vocab).from_bytes(doc.to_bytes()),
        pickle.loads(pickle.dumps(doc)),  # noqa: S301
    ):
        assert [span._.quantity for span in copy.spans["quantities"]] == expected


def test_another_span_has_no_quantity():
    assert find("Poids 70 kg")[0:1]._.quantity is None


@pytest.mark.parametrize("lang", LANGS)
def test_it_is_a_spacy_component(lang):
    nlp = spacy.blank(lang)
    nlp.add_pipe("edspipe_quantities")
    doc = nlp("Hb 12 g/dL")
    assert [span._.quantity.unit for span in doc.spans["quantities"]] == ["g/dL"]


WORDS = [
    "1",
    "2,5",
    "000",
    "/",
    "-",
    "x",
    "à",
    "to",
    "<",
    "%",
    "mg",
    "kg",
    "mmHg",
    "cm",
    "L",
    "mm3",
    "par",
    "/24",
    "h",
    "Hb",
    "TA",
    "PSA",
    "de",
    ":",
    ".",
    ";",
    "|",
    "(",
    ")",
    "½",
    "10^9",
    "^",
    "E5",
    "m",
    "80",
    "°",
    "C",
    "entre",
    "et",
    "stade",
    "G/L",
    "0",
    "é",
    "œ",
]
PIECES = st.lists(st.sampled_from([*WORDS, "\n"]) | st.text(max_size=4), max_size=30)


@settings(max_examples=60, deadline=None)
@given(PIECES, st.sampled_from(LANGS), st.sampled_from(["", " "]))
def test_nothing_crashes_and_spans_lie_inside(pieces, lang, blank):
    doc = find(blank.join(pieces), lang)
    end = 0
    for span in doc.spans["quantities"]:
        assert end <= span.start < span.end <= len(doc)
        end = span.end
        assert any(char.isnumeric() for char in span.text)
        assert Quantity.from_dict(span._.quantity.to_dict()) == span._.quantity


def slow(*pieces: str) -> list[Any]:
    return [pytest.param(piece, marks=pytest.mark.slow) for piece in pieces]


@pytest.mark.parametrize(
    "piece",
    ["1/", "12 mg/L ", *slow("1", "1 ", "1,", " 000", "1x", "mg/", "hb ", "x10", "1. ", "< ")],
)
def test_long_texts_take_no_longer_than_their_length_says(piece):
    doc = NLP.make_doc("1 " + piece * (NUM_CHARS // len(piece)))
    begin = time.process_time()
    PIPES["fr"](doc)
    assert time.process_time() - begin < SLOWEST_S


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("es", "doscientos cincuenta miligramos", [250]),
        ("fr", "mille cinq cents mg", [1500]),
        ("en", "two thousand five hundred mL", [2500]),
        ("en", "zero point five mg", []),
        ("en", "between five and ten mg", [5]),
        ("en", "take two fifty mg tablets", []),
        ("en", "two five hundred mg", []),
        ("en", "ten twenty mg doses", []),
        ("fr", "prendre deux vingt mg", []),
        ("es", "dos y tres comprimidos", []),
        ("en", "five or ten mg", []),
        ("en", "5 hundred mg", []),
    ],
)
def test_words_that_are_not_one_number_give_no_value(lang, text, expected):
    assert [one.value for one in values(text, lang)] == expected


UNITS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze "
    "seize dix-sept dix-huit dix-neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce "
    "quince dieciséis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés "
    "veinticuatro veinticinco veintiséis veintisiete veintiocho veintinueve",
}
TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "fr": "vingt trente quarante cinquante soixante soixante quatre-vingt quatre-vingt",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
}
HUNDREDS = "ciento dos tres cuatro quinientos seis sete ocho nove"


def spell(number: int, lang: str) -> str:
    """Return a number below ten thousand in words."""
    units = UNITS[lang].split()
    if number >= 1000:
        thousand = {"en": "thousand", "fr": "mille", "es": "mil"}[lang]
        head = "" if number < 2000 and lang != "en" else spell(number // 1000, lang) + " "
        return f"{head}{thousand} {spell(number % 1000, lang) if number % 1000 else ''}".strip()
    if number >= 100:
        first = number // 100
        if lang == "es":
            word = HUNDREDS.split()[first - 1]
            word = "cien" if number == 100 else word if first in (1, 5) else word + "cientos"
        else:
            word = f"{units[first]} hundred" if lang == "en" else f"{units[first]} cent"
            word = "cent" if lang == "fr" and first == 1 else word
        joint = " and " if lang == "en" else " "
        return word + (joint + spell(number % 100, lang) if number % 100 else "")
    if number < len(units):
        return units[number]
    tens, rest = TENS[lang].split()[number // 10 - 2], number % 10
    if lang == "fr":
        rest += 10 * (number // 10 in (7, 9))
        joint = " et " if rest in (1, 11) and number < 80 else "-"
        return f"{tens}{joint}{units[rest]}" if rest else tens
    return f"{tens}{'-' if lang == 'en' else ' y '}{units[rest]}" if rest else tens


@pytest.mark.parametrize("lang", LANGS)
def test_every_number_in_words_is_read_as_itself(lang):
    numbers = [*range(2, 130), *range(131, 10_000, 37)]
    lines = [f"{spell(number, lang)} mg." for number in numbers]
    found = [one.value for one in values("\n\n".join(lines), lang)]
    assert found == numbers


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("fr", "12000 leucocytes, 250000 plaquettes", ["white_cells", "platelets"]),
        ("es", "fractura del 5º metacarpiano, 2º episodio", []),
        ("fr", "temps d'ischémie 8'10''", []),
        ("es", "apnea 4'10\"", []),
    ],
)
def test_a_name_counts_once_and_signs_of_minutes_and_ordinals_are_no_units(lang, text, expected):
    assert [one.what for one in values(text, lang)] == expected


def test_a_mistake_in_ones_own_dates_is_told(tmp_path):
    (tmp_path / "quantities.yml").write_text("extends: fr\n", encoding="utf-8")
    (tmp_path / "dates.yml").write_text("extends: fr\ncardinalss: {deux: 2}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="cardinalss"):
        Quantities(lang=tmp_path)
