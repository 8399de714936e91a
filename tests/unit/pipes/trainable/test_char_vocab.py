"""CharVocab: which letters a model knows, and text as their numbers."""

from __future__ import annotations

import pickle
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edspipe
from edspipe.errors import CheckpointError, DataError
from edspipe.pipes.trainable.char_vocab import (
    REPLACEMENT,
    UNKNOWN,
    CharVocab,
    kept_letters,
    rank_letters,
)

TEXT = "aaaaaabbbc"


def test_the_unknown_is_a_symbol_at_index_0() -> None:
    vocab = CharVocab("ab")
    assert vocab.items == [UNKNOWN, "a", "b"]
    assert vocab.encode("abx").tolist() == [1, 2, 0]
    assert len(vocab) == 3
    assert "x" not in vocab


def test_numbers_are_int64() -> None:
    assert CharVocab("ab").encode("ab").dtype == "int64"


@given(st.text(), st.sets(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_every_script_is_read_letter_by_letter(text: str, letters: set[str]) -> None:
    vocab = CharVocab(sorted(letters))
    number = {letter: i for i, letter in enumerate(vocab.items)}
    assert vocab.encode(text).tolist() == [number.get(letter, 0) for letter in text]


@given(st.text())
def test_what_was_counted_in_a_text_is_read_back_whole(text: str) -> None:
    vocab = CharVocab.from_stream([text, "x"], coverage=1.0)
    assert vocab.decode(vocab.encode(text)) == text


def test_the_unknown_is_written_as_a_replacement() -> None:
    assert CharVocab("a").decode([1, 0]) == f"a{REPLACEMENT}"


def test_an_empty_alphabet_knows_nothing() -> None:
    assert CharVocab([]).encode("ab").tolist() == [0, 0]


@pytest.mark.parametrize(
    ("coverage", "expected"), [(0.5, "a"), (0.6, "a"), (0.61, "ab"), (0.9, "ab"), (1.0, "abc")]
)
def test_the_fewest_letters_that_reach_the_coverage_are_kept(coverage: Any, expected: Any) -> None:
    assert CharVocab.from_stream([TEXT], coverage).items[1:] == list(expected)


def test_a_largest_size_does_not_count_the_unknown() -> None:
    assert CharVocab.from_stream([TEXT], max_size=2).items == [UNKNOWN, "a", "b"]


def test_equal_counts_stand_by_code_point() -> None:
    assert kept_letters(Counter("zéa")) == ["a", "z", "é"]


def test_shares_add_up() -> None:
    rows = list(rank_letters(Counter(TEXT)))
    assert [tuple(row) for row in rows] == [
        (1, "a", 6, 0.6, 0.6),
        (2, "b", 3, 0.3, 0.9),
        (3, "c", 1, 0.1, 1.0),
    ]


def test_docs_are_counted_as_their_texts() -> None:
    nlp = edspipe.blank("eds")
    assert CharVocab.from_stream([nlp.make_doc("été")]) == CharVocab.from_stream(["été"])


def test_half_a_character_is_no_letter() -> None:
    vocab = CharVocab.from_stream(["a\ud800"], coverage=1.0)
    assert vocab.items[1:] == ["a"]
    assert vocab.encode("\ud800a").tolist() == [0, 1]


def test_a_form_joins_what_is_the_same_letter() -> None:
    apart = unicodedata.normalize("NFD", "été")
    assert CharVocab.from_stream([apart], normalise="NFC").items[1:] == ["é", "t"]
    assert CharVocab.from_stream([apart]).items[1:] == ["e", "\u0301", "t"]


def test_reading_keeps_offsets_whatever_the_form() -> None:
    vocab = CharVocab("a ", normalise="NFKC")
    assert vocab.encode("ａ\u00a0ﬁa").tolist() == [1, 2, 0, 1]
    assert vocab.normalised("ａﬁ") == "afi"


def test_the_default_has_the_letters_of_notes() -> None:
    vocab = CharVocab.default()
    text = "Œdème ≥ 3 µg/mL à 37,5 °C – β-bloquant, Łódź, ¿qué?\n\t½ → Ω"
    assert (vocab.encode(text) > 0).all()
    assert len(set(vocab.items)) == len(vocab)


def test_a_letter_is_added_once_and_read_from_then_on() -> None:
    vocab = CharVocab("a")
    assert vocab.encode("é").tolist() == [0]
    assert vocab.add_item("é") == vocab.add_item("é") == 2
    assert vocab.encode("é").tolist() == [2]


def test_saved_is_loaded(tmp_path: Path) -> None:
    vocab = CharVocab("aé中\n😀", normalise="NFC")
    vocab.save(tmp_path / "vocab.json")
    loaded = CharVocab.load(tmp_path / "vocab.json")
    assert loaded == vocab
    assert pickle.loads(pickle.dumps(vocab)) == vocab  # noqa: S301
    assert CharVocab.of_dict(vocab.to_dict()).normalise == "NFC"


def test_it_does_not_print_its_letters() -> None:
    assert repr(CharVocab("abc")) == "CharVocab(3 letters)"


def test_a_config_holds_it_with_letters_that_came_later() -> None:
    vocab = CharVocab("a", normalise="NFC")
    vocab.add_item("b")
    origin = vocab._origin
    assert origin.factory == "eds.char_vocab"
    assert origin.params == {"items": ["a", "b"], "normalise": "NFC"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CharVocab("aa"), r"items: U\+0061 stands twice"),
        (lambda: CharVocab("\ud800"), r"items: U\+D800 is half a character"),
        (lambda: CharVocab(["ab"]), "single characters, got one of 2"),
        (lambda: CharVocab("a", normalise="X"), "normalise"),
        (lambda: kept_letters({"a": 1}, 0), "coverage is a share, more than 0 and at most 1"),
        (lambda: kept_letters({"a": 1}, 1, 0), "max_size is 1 or more"),
    ],
)
def test_what_is_no_alphabet_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_an_alphabet_of_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="found no character"):
        CharVocab.from_stream(["", ""])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "expected an alphabet, a list 'items'"),
        ({"items": ["a"]}, f"that begins with '{UNKNOWN}'"),
        ({"items": [UNKNOWN, "ab"]}, "single characters"),
        ({"items": [UNKNOWN, 3]}, "vocab.json: .*valid string"),
    ],
)
def test_a_damaged_alphabet_is_named(data: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        CharVocab.of_dict(data, "vocab.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vocab\.json: missing"):
        CharVocab.load(tmp_path / "vocab.json")
