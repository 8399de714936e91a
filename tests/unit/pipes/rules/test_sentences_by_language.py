"""eds.sentences and eds.end_lines with the words of a language."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import spacy
import yaml
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

import edspipe
from edspipe.doc.markup import parse_markup
from edspipe.errors import ConfigError
from edspipe.pipes.rules.end_lines import EndLines
from edspipe.pipes.rules.sentences import Sentences

FOLDER = Path(__file__).parent / "sentences"
LANGS = ("en", "fr", "es")
NLP = edspipe.blank("eds")
PIPES = {lang: Sentences(lang=lang) for lang in LANGS}
WRAP = {lang: EndLines(lang=lang) for lang in LANGS}
SLOWEST_S = 2.0


def marked_texts() -> list[Any]:
    return [
        pytest.param(lang, marked, id=f"{lang}-{number}")
        for lang in LANGS
        for number, marked in enumerate(
            yaml.safe_load((FOLDER / f"sentences_{lang}.yml").read_text(encoding="utf-8"))
        )
    ]


@pytest.mark.parametrize(("lang", "marked"), marked_texts())
def test_sentences_are_as_marked(lang, marked):
    text, expected = parse_markup(marked)
    doc = PIPES[lang](NLP.make_doc(text))
    assert [sent.text for sent in doc.sents] == [text[span.start : span.end] for span in expected]


def test_without_a_language_the_titles_of_all_are_known():
    doc = Sentences()(NLP.make_doc("Vu par Mme. Durand. Seen by Mr. Smith. La Dra. Ruiz."))
    assert len(list(doc.sents)) == 3


def test_words_can_be_added():
    pipe = Sentences(lang="fr", changes={"titles": ["ide"]})
    assert len(list(pipe(NLP.make_doc("Vu par l'IDE. Martin")).sents)) == 1
    assert len(list(PIPES["fr"](NLP.make_doc("Vu par l'IDE. Martin")).sents)) == 2


def test_changes_need_a_language():
    with pytest.raises(ConfigError, match=r"eds\.sentences: expected lang="):
        Sentences(changes={"titles": ["ide"]})


def wrapped(lang: str, text: str) -> list[bool | None]:
    doc = WRAP[lang](NLP.make_doc(text))
    return [token._.end_line for token in doc if "\n" in token.text]


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("fr", "Vu par le\nDr Martin", [False]),
        ("fr", "Toux, fièvre,\nAsthénie", [False]),
        ("fr", "Toux depuis\ntrois jours", [False]),
        ("fr", "Toux\nFièvre", [True]),
        ("fr", "Vu par le\n\nDr Martin", [True, True]),
        ("fr", "Vu par le\n- Dr Martin", [True]),
        ("fr", "Bilan de\nConclusion : normal", [True]),
        ("fr", "Conclusion :\nnormal", [True]),
        ("en", "Seen by the\r\nCardiology team\r\nFever", [False, True]),
        ("es", "Ingresa en el\nServicio de Cardiología\nFiebre", [False, True]),
    ],
)
def test_a_line_break_that_only_wraps_a_line_is_told(lang, text, expected):
    assert wrapped(lang, text) == expected


PROSE = (
    "The patient was admitted to the ward of Internal Medicine after\n"
    "Emergency Department staff found a low potassium and called Dr\n"
    "Harper, who asked for an ECG. It was normal and Potassium was\n"
    "replaced."
)


def test_a_document_that_is_wrapped_at_a_width_is_told():
    assert wrapped("en", PROSE) == [False, False, False]


def test_a_list_of_short_lines_is_not_wrapped():
    assert wrapped("en", "Asthma\nDiabetes\nHypertension\nStroke") == [True, True, True]


def test_sentences_go_on_over_wrapped_lines():
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.end_lines", config={"lang": "en"})
    nlp.add_pipe("eds.sentences", config={"lang": "en"})
    assert [sent.text for sent in nlp(PROSE).sents] == [PROSE[:156], PROSE[157:]]


def test_only_line_breaks_have_an_end():
    assert [token._.end_line for token in NLP("Toux\nFièvre")] == [None, True, None]


def test_end_lines_need_a_language():
    with pytest.raises(ConfigError, match=r"eds\.end_lines: expected lang="):
        EndLines(NLP)


def test_a_second_pass_changes_nothing():
    doc = WRAP["fr"](NLP.make_doc("Vu par le\nDr Martin\nFièvre"))
    before = dict(doc.user_data)
    assert WRAP["fr"](doc).user_data == before


def test_both_are_components_of_spacy(tmp_path):
    nlp = spacy.blank("fr")
    nlp.add_pipe("edspipe_end_lines")
    nlp.add_pipe("edspipe_sentences")
    nlp.to_disk(tmp_path)
    doc = spacy.load(tmp_path)("Vu par le\nDr. Martin. Fièvre")
    assert [sent.text for sent in doc.sents] == ["Vu par le\nDr. Martin.", "Fièvre"]


@given(
    st.text(alphabet=st.sampled_from("aBÉ1.?!\n\r -(«•:,°/"), max_size=60), st.sampled_from(LANGS)
)
def test_no_text_makes_them_fail_and_no_word_is_lost(text, lang):
    doc = PIPES[lang](WRAP[lang](NLP.make_doc(text)))
    assert "".join(sent.text_with_ws for sent in doc.sents) == text


@pytest.mark.parametrize("piece", [".", "\n", " ", "A.", "a\n", ". ", "1.", "(", "Dr. "])
def test_time_grows_with_the_text_and_not_faster(piece):
    doc = NLP.make_doc((piece * 100_000)[:100_000])
    begin = time.process_time()
    PIPES["en"](WRAP["en"](doc))
    assert time.process_time() - begin < SLOWEST_S


def test_a_mark_within_a_word_ends_no_sentence():
    doc = Doc(NLP.vocab, words=["Voir", "www.Hopital.Com", "demain"])
    assert [sent.text for sent in PIPES["fr"](doc).sents] == [doc.text.strip()]
