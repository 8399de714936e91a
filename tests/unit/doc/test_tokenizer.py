"""The clinical tokenizer: how it cuts, that it loses nothing, and that it stays linear."""

from __future__ import annotations

import copy
import os
import pickle
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spacy.vocab import Vocab

from edspipe.doc import tokenizer as tokenizer_module
from edspipe.doc.alignment import TokenOffsets
from edspipe.doc.tokenizer import EdsTokenizer
from edspipe.errors import DataError

PATIENT = settings(deadline=None)  # the machine may be busy
CODE_POINTS = st.characters(exclude_categories=["Cs"])
TRICKY = st.sampled_from(
    [*" \t\n\r\v\0aZé1²_.'", "\xa0", "\u0301", "\u200d", "\xad", "👩", "🏽", "ʼ"]
)
TEXTS = st.text(st.one_of(TRICKY, CODE_POINTS), max_size=60)


@pytest.fixture
def tokenizer() -> EdsTokenizer:
    return EdsTokenizer(Vocab())


def rebuild(words: list[str], spaces: list[bool]) -> str:
    return "".join(word + " " * space for word, space in zip(words, spaces, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("Le patient tousse", ["Le", "patient", "tousse"], id="words"),
        pytest.param("M. Dupont.", ["M", ".", "Dupont", "."], id="full stops"),
        pytest.param("l'hôpital", ["l", "'", "hôpital"], id="apostrophe"),
        pytest.param("l’hôpital", ["l", "’", "hôpital"], id="curly apostrophe"),
        pytest.param("b12 10mg 3,5", ["b", "12", "10", "mg", "3", ",", "5"], id="digits apart"),
        pytest.param("m² 10⁹/L ½", ["m", "²", "10⁹", "/", "L", "½"], id="other numbers"),
        pytest.param("a_b", ["a", "_", "b"], id="underscore"),
        pytest.param("...!?", [".", ".", ".", "!", "?"], id="punctuation one by one"),
        pytest.param("CamelCase", ["CamelCase"], id="camel case stays whole"),
        pytest.param("x@y.fr", ["x", "@", "y", ".", "fr"], id="e-mail"),
        pytest.param("β-bloquant αβγ", ["β", "-", "bloquant", "αβγ"], id="greek"),
        pytest.param("e\u0301te\u0301", ["e\u0301te\u0301"], id="combining marks"),
        pytest.param("\u0301a", ["\u0301", "a"], id="mark without a letter"),
        pytest.param("hypo\u00adthèse", ["hypo\u00adthèse"], id="soft hyphen in a word"),
        pytest.param("fin\u00ad.", ["fin", "\u00ad", "."], id="soft hyphen behind a word"),
        pytest.param("हिन्दी", ["हिन्दी"], id="vowel signs"),
        pytest.param("٣٤كغ", ["٣٤", "كغ"], id="arabic digits"),
        pytest.param("患者は", ["患者は"], id="japanese"),
        pytest.param("😀😀", ["😀", "😀"], id="emoji one by one"),
        pytest.param("👍🏽👩‍⚕️🇫🇷🇫", ["👍🏽", "👩‍⚕️", "🇫🇷", "🇫"], id="parts of one emoji"),
        pytest.param("1️⃣", ["1️⃣"], id="keycap"),
        pytest.param("a\0b", ["a", "\0", "b"], id="nul"),
        pytest.param("a\nb", ["a", "\n", "b"], id="newline"),
        pytest.param("a\n\nb", ["a", "\n", "\n", "b"], id="newlines one by one"),
        pytest.param("a\r\n\r\nb", ["a", "\r\n", "\r\n", "b"], id="windows line ends"),
        pytest.param("\r\r\n\n", ["\r", "\r\n", "\n"], id="mixed line ends"),
        pytest.param("\t\ta\v\f", ["\t", "\t", "a", "\v", "\f"], id="tabs, vertical spaces"),
        pytest.param("5\xa0mg", ["5", "\xa0", "mg"], id="no-break space"),
        pytest.param("a\u2009\xa0b", ["a", "\u2009\xa0", "b"], id="a run of other spaces"),
    ],
)
def test_cuts(tokenizer: EdsTokenizer, text: str, expected: list[str]) -> None:
    assert [token.text for token in tokenizer(text)] == expected


@pytest.mark.parametrize(
    ("text", "words", "spaces"),
    [
        pytest.param("a b", ["a", "b"], [True, False], id="one blank trails"),
        pytest.param("a    b", ["a", "   ", "b"], [True, False, False], id="further blanks"),
        pytest.param("  a ", ["  ", "a"], [False, True], id="blanks at the ends"),
        pytest.param(" ", [" "], [False], id="only a blank"),
        pytest.param("\n a", ["\n", "a"], [True, False], id="behind a newline"),
        pytest.param("\r\n  a", ["\r\n", " ", "a"], [True, False, False], id="indented line"),
        pytest.param("a\t b", ["a", "\t", "b"], [False, True, False], id="behind a tab"),
    ],
)
def test_blanks(tokenizer: EdsTokenizer, text: str, words: list[str], spaces: list[bool]) -> None:
    assert tokenizer.tokenize(text) == (words, spaces)
    assert [bool(token.whitespace_) for token in tokenizer(text)] == spaces


