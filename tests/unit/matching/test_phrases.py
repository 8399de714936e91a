"""Finding terms, against a search by brute force."""

from __future__ import annotations

import pickle
import random
import re
import time

import numpy as np
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

import edspipe
from edspipe.matching import trie as trie_module
from edspipe.matching.folding import fold
from edspipe.matching.phrases import PhraseMatcher, keep_longest
from edspipe.matching.text_view import TextView
from edspipe.matching.trie import Trie

NLP = edspipe.blank("eds")
FR = spacy.blank("fr")
UNIT = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
WORDS = st.sampled_from(["a", "b", "É", "œ", "12", "-", "a1", "l'", "\n", "ab", "e\u0301"])
TEXTS = st.lists(WORDS, max_size=12).map(" ".join) | st.lists(WORDS, max_size=12).map("".join)
TERMS = st.dictionaries(st.sampled_from("xyz"), st.lists(TEXTS, max_size=6), max_size=3)


def by_brute_force(terms, text):
    """Return the keys and characters of all terms in a folded text, unit by unit."""
    units = list(UNIT.finditer(text))
    found = set()
    for key, of_key in terms.items():
        for term in of_key:
            wanted = UNIT.findall(fold(term, "NORM"))
            for place in range(len(units) - len(wanted) + 1 if wanted else 0):
                if [unit[0] for unit in units[place : place + len(wanted)]] == wanted:
                    last = units[place + len(wanted) - 1]
                    found.add((key, units[place].start(), last.end()))
    return found


@pytest.mark.parametrize("nlp", [NLP, FR], ids=["eds", "fr"])
@pytest.mark.parametrize("max_edges", [0, 1 << 16], ids=["arrays", "dict"])
@given(terms=TERMS, text=TEXTS)
def test_it_finds_what_brute_force_finds(nlp, max_edges, terms, text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trie_module, "MAX_WALKED_EDGES", max_edges)
        matcher = PhraseMatcher(terms, overlaps=True)
    doc = nlp(text)
    view = TextView.of(doc)
    expected = {
        (key, *view.tokens(start, end)) for key, start, end in by_brute_force(terms, view.text)
    }
    found = matcher.find(doc)
    assert set(found) == expected
    assert len(found) == len(expected)
    assert found == sorted(found, key=lambda match: match[1:])


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5))))
def test_the_longest_stay_then_the_leftmost(pairs):
    spans = {(start, start + length) for start, length in pairs}
    taken, expected = set(), []
    for span in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        if taken.isdisjoint(range(*span)):
            taken.update(range(*span))
            expected.append(span)
    assert keep_longest(spans) == sorted(expected)


@given(st.lists(st.lists(st.integers(1, 4), max_size=4), max_size=8), st.lists(st.integers(0, 4)))
def test_both_walks_of_a_trie_find_the_same(sequences, text):
    flat = np.array([symbol for one in sequences for symbol in one], dtype=np.uint32)
    lengths = np.array([len(one) for one in sequences], dtype=np.int64)
    text = [min(symbol, int(flat.max(initial=0))) for symbol in text]
    small = Trie(flat, lengths)
    walked = {tuple(one) for one in zip(*(c.tolist() for c in small.find(text)), strict=True)}
    small._walked = None
    stepped = {tuple(one) for one in zip(*(c.tolist() for c in small.find(text)), strict=True)}
    assert walked == stepped


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("OEDÈME aigu", "œdème"),
        ("T4N0", "t4 n0"),
        ("une masse non\nobstructive", "non obstructive"),
        ("l’AVC", "l'avc"),
        ("e\u0301toile", "étoile"),
        ("vitamine  B12 ", "Vitamine B 12"),
        ("10mg", "mg"),
        ("cardio\u00advasculaire", "cardiovasculaire"),
    ],
)
@pytest.mark.parametrize("nlp", [NLP, FR], ids=["eds", "fr"])
def test_a_term_is_found_whatever_its_form_and_the_tokenizer(nlp, text, term):
    assert len(PhraseMatcher({"x": [term]}).find(nlp(text))) == 1


@pytest.mark.parametrize(
    ("text", "term"), [("toux", "tou"), ("antitoux", "toux"), ("12", "1"), ("a-b", "a b")]
)
def test_parts_of_words_are_not_found(text, term):
    assert PhraseMatcher({"x": [term]}).find(NLP(text)) == []


