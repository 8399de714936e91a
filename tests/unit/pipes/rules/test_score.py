"""eds.score: scores of one's own; eds.covid: all mentions; words that are changed."""

from __future__ import annotations

import pytest

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError

NLP = edspipe.blank("eds")


def found(text: str, **options) -> list[tuple[str, object]]:
    options = {"score_name": "x", "highest": 10, "lang": "fr", **options}
    doc = eds.score(**options).build()(NLP.make_doc(text))
    return [(s.text, s._.score_class or s._.score_value) for s in doc.spans["scores"]]


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ({"terms": "EVA"}, "EVA à 3, puis EVA : 11", [("EVA à 3", 3)]),
        ({"terms": ["EVA", "ENS"]}, "ENS = 4/10", [("ENS = 4/10", 4)]),
        (
            {"regex": "apgar(?: a 5 minutes)?"},
            "Apgar à 5 minutes à 9",
            [("Apgar à 5 minutes à 9", 9)],
        ),
        ({"terms": "Child", "values": {"A": "A", "B": "B"}}, "Child B", [("Child B", "B")]),
        ({"terms": "EVA", "decimals": True}, "EVA à 3,5", [("EVA à 3,5", 3.5)]),
        ({"terms": "EVA"}, "EVA à 3,5", []),
        ({"terms": "EVA", "lowest": 4}, "EVA à 3", []),
        ({"terms": "Fine", "roman": True}, "Fine stade IV", [("Fine stade IV", 4)]),
        ({"terms": "Fine"}, "Fine stade IV", []),
        ({"terms": "EVA"}, "EVA. 3", []),
        ({"terms": "EVA"}, "EVA\n\n3", []),
        ({"terms": "EVA"}, "EVA 3 mg", []),
        ({"terms": "EVA"}, "EVA 8/12", []),
        ({"terms": "A+B"}, "A+B 3", [("A+B 3", 3)]),
    ],
)
def test_a_score_of_ones_own_is_read(options, text, expected):
    assert found(text, **options) == expected


def test_a_range_has_two_ends():
    doc = eds.score(score_name="x", terms="EVA", highest=10, lang="fr").build()(
        NLP.make_doc("EVA 3 à 5. EVA 5-3.")
    )
    assert [(s._.score_value, s._.score_value_max) for s in doc.spans["scores"]] == [
        (3, 5),
        (5, None),
    ]


@pytest.mark.parametrize("text", ["EVA 3", "EVA 3,5", "EVA 3 à 5", "EVA III"])
def test_values_are_floats_however_they_are_written(text):
    options = {"score_name": "x", "terms": "EVA", "highest": 10, "decimals": True, "roman": True}
    doc = eds.score(lang="fr", **options).build()(NLP.make_doc(text))
    (span,) = doc.spans["scores"]
    upper = span._.score_value_max
    assert (type(span._.score_value), span._.score_class) == (float, None)
    assert upper is None or type(upper) is float


def test_a_value_that_is_a_text_stands_apart():
    options = {"score_name": "x", "terms": "Child", "highest": 15, "values": {"B": "B"}}
    doc = eds.score(lang="fr", **options).build()(NLP.make_doc("Child B, Child 7"))
    told = [(span._.score_value, span._.score_class) for span in doc.spans["scores"]]
    assert told == [(None, "B"), (7.0, None)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected terms or regex, the score's names; got none"),
        ({"terms": "EVA", "lowest": 11}, "expected lowest <= highest; got 11 and 10"),
        ({"terms": "EVA", "lang": "xx"}, "lang: expected one of en, es, fr"),
    ],
)
def test_a_score_that_cannot_be_found_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        found("", **options)


def test_a_pattern_that_is_not_valid_is_refused():
    with pytest.raises(ValueError, match="regex of 'x'"):
        found("", regex="(")


def test_names_of_a_known_score_are_added_to():
    pipe = eds.sofa(lang="fr", changes={"names": {"sofa": ["defaillances d'organes"]}}).build()
    doc = pipe(NLP.make_doc("Défaillances d'organes : 7"))
    assert [span._.score_value for span in doc.spans["scores"]] == [7]


def test_all_mentions_of_covid_are_kept_where_it_is_said():
    text = "Vacciné contre le covid. Covid en 2021."
    for all_mentions, expected in ((False, ["Covid"]), (True, ["covid", "Covid"])):
        doc = eds.covid(lang="fr", all_mentions=all_mentions).build()(NLP.make_doc(text))
        assert [span.text for span in doc.spans["covid"]] == expected
