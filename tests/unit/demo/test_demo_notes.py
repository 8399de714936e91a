from __future__ import annotations

import random

import pytest

from edspipe.demo.notes import Filler, Grammar, Mention, TermPicker, break_lines, lose_accents
from edspipe.demo.terms import LABELS, LANGUAGES, Term


def picker(share: float = 0.0) -> TermPicker:
    known = {label: [Term(f"old {label} {i}") for i in range(30)] for label in LABELS}
    held_out = {label: [Term(f"new {label} {i}") for i in range(30)] for label in LABELS}
    return TermPicker(known, held_out, share)


def filler(language: str = "en", seed: int = 0) -> Filler:
    return Filler(Grammar.read(language), picker(), random.Random(seed))


@pytest.mark.parametrize(("share", "first_word"), [(0.0, "old"), (1.0, "new")])
def test_the_share_says_where_terms_come_from(share, first_word):
    rng = random.Random(0)
    drawn = [picker(share).pick("drug", rng, set()) for _ in range(20)]

    assert {term.text.split()[0] for term in drawn} == {first_word}


def test_early_terms_are_drawn_more_often():
    rng, source = random.Random(0), picker()
    ranks = [int(source.pick("drug", rng, set()).text.split()[-1]) for _ in range(2000)]

    assert sum(rank < 15 for rank in ranks) > 1100


def test_a_note_hardly_repeats_a_term():
    rng, source, used = random.Random(0), picker(), set[str]()
    drawn = [source.pick("drug", rng, used).text for _ in range(10)]

    assert len(set(drawn)) == 10


def test_a_used_up_pool_gives_a_term_again():
    rng, used = random.Random(0), set[str]()
    alone = TermPicker({label: [Term("x")] for label in LABELS}, dict.fromkeys(LABELS, ()))

    assert [alone.pick("drug", rng, used).text for _ in range(2)] == ["x", "x"]


def test_a_negated_slot_gives_a_negated_piece():
    before, piece = filler().fill("No {!symptom}")

    assert (before.text, before.label) == ("No ", None)
    assert (piece.label, piece.negated) == ("symptom", True)


def test_an_article_stays_outside_the_mention():
    before, article, piece = filler("fr").fill("Pas {de:!disorder}")

    assert (before.text, article.text, article.label) == ("Pas ", "d'", None)
    assert piece.text.startswith("old disorder")


def test_the_patient_stays_the_same_throughout_a_note():
    one = filler()

    assert one.fill("{surname}, {age}") == one.fill("{surname}, {age}")


@pytest.mark.parametrize(
    ("language", "template", "low", "high"),
    [("en", "{n:3-5}", 3, 5), ("en", "{n:2.8-6.1}", 2.8, 6.1), ("fr", "{n:2.8-6.1}", 2.8, 6.1)],
)
def test_numbers_lie_within_their_bounds(language, template, low, high):
    (piece,) = filler(language).fill(template)

    assert low <= float(piece.text.replace(",", ".")) <= high


def test_french_numbers_have_a_comma():
    assert "," in filler("fr").fill("{n:2.8-6.1}")[0].text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_can_be_filled(language):
    grammar, one = Grammar.read(language), filler(language)
    templates = [*grammar.headers, *grammar.closings]
    templates += [t for section in grammar.sections for t in section["sentences"]]

    for template in templates:
        filled = "".join(piece.text for piece in one.fill(template))
        assert filled
        assert not set("{}") & set(filled)


def test_losing_all_accents_keeps_every_character_in_place():
    text = "Fièvre élevée, œdème à 38,5 °C, ÉVOLUTION"

    bare = lose_accents(text, 1.0, random.Random(0))

    assert bare == "Fievre elevee, œdeme a 38,5 °C, EVOLUTION"


def test_losing_no_accents_changes_nothing():
    assert lose_accents("Fièvre élevée", 0.0, random.Random(0)) == "Fièvre élevée"


def test_lines_are_broken_at_the_width():
    assert break_lines("aaa bbb ccc ddd", [], 8) == "aaa bbb\nccc ddd"


def test_a_mention_is_never_broken():
    text = "aaa chest pain ccc"

    assert break_lines(text, [Mention(4, 14, "symptom", False)], 8) == "aaa\nchest pain\nccc"
