"""eds.dates: what is found, and what it says."""

from __future__ import annotations

import pickle
import time
from datetime import date, datetime, timedelta
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
from edspipe.errors import ConfigError, DataError
from edspipe.pipes.rules.dates.dates import Dates
from edspipe.pipes.rules.dates.value import DateValue

SENTENCES = Path(__file__).parent / "sentences"
LANGS = ("en", "fr", "es")
NLP = edspipe.blank("eds")
PIPES = {lang: Dates(lang=lang) for lang in LANGS}
SLOWEST_S = 2.0
NOTE = "2020-06-15"


def find(lang: str, text: str, note: Any = None) -> Doc:
    doc = NLP.make_doc(text)
    doc._.note_datetime = note
    return PIPES[lang](doc)


def values(lang: str, text: str, note: Any = None) -> list[str]:
    doc = find(lang, text, note)
    spans = [span for group in doc.spans.values() for span in group]
    return [span._.date.value for span in sorted(spans, key=lambda span: span.start)]


def marked_sentences() -> list[Any]:
    return [
        pytest.param(lang, marked, id=f"{lang}-{number}")
        for lang in LANGS
        for number, marked in enumerate(
            yaml.safe_load((SENTENCES / f"dates_{lang}.yml").read_text(encoding="utf-8"))
        )
    ]


@pytest.mark.parametrize(("lang", "marked"), marked_sentences())
def test_all_that_is_marked_and_nothing_else_is_found(lang, marked):
    text, expected = parse_markup(marked)
    doc = find(lang, text, NOTE)
    found = {
        (span.start_char, span.end_char, span.label_): span._.date.to_dict()
        for group in doc.spans.values()
        for span in group
    }
    shown = ("value", "mode", "mod", "offset", "max_value", "times", "ordinal", "quant")
    assert {
        key: {name: value for name, value in said.items() if name in shown}
        for key, said in found.items()
    } == {(span.start, span.end, span.label): span.attributes for span in expected}


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "3/4/2020", "2020-03-04"),
        ("fr", "3/4/2020", "2020-04-03"),
        ("es", "3/4/2020", "2020-04-03"),
        ("en", "25/4/2020", "2020-04-25"),
        ("fr", "4/25/2020", "2020-04-25"),
        ("fr", "12.03.98", "1998-03-12"),
        ("en", "12-Mar-2020", "2020-03-12"),
        ("fr", "03/2020", "2020-03"),
    ],
)
def test_the_order_of_day_and_month_is_the_languages_where_both_can_be(lang, text, expected):
    assert values(lang, text) == [expected]


@pytest.mark.parametrize("text", ["32/13/2020", "30/02/2020", "29/02/2021", "31 juin 2020"])
def test_a_day_that_no_calendar_has_is_no_date(text):
    assert not any(value.count("-") == 2 for value in values("fr", text))


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "5 mg/day, 70 beats per minute, vitamin D3, exon W221S"),
        ("en", "a man in his 60s took a second drug in 2000 patients"),
        ("fr", "10 mg/kg/jour, 80 battements par minute, 1 g/24 h"),
        ("fr", "une seconde dose de 2000 mg, tâches quotidiennes"),
        ("es", "5 mg/día, 80 latidos por minuto, un segundo fármaco"),
    ],
)
def test_doses_rates_and_names_are_no_dates(lang, text):
    assert values(lang, text) == []


def test_a_blank_line_ends_what_belongs_together():
    assert values("fr", "le 3\n\nmars 2020") == ["2020-03"]


def test_a_line_break_does_not():
    assert values("fr", "le 3\nmars 2020") == ["2020-03-03"]


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "A 65-year-old man, aged 40, at 2 years of age", ["P65Y", "P40Y", "P2Y"]),
        ("fr", "Homme de 65 ans, âgée de 3 mois", ["P65Y", "P3M"]),
        ("es", "Mujer de 65 años, niño de 3 meses de edad", ["P65Y", "P3M"]),
    ],
)
def test_ages_are_left_out_unless_asked_for(lang, text, expected):
    assert values(lang, text) == []
    doc = Dates(lang=lang, ages=True)(NLP.make_doc(text))
    found = [span._.date for span in doc.spans["durations"]]
    assert [value.value for value in found] == expected
    assert all(value.age for value in found)