SHARED = EdsTokenizer(Vocab())


@PATIENT
@given(TEXTS)
@example("a\u0301 \u0301b\r \r\n  \n")
def test_words_and_blanks_tile_any_text(text: str) -> None:
    words, spaces = SHARED.tokenize(text)
    assert rebuild(words, spaces) == text
    assert all(words)


@PATIENT
@given(TEXTS)
@example("\0 \0  \0")
def test_a_doc_gives_any_text_back(text: str) -> None:
    assert SHARED(text).text == text


@PATIENT
@given(TEXTS)
def test_a_remembered_cut_is_the_cut_of_a_fresh_tokenizer(text: str) -> None:
    fresh = [token.text for token in EdsTokenizer(Vocab())(text)]
    assert [token.text for token in SHARED(text)] == fresh == SHARED.tokenize(text)[0]


@PATIENT
@given(st.text(st.sampled_from("ab.\n\r \0"), max_size=12) | TEXTS)
@example("a\0 b")
@example("\n   a\n  b  \n ")
def test_a_doc_has_the_words_and_blanks_of_the_exact_cut(text: str) -> None:
    doc = SHARED(text)
    found = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
    assert found == SHARED.tokenize(text)


@PATIENT
@given(TEXTS)
def test_no_word_mixes_letters_digits_and_punctuation(text: str) -> None:
    for word in SHARED.tokenize(text)[0]:
        kinds = {unicodedata.category(c)[0] for c in word if c not in "\u200c\u200d\u2060\xad"}
        kinds -= {"M"}
        # Roman numeral signs count as letters; the skin tones of emoji are modifiers (Sk).
        assert len(kinds) <= 1 or (kinds <= {"L", "N"} and not any(c.isdecimal() for c in word))


@PATIENT
@given(st.text(st.sampled_from("aéèçôÀñ "), max_size=30))
def test_composed_and_combining_accents_are_cut_alike(text: str) -> None:
    composed, combining = SHARED(text), SHARED(unicodedata.normalize("NFD", text))
    assert [t.text for t in composed] == [unicodedata.normalize("NFC", t.text) for t in combining]


def test_every_character_survives(tokenizer: EdsTokenizer) -> None:
    every = "".join(chr(c) for c in range(0x20000) if not 0xD800 <= c < 0xE000)
    for text in (every, every[::-1], "a".join(every[:5000]), " ".join(every[:5000])):
        assert tokenizer(text).text == text


@pytest.mark.parametrize(("text", "offset"), [("\ud800", 0), ("été \udc80 x", 4)])
def test_a_lone_surrogate_is_refused_by_its_offset(
    tokenizer: EdsTokenizer, text: str, offset: int
) -> None:
    with pytest.raises(DataError, match=f"lone surrogate at character {offset}") as caught:
        tokenizer(text)
    assert caught.value.__context__ is None  # the codec's error would carry the text
    with pytest.raises(DataError, match="lone surrogate"):
        tokenizer.tokenize(text)


def test_only_text_is_taken(tokenizer: EdsTokenizer) -> None:
    with pytest.raises(TypeError, match="takes a str; got bytes"):
        tokenizer(b"text")  # type: ignore[arg-type]


def test_pipe_makes_a_doc_of_each_text(tokenizer: EdsTokenizer) -> None:
    texts = ["a b", "", "c."]
    assert [doc.text for doc in tokenizer.pipe(iter(texts), batch_size=2)] == texts


def test_there_is_no_state_to_save(tokenizer: EdsTokenizer, tmp_path: Path) -> None:
    tokenizer("un texte")
    tokenizer.to_disk(tmp_path / "tokenizer", exclude=["vocab"])
    assert list(tmp_path.iterdir()) == []
    assert tokenizer.from_disk(tmp_path / "tokenizer", exclude=["vocab"]) is tokenizer
    assert tokenizer.to_bytes(exclude=["vocab"]) == b""
    assert tokenizer.from_bytes(b"", exclude=["vocab"]) is tokenizer


def pickled(tokenizer: EdsTokenizer) -> EdsTokenizer:
    return pickle.loads(pickle.dumps(tokenizer))  # noqa: S301


@pytest.mark.parametrize("clone", [copy.deepcopy, pickled])
def test_a_copy_carries_no_text_that_was_seen(
    tokenizer: EdsTokenizer, clone: Callable[[EdsTokenizer], EdsTokenizer]
) -> None:
    expected = [token.text for token in tokenizer("Secret b12.")]
    copied = clone(tokenizer)
    assert not copied._orths
    assert [token.text for token in copied("Secret b12.")] == expected


