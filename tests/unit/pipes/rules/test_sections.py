"""eds.sections: headings, and what stands behind them."""

from __future__ import annotations

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
from edspipe.doc.attributes import plain_attribute, span_attributes
from edspipe.doc.markup import parse_markup
from edspipe.errors import ConfigError
from edspipe.pipes.rules.sections import Sections

SENTENCES = Path(__file__).parent / "sentences"
LANGS = ("en", "fr", "es")
NLP = edspipe.blank("eds")
PIPES = {lang: Sections(lang=lang) for lang in LANGS}
SLOWEST_S = 2.0
NUM_CHARS = 100_000


def find(text: str, lang: str = "fr", **options: Any) -> Doc:
    pipe = Sections(lang=lang, **options) if options else PIPES[lang]
    return pipe(NLP.make_doc(text))


def marked_sentences() -> list[Any]:
    return [
        pytest.param(lang, marked, id=f"{lang}-{number}")
        for lang in LANGS
        for number, marked in enumerate(
            yaml.safe_load((SENTENCES / f"sections_{lang}.yml").read_text(encoding="utf-8"))
        )
    ]


@pytest.mark.parametrize(("lang", "marked"), marked_sentences())
def test_the_marked_headings_and_no_others_are_found(lang, marked):
    text, expected = parse_markup(marked)
    doc = find(text, lang)
    assert [(t.start_char, t.end_char, t.label_) for t in doc.spans["section_titles"]] == [
        (span.start, span.end, span.label) for span in expected
    ]


def test_all_languages_have_the_same_kinds():
    assert len({PIPES[lang].labels for lang in LANGS}) == 1


def test_a_section_goes_up_to_the_line_of_the_next_heading():
    doc = find("Antécédents : HTA\n2. Allergies\naucune")
    assert [span.text.strip() for span in doc.spans["sections"]] == ["HTA", "aucune"]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\u2028", "\f"])
def test_line_ends_of_all_kinds_are_as_line_feeds(end):
    text = (
        "Vu ce jour.\n\nALLERGIES\naucune\nFiche de liaison\n======\nrien\nConclusion :\n\nbien\n"
    )
    plain, other = find(text), find(text.replace("\n", end))
    for group in ("section_titles", "sections"):
        found = [(span.label_, span.text) for span in other.spans[group]]
        assert found == [(span.label_, span.text) for span in plain.spans[group]]
    assert len(plain.spans["sections"]) == 3


def test_every_token_behind_a_heading_is_in_a_section():
    doc = find("Antécédents : HTA\nAllergies :\n- aucune\n\nfin de page")
    last = doc.spans["sections"][-1]
    assert last.end == len(doc)


def test_a_section_and_what_lies_in_it_know_the_title():
    doc = find("Vu ce jour.\nAntécédents : HTA")
    assert doc.spans["sections"][0]._.section_title.text == "Antécédents"
    assert doc[len(doc) - 1 : len(doc)]._.section_title.text == "Antécédents"
    assert doc[0:1]._.section_title is None


def test_sections_begin_and_end_with_words():
    doc = find("Antécédents :\n\n- HTA\n\n  \nConclusion : \n \n")
    assert [span.text for span in doc.spans["sections"]] == ["- HTA"]


def test_titles_are_no_attributes_that_are_kept_and_written_as_text_where_they_are_asked_for():
    doc = find("Antécédents : HTA")
    (section,) = doc.spans["sections"]
    assert span_attributes(section) == {}
    assert plain_attribute(section, "section_title") == "Antécédents"


def test_a_heading_with_nothing_behind_it_has_a_title_only():
    doc = find("Conclusion :")
    assert [t.label_ for t in doc.spans["section_titles"]] == ["conclusion"]
    assert len(doc.spans["sections"]) == 0


def test_unknown_headings_can_be_left_out():
    doc = find("FICHE DE LIAISON\nRien.", unknown=False)
    assert len(doc.spans["section_titles"]) == 0


def test_headings_are_added_and_taken_away():
    changes = {"headings": {"plan": ["feuille de route", "-projet"]}}
    doc = find("Feuille de route :\nrepos\nProjet :\nrien", changes=changes)
    assert [t.text for t in doc.spans["section_titles"]] == ["Feuille de route"]


def test_twice_is_as_once_and_others_spans_stay():
    doc = NLP.make_doc("Antécédents : HTA")
    doc.spans["sections"] = [doc[0:1]]
    pipe = PIPES["fr"]
    once = [(s.start, s.end, s.label_) for s in pipe(doc).spans["sections"]]
    assert len(once) == 2
    assert [(s.start, s.end, s.label_) for s in pipe(doc).spans["sections"]] == once


def test_titles_survive_saving():
    doc = Doc(NLP.vocab).from_bytes(find("Antécédents : HTA").to_bytes())
    assert doc.spans["sections"][0]._.section_title.text == "Antécédents"


def test_a_language_must_be_known():
    with pytest.raises(ConfigError, match=r"eds\.sections: expected lang="):
        Sections()


@pytest.mark.parametrize("lang", LANGS)
def test_it_is_a_spacy_component(lang):
    nlp = spacy.blank(lang)
    nlp.add_pipe("edspipe_sections")
    doc = nlp("PLAN:\nok")
    assert [span.label_ for span in doc.spans["sections"]] == ["plan"]


PIECES = st.lists(
    st.sampled_from(
        ["\n", ":", " ", ". ", "Antécédents", "PLAN", "History", "Alergias", "de", "1.", "- ", "œ"]
    )
    | st.text(max_size=4),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(PIECES, st.sampled_from(LANGS))
def test_nothing_crashes_and_sections_follow_their_titles(pieces, lang):
    doc = find("".join(pieces), lang)
    end = 0
    for section in doc.spans["sections"]:
        title = section._.section_title
        assert end <= title.start < title.end <= section.start < section.end <= len(doc)
        end = section.end


@pytest.mark.parametrize(
    "piece",
    ["a:", "A\n", ". ab ", "ALLERGIES\n", " ", "\n", "\r\n", "\r", "S: 1", "P - 1\n", "➢", "=\r\n"],
)
def test_long_texts_take_no_longer_than_their_length_says(piece):
    doc = NLP.make_doc(piece * (NUM_CHARS // len(piece)))
    begin = time.process_time()
    PIPES["fr"](doc)
    assert time.process_time() - begin < SLOWEST_S
