"""The ready configs of rules: each finds in a note of its language what stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edspipe
from edspipe.doc.attributes import span_attributes
from edspipe.doc.span_access import get_spans

ROOT = Path(__file__).parents[2]
LANGS = ("en", "fr", "es")
QUALIFIERS = ("negation", "hypothesis", "family", "history")

NOTES = {
    "en": """\
Date of visit: 12 March 2020
Past medical history:
Asthma.
Family history: her father had a myocardial infarction.
Present illness:
Cough for 3 days, no fever. Possible pneumonia.
Exam:
BP 120/70 mmHg, weight 72 kg, temperature 38.6 °C.
Plan: paracetamol 1 g three times a day.
""",
    "fr": """\
Consultation du 12 mars 2020
Antécédents :
Asthme.
Antécédents familiaux : infarctus du myocarde chez son père.
Histoire de la maladie :
Toux depuis 3 jours, pas de fièvre. Suspicion de pneumopathie.
Examen clinique :
TA 120/70 mmHg, poids 72 kg, température à 38,6 °C.
Traitement : paracétamol 1 g trois fois par jour.
""",
    "es": """\
Fecha de consulta: 12 de marzo de 2020
Antecedentes personales:
Asma.
Antecedentes familiares: padre con infarto de miocardio.
Enfermedad actual:
Tos durante 3 días, sin fiebre. Sospecha de neumonía.
Exploración física:
TA 120/70 mmHg, peso 72 kg, temperatura de 38,6 °C.
Tratamiento: paracetamol 1 g tres veces al día.
""",
}

FINDINGS = {
    "history": {"en": "Asthma", "fr": "Asthme", "es": "Asma"},
    "family": {
        "en": "myocardial infarction",
        "fr": "infarctus du myocarde",
        "es": "infarto de miocardio",
    },
    "negation": {"en": "fever", "fr": "fièvre", "es": "fiebre"},
    "hypothesis": {"en": "pneumonia", "fr": "pneumopathie", "es": "neumonía"},
    "none": {"en": "Cough", "fr": "Toux", "es": "Tos"},
}
"""What is said of which finding."""


@pytest.fixture(scope="module", params=LANGS)
def doc(request: pytest.FixtureRequest) -> Any:
    """The note of a language, through its config."""
    return edspipe.load(ROOT / f"configs/rules_{request.param}.yml")(NOTES[request.param])


def lang_of(doc: Any) -> str:
    return next(lang for lang in LANGS if doc.text == NOTES[lang])


@pytest.mark.parametrize("said", FINDINGS)
def test_findings_are_qualified(doc, said):
    finding = FINDINGS[said][lang_of(doc)]
    (span,) = [ent for ent in doc.ents if ent.text == finding]
    true = {name for name in QUALIFIERS if span._.get(name)}
    if said == "family":  # which may lie in the past as well
        true -= {"history"}
    assert true == {said} - {"none"}


def test_drugs_have_their_codes(doc):
    (drug,) = doc.spans["drugs"]
    assert drug.kb_id_ == "N02BE01"
    assert drug in doc.ents


def test_dates_have_their_values(doc):
    assert "2020-03-12" in [span._.date.value for span in doc.spans["dates"]]
    assert [span._.date.value for span in doc.spans["durations"]] == ["P3D"]
    assert [span._.date.times for span in doc.spans["frequencies"]] == [3]
    assert len(doc.spans["consultation_dates"]) == 1


def test_quantities_have_their_values_and_say_what_they_measure(doc):
    found = {
        (q._.quantity.what, q._.quantity.value, q._.quantity.unit) for q in doc.spans["quantities"]
    }
    assert {
        ("blood_pressure", 120.0, "mmHg"),
        ("weight", 72.0, "kg"),
        ("temperature", 38.6, "°C"),
    } <= found


def test_sections_are_found(doc):
    kinds = [section.label_ for section in doc.spans["sections"]]
    assert {"history", "family_history", "present_illness", "exam"} <= set(kinds)


def test_a_second_pass_changes_nothing(doc):
    def seen(doc: Any) -> list[Any]:
        return [
            (span.start, span.end, span.label_, span.kb_id_, span_attributes(span))
            for span in get_spans(doc, ["ents", "*"])
        ]

    before = seen(doc)
    nlp = edspipe.load(ROOT / f"configs/rules_{lang_of(doc)}.yml")
    assert seen(nlp(doc)) == before
