"""Windows: every character is predicted once, columns are text, and positions are exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import assert_resumes

from edspipe.pipes.trainable.char_lm import IGNORED
from edspipe.pipes.trainable.char_vocab import CharVocab
from edspipe.pretraining.char_lm import Texts, training_data
from edspipe.pretraining.splits import TextSplit
from edspipe.pretraining.windows import CharWindows, word_ends
from edspipe.training.corpus import read_corpus
from edspipe.training.data import TrainingData

LETTERS = "abcdefghij \n"
VOCAB = CharVocab(LETTERS)


def windows_of(text: str, window: int = 4, columns: int = 3, **more: Any) -> list[dict[str, Any]]:
    make = CharWindows(more.pop("vocab", VOCAB), window=window, columns=columns, **more)
    return list(make(TextSplit("one", text=text)))


def joined(samples: list[dict[str, Any]], what: str, direction: str) -> np.ndarray:
    """Put the windows of a split side by side again. *Shape* `(columns, length)`"""
    return np.concatenate([sample["char_lm"][what][direction] for sample in samples], axis=1)


texts = st.text(LETTERS, min_size=1, max_size=80)
sizes = st.integers(1, 9)


@given(texts, sizes, sizes)
def test_columns_are_contiguous_text(text: str, window: int, columns: int) -> None:
    samples = windows_of(text, window, columns)
    for direction, read in (("forward", text), ("backward", text[::-1])):
        rows = joined(samples, "targets", direction)
        assert "".join(VOCAB.decode(row[row != IGNORED]) for row in rows) == read


@given(texts, sizes, sizes)
def test_every_character_is_predicted_once_from_the_one_before(
    text: str, window: int, columns: int
) -> None:
    samples = windows_of(text, window, columns)
    for direction, read in (("forward", text), ("backward", text[::-1])):
        targets = joined(samples, "targets", direction).ravel()
        before = joined(samples, "inputs", direction).ravel()[targets != IGNORED]
        assert VOCAB.decode(before) == "\n" + read[:-1]
        assert VOCAB.decode(targets[targets != IGNORED]) == read


@given(texts, sizes, sizes)
def test_characters_and_words_are_counted(text: str, window: int, columns: int) -> None:
    samples = windows_of(text, window, columns)
    assert sum(sample["stats"]["chars"] for sample in samples) == len(text)
    assert sum(sample["stats"]["words"] for sample in samples) == len(text.split())
    for sample in samples:
        targets = sample["char_lm"]["targets"]["forward"]
        assert sample["char_lm"]["num_chars"] == (targets != IGNORED).sum() > 0


@given(texts, sizes, sizes)
def test_the_number_of_windows_is_known_before(text: str, window: int, columns: int) -> None:
    make = CharWindows(VOCAB, window=window, columns=columns)
    assert len(windows_of(text, window, columns)) == make.num_windows(len(text))


@given(st.text())
def test_a_word_ends_before_a_blank_of_any_script(text: str) -> None:
    assert word_ends(text).sum() == len(
        "".join(c if not c.isspace() else " " for c in text).split()
    )


def test_the_state_begins_anew_with_each_split_only() -> None:
    samples = windows_of("abcdefghij" * 4)
    assert [sample["char_lm"]["starts"] for sample in samples] == [True, False, False, False]
    assert [sample["doc_id"] for sample in samples] == ["one#0", "one#1", "one#2", "one#3"]


def test_a_short_text_has_fewer_columns() -> None:
    assert windows_of("abcdefghi")[0]["char_lm"]["inputs"]["forward"].shape == (2, 4)


def test_one_direction_is_read_alone() -> None:
    assert set(windows_of("abc", directions=["backward"])[0]["char_lm"]["inputs"]) == {"backward"}


def test_an_empty_text_has_no_window() -> None:
    assert windows_of("") == []


def test_a_text_is_brought_to_the_form_of_the_alphabet() -> None:
    samples = windows_of("e\u0301", vocab=CharVocab("é", normalise="NFC"))
    assert samples[0]["char_lm"]["targets"]["forward"].tolist() == [[1]]


@pytest.mark.parametrize("sizes", [{"window": 0}, {"columns": 0}])
def test_sizes_below_1_are_refused(sizes: Any) -> None:
    with pytest.raises(ValueError, match="window and columns are 1 or more"):
        CharWindows(VOCAB, **sizes)


# ---- as training data ------------------------------------------------------------------------


def data_of(texts: Path, seed: int = 1) -> TrainingData:
    found = Texts.of(texts, None, None, 100)
    return training_data(found, CharWindows(CharVocab.default(), window=10, columns=3), seed)


def splits_of_epochs(texts: Path, seed: int = 1) -> list[list[str]]:
    """The splits in the order in which three epochs go through them."""
    epochs: dict[int, dict[str, None]] = {}
    with iter(data_of(texts, seed).stream.loop()) as iterator:
        for sample in iterator:
            epoch = iterator.places[0][0]
            if epoch == 3:
                break
            epochs.setdefault(epoch, {})[sample["doc_id"].rpartition("#")[0]] = None
    return [list(splits) for splits in epochs.values()]


def test_the_order_of_splits_is_drawn_anew_each_epoch(texts: Path) -> None:
    one, two, three = splits_of_epochs(texts)
    assert sorted(one) == sorted(two) == sorted(three)
    assert one != two != three


def test_the_order_depends_on_the_seed_only(texts: Path) -> None:
    assert splits_of_epochs(texts) == splits_of_epochs(texts)
    assert splits_of_epochs(texts) != splits_of_epochs(texts, seed=2)


def test_after_each_position_the_rest_is_the_same(texts: Path) -> None:
    def stream() -> Any:
        return data_of(texts).stream.loop().map(as_text)

    assert len(assert_resumes(stream, limit=40)) == 40


def as_text(sample: dict[str, Any]) -> str:
    tables = sample["char_lm"]
    return f"{sample['doc_id']} {tables['starts']} {tables['inputs']['forward'].tolist()}"


def test_windows_are_counted_and_known_again(texts: Path) -> None:
    corpora = [read_corpus(data_of(texts, seed), {}, "train") for seed in (1, 1, 2)]
    profiles = [corpus.profile for corpus in corpora]
    files = [file.read_text(encoding="utf-8") for file in (texts / "train").iterdir()]
    assert profiles[0] == profiles[1]
    assert profiles[0]["sha256"] != profiles[2]["sha256"]
    assert profiles[0]["num_words"] == sum(len(text.split()) for text in files)
    assert profiles[0]["num_docs"] == len(corpora[0].digests)
    assert corpora[0].docs == []
