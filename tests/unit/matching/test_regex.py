"""Finding regular expressions in the folded text."""

from __future__ import annotations

import pytest

import edspipe
from edspipe.matching.regex import RegexMatcher, compile_pattern

NLP = edspipe.blank("eds")


def texts(pattern: str, text: str, **kwargs) -> list[str]:
    doc = NLP(text)
    return [doc.text[a:b] for _, a, b in RegexMatcher({"x": [pattern]}, **kwargs).find(doc)]


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("oedeme", "Œdème, e\u0301", ["Œdème"]),
        ("Œdème", "œdeme OEDÈME", ["œdeme", "OEDÈME"]),
        ("œ+d", "ŒŒd", ["ŒŒd"]),
        (r"STADE \d", "stade 3", ["stade 3"]),
        (r"\Stade", "stade", ["stade"]),
        (r"été|[éè]", "Ete, e", ["Ete", "e"]),
        (r"^toux$", "a\ntoux\nb toux", ["toux"]),
        (r"l['’]ete", "l’été", ["l’été"]),
        (r"x*", "axx", ["xx"]),
        (r"(?P<Nom>ab)(?P=Nom)", "abab", ["abab"]),
    ],
)
def test_patterns_are_folded_as_the_text_is(pattern, text, expected):
    assert texts(pattern, text) == expected


def test_case_and_accents_count_in_the_text_itself():
    assert texts("Été", "Été été ETE", attr="TEXT") == ["Été"]
    assert texts("Été", "Été été ETE", attr="LOWER") == ["Été", "été"]


def test_matches_come_in_text_order_with_their_groups():
    doc = NLP("cœur 12 mm, 3 cm")
    matcher = RegexMatcher({"cm": [r"(?P<n>\d+) cm"], "mm": [r"(?P<n>\d+) mm(?P<no>x)?"]})
    found = [(key, groups) for key, _, _, groups in matcher.find_groups(doc)]
    assert found == [("mm", {"n": (5, 7)}), ("cm", {"n": (12, 13)})]


def test_pollution_is_blank_unless_told():
    doc = NLP("stade page 3")
    doc.spans["pollution"] = [doc[1:2]]
    assert len(RegexMatcher({"x": [r"stade\s+3"]}).find(doc)) == 1
    assert RegexMatcher({"x": [r"stade\s+3"]}, ignore_excluded=False).find(doc) == []


def test_a_wrong_pattern_is_refused_by_name():
    with pytest.raises(ValueError, match=r"regex of 'stage': 'a\(': missing \)"):
        compile_pattern("a(", key="stage")


def test_an_unknown_attr_is_refused_by_the_patterns():
    with pytest.raises(ValueError, match="attr: expected one of TEXT"):
        RegexMatcher({}, "LEMMA")
