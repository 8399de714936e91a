"""eds.contextual_matcher: what counts by its context, and values read there."""

from __future__ import annotations

import time
from typing import Any

import pytest
import spacy

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.pipes.rules.contextual_matcher.rules import Window, parse_window

NLP = edspipe.blank("eds")
NLP.add_pipe("eds.sentences")


def matched(text: str, pattern: dict[str, Any] | list[Any], **kwargs) -> Any:
    return eds.contextual_matcher(**{"label": "x", "patterns": pattern, **kwargs}).build()(
        NLP(text)
    )


def texts(text: str, pattern: Any, **kwargs) -> list[str]:
    return [ent.text for ent in matched(text, pattern, **kwargs).ents]


def assigned(text: str, *rules: dict[str, Any], **kwargs) -> list[dict[str, Any]]:
    doc = matched(text, {"terms": "tumeur", "assign": list(rules)}, **kwargs)
    return [ent._.assigned for ent in doc.ents]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"include": {"terms": "maligne"}}, ["tumeur"]),
        ({"include": {"regex": "malig"}}, ["tumeur"]),
        ({"include": {"terms": "bénigne"}}, []),
        ({"include": [{"terms": "maligne"}, {"terms": "foie"}]}, ["tumeur"]),
        ({"include": [{"terms": "maligne"}, {"terms": "rein"}]}, []),
        ({"include": {"terms": ["rein", "FOIE"]}}, ["tumeur"]),
        ({"exclude": {"terms": "maligne"}}, []),
        ({"exclude": [{"terms": "rein"}, {"regex": "foi"}]}, []),
        ({"exclude": {"terms": "rein"}}, ["tumeur"]),
        ({"include": {"terms": "foie", "window": [0, 2]}}, []),
        ({"include": {"terms": "foie", "window": "words[0:3]"}}, ["tumeur"]),
        ({"include": {"terms": "une", "window": [0, 4]}}, []),
        ({"include": {"terms": "une", "window": 1}}, ["tumeur"]),
        ({"include": {"terms": "rechute"}}, []),
        ({"include": {"terms": "rechute", "window": "sents[0:1]"}}, ["tumeur"]),
        ({"include": {"terms": "toux", "window": "sents[-1:0]"}}, ["tumeur"]),
        ({"include": {"terms": "toux", "window": "sents[0:9]"}}, []),
        ({"include": {"terms": "tumeur"}}, []),
        ({"include": {"terms": "tumeur", "include_entity": True}}, ["tumeur"]),
        ({"include": {"regex": "une tumeur"}}, []),
        ({"include": {"regex": "une tumeur", "include_entity": True}}, ["tumeur"]),
        ({"include": {"terms": "Maligne", "attr": "TEXT"}}, []),
    ],
)
def test_a_match_counts_by_its_context(rule, expected):
    text = "De la toux. C'est une tumeur maligne du foie. Pas de rechute."
    assert texts(text, {"terms": "tumeur", **rule}) == expected


def test_patterns_have_terms_and_regex():
    patterns = [{"terms": ["toux"], "regex": r"fi.vre"}, {"regex": "hta", "source": "two"}]
    doc = matched("HTA, toux, fièvre", patterns)
    assert [(ent.text, ent._.source) for ent in doc.ents] == [
        ("HTA", "two"),
        ("toux", None),
        ("fièvre", None),
    ]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("keep_first", "1"),
        ("keep_last", "4"),
        ("keep_nearest", "2"),
        (None, ["1", "2", "3", "4"]),
    ],
)
def test_of_several_values_the_mode_takes(mode, expected):
    rule = {"name": "size", "regex": r"(\d) mm", "reduce_mode": mode}
    assert assigned("1 mm et 2 mm de tumeur, puis de 3 mm, 4 mm", rule) == [{"size": expected}]


@pytest.mark.parametrize(
    ("regex", "value"), [("Stade ÏV", "stade IV"), ("stade (iv|v)", "IV"), ("(x)|st(ade)", "ade")]
)
def test_a_value_is_the_text_of_the_group_or_of_the_match(regex, value):
    assert assigned("tumeur stade IV", {"name": "stage", "regex": regex}) == [{"stage": value}]


def test_values_are_attributes_of_their_own():
    rule = {"name": "stage_of_r1", "regex": r"stade (\w+)"}
    doc = matched("tumeur stade IV", {"terms": "tumeur", "assign": rule})
    assert doc.ents[0]._.stage_of_r1 == "IV"


def test_values_of_several_rules_are_kept_by_name():
    rules = [
        {"name": "a", "regex": "foie"},
        {"name": "b", "regex": r"\d+"},
        {"name": "c", "regex": "w"},
    ]
    assert assigned("tumeur du foie de 12", *rules) == [{"a": "foie", "b": "12"}]


def test_a_match_without_its_required_value_is_dropped():
    rule = {"name": "size", "regex": r"\d+", "required": True}
    assert assigned("tumeur. Une tumeur de 12 mm.", rule) == [{"size": "12"}]


