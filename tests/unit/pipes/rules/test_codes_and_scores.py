"""Codes and scores: what is found in marked-up sentences, and nothing else."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import spacy
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import edspipe
import edspipe.pipes as eds
from edspipe.doc.markup import parse_markup
from edspipe.errors import ConfigError
from edspipe.pipes.rules.codes import adicap, tnm  # noqa: F401, span._.adicap, span._.tnm
from edspipe.pipes.rules.scores import base  # noqa: F401, span._.score_value

SENTENCES = Path(__file__).parent / "sentences"
SCORES = ["charlson", "sofa", "glasgow", "performance_status", "mmse", "nyha"]
SCORES += ["elston_ellis", "ccmu", "gemsa", "triage"]
WITH_LANG = ["drugs", "covid", "cim10", *SCORES]
NO_LANG = ["tnm", "adicap"]
SLOWEST_S = 2.0
WORDS = [
    "Glasgow",
    "GCS",
    "a",
    ":",
    "1",
    "15",
    "/15",
    "II-III",
    "NYHA",
    "de",
    "la",
    "stade",
    "(",
    ")",
]
WORDS += ["pT2", "N1", "TNM", "2017", "DP", "I50.0", "E11", ",", "œ", "²", "\n", "B.H", "GSA7A0"]
WORDS += ["ADICAP", "covid", "anti-"]
NLP = edspipe.blank("eds")


@cache
def pipes_of(file: str, lang: str) -> list[Any]:
    names = SCORES if file == "scores" else [file]
    return [
        getattr(eds, name)(**({} if name in NO_LANG else {"lang": lang})).build() for name in names
    ]


def cases() -> list[Any]:
    found = []
    for file in ("drugs", "covid", "cim10", "tnm", "adicap", "scores"):
        for path in sorted(SENTENCES.glob(f"{file}_*.yml")):
            lang = path.stem.rpartition("_")[2]
            sentences = yaml.safe_load(path.read_text(encoding="utf-8"))
            found += [
                pytest.param(file, lang, sentence, id=f"{path.stem}-{number}")
                for number, sentence in enumerate(sentences)
            ]
    return found


@pytest.mark.parametrize(("file", "lang", "sentence"), cases())
def test_what_is_marked_is_found_and_nothing_else(file, lang, sentence):
    text, marked = parse_markup(sentence)
    doc = NLP.make_doc(text)
    for pipe in pipes_of(file, lang):
        doc = pipe(doc)
    expected = sorted(
        (text[span.start : span.end], span.label, *map(repr, (said(span.attributes))))
        for span in marked
    )
    found = sorted(
        (span.text, span.label_, *map(repr, (span.kb_id_, *value_of(span))))
        for span in doc.spans.get(file, ())
    )
    assert found == expected


def said(attributes: dict[str, Any]) -> tuple[Any, ...]:
    value, upper = attributes.get("value"), attributes.get("max")
    return attributes.get("kb", ""), _as_float(value), _as_float(upper)


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value


def value_of(span: Any) -> tuple[Any, Any]:
    return span._.score_class or span._.score_value, span._.score_value_max


@pytest.mark.parametrize("name", [*WITH_LANG, *NO_LANG])
def test_a_doc_that_has_been_through_twice_is_as_after_once(name):
    pipe = pipes_of(name, "fr")[0]
    doc = pipe(NLP.make_doc("Glasgow 15. pT2N0M0. ADICAP BHGSA7A0. Doliprane. NYHA III. I50.0"))
    once = doc.to_bytes()
    assert pipe(doc).to_bytes() == once


@pytest.mark.parametrize("name", [*WITH_LANG, *NO_LANG])
def test_values_survive_saving(name):
    doc = NLP.make_doc("Glasgow 15. pT2N0M0. ADICAP BHGSA7A0. Doliprane. NYHA III. I50.0. covid.")
    doc = pipes_of(name, "fr")[0](doc)
    again = spacy.tokens.Doc(doc.vocab).from_bytes(doc.to_bytes())
    for group, spans in doc.spans.items():
        for span, other in zip(spans, again.spans[group], strict=True):
            assert (span._.tnm, span._.adicap) == (other._.tnm, other._.adicap)
            assert (span.kb_id_, *value_of(span)) == (other.kb_id_, *value_of(other))


@pytest.mark.parametrize("name", ["drugs", "covid", *SCORES])
def test_an_unknown_language_is_refused(name):
    with pytest.raises(ConfigError, match="expected one of en, es, fr"):
        getattr(eds, name)(lang="xx").build()
    with pytest.raises(ConfigError, match=f"eds.{name}: expected lang="):
        edspipe.blank("eds").add_pipe(f"eds.{name}")


@pytest.mark.parametrize("name", [*WITH_LANG, *NO_LANG])
def test_spacy_has_it_too_and_saves_it(name, tmp_path):
    nlp = spacy.blank("fr")
    nlp.add_pipe(f"edspipe_{name}")
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    text = "Glasgow 15, NYHA III, MMSE 20/30, Doliprane, pT2N0M0, covid."
    for doc in (nlp(text), loaded(text)):
        assert doc.spans.keys() <= {name, "scores"}
        assert len(doc.spans)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS)))
def test_no_text_breaks_a_pipe(words):
    doc = NLP.make_doc(" ".join(words))
    for name in ("glasgow", "nyha", "tnm", "adicap", "cim10", "covid"):
        pipes_of(name, "fr")[0](doc)
    for spans in doc.spans.values():
        assert all(span.text for span in spans)


@pytest.mark.parametrize(
    "piece",
    [
        "Glasgow a ",
        "de la ",
        "1",
        "a",
        " ",
        "\n",
        "T",
        "pT2 ",
        "N1(",
        "stade III ",
        "ADICAP ",
        "A.",
        "DP I50,",
        "covid anti-",
    ],
)
@pytest.mark.parametrize("name", ["scores", "tnm", "adicap", "cim10", "covid"])
def test_long_texts_take_no_long_time(name, piece):
    chosen = ["glasgow", "nyha", "performance_status"] if name == "scores" else [name]
    built = [pipe for one in chosen for pipe in pipes_of(one, "fr")]
    doc = spacy.tokens.Doc(NLP.vocab, [piece.strip() or "."] * (20_000 // max(1, len(piece))))
    begin = time.perf_counter()
    for pipe in built:
        pipe(doc)
    assert time.perf_counter() - begin < SLOWEST_S