@pytest.mark.parametrize(
    "note", [datetime(2020, 3, 1, 12), date(2020, 3, 1), "2020-03-01", "2020-03-01T12:00:00+01:00"]
)
def test_what_counts_from_the_note_is_resolved_against_its_date(note):
    assert values("en", "yesterday", note) == ["2020-02-29"]


def test_the_end_of_a_shorter_month_is_kept():
    value = DateValue("DATE", "XXXX-XX", "day", offset="-P1M", anchor="note")
    assert value.resolve(datetime(2020, 3, 31)).value == "2020-02-29"


def test_without_the_notes_date_it_stays_open_and_can_be_resolved_later():
    doc = find("fr", "il y a 3 jours")
    value = doc.spans["dates"][0]._.date
    assert value.value == "XXXX-XX-XX"
    assert value.datetime() is None
    assert value.datetime(datetime(2020, 3, 12)) == datetime(2020, 3, 9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("le 3 juin", "2020-06-03"), ("le 3 juillet", "2019-07-03"), ("lundi", "2020-06-15"),
     ("mardi", "2020-06-09"), ("29 février", "2020-02-29")],
)  # fmt: skip
def test_a_date_without_its_year_is_the_last_one_before_the_note(text, expected):
    assert values("fr", text, NOTE) == [expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DateValue("DATE", "2020-03-12T14:30"), datetime(2020, 3, 12, 14, 30)),
        (DateValue("DATE", "2020"), datetime(2020, 1, 1)),
        (DateValue("DATE", "2020-W11"), datetime(2020, 3, 9)),
        (DateValue("DATE", "2020-06-15TMO"), datetime(2020, 6, 15)),
        (DateValue("DATE", "PRESENT_REF"), None),
        (DateValue("DATE", "2021-02-29"), None),
        (DateValue("DURATION", "P3D"), None),
    ],
)
def test_the_first_moment_of_a_date(value, expected):
    assert value.datetime() == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DateValue("DURATION", "P1W2D"), timedelta(days=9)),
        (DateValue("DURATION", "PT1H30M"), timedelta(minutes=90)),
        (DateValue("SET", "PT8H"), timedelta(hours=8)),
        (DateValue("DURATION", "PXM"), None),
        (DateValue("DURATION", "P999999999999Y"), None),
        (DateValue("DATE", "2020"), None),
    ],
)
def test_how_long_a_duration_is(value, expected):
    assert value.timedelta() == expected


@pytest.mark.parametrize("offset", ["-P9999Y", "+P999999999D"])
def test_an_offset_beyond_the_calendar_stays_open(offset):
    value = DateValue("DATE", "XXXX", "year", offset=offset, anchor="note")
    assert value.resolve(datetime(2020, 1, 1)).value == "XXXX"


def test_a_weekday_before_the_first_day_of_the_calendar_stays_open():
    value = DateValue("DATE", "XXXX-WXX-7", "day", anchor="note")
    assert value.resolve(datetime(1, 1, 1)).value == "XXXX-WXX-7"


def test_a_second_pass_changes_nothing():
    doc = find("fr", "Vu le 12/03/2020, fièvre depuis 3 jours, 2 fois par jour", NOTE)
    before = {group: [(s.text, s._.date) for s in spans] for group, spans in doc.spans.items()}
    PIPES["fr"](doc)
    assert before == {
        group: [(s.text, s._.date) for s in spans] for group, spans in doc.spans.items()
    }


def test_values_survive_bytes_and_pickle():
    doc = find("fr", "Vu le 12/03/2020 à 14h30", NOTE)
    value = doc.spans["dates"][0]._.date
    for copy in (Doc(NLP.vocab).from_bytes(doc.to_bytes()), pickle.loads(pickle.dumps(doc))):  # noqa: S301
        assert copy.spans["dates"][0]._.date == value


def test_a_value_can_be_set_by_hand():
    doc = find("fr", "vu le 12/03/2020")
    span = doc.spans["dates"][0]
    span._.date = DateValue("DATE", "2021")
    assert span._.date.value == "2021"
    span._.date = None
    assert span._.date is None