def test_a_value_can_replace_the_span_or_widen_it():
    rule = {"name": "size", "regex": r"\d+ mm"}
    pattern = {"terms": "tumeur", "assign": {**rule, "replace_entity": True}}
    doc = matched("une tumeur de 12 mm", pattern)
    assert [(ent.text, ent._.assigned) for ent in doc.ents] == [("12 mm", {"size": "12 mm"})]
    pattern = {"terms": "tumeur", "assign": rule}
    assert texts("une tumeur de 12 mm", pattern, include_assigned=True) == ["tumeur de 12 mm"]


def test_each_match_has_values_of_its_own():
    rule = {"name": "size", "regex": r"(\d+)", "window": "words[0:3]"}
    text = "tumeur de 12 mm et tumeur de 3 mm"
    assert assigned(text, rule) == [{"size": "12"}, {"size": "3"}]


def test_pollution_in_a_window_does_not_count():
    doc = NLP("tumeur page 12 maligne")
    doc.spans["pollution"] = [doc[1:3]]
    rules = {
        "include": {"terms": "maligne", "window": 1},
        "exclude": {"terms": "page", "window": 5},
    }
    pipe = eds.contextual_matcher(label="x", patterns={"terms": "tumeur", **rules}).build()
    assert len(pipe(doc).ents) == 1


def test_twice_is_as_once_for_the_contextual_matcher():
    rule = {"name": "size", "regex": r"\d+ mm", "replace_entity": True}
    pattern = {"terms": "tumeur", "assign": rule}
    pipe = eds.contextual_matcher(label="x", patterns=pattern, span_setter=["ents", "g"]).build()
    doc = pipe(NLP("une tumeur de 12 mm"))
    once = doc.to_bytes()
    assert pipe(doc).to_bytes() == once


def test_it_works_saved_and_loaded_as_a_contextual_matcher_of_spacy(tmp_path):
    nlp = spacy.blank("fr")
    pattern = {"terms": ["tumeur"], "assign": [{"name": "mm", "regex": r"(\d+) ?mm", "window": 5}]}
    nlp.add_pipe("edspipe_contextual_matcher", config={"label": "x", "patterns": [pattern]})
    nlp.to_disk(tmp_path / "m")
    (ent,) = spacy.load(tmp_path / "m")("une tumeur de 12mm").ents
    assert ent._.assigned == {"mm": "12"}


@pytest.mark.parametrize(
    ("value", "window"),
    [
        (3, Window("words", -3, 3)),
        ([-2, 0], Window("words", -2, 0)),
        ("words[-5:1]", Window("words", -5, 1)),
        ("sents[-1:1]", Window("sents", -1, 1)),
    ],
)
def test_windows_are_written_in_several_ways(value, window):
    assert parse_window(value) == parse_window(window) == window


@pytest.mark.parametrize("value", ["words[1:2]", "lines[0:1]", [1, 2], [0], -1, True, None, "5"])
def test_a_wrong_window_is_refused(value):
    with pytest.raises(ValueError, match="expected a number of words"):
        parse_window(value)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ([], "patterns: expected at least one"),
        ({"term": "a"}, r"patterns.0: .*expected terms or regex|0.term: Extra inputs"),
        ({}, r"patterns.0: .*expected terms or regex"),
        (
            [{"terms": "a"}, {"terms": "a", "include": {}}],
            r"patterns.1.include.0: .*terms or regex",
        ),
        ({"terms": "a", "exclude": {"regex": "b", "window": "x"}}, r"0.exclude.0.window: .*number"),
        ({"terms": "a", "assign": {"name": "1", "regex": "b"}}, r"patterns.0.assign.0.name: "),
        (
            {
                "terms": "a",
                "assign": [{"name": n, "regex": "b", "replace_entity": True} for n in "bc"],
            },
            r"patterns.0: .*only one value can replace the span",
        ),
    ],
)
def test_a_wrong_pattern_is_refused_with_the_place(pattern, message):
    with pytest.raises(ConfigError, match=message):
        eds.contextual_matcher(label="x", patterns=pattern).build()


def test_a_window_in_sentences_needs_sentences():
    pattern = {"terms": "a", "include": {"terms": "b"}}
    pipe = eds.contextual_matcher(label="x", patterns=pattern).build()
    with pytest.raises(ConfigError, match=r"needs sentences: put eds.sentences before it"):
        pipe(edspipe.blank("eds")("a b"))


def test_a_long_text_without_sentence_ends_takes_no_longer_than_it_should():
    rules = {"include": {"regex": "absent", "terms": "tumeur"}, "exclude": {"regex": "present"}}
    pipe = eds.contextual_matcher(label="x", patterns={"terms": "tumeur", **rules}).build()
    doc = NLP("tumeur du foie " * 3000)
    start = time.process_time()
    assert len(pipe(doc).ents) == 3000
    assert time.process_time() - start < 2
