"""eds.consultation_dates: the date behind a heading or wording."""

from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipes.rules.dates.consultation_dates import ConsultationDates

NLP = edspipe.blank("eds")
PIPES = {lang: ConsultationDates(lang=lang) for lang in ("en", "fr", "es")}


def found(lang: str, text: str) -> list[tuple[str, str]]:
    doc = PIPES[lang](NLP.make_doc(text))
    return [(span.text, span._.date.value) for span in doc.spans["consultation_dates"]]


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("fr", "Né le 3 mai 1950. Vu en consultation le 12/03/2020.", ["2020-03-12"]),
        ("fr", "Patiente vue en consultation de suivi du 4 avril 2020", ["2020-04-04"]),
        ("fr", "Date de consultation : 4 avril 2020 à 14h30", ["2020-04-04T14:30"]),
        ("fr", "CONSULTATION DU 04.04.2020", ["2020-04-04"]),
        ("fr", "Paris, le 12/03/2020. Prélèvement du 3/4/2020", []),
        ("fr", "Revu en consultation en mars 2020", []),
        ("en", "She was seen in clinic on March 3, 2020 with a cough.", ["2020-03-03"]),
        ("en", "Date of visit: 2020-03-12\nDOB: 12/3/1950", ["2020-03-12"]),
        ("en", "She was seen in clinic with fever since March 3, 2020.", []),
        ("es", "Visto en consulta el día 3 de mayo de 2019.", ["2019-05-03"]),
        ("es", "Fecha de la consulta: 12/03/2020. Nacida el 3/4/1950.", ["2020-03-12"]),
        ("es", "Ingresa el 3 de mayo de 2019.", []),
    ],
)
def test_a_day_behind_a_cue_is_the_date_of_a_consultation(lang, text, expected):
    assert [value for _, value in found(lang, text)] == expected


def test_it_reads_the_dates_that_are_there():
    doc = eds.dates(lang="fr").build()(NLP.make_doc("Vu en consultation le 12/03/2020."))
    doc.spans["dates"] = []
    assert len(PIPES["fr"](doc).spans["consultation_dates"]) == 0


def test_it_leaves_no_dates_behind_where_it_finds_them_itself():
    doc = PIPES["fr"](NLP.make_doc("Vu en consultation le 12/03/2020."))
    assert list(doc.spans) == ["consultation_dates"]


def test_a_second_pass_changes_nothing():
    doc = PIPES["fr"](NLP.make_doc("Vu en consultation le 12/03/2020."))
    assert [span.text for span in PIPES["fr"](doc).spans["consultation_dates"]] == ["12/03/2020"]


def test_values_survive_bytes():
    doc = PIPES["fr"](NLP.make_doc("Vu en consultation le 12/03/2020."))
    copy = Doc(NLP.vocab).from_bytes(doc.to_bytes())
    assert copy.spans["consultation_dates"][0]._.date.value == "2020-03-12"


def test_cues_can_be_added():
    pipe = ConsultationDates(lang="fr", changes={"cues": ["staff du"]})
    doc = pipe(NLP.make_doc("Staff du 12/03/2020"))
    assert len(doc.spans["consultation_dates"]) == 1


def test_spans_go_where_the_setter_says():
    pipe = ConsultationDates(lang="fr", span_setter="seen")
    assert len(pipe(NLP.make_doc("Vu en consultation le 12/03/2020")).spans["seen"]) == 1


def test_a_language_must_be_known():
    with pytest.raises(ConfigError, match=r"eds\.consultation_dates: expected lang="):
        ConsultationDates(NLP)


def test_it_is_a_component_of_spacy():
    nlp = spacy.blank("es")
    nlp.add_pipe("edspipe_consultation_dates")
    assert len(nlp("Visto en consulta el 3 de mayo de 2019").spans["consultation_dates"]) == 1


@given(st.lists(st.sampled_from(["vu en consultation le", "12/03/2020", ":", "œ", "\n"])))
def test_spans_lie_inside(words):
    doc = PIPES["fr"](NLP.make_doc(" ".join(words)))
    assert all(0 <= s.start < s.end <= len(doc) for s in doc.spans["consultation_dates"])