def test_a_term_of_several_keys_is_found_for_each_in_their_order():
    matcher = PhraseMatcher.from_pairs([("C2", "toux"), ("C1", "toux"), ("C2", "Toux")])
    assert matcher.find(NLP("la toux")) == [("C2", 1, 2), ("C1", 1, 2)]
    assert len(matcher) == 2


def test_terms_of_one_stretch_of_tokens_are_one():
    matcher = PhraseMatcher({"x": ["12", "5"], "y": ["5"]})
    assert matcher.find(FR("12.5")) == [("x", 0, 1), ("y", 0, 1)]


def test_case_and_accents_count_where_asked():
    doc = NLP("Œdème oedème OEDEME")
    assert [m[1] for m in PhraseMatcher({"x": ["Œdème"]}, "TEXT").find(doc)] == [0]
    assert [m[1] for m in PhraseMatcher({"x": ["oeDÈME"]}, "LOWER").find(doc)] == [1]
    assert [m[1] for m in PhraseMatcher({"x": ["oedeme"]}).find(doc)] == [0, 1, 2]


def test_pollution_inside_a_term_is_passed_over_unless_told():
    doc = NLP("insuffisance [page] cardiaque")
    doc.spans["pollution"] = [doc[1:4]]
    terms = {"x": ["insuffisance cardiaque"], "y": ["page"]}
    assert PhraseMatcher(terms).find(doc) == [("x", 0, 5)]
    assert PhraseMatcher(terms, ignore_excluded=False).find(doc) == [("y", 2, 3)]


def test_a_term_may_hold_line_breaks_and_an_empty_one_is_none():
    matcher = PhraseMatcher({"x": ["a\nb", "", " \n", "c"]})
    assert matcher.find(NLP("a b c")) == [("x", 0, 2), ("x", 2, 3)]
    assert len(matcher) == 2


def test_a_stream_of_pairs_longer_than_a_block_is_read(monkeypatch):
    monkeypatch.setattr("edspipe.matching.phrases.BLOCK", 7)
    matcher = PhraseMatcher.from_pairs((f"C{n}", f"mot {n}") for n in range(50))
    assert matcher.find(NLP("mot 3, mot 49")) == [("C3", 0, 2), ("C49", 3, 5)]


def test_a_long_text_is_searched_as_a_short_one(monkeypatch):
    text = "mot 3, mot 49 " * 20
    matcher = PhraseMatcher.from_pairs((f"C{n}", f"mot {n}") for n in range(50))
    found = matcher.find(NLP(text))
    monkeypatch.setattr(trie_module, "MAX_WALKED_SYMBOLS", 10)
    assert matcher.find(NLP(text)) == found
    assert len(found) == 40


def test_a_matcher_survives_pickling():
    pickled = pickle.dumps(PhraseMatcher({"x": ["la toux"]}))
    matcher = pickle.loads(pickled)  # noqa: S301
    assert matcher.find(NLP("la toux")) == [("x", 0, 2)]


@pytest.mark.parametrize("text", ["", " ", "rien"])
def test_nothing_is_found_where_there_is_nothing(text):
    assert PhraseMatcher({"x": ["toux"]}).find(NLP(text)) == []
    assert PhraseMatcher({}).find(NLP(text)) == []


def test_an_unknown_attr_is_refused_by_the_matcher():
    with pytest.raises(ValueError, match="attr: expected one of TEXT, LOWER, NORM"):
        PhraseMatcher({"x": ["a"]}, "LEMMA")


@pytest.mark.slow
def test_a_million_terms_load_and_match_in_time():
    rng = random.Random(0)
    vocab = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(100_000)]
    start = time.process_time()
    terms = ((str(n), " ".join(rng.choices(vocab, k=rng.randint(1, 5)))) for n in range(1_000_000))
    matcher = PhraseMatcher.from_pairs(terms)
    assert time.process_time() - start < 20
    # A tenth of the words begin a term, as in notes.
    words = rng.choices(vocab, k=10_000) + [f"{word}q" for word in rng.choices(vocab, k=90_000)]
    rng.shuffle(words)
    doc = NLP(" ".join(words))
    start = time.process_time()
    assert matcher.find(doc)
    assert len(doc) / (time.process_time() - start) > 200_000
