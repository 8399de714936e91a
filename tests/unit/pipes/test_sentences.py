"""eds.sentences: where sentences begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edspipe
import edspipe.pipes as eds
from edspipe.pipes.rules.sentences import PUNCT_CHARS

NLP = edspipe.blank("eds")


def sentences(text: str, **kwargs) -> list[str]:
    doc = eds.sentences(**kwargs).build()(NLP.make_doc(text))
    return [sentence.text for sentence in doc.sents]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pas de fièvre. Toux.", ["Pas de fièvre.", "Toux."]),
        ("Fièvre ? Oui ! Non…", ["Fièvre ?", "Oui !", "Non…"]),
        ("Ok... Oui", ["Ok...", "Oui"]),
        ("Vu le 3. 12 jours", ["Vu le 3.", "12 jours"]),
        ("Fin (hier.) Suite", ["Fin (hier.)", "Suite"]),
        ("Un.Deux", ["Un.", "Deux"]),
        ("Une phrase", ["Une phrase"]),
        ("", []),
    ],
)
def test_a_mark_ends_a_sentence(text, expected):
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "text", ["La temp. est de 39", "Vu par le dr. martin", "Vu à 8 h. puis à 9 h"]
)
def test_a_mark_before_a_word_in_lower_case_ends_none(text):
    assert sentences(text) == [text]


@pytest.mark.parametrize("text", ["Hb 12.5 g", "Le 12.03.2020 à 8 h", "CRP à 3.2, puis 1.4"])
def test_a_mark_inside_a_number_ends_none(text):
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Toux\nFièvre", ["Toux\n", "Fièvre"]),
        ("Toux\r\nFièvre", ["Toux\r\n", "Fièvre"]),
        ("Toux\n\n  Fièvre", ["Toux\n\n  ", "Fièvre"]),
        ("- toux\n- fièvre\n• fin", ["- toux\n", "- fièvre\n", "• fin"]),
        ("Jours\n3 jours", ["Jours\n", "3 jours"]),
    ],
)
def test_a_line_that_begins_with_a_capital_a_digit_or_a_bullet_begins_a_sentence(text, expected):
    assert sentences(text) == expected


def test_a_line_that_goes_on_in_lower_case_begins_none():
    assert sentences("Toux depuis\ntrois jours") == ["Toux depuis\ntrois jours"]


def test_blanks_before_the_first_word_belong_to_the_first_sentence():
    assert sentences("\n\n Toux. Fièvre.") == ["\n\n Toux.", "Fièvre."]


def test_lower_case_may_begin_a_sentence_where_allowed():
    assert sentences("toux. fièvre.", check_capitalized=False) == ["toux.", "fièvre."]


def test_marks_can_be_chosen():
    assert sentences("Un; Deux. Trois", punct_chars=[";"]) == ["Un;", "Deux. Trois"]


@pytest.mark.parametrize("mark", PUNCT_CHARS)
def test_every_mark_ends_a_sentence(mark):
    assert sentences(f"Un{mark} Deux") == [f"Un{mark}", "Deux"]


@given(st.text(alphabet=st.sampled_from("aB1. \n?-(\t"), max_size=40))
def test_every_token_is_decided_and_the_first_begins(text):
    doc = eds.sentences().build()(NLP.make_doc(text))
    starts = [token.is_sent_start for token in doc]
    assert set(starts) <= {True, False}
    assert starts[:1] in ([], [True])
    assert "".join(sent.text_with_ws for sent in doc.sents) == text


def test_it_runs_in_a_pipeline_under_its_name():
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences")
    assert nlp.pipe_names == ["sentences"]
    assert [sentence.text for sentence in nlp("Un. Deux.").sents] == ["Un.", "Deux."]