def test_spans_go_where_the_setter_says():
    pipe = Dates(lang="en", span_setter={"times": ["date"], "ents": ["duration"]})
    doc = pipe(pipe(NLP.make_doc("12 March 2020, for 3 days")))
    assert [span.text for span in doc.spans["times"]] == ["12 March 2020"]
    assert [ent.text for ent in doc.ents] == ["3 days"]
    kept: list[str] = []
    Dates(lang="en", span_setter=lambda doc, spans: kept.extend(map(str, spans)))(doc)
    assert kept == ["12 March 2020", "3 days"]


def test_words_can_be_added():
    text = "vu il y a trois lunes"
    changes = {"units": {"month": ["lunes"]}}
    doc = Dates(lang="fr", changes=changes)(NLP.make_doc(text))
    assert [span._.date.offset for span in doc.spans["dates"]] == ["-P3M"]
    assert values("fr", text) == []


@pytest.mark.parametrize("note", ["yesterday", 3, "12/03/2020"])
def test_a_notes_date_that_is_none_is_refused(note):
    doc = NLP.make_doc("hier")
    doc._.note_id, doc._.note_datetime = "n1", note
    with pytest.raises(
        DataError, match=r"n1: doc\._\.note_datetime: expected a datetime.*ISO 8601"
    ):
        PIPES["fr"](doc)


def test_a_language_must_be_known():
    with pytest.raises(ConfigError, match=r"eds\.dates: expected lang="):
        Dates(NLP)


@pytest.mark.parametrize(
    ("forms", "message"),
    [
        ({"dat": ["{month}"]}, r"forms: expected one of date, .*got 'dat'\. Did you mean"),
        ({"date": ["{mont}"]}, r"forms\.date: '\{mont\}': there is no part 'mont'"),
        ({"date": ["{month}?"]}, r"it matches nothing at all"),
        ({"date": ["({month}"]}, r"expected '\)'"),
        ({"date": ["{month})"]}, r"a '\)' stands where none can"),
        ({"date": ["{month} !{year}"]}, r"a '!' stands where a word or part was expected"),
        ({"date": ["{month"]}, r"expected a word, a part in braces or a sign at character 0"),
        ({"date": ["{of} {month} [{year}]"]}, r"expected '\['"),
        ({"date": ["[{month}] ?"]}, r"expected one part or word beside the brackets"),
        ({"date": ["[{month}] {day}"]}, r"the part 'day' cannot stand beside the brackets"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(forms, message):
    with pytest.raises(ConfigError, match=message):
        Dates(lang="en", changes={"forms": forms})


def test_it_is_a_component_of_spacy(tmp_path):
    nlp = spacy.blank("fr")
    nlp.add_pipe("edspipe_dates")
    nlp.to_disk(tmp_path)
    doc = spacy.load(tmp_path)("Vu le 12/03/2020, depuis 3 jours")
    assert doc.spans["dates"][0]._.date.value == "2020-03-12"
    assert doc.spans["durations"][0].text == "3 jours"


PIECES = (
    "3 12 2020 / - . , : h j le de du a deux jours jour mars il y a depuis fois par ans day two "
    "ago of may every hace dias al cada veces 8h30 œ É ²"
)
WORDS = st.sampled_from([*PIECES.split(), "\n", "\u0301"])


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=60), st.sampled_from(LANGS))
def test_no_text_makes_it_fail_and_spans_lie_inside(text, lang):
    doc = find(lang, text.encode("utf-8", "ignore").decode(), NOTE)
    for spans in doc.spans.values():
        for span in spans:
            assert 0 <= span.start < span.end <= len(doc)
            assert span.text.strip() == span.text
            assert span._.date.value
            span._.date.datetime()
            span._.date.timedelta()


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize(
    "piece",
    ["1", " ", "\n", "1/", "12 ", "a ", "un ", "twenty-", "3 jours et ", "du 3 ", "y ", "."],
)
def test_time_grows_with_the_text_and_not_faster(lang, piece):
    text = (piece * 100_000)[:100_000]
    begin = time.process_time()
    PIPES[lang].find(text)
    assert time.process_time() - begin < SLOWEST_S


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "February 29, 2019"),
        ("fr", "29 février 2019"),
        ("es", "29 de febrero de 2019"),
        ("fr", "31/04/2020"),
    ],
)
def test_a_day_that_does_not_exist_is_not_read_in_part(lang, text):
    assert values(lang, text, NOTE) == []


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "next Monday", "2020-06-22"),
        ("en", "last Monday", "2020-06-08"),
        ("en", "Monday", "2020-06-15"),
        ("fr", "vendredi prochain", "2020-06-19"),
        ("fr", "vendredi dernier", "2020-06-12"),
        ("es", "el próximo viernes", "2020-06-19"),
        ("es", "el viernes pasado", "2020-06-12"),
    ],
)
def test_a_weekday_is_the_one_before_or_behind_the_note(lang, text, expected):
    assert values(lang, text, NOTE) == [expected]


