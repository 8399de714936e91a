"""The fuzzer of the rules: texts are made of their seed, and a slow or failing pipe is found."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

import edspipe
from benchmarks.rules import fuzz

WORDS = ["fever", "no", "since 3 days"]


def pipeline(**pipes):
    return SimpleNamespace(make_doc=edspipe.blank("eds").make_doc, pipes=list(pipes.items()))


def test_a_text_is_made_of_its_seed():
    made = [fuzz.make_text(seed, WORDS) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def test_texts_have_at_most_the_length_that_is_said():
    texts = [fuzz.make_text(seed, WORDS)[0] for seed in range(12)]
    assert max(map(len, texts)) == fuzz.MAX_CHARS


def test_the_words_of_a_language_are_those_of_its_files():
    assert {"sans", "pas de", "fracture"} & set(fuzz.words_of("fr")) >= {"sans", "pas de"}


def test_a_slow_pipe_is_found(monkeypatch):
    monkeypatch.setattr(fuzz, "MAX_SECONDS", 0.01)

    def slow(doc):
        end = time.process_time() + 0.03
        while time.process_time() < end:
            pass

    seconds, wrong = fuzz.run_text(pipeline(slow=slow, quick=lambda doc: doc), "fever")
    assert list(wrong) == ["slow"]
    assert wrong["slow"].startswith("took 0.0")
    assert seconds["quick"] < 0.01


def test_a_pipe_that_raises_is_found():
    def broken(doc):
        raise ValueError("no")

    assert fuzz.run_text(pipeline(broken=broken), "fever")[1] == {"broken": "ValueError: no"}


@pytest.mark.slow
@pytest.mark.parametrize("lang", fuzz.LANGS)
def test_no_pipe_is_slow_on_hostile_texts(lang):
    assert fuzz.main(minutes=2, seed=7, number=20, lang=lang) == 0
