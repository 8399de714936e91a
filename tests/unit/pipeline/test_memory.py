"""Vocabularies forget words on long runs, but never under the feet of a Doc."""

from __future__ import annotations

import pytest
from spacy.tokens import Span

import edspipe
from edspipe.pipeline import memory


@pytest.fixture
def nlp(monkeypatch):
    monkeypatch.setattr(memory, "MAX_NEW_WORDS", 100)
    monkeypatch.setattr(memory.gc, "collect", lambda: 0)  # half a second each where torch is loaded
    monkeypatch.setattr(memory, "_HOLDERS", type(memory._HOLDERS)())
    monkeypatch.setattr(memory, "_ZONES", {})
    return edspipe.blank("eds")


def words(start: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join(
        "".join(letters[(start + i) // 26**p % 26] for p in range(4)) for i in range(150)
    )


def test_what_is_learned_before_the_first_cleaning_stays(nlp):
    nlp(words(0))
    memory.forget_words()
    assert nlp.vocab[words(0).split()[3]].text in nlp.vocab


def test_new_words_are_forgotten_when_there_are_many(nlp):
    sizes = []
    for start in range(0, 3000, 150):
        nlp(words(start))
        memory.forget_words()
        sizes.append(sum(1 for _ in nlp.vocab))
    assert max(sizes) < sizes[0] + 400


def test_a_doc_that_is_alive_keeps_its_words(nlp):
    kept = []
    for start in range(0, 1500, 150):
        memory.forget_words()
        if start == 450:
            kept.append(nlp(words(start)))
        nlp(words(start))
    assert kept[0].text == words(450)
    assert [token.text for token in kept[0]] == words(450).split()


def test_a_span_that_is_alive_keeps_its_words(nlp):
    memory.forget_words()
    nlp(words(0))
    memory.forget_words()
    span = Span(nlp(words(150)), 0, 2, label="x")
    memory.forget_words()
    assert span.text == " ".join(words(150).split()[:2])


def test_texts_are_tokenized_alike_after_a_cleaning(nlp):
    before = [token.text for token in nlp(words(0))]
    for start in range(0, 1500, 150):
        nlp(words(start))
        memory.forget_words()
    assert [token.text for token in nlp(words(0))] == before


def test_a_vocabulary_that_is_shared_with_a_worker_is_cleaned_too(nlp):
    memory._HOLDERS.clear()
    for start in range(0, 3000, 150):
        nlp(words(start))
        memory.forget_words([nlp.vocab, "something else"])
    assert sum(1 for _ in nlp.vocab) < 1200
