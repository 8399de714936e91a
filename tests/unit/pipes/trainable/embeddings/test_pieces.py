"""A tokenizer with a memory gives what it gives without: the same pieces at the same places."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import TEXTS
from tokenizers import AddedToken, Regex, Tokenizer, models, processors, trainers
from tokenizers import normalizers as norm
from tokenizers import pre_tokenizers as pre

from edspipe.pipes.trainable.embeddings import pieces as module
from edspipe.pipes.trainable.embeddings.pieces import PieceTokenizer, splits_at_blanks

SPECIALS = ["<unk>", "[MASK]"]
BLANKS = [" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2003", "\u2028", "\u202f", " " * 70]
ODD = [
    *("\x00", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\u00ad", "\ufeff", "\u200b", "\u200d"),
    *("é", "e\u0301", "\u0301", "ﬁ", "´", "ß", "İ", "œ", "한", "中文", "😷", "👩‍⚕️", "▁", "Ġ"),
]
WORDS = [
    *("patient", "Fièvre", "fever", "39,5", "°C", "L'hôpital:", "amlo", "AMLO", "(EVA", "4/10)."),
    *("[MASK]", "<unk>", "x" * 63, "x" * 64, "y" * 70, "z" * 130),
]
PARTS = st.sampled_from([*BLANKS, *BLANKS, *ODD, *WORDS]) | st.text(max_size=3)
NOTES = st.lists(PARTS, max_size=12).map("".join)
FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def train(model: Any, trainer: Any, pre_tokenizer: Any, normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def wordpiece(*, lower: bool, added: Sequence[AddedToken] = ()) -> Tokenizer:
    trainer = trainers.WordPieceTrainer(
        vocab_size=120, special_tokens=SPECIALS, show_progress=False
    )
    model = models.WordPiece(unk_token="<unk>")
    normalizer = norm.BertNormalizer(lowercase=lower)
    tokenizer = train(model, trainer, pre.BertPreTokenizer(), normalizer)
    tokenizer.add_tokens(list(added))
    return tokenizer


def byte_pairs(prefix: bool = False, post: Any = None, normalizer: Any = None) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIALS,
        initial_alphabet=pre.ByteLevel.alphabet(),
        show_progress=False,
    )
    pre_tokenizer = pre.ByteLevel(add_prefix_space=prefix)
    tokenizer = train(models.BPE(), trainer, pre_tokenizer, normalizer)
    if post is not None:
        tokenizer.post_processor = post
    return tokenizer


def roberta(prefix: bool) -> Any:
    return processors.RobertaProcessing(("<unk>", 0), ("[MASK]", 1), True, prefix)


def unigram(pre_tokenizer: Any, normalizer: Any = None) -> Tokenizer:
    trainer = trainers.UnigramTrainer(
        vocab_size=90, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False
    )
    return train(models.Unigram(), trainer, pre_tokenizer, normalizer)


def sentence_pieces(scheme: str, normalizer: Any = None) -> Tokenizer:
    metaspace = pre.Metaspace(prepend_scheme=scheme)
    return unigram(pre.Sequence([pre.WhitespaceSplit(), metaspace]), normalizer)


def plain_words() -> Tokenizer:
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=SPECIALS, show_progress=False)
    return train(models.BPE(unk_token="<unk>"), trainer, pre.Whitespace())


REMEMBER: dict[str, Callable[[], Tokenizer]] = {
    "wordpiece, lower": lambda: wordpiece(lower=True),
    "wordpiece, cased": lambda: wordpiece(lower=False),
    "wordpiece, added": lambda: wordpiece(lower=True, added=[AddedToken("amlo")]),
    "wordpiece, added word": lambda: wordpiece(
        lower=True, added=[AddedToken("amlo", single_word=True)]
    ),
    "bytes": byte_pairs,
    "bytes, composed": lambda: byte_pairs(normalizer=norm.NFC()),
    "bytes, trimmed": lambda: byte_pairs(post=roberta(prefix=False)),
    "unigram": lambda: sentence_pieces("always"),
    "unigram, normalized": lambda: sentence_pieces(
        "always", norm.Sequence([norm.NFKC(), norm.Replace(Regex(" {2,}"), " ")])
    ),
    "unigram, no prefix": lambda: sentence_pieces("never"),
    "plain words": plain_words,
}
DO_NOT: dict[str, Callable[[], Tokenizer]] = {
    "bytes with a prefix": lambda: byte_pairs(prefix=True),
    "a prefix for the first word": lambda: sentence_pieces("first"),
    "blanks are pieces": lambda: unigram(pre.Metaspace()),
    "no splitting": lambda: Tokenizer(models.BPE()),
    "a piece with a blank": lambda: wordpiece(lower=True, added=[AddedToken("a b")]),
}


@cache
def tokenizer_of(kind: str) -> PieceTokenizer:
    """The tokenizer of a kind, the same one for all texts, so that it remembers."""
    return PieceTokenizer((REMEMBER | DO_NOT)[kind]())


def fresh(kind: str) -> PieceTokenizer:
    return PieceTokenizer(tokenizer_of(kind).backend)


def check(tokenizer: PieceTokenizer, text: str) -> None:
    expected = tokenizer.backend.encode(text, add_special_tokens=False)
    found = tokenizer(text)
    assert [array.dtype for array in found] == [np.int64] * 3
    assert found.ids.tolist() == expected.ids
    assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == expected.offsets


def num_remembered(tokenizer: PieceTokenizer) -> int:
    return len(tokenizer._memory.rows)


@pytest.mark.parametrize("kind", REMEMBER | DO_NOT)
@example("")
@example(" \n\t ")
@example("fever " + "a" * 150 + " fever")
@example("fever[MASK]fever [MASK] fever")
@example("a\x0bb \x1c c\x85d e\x0cf")
@example("a\u00a0b\u3000c\u2028d \u0301e")
@given(NOTES)
@FUZZ
def test_pieces_are_those_of_the_whole_text(kind, text):
    check(tokenizer_of(kind), text)
    check(tokenizer_of(kind), text)


@pytest.mark.parametrize(
    ("kind", "remembers"),
    [*((kind, True) for kind in REMEMBER), *((kind, False) for kind in DO_NOT)],
)
def test_only_tokenizers_that_split_at_blanks_remember(kind, remembers):
    tokenizer = fresh(kind)
    assert tokenizer.remembers is remembers
    tokenizer("fever and cough, and fever")
    assert (num_remembered(tokenizer) > 0) is remembers


@pytest.mark.parametrize("post", [roberta(prefix=True), processors.ByteLevel()])
def test_blanks_that_are_trimmed_but_in_the_first_piece_are_trimmed(post):
    check(PieceTokenizer(byte_pairs(post=post)), "fever fever")


def test_a_prefix_by_a_normalizer_is_given_once():
    prefixed = unigram(pre.WhitespaceSplit(), norm.Prepend("▁"))
    check(PieceTokenizer(prefixed), "fever fever")


def test_a_piece_that_takes_the_blanks_after_it_has_them():
    added = [AddedToken("amlo", rstrip=True)]
    check(PieceTokenizer(wordpiece(lower=True, added=added)), "AMLO 5 mg")


# ---- what is remembered ----------------------------------------------------------------------


class Counting:
    """A tokenizer that counts the texts it is given."""

    def __init__(self, backend: Tokenizer) -> None:
        self.backend = backend
        self.texts: list[str] = []

    def to_str(self) -> str:
        return self.backend.to_str()

    def encode(self, text: str, **kwargs: Any) -> Any:
        self.texts.append(text)
        return self.backend.encode(text, **kwargs)

    def encode_batch(self, texts: list[str], **kwargs: Any) -> Any:
        self.texts.extend(texts)
        return self.backend.encode_batch(texts, **kwargs)


def test_each_unit_is_tokenized_once():
    counting = Counting(tokenizer_of("wordpiece, lower").backend)
    tokenizer = PieceTokenizer(counting)
    for text in ("no fever and no cough", "no cough", "no fever  and"):
        tokenizer(text)
    assert sorted(counting.texts) == ["  and", " and", " cough", " fever", " no", "no"]


@pytest.mark.parametrize(
    "text", ["fever\x0bcough", "fever \x1c cough", "fever [MASK]", "fever " + "x" * 65]
)
def test_a_text_that_is_not_safe_is_tokenized_whole(text):
    counting = Counting(tokenizer_of("wordpiece, lower").backend)
    PieceTokenizer(counting)(text)
    assert counting.texts[-1] == text


@pytest.mark.parametrize("size", [1, 3, 20])
def test_the_memory_is_bounded(monkeypatch, size):
    monkeypatch.setattr(module, "MAX_UNITS", size)
    tokenizer = fresh("bytes")
    words = [f"word{i % 37}" for i in range(200)]
    for first in range(0, 200, 2):
        text = " ".join(words[first : first + 2])
        check(tokenizer, text)
        assert num_remembered(tokenizer) <= max(size, 2)


def test_a_memory_that_starts_anew_forgets_no_word_of_the_text(monkeypatch):
    monkeypatch.setattr(module, "MAX_UNITS", 4)
    tokenizer = fresh("unigram")
    for text in ("a b c d", "a b e f", "e f g h", "a b c d e f g h", "a h"):
        check(tokenizer, text)


def test_the_memory_grows_beyond_its_first_arrays():
    tokenizer = fresh("wordpiece, cased")
    text = " ".join(f"w{i}x{i * 7}" for i in range(1500))
    check(tokenizer, text)
    check(tokenizer, text[::-1])
    check(tokenizer, text)
    assert num_remembered(tokenizer) > 2 * 1024


def test_arrays_that_are_full_to_the_brim_grow_without_loss():
    tokenizer = fresh("wordpiece, cased")
    # As many units as the first arrays have rows.
    text = " ".join(f"{i:04}" for i in range(1024))
    tokenizer(text)
    assert num_remembered(tokenizer) == 1024
    tokenizer(" fever")
    check(tokenizer, text)


def test_a_copy_in_another_process_begins_without_memory():
    tokenizer = fresh("bytes")
    tokenizer("no fever, no cough")
    small = len(pickle.dumps(tokenizer))
    for text in TEXTS:
        tokenizer(text)
    data = pickle.dumps(tokenizer)
    assert len(data) == small
    copy = pickle.loads(data)  # noqa: S301
    assert num_remembered(copy) == 0
    assert copy.remembers
    check(copy, "no fever, no cough")


@pytest.mark.parametrize("size", [8, 100_000])
def test_threads_share_a_memory(monkeypatch, size):
    monkeypatch.setattr(module, "MAX_UNITS", size)
    tokenizer = fresh("wordpiece, lower")
    rng = np.random.default_rng(0)
    texts = [" ".join(f"fever{n}" for n in rng.integers(0, 90, 6)) for _ in range(300)]
    barrier = Barrier(2)

    def work(order: int) -> None:
        barrier.wait(10)
        for text in texts[::order]:
            check(tokenizer, text)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(work, order) for order in (1, -1)]:
            future.result(60)


# ---- which tokenizers do ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pre_tokenizer", "expected"),
    [
        (pre.BertPreTokenizer(), True),
        (pre.Whitespace(), True),
        (pre.Sequence([pre.WhitespaceSplit(), pre.Digits(True)]), True),
        (pre.Sequence([pre.Digits(True), pre.WhitespaceSplit()]), False),
        (pre.ByteLevel(False, use_regex=False), False),
        (pre.Sequence([pre.ByteLevel(False), pre.Digits(True)]), False),
        (pre.Punctuation(), False),
    ],
)
def test_the_first_step_decides(pre_tokenizer, expected):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    assert splits_at_blanks(json.loads(tokenizer.to_str())) is expected
