from __future__ import annotations

import itertools

import pytest

from edspipe.demo.french import article
from edspipe.demo.notes import Grammar
from edspipe.demo.terms import (
    LABELS,
    LANGUAGES,
    Term,
    Vocabulary,
    build_vocabulary,
    read_words,
    surface_key,
)

PAIRS = list(itertools.product(LANGUAGES, LABELS))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    grammars = [Grammar.read(language) for language in LANGUAGES]
    return build_vocabulary(7, [text for g in grammars for text in g.running_texts()])


@pytest.mark.parametrize(("language", "label"), PAIRS)
def test_each_label_has_hundreds_of_forms(vocabulary, language, label):
    assert len(vocabulary.pools[language][label]) >= 200


@pytest.mark.parametrize(("language", "label"), PAIRS)
def test_between_15_and_20_percent_of_the_forms_are_held_out(vocabulary, language, label):
    known, held_out = vocabulary.split(language, label)

    assert 0.15 <= len(held_out) / (len(known) + len(held_out)) <= 0.20


def test_no_form_has_two_labels(vocabulary):
    label_of: dict[str, str] = {}
    for language, label in PAIRS:
        for term in vocabulary.pools[language][label]:
            assert label_of.setdefault(surface_key(term.text), label) == label


def test_every_word_agrees_and_every_slot_is_filled(vocabulary):
    forms = [
        term.text
        for language, label in PAIRS
        for term in vocabulary.pools[language][label]
        if label != "date"
    ]

    assert not [form for form in forms if set("{}/") & set(form)]


def test_a_french_adjective_follows_the_gender_of_its_noun(vocabulary):
    known = {term.text: term.gender for term in vocabulary.pools["fr"]["procedure"]}
    shown = [form for form in known if form.endswith(("abdominal", "abdominale"))]

    assert shown
    for form in shown:
        assert form.endswith("ale") == (known[form] == "f")


def test_another_seed_holds_out_other_forms(vocabulary):
    assert build_vocabulary(8, []).held_out != vocabulary.held_out


def test_a_form_that_stands_in_running_text_is_never_held_out():
    held_out = build_vocabulary(7, []).held_out
    some = sorted(held_out)[:20]

    again = build_vocabulary(7, [f"Referred to the {form} unit." for form in some])

    assert not again.held_out & set(some)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Fièvre", "fievre"),
        ("FIEVRE", "fievre"),
        ("pas  d'\nHTA", "pas d hta"),
        ("March 12, 2019", "march 12 2019"),
        ("12/03/2019", "12/03/2019"),
        ("Guillain-Barré", "guillain-barre"),
    ],
)
def test_a_surface_key_ignores_case_accents_and_spacing(text, key):
    assert surface_key(text) == key


@pytest.mark.parametrize("language", LANGUAGES)
def test_word_files_know_the_same_labels(language):
    assert tuple(read_words(f"terms_{language}")) == LABELS


@pytest.mark.parametrize(
    ("kind", "term", "expected"),
    [
        ("un", Term("fièvre", "f"), "une "),
        ("un", Term("frissons", "mp"), "des "),
        ("le", Term("scanner", "m"), "le "),
        ("le", Term("échographie", "f"), "l'"),
        ("le", Term("œdèmes", "mp"), "les "),
        ("le", Term("hernie", "f"), "la "),
        ("de", Term("œdème", "m"), "d'"),
        ("de", Term("IRM", "f"), "d'"),
        ("de", Term("hernie", "f"), "de "),
        ("de", Term("amlodipine"), "d'"),
        ("de", Term("bisoprolol"), "de "),
    ],
)
def test_french_articles(kind, term, expected):
    assert article(kind, term) == expected


def test_an_unknown_article_is_an_error():
    with pytest.raises(KeyError, match="du"):
        article("du", Term("scanner", "m"))
