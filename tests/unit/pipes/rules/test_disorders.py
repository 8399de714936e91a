"""eds.disorders, and the pipe of each disorder."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import spacy
import yaml
from spacy.tokens import Doc

import edspipe
from edspipe.config.registry import registry
from edspipe.doc.markup import parse_markup
from edspipe.errors import ConfigError
from edspipe.lang.schemas.disorders import DISORDERS
from edspipe.lang.words import load_words

SENTENCES = Path(__file__).parent / "sentences"
LANGUAGES = ["fr", "en", "es"]


def marked(lang: str, disorder: str) -> list[str]:
    path = SENTENCES / f"disorders_{lang}.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))[disorder]


def cases() -> list[Any]:
    return [
        pytest.param(lang, disorder, text, id=f"{lang}-{disorder}-{number}")
        for lang in LANGUAGES
        for disorder in DISORDERS
        for number, text in enumerate(marked(lang, disorder))
    ]


@cache
def pipeline(lang: str, *disorders: str) -> Any:
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences", config={"lang": lang})
    chosen = list(disorders) or None
    nlp.add_pipe("eds.disorders", config={"lang": lang, "disorders": chosen})
    return nlp


def found(doc: Doc, disorder: str) -> list[Any]:
    return [
        (span.text, span._.status, span._.assigned, span.start_char) for span in doc.spans[disorder]
    ]


@pytest.mark.parametrize(("lang", "disorder", "text"), cases())
def test_a_sentence_has_these_mentions(lang, disorder, text):
    text, spans = parse_markup(text)
    doc = pipeline(lang)(text)
    expected = []
    for span in spans:
        values = dict(span.attributes)
        status = values.pop("status", 1)
        expected.append((text[span.start : span.end], status, values, span.start))
    assert found(doc, disorder) == expected


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("disorder", DISORDERS)
def test_each_status_has_a_sentence_and_is_named_alike_everywhere(lang, disorder):
    statuses = load_words(disorder, lang).statuses
    texts = " ".join(marked(lang, disorder))
    assert statuses == load_words(disorder, "en").statuses
    for status in set(statuses) - {1}:
        assert f"status={status}" in texts


@pytest.mark.parametrize("disorder", [*DISORDERS, "disorders"])
def test_the_example_of_a_page_runs(disorder):
    doc = registry.factory.get_class(f"eds.{disorder}").__doc__
    (block,) = re.findall(r"^    ```python\n(.+?)^    ```$", doc, flags=re.DOTALL | re.MULTILINE)
    code = "\n".join(line[4:] for line in block.splitlines())
    exec(compile(code, disorder, "exec"), {})  # noqa: S102


@pytest.mark.parametrize("disorder", DISORDERS)
def test_the_pipe_of_one_disorder_finds_what_all_together_do(disorder):
    text = " ".join(parse_markup(one)[0] for one in marked("en", disorder))
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.sentences", config={"lang": "en"})
    nlp.add_pipe(f"eds.{disorder}", config={"lang": "en"})
    assert nlp.pipe_names[-1] == disorder
    assert found(nlp(text), disorder) == found(pipeline("en")(text), disorder)


TEXT = "Type 2 diabetes with nephropathy. Ex-smoker, 20 pack-years."


def test_a_span_has_label_status_and_values():
    doc = pipeline("en")(TEXT)
    (span,) = doc.spans["tobacco"]
    assert (span.label_, span._.status, span._.detailed_status) == ("tobacco", 2, "former")
    assert (span._.source, span._.pack_years) == ("former", 20.0)


def test_status_and_values_are_saved_with_the_doc():
    doc = pipeline("en")(TEXT)
    loaded = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert (
        found(loaded, "tobacco")
        == found(doc, "tobacco")
        == [("Ex-smoker", 2, {"pack_years": 20.0}, 34)]
    )


def test_every_disorder_has_its_group_even_if_nothing_was_found():
    doc = pipeline("en")("Nothing.")
    assert {name: len(doc.spans[name]) for name in DISORDERS} == dict.fromkeys(DISORDERS, 0)


def test_only_those_that_are_named_are_looked_for():
    doc = pipeline("en", "tobacco")(TEXT)
    assert list(doc.spans) == ["tobacco"]


def test_twice_is_once():
    nlp = pipeline("en")
    doc = nlp(TEXT)
    once = {name: found(doc, name) for name in DISORDERS}
    again = nlp.get_pipe("disorders")(doc)
    assert {name: found(again, name) for name in DISORDERS} == once


def test_spans_go_where_the_setter_says():
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.disorders", config={"lang": "en", "span_setter": "ents"})
    doc = nlp(TEXT)
    assert [ent.label_ for ent in doc.ents] == ["diabetes", "tobacco"]
    assert not doc.spans


def test_a_status_is_read_without_sentences_too():
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.diabetes", config={"lang": "en"})
    doc = nlp("Diabetes with nephropathy")
    (span,) = doc.spans["diabetes"]
    assert span._.detailed_status == "complicated"


def test_a_status_is_not_read_in_another_sentence():
    doc = pipeline("en")("Diabetes. Hypertensive nephropathy.")
    assert [span._.status for span in doc.spans["diabetes"]] == [1]


def test_pollution_within_a_term_is_passed_over():
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.normalizer", config={"lang": "fr", "changes": {"patterns": {"m": ["XXX+"]}}})
    nlp.add_pipe("eds.diabetes", config={"lang": "fr"})
    doc = nlp("diabète XXXX de type 2")
    assert [span.text for span in doc.spans["diabetes"]] == ["diabète XXXX de type 2"]


def test_words_can_be_added_and_taken_away():
    changes = {"rules": {"diabetes": {"terms": ["sugar disease"]}}, "pseudo": ["GDM2"]}
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.diabetes", config={"lang": "en", "changes": changes})
    many = edspipe.blank("eds")
    config = {"lang": "en", "disorders": ["diabetes"], "changes": {"diabetes": changes}}
    many.add_pipe("eds.disorders", config=config)
    for one in (nlp, many):
        doc = one("Sugar disease")
        assert [span.text for span in doc.spans["diabetes"]] == ["Sugar disease"]


def test_a_regular_expression_finds_too():
    changes = {"rules": {"coded": {"regex": [r"dm[- ]code[ ]?\d"], "status": 2}}}
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.diabetes", config={"lang": "en", "changes": changes})
    doc = nlp("Seen for DM-code 7")
    (span,) = doc.spans["diabetes"]
    assert (span.text, span._.status, span._.source) == ("DM-code 7", 2, "coded")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"disorders": ["diabete"]}, r"disorders: expected some of aids, .*'diabete'.*'diabetes'"),
        ({"disorders": []}, r"eds.disorders: disorders: expected at least one"),
        (
            {"disorders": ["ckd"], "changes": {"copd": {}}},
            r"eds.disorders: changes: expected some of ckd; got 'copd'",
        ),
        (
            {"changes": {"ckd": {"rules": {"x": {"terms": ["a"], "status": 7}}}}},
            r"ckd\.yml: .*rules\.x: the status 7 is none of statuses: 1, 2",
        ),
        ({"changes": {"ckd": {"rules": {"x": {"status": 1}}}}}, r"expected terms or regex"),
        ({"changes": {"ckd": {"exclude": [{"words": 3}]}}}, r"expected before, after or around"),
        ({"changes": {"ckd": {"pseudo": ["a (b"]}}}, r"expected choices as \(a\|b\)"),
    ],
)
def test_what_does_not_fit_is_refused(config, message):
    nlp = edspipe.blank("eds")
    with pytest.raises(ConfigError, match=message):
        nlp.add_pipe("eds.disorders", config={"lang": "en", **config})


def test_the_language_must_be_known():
    with pytest.raises(ConfigError, match=r"eds.ckd: expected lang=, one of en, es, fr"):
        edspipe.blank("eds").add_pipe("eds.ckd")


def test_a_pattern_must_be_valid():
    changes = {"rules": {"x": {"regex": ["("]}}}
    with pytest.raises(Exception, match=r"regex of .*missing \)"):
        edspipe.blank("eds").add_pipe("eds.ckd", config={"lang": "en", "changes": changes})


@pytest.mark.parametrize("disorder", [*DISORDERS, "disorders"])
def test_spacy_pipelines_have_it(disorder, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe(f"edspipe_{disorder}")
    nlp.to_disk(tmp_path)
    text = " ".join(marked("en", "tobacco" if disorder == "disorders" else disorder)[:1])
    text, spans = parse_markup(text)
    doc = spacy.load(tmp_path)(text)
    assert len(doc.spans["tobacco" if disorder == "disorders" else disorder]) == len(spans)