def test_a_memory_zone_may_end_between_two_docs(tokenizer: EdsTokenizer) -> None:
    with tokenizer.vocab.memory_zone():
        tokenizer("motinconnu b12")
    assert tokenizer("motinconnu b12").text == "motinconnu b12"


def test_the_vocabulary_may_be_exchanged(tokenizer: EdsTokenizer) -> None:
    tokenizer("motinconnu")
    tokenizer.vocab = Vocab()
    doc = tokenizer("motinconnu autre")
    assert doc.text == "motinconnu autre"
    assert doc.vocab is tokenizer.vocab
    assert "autre" in tokenizer.vocab.strings


def test_what_is_remembered_is_bounded(
    tokenizer: EdsTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_module, "MAX_CACHED_RUNS", 10)
    text = " ".join(f"x{i}" for i in range(95)) + " " + "y" * 1000
    assert tokenizer(text).text == text
    assert len(tokenizer._orths) <= 10


def cpu_time(text: str) -> float:
    """Best of three, each with a tokenizer that has seen nothing."""
    best = float("inf")
    for _ in range(3):
        tokenizer = EdsTokenizer(Vocab())
        begin = time.process_time()
        tokenizer(text)
        best = min(best, time.process_time() - begin)
    return best


PATHOLOGICAL = ["a", "1/", "\n", " ", "\r", "a\u0301", "❤\u200d", "a\u200d ", "x1_\t", "\xa0"]
SLACK = 30
"""Ten times the text costs ten times the time; a quadratic cut would cost a hundred times."""


def pathological(unit: str, num_chars: int) -> str:
    return unit * (num_chars // len(unit))


@pytest.mark.parametrize("unit", PATHOLOGICAL, ids=ascii)
def test_time_is_linear(unit: str) -> None:
    small, large = (cpu_time(pathological(unit, n)) for n in (10_000, 100_000))
    assert large <= SLACK * small


def test_a_word_and_a_run_of_joiners_cost_linear_time() -> None:
    small, large = (cpu_time("a" + "\u200d" * n) for n in (10_000, 100_000))
    assert large <= SLACK * small


@pytest.mark.slow
@pytest.mark.parametrize("unit", PATHOLOGICAL, ids=ascii)
def test_a_million_characters_take_seconds(unit: str) -> None:
    small, large = (cpu_time(pathological(unit, n)) for n in (100_000, 1_000_000))
    assert large < 10
    assert large <= 12 * small + 0.5  # fresh memory costs page faults on top


def corpus(*parts: str) -> Path:
    root = os.environ.get("EDSPIPE_CORPORA")
    if not root:
        pytest.skip("needs the real corpora: set EDSPIPE_CORPORA to their folder")
    folder = Path(root).joinpath(*parts)
    if not folder.is_dir():
        pytest.skip(f"the corpora hold no folder {'/'.join(parts)}")
    return folder


def read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def read_offsets(path: Path) -> list[tuple[int, int]]:
    lines = [line.split("\t") for line in read_text(path).splitlines() if line.startswith("T")]
    numbers = [line[1].split(" ", 1)[1].replace(";", " ").split() for line in lines]
    return [(int(offsets[0]), int(offsets[-1])) for offsets in numbers]


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("parts", "limit"),
    [
        pytest.param(("meddocan", "train"), 0.002, id="meddocan"),
        pytest.param(("ncbi_disease", "train"), 0.001, id="ncbi"),
    ],
)
def test_entities_fall_on_words(
    tokenizer: EdsTokenizer, parts: tuple[str, str], limit: float
) -> None:
    total = astray = 0
    for path in sorted(corpus(*parts).glob("*.ann")):
        offsets = TokenOffsets(tokenizer(read_text(path.with_suffix(".txt"))))
        snapped = [offsets.snap(*span) for span in read_offsets(path)]
        total += len(snapped)
        astray += sum(words is None or words[2] for words in snapped)
    assert total > 1000
    assert astray / total <= limit


@pytest.mark.corpora
@pytest.mark.parametrize("name", ["meddocan", "ncbi_disease"])
def test_notes_come_back_exactly(tokenizer: EdsTokenizer, name: str) -> None:
    texts = [read_text(path) for path in sorted(corpus(name, "dev").glob("*.txt"))]
    assert [doc.text for doc in tokenizer.pipe(texts)] == texts


@pytest.mark.corpora
def test_notes_are_cut_fast(tokenizer: EdsTokenizer) -> None:
    texts = [read_text(path) for path in sorted(corpus("ncbi_disease", "train").glob("*.txt"))]
    num_words = sum(len(text.split()) for text in texts)
    best = float("inf")
    for _ in range(5):
        begin = time.process_time()
        for text in texts:
            tokenizer(text)
        best = min(best, time.process_time() - begin)
    assert num_words / best >= 660_000
