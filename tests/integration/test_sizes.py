"""Documents of any size go through, in time that grows with their length and no faster."""

from __future__ import annotations

import resource
import time

import pytest

LIMIT_S = 10.0

SHAPES = {
    "words": lambda n: "toux et fièvre. " * (n // 16),
    "one token": lambda n: "a" * n,
    "newlines": lambda n: "\n" * n,
    "fractions": lambda n: "1/" * (n // 2),
}


@pytest.mark.parametrize("text", ["", " ", "\n", "\t\n \u00a0", "\r\n\r\n"])
def test_texts_without_words_go_through(tiny_nlp, text):
    assert tiny_nlp(text).text == text
    assert [doc.text for doc in tiny_nlp.pipe([text, text])] == [text, text]


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_time_is_linear_in_the_length(tiny_nlp, shape):
    def seconds(size: int) -> float:
        best = float("inf")
        for _ in range(2):
            start = time.process_time()
            tiny_nlp(SHAPES[shape](size))
            best = min(best, time.process_time() - start)
        return best

    seconds(1000)
    assert seconds(40_000) <= 20 * seconds(4_000) + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_million_characters_tokenize_in_seconds(tiny_nlp, shape):
    start = time.process_time()
    assert tiny_nlp.make_doc(SHAPES[shape](1_000_000)).text == SHAPES[shape](1_000_000)
    assert time.process_time() - start <= LIMIT_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 3e9
