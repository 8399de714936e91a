"""Terms with choices."""

from __future__ import annotations

import pytest

from edspipe.lang.choices import MAX_TERMS, expand_choices


@pytest.mark.parametrize(
    ("term", "terms"),
    [
        ("toux", ["toux"]),
        ("tumeur(s)", ["tumeurs", "tumeur"]),
        ("stade (1|2)", ["stade 1", "stade 2"]),
        ("(a|b|)c", ["ac", "bc", "c"]),
        ("(a|a)", ["a"]),
        ("a(s) (b|c)", ["as b", "as c", "a b", "a c"]),
        ("(foie(s)|rein)", ["foies", "foie", "rein"]),
        ("a( b(c|d))", ["a bc", "a bd", "a"]),
    ],
)
def test_a_term_stands_for_these(term, terms):
    assert expand_choices(term) == terms


@pytest.mark.parametrize("term", ["a (b", "a) b", "a (b(c)", "(a))"])
def test_parentheses_go_in_pairs(term):
    with pytest.raises(ValueError, match=r"expected choices as \(a\|b\), with both"):
        expand_choices(term)


def test_a_bar_outside_is_refused():
    with pytest.raises(ValueError, match="a bar stands within parentheses"):
        expand_choices("a|b")


def test_too_many_terms_are_refused():
    with pytest.raises(ValueError, match=rf"stands for 8192 terms; at most {MAX_TERMS}"):
        expand_choices("(a|b)" * 13)