@pytest.mark.parametrize(
    ("text", "note", "expected"),
    [
        ("12-15 mars", "2020-03-13", "2020-03-12/2020-03-15"),
        ("12-15 mars", "2020-03-10", "2019-03-12/2019-03-15"),
        ("27-29 février", "2020-02-28", "2020-02-27/2020-02-29"),
    ],
)
def test_a_period_never_ends_before_it_begins(text, note, expected):
    doc = find("fr", text, note)
    (span,) = doc.spans["periods"]
    assert span._.date.value == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("12/03/45", "1945-03-12"), ("12/03/19", "2019-03-12")]
)
def test_a_year_of_two_digits_that_is_far_off_is_of_the_last_century(text, expected):
    assert values("fr", text) == [expected]


@pytest.mark.parametrize(
    ("text", "note", "expected"),
    [
        ("12/03/29", None, "2029-03-12"),
        ("12/03/30", None, "1930-03-12"),
        ("12/03/29", "2020-06-15", "2029-03-12"),
        ("12/03/30", "2020-06-15", "1930-03-12"),
        ("12/03/30", "2028-06-15", "2030-03-12"),
        ("12/03/98", "1999-06-15", "1998-03-12"),
        ("12/03/15", "1999-06-15", "1915-03-12"),
        ("12/03/1915", "2020-06-15", "1915-03-12"),
    ],
)
def test_the_note_tells_the_century_of_a_year_of_two_digits(text, note, expected):
    assert values("fr", text, note) == [expected]


@pytest.mark.parametrize(
    ("lang", "text", "note", "expected"),
    [
        ("fr", "du 10 mars au 15 mars", "2020-03-12", ("2020-03-10", "2020-03-15")),
        ("es", "del 10 de marzo al 15 de marzo", "2020-03-12", ("2020-03-10", "2020-03-15")),
        ("en", "from March 10 to March 15", "2020-03-12", ("2020-03-10", "2020-03-15")),
        ("fr", "du 10 mars au 15 mars 2019", "2020-03-12", ("2019-03-10", "2019-03-15")),
        ("fr", "du 10 mars au 15 mars 2019", None, ("2019-03-10", "2019-03-15")),
        ("fr", "du 28 décembre au 3 janvier", "2020-01-02", ("2019-12-28", "2020-01-03")),
        ("en", "from Monday to Wednesday", "2020-06-16", ("2020-06-08", "2020-06-10")),
        ("en", "from yesterday to tomorrow", "2020-06-16", ("2020-06-15", "2020-06-17")),
    ],
)
def test_the_dates_of_a_period_are_those_that_it_has(lang, text, note, expected):
    doc = find(lang, text, note)
    assert tuple(span._.date.value for span in doc.spans["dates"]) == expected
    assert [span._.date.value for span in doc.spans["periods"]] == ["/".join(expected)]


def test_what_nothing_dates_makes_no_period():
    doc = find("fr", "cures de J1-J5", NOTE)
    assert [span.text for span in doc.spans["dates"]] == ["J1", "J5"]
    assert "periods" not in doc.spans or not doc.spans["periods"]


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "in the early 1990s", ["199X"]),
        ("en", "since the 70s", ["197X"]),
        ("fr", "à la fin des années soixante-dix", ["197X"]),
        ("es", "a principios de los años 2000", ["200X"]),
        ("en", "saturation in the 90s, in her 40s", []),
        ("fr", "il y a deux années, 80 mg", ["XXXX"]),
        ("es", "mujer de 70 años, 80 kg", []),
    ],
)
def test_a_decade_is_ten_years_and_no_value_or_age(lang, text, expected):
    assert values(lang, text) == expected


