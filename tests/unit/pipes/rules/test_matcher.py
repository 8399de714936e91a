"""eds.matcher: terms and regular expressions."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import spacy

import edspipe
import edspipe.pipes as eds
from edspipe.config.registry import registry
from edspipe.errors import ConfigError

NLP = edspipe.blank("eds")


def found(text: str, **kwargs) -> list[tuple[str, str]]:
    doc = eds.matcher(**kwargs).build()(NLP.make_doc(text))
    return [(ent.label_, ent.text) for ent in doc.ents]


def test_terms_and_patterns_are_found_at_once():
    text = "Toux et fièvre à 39°, stade 2"
    terms = {"sign": ["toux", "FIEVRE"], "unit": "°"}
    assert found(text, terms=terms, regex={"stage": r"stade \d"}) == [
        ("sign", "Toux"),
        ("sign", "fièvre"),
        ("unit", "°"),
        ("stage", "stade 2"),
    ]


def test_a_label_may_have_terms_and_patterns():
    kwargs = {"terms": {"x": "toux"}, "regex": {"x": "fi[eè]vre"}}
    assert found("toux fièvre", **kwargs) == [("x", "toux"), ("x", "fièvre")]


@pytest.mark.parametrize(
    ("attr", "expected"),
    [
        ("NORM", ["Été", "été", "ETE"]),
        ("LOWER", ["Été", "été"]),
        ("TEXT", ["Été"]),
        ("accents", ["Été"]),
        ({"x": "TEXT"}, ["Été"]),
        ({"*": "LOWER"}, ["Été", "été"]),
    ],
)
@pytest.mark.parametrize("kind", ["terms", "regex"])
def test_attr_says_what_is_compared(kind, attr, expected):
    assert [text for _, text in found("Été été ETE", **{kind: {"x": "Été"}}, attr=attr)] == expected


def test_each_label_may_have_an_attr_of_its_own():
    attr = {"a": "TEXT", "*": "NORM"}
    assert found("AVC avc hta HTA", terms={"a": "AVC", "b": "HTA"}, attr=attr) == [
        ("a", "AVC"),
        ("b", "hta"),
        ("b", "HTA"),
    ]


def test_a_pattern_that_ends_inside_a_token_is_widened_to_it():
    assert found("polyarthrites", regex={"x": "arthrit"}) == [("x", "polyarthrites")]


def test_the_longest_stays_in_ents_and_all_in_groups():
    terms = {"a": ["toux sèche", "toux"], "b": "sèche et grasse"}
    assert found("toux sèche et grasse", terms=terms) == [("a", "toux"), ("b", "sèche et grasse")]
    pipe = eds.matcher(terms=terms, span_setter="all", overlaps=True).build()
    doc = pipe(NLP("toux sèche et grasse"))
    assert [span.text for span in doc.spans["all"]] == ["toux", "toux sèche", "sèche et grasse"]
    assert not doc.ents


def test_codes_are_set_by_label():
    doc = eds.matcher(terms={"a": "toux", "b": "hta"}, kb_id={"a": "R05"}).build()(NLP("toux hta"))
    assert [ent.kb_id_ for ent in doc.ents] == ["R05", ""]


def test_pollution_is_passed_over_unless_told():
    doc = NLP("toux page sèche")
    doc.spans["pollution"] = [doc[1:2]]
    kwargs = {"terms": {"x": "toux sèche"}, "regex": {"y": r"toux\s+seche"}}
    assert len(eds.matcher(**kwargs).build().find(doc)) == 2
    assert eds.matcher(**kwargs, ignore_excluded=False).build().find(doc) == []


def test_twice_is_as_once_for_the_matcher():
    pipe = eds.matcher(terms={"x": "toux"}, span_setter=["ents", "g"]).build()
    doc = pipe(NLP("toux"))
    once = doc.to_bytes()
    assert pipe(doc).to_bytes() == once


def test_it_works_saved_and_loaded(tmp_path):
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.matcher", config={"terms": {"x": ["toux"]}, "regex": {"y": ["fi.vre"]}})
    nlp.to_disk(tmp_path / "m")
    loaded = edspipe.load(tmp_path / "m")
    assert [ent.label_ for ent in loaded("Toux, fièvre").ents] == ["x", "y"]


def test_it_works_saved_and_loaded_as_a_matcher_of_spacy(tmp_path):
    nlp = spacy.blank("fr")
    config = {"terms": {"x": ["l'hopital"]}, "span_setter": {"g": True, "ents": ["x"]}}
    nlp.add_pipe("edspipe_matcher", config=config)
    nlp.to_disk(tmp_path / "m")
    doc = spacy.load(tmp_path / "m")("à l’Hôpital")
    assert [ent.text for ent in doc.ents] == [s.text for s in doc.spans["g"]] == ["l’Hôpital"]


@pytest.mark.parametrize("kwargs", [{}, {"terms": {}}, {"regex": {}}])
def test_nothing_to_find_is_refused(kwargs):
    with pytest.raises(ConfigError, match=r"eds.matcher: expected terms or regex, by label"):
        eds.matcher(**kwargs).build()


@pytest.mark.parametrize("argument", ["attr", "kb_id"])
def test_an_unknown_label_is_refused(argument):
    with pytest.raises(ConfigError, match=rf"eds.matcher: {argument}.y: no terms .* are: x"):
        eds.matcher(terms={"x": "a"}, **{argument: {"y": "TEXT"}}).build()


@pytest.mark.parametrize("name", ["normalizer", "matcher", "terminology", "contextual_matcher"])
def test_the_example_of_the_page_runs(name, tmp_path: Path):
    lines = (registry.factory.get(f"eds.{name}").__doc__ or "").split("```python\n", 1)[1]
    block = lines.split("```", 1)[0]
    indent = len(block) - len(block.lstrip())
    file = tmp_path / "example.py"
    file.write_text("\n".join(line[indent:] for line in block.split("\n")), encoding="utf-8")
    runpy.run_path(str(file))
