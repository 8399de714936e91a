"""eds.reason: why a patient came."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import spacy
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

import edspipe
from edspipe.doc.markup import parse_markup
from edspipe.errors import ConfigError
from edspipe.pipes.rules.reason import MAX_CHARS, Reason
from edspipe.pipes.rules.sections import Sections

SENTENCES = Path(__file__).parent / "sentences"
LANGS = ("en", "fr", "es")
NLP = edspipe.blank("eds")
PIPES = {lang: Reason(lang=lang) for lang in LANGS}
SLOWEST_S = 2.0
NUM_CHARS = 100_000


def find(text: str, lang: str = "fr", **options: Any) -> Doc:
    pipe = Reason(lang=lang, **options) if options else PIPES[lang]
    return pipe(NLP.make_doc(text))


def marked_sentences() -> list[Any]:
    return [
        pytest.param(lang, marked, id=f"{lang}-{number}")
        for lang in LANGS
        for number, marked in enumerate(
            yaml.safe_load((SENTENCES / f"reason_{lang}.yml").read_text(encoding="utf-8"))
        )
    ]


@pytest.mark.parametrize(("lang", "marked"), marked_sentences())
def test_all_that_is_marked_and_nothing_else_is_found(lang, marked):
    text, expected = parse_markup(marked)
    doc = find(text, lang)
    assert [(r.text, r.label_) for r in doc.spans["reasons"]] == [
        (text[span.start : span.end], span.label) for span in expected
    ]


def test_entities_inside_are_flagged():
    doc = NLP.make_doc("Motif : toux.\nPas de fièvre")
    doc.ents = [Span(doc, 2, 3, label="s"), Span(doc, len(doc) - 1, len(doc), label="s")]
    doc = PIPES["fr"](doc)
    assert [ent._.is_reason for ent in doc.ents] == [True, False]


def test_a_reason_ends_with_its_section():
    alone = find("Motif : toux. Allergies : aucune")
    assert [r.text for r in alone.spans["reasons"]] == ["toux. Allergies : aucune"]
    doc = NLP.make_doc("Motif : toux. Allergies : aucune")
    doc = PIPES["fr"](Sections(lang="fr")(doc))
    assert [r.text for r in doc.spans["reasons"]] == ["toux"]


def test_an_empty_heading_takes_nothing_of_the_next_section():
    doc = PIPES["fr"](Sections(lang="fr")(NLP.make_doc("Motif :\nAllergies : aucune")))
    assert len(doc.spans["reasons"]) == 0


def test_wordings_can_be_left_out():
    assert len(find("Hospitalisée pour chute.", wordings=False).spans["reasons"]) == 0


def test_words_are_added_and_all_can_be_taken_away():
    changes = {"wordings": ["arrive pour"], "ends": {"replace": []}, "never_first": {"replace": []}}
    doc = find("Elle arrive pour une chute qui saigne.", changes=changes)
    assert [r.text for r in doc.spans["reasons"]] == ["une chute qui saigne"]


def test_a_reason_is_not_longer_than_a_reason():
    doc = find("Motif : " + "toux " * 200)
    assert len(doc.spans["reasons"][0].text) <= MAX_CHARS


def test_twice_is_as_once_and_others_spans_stay():
    doc = NLP.make_doc("Motif : toux")
    doc.spans["reasons"] = [doc[0:1]]
    once = [(s.start, s.end, s.label_) for s in PIPES["fr"](doc).spans["reasons"]]
    assert len(once) == 2
    assert [(s.start, s.end, s.label_) for s in PIPES["fr"](doc).spans["reasons"]] == once


def test_a_language_must_be_known():
    with pytest.raises(ConfigError, match=r"eds\.reason: expected lang="):
        Reason()


@pytest.mark.parametrize(("lang", "text"), [("en", "CC: fall"), ("fr", "Motif : chute")])
def test_it_is_a_spacy_component(lang, text):
    nlp = spacy.blank(lang)
    nlp.add_pipe("edspipe_reason")
    assert len(nlp(text).spans["reasons"]) == 1


PIECES = st.lists(
    st.sampled_from(
        ["\n", " : ", " ", ". ", "Motif", "admitted for ", "ingresa por ", "a", "who", ", ", "œ"]
    )
    | st.text(max_size=4),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(PIECES, st.sampled_from(LANGS))
def test_nothing_crashes_and_reasons_do_not_overlap(pieces, lang):
    doc = find("".join(pieces), lang)
    end = 0
    for reason in doc.spans["reasons"]:
        assert end <= reason.start < reason.end <= len(doc)
        end = reason.end


@pytest.mark.parametrize("piece", ["motif : ", "admis pour ", "motif\n", " ", "admis pour a "])
def test_long_texts_take_no_longer_than_their_length_says(piece):
    doc = NLP.make_doc(piece * (NUM_CHARS // len(piece)))
    begin = time.process_time()
    PIPES["fr"](doc)
    assert time.process_time() - begin < SLOWEST_S