@pytest.mark.parametrize(
    ("text", "note", "expected"),
    [
        ("last summer", "2020-07-01", "2020-SU"),
        ("last summer", "2020-05-01", "2019-SU"),
        ("last summer", None, "XXXX-SU"),
        ("winter 2018", None, "2018-WI"),
    ],
)
def test_a_season_without_its_year_is_the_last_that_has_begun(text, note, expected):
    assert values("en", text, note) == [expected]


def test_a_season_begins_with_its_first_month():
    assert DateValue("DATE", "2019-SU").datetime() == datetime(2019, 6, 1)


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("fr", "admis à 8h30", "T08:30"),
        ("fr", "à 24h00", "T24:00"),
        ("fr", "à 8 heures du soir", "T20"),
        ("fr", "mars '98", "1998-03"),
        ("es", "agosto del '98", "1998-08"),
        ("en", "March '98", "1998-03"),
        ("fr", "durée de 1h05", "PT1H5M"),
        ("fr", "surveillance de 36h30", "PT36H30M"),
        ("fr", "3 minutes 30", "PT3M30S"),
        ("en", "at 8 o'clock in the evening", "T20"),
        ("en", "2 years, 3 months and 4 days", "P2Y3M4D"),
        ("fr", "deux ans, trois mois et quatre jours", "P2Y3M4D"),
        ("es", "2 años, 3 meses y 4 días", "P2Y3M4D"),
        ("en", "2½ years", "P2Y6M"),
    ],
)
def test_times_and_durations_in_parts(lang, text, expected):
    assert values(lang, text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"), [("x 3/7", "P3D"), ("lasting 2/52", "P2W"), ("past 6/12", "P6M")]
)
def test_a_number_over_the_days_of_a_week_is_of_days(text, expected):
    assert values("en", text) == [expected]


def test_the_end_of_a_day_is_the_beginning_of_the_next():
    doc = find("fr", "le 12/03/2020 à 24:00")
    (span,) = doc.spans["dates"]
    assert span._.date.value == "2020-03-12T24:00"
    assert span._.date.datetime() == datetime(2020, 3, 13)
    assert values("fr", "24:30") == []


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("es", "doscientos cincuenta días", ["P250D"]),
        ("en", "one thousand fifty days", ["P1050D"]),
        ("en", "two fifty days", []),
        ("en", "zero point five hours", []),
        ("en", "half an hour, a quarter of an hour", ["PT30M", "PT15M"]),
        ("es", "media hora, un cuarto de hora", ["PT30M", "PT15M"]),
        ("en", "HR in the 120s, BP 90s/50s, sats in low 90s", []),
        ("en", "scheduled for 3/7", []),
        ("fr", "de 8h à 18h", ["T08", "T08/T18", "T18"]),
        ("es", "a las 8h", ["T08"]),
        ("es", "de 8h a 14h", ["T08", "T08/T14", "T14"]),
    ],
)
def test_what_looks_like_a_time_is_read_as_it_is_meant(lang, text, expected):
    assert sorted(values(lang, text)) == sorted(expected)


@pytest.mark.parametrize(
    ("lang", "text"),
    [("fr", "né le 12/03/29"), ("en", "DOB: 03/12/29"), ("es", "nacida el 12/03/29")],
)
def test_nobody_is_born_behind_the_note(lang, text):
    assert values(lang, text, NOTE) == ["1929-03-12"]


def test_a_period_ends_on_a_day_that_there_is():
    assert "2019-12-20/2020-02-29" in values("fr", "du 20 décembre au 29 février", "2021-01-10")


def test_a_date_does_not_begin_with_a_comma():
    doc = find("es", "Madrid, 12 de mayo de 2020")
    (span,) = doc.spans["dates"]
    assert span.text == "12 de mayo de 2020"
