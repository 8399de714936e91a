"""The tokenizer of readers that are given none."""

from __future__ import annotations

from edspipe.data.converters.base import default_tokenizer
from edspipe.data.converters.standoff import StandoffConverter
from edspipe.doc.tokenizer import EdsTokenizer


def test_readers_without_a_tokenizer_share_one_and_the_words_it_knows() -> None:
    record = {"text": "a b"}
    first, second = (StandoffConverter().to_doc(record) for _ in range(2))
    assert first.vocab is second.vocab
    assert isinstance(default_tokenizer(None), EdsTokenizer)


def test_a_tokenizer_that_is_given_is_taken() -> None:
    assert default_tokenizer(len) is len
