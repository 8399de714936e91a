"""The folded view of a text: what it says, and the way back."""

from __future__ import annotations

import gc
import pickle
import unicodedata
import weakref

import pytest
import spacy
from hypothesis import example, given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

import edspipe
from edspipe.matching import text_view
from edspipe.matching.folding import fold, fold_char, fold_text, parts_of
from edspipe.matching.text_view import TextView

NLP = edspipe.blank("eds")
ODD = "aÉ1 œŒﬃß\u0301\u00ad\u200d\u00a0İΣς\n\r\t’–²½µº🙂漢\U0001f468x-'."
TEXTS = st.text(st.sampled_from(ODD), max_size=30) | st.text(max_size=30)
ATTRS = ["TEXT", "LOWER", "NORM", "accents+quotes", "spaces"]


def make_doc(text: str) -> Doc:
    return NLP.make_doc(text.encode("utf-8", "replace").decode("utf-8"))


@pytest.mark.parametrize(
    ("attr", "expected"),
    [
        ("TEXT", "Œdème – l’Été à 3 m²"),
        ("LOWER", "œdème – l’été à 3 m²"),
        ("NORM", "oedeme - l'ete a 3 m²"),
        ("accents", "OEdeme – l’Ete a 3 m²"),
        ("quotes+lowercase", "œdème - l'été à 3 m²"),
    ],
)
def test_each_attr_folds_its_parts(attr, expected):
    doc = NLP("Œdème – l’Été à 3 m²")
    assert TextView.of(doc, attr).text == expected


def test_accents_may_be_composed_or_not():
    composed = "Œdème aigu, cœur à 120, ñ"
    decomposed = unicodedata.normalize("NFD", composed)
    assert decomposed != composed
    assert TextView.of(NLP(decomposed)).text == TextView.of(NLP(composed)).text


@pytest.mark.parametrize("attr", ATTRS)
@given(text=TEXTS)
@example(text="œ\u0301")
@example(text="\u0301e")
def test_a_long_text_is_folded_as_its_characters_are(attr, text):
    folded, counts = fold_text(text, attr)
    each = [fold_char(char, attr) for char in text]
    assert folded == "".join(each) == fold(text, attr)
    assert counts is None or counts.tolist() == [len(chars) for chars in each]


@pytest.mark.parametrize("attr", ["TEXT", "LOWER"])
def test_text_and_lower_case_keep_every_character(attr):
    cased = range(0x1F000)
    assert all(len(fold_char(chr(code), attr)) == 1 for code in cased)


@pytest.mark.parametrize("attr", ["LOWER", "NORM"])
@given(text=TEXTS)
def test_folding_twice_changes_no_more(attr, text):
    assert fold(fold(text, attr), attr) == fold(text, attr)


@pytest.mark.parametrize("attr", ATTRS)
@given(text=TEXTS, data=st.data())
def test_a_span_goes_from_raw_to_folded_and_back_inside_its_bounds(attr, text, data):
    doc = make_doc(text)
    view = TextView.of(doc, attr)
    assert "".join(token.text_with_ws for token in doc) == doc.text == view.raw_text
    start = data.draw(st.integers(0, len(view.text)))
    end = data.draw(st.integers(start, len(view.text)))
    raw_start, raw_end = view.raw(start, end)
    assert 0 <= raw_start <= raw_end <= len(doc.text)
    assert (raw_start < raw_end) == (start < end)
    back = view.norm(raw_start, raw_end)
    if start < end:
        assert back[0] <= start
        assert end <= back[1]
    assert fold(doc.text[raw_start:raw_end], attr) == view.text[back[0] : back[1]]


@pytest.mark.parametrize("attr", ATTRS)
@given(text=TEXTS, data=st.data())
def test_tokens_go_to_the_folded_text_and_back_exactly(attr, text, data):
    doc = make_doc(text)
    view = TextView.of(doc, attr)
    assert view.words == [fold(token.text, attr) for token in doc]
    for token, word in zip(doc, view.words, strict=True):
        start, end = view.norm(token.idx, token.idx + len(token))
        assert view.text[start:end] == word
        if word:
            assert view.tokens(start, end) == (token.i, token.i + 1)


@given(text=TEXTS)
def test_units_are_what_is_not_blank(text):
    view = TextView.of(make_doc(text))
    units = view.units
    places = list(zip(units.starts.tolist(), units.ends.tolist(), strict=True))
    assert [view.text[start:end] for start, end in places] == units.words
    assert "".join(units.words) == "".join(view.text.split())


def test_many_spans_go_back_as_one_does():
    view = TextView.of(NLP("cœur œdème e\u0301te\u0301"))
    starts, ends = view.units.starts, view.units.ends
    many = zip(*(column.tolist() for column in view.raw_many(starts, ends)), strict=True)
    assert list(many) == [view.raw(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]


def test_pollution_is_blank_where_it_is_asked_for():
    doc = NLP("insuffisance [page 2] cardiaque")
    doc.spans["pollution"] = [Span(doc, 1, 5, label="page")]
    view = TextView.of(doc)
    assert view.text == "insuffisance          cardiaque"
    assert [word for word in view.words if word.strip()] == ["insuffisance", "cardiaque"]
    assert view.units.words == ["insuffisance", "cardiaque"]
    assert TextView.of(doc, ignore_excluded=False).text == doc.text


def test_stretches_of_pollution_may_overlap():
    doc = NLP("a b c d e")
    doc.spans["pollution"] = [doc[1:3], doc[2:4], doc[0:1]]
    assert TextView.of(doc).text == "        e"


def test_a_view_is_made_once():
    doc = NLP("Fièvre")
    assert TextView.of(doc) is TextView.of(doc)
    assert TextView.of(doc) is not TextView.of(doc, "LOWER")


def test_a_view_is_made_anew_when_pollution_or_tokens_change():
    doc = NLP("a b c")
    before = TextView.of(doc)
    doc.spans["pollution"] = [doc[0:1]]
    assert TextView.of(doc).text == "  b c"
    doc.spans["pollution"] = []
    assert TextView.of(doc) is before
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    assert TextView.of(doc).words == ["a b", "c"]


def test_saving_and_copying_a_doc_carries_no_view():
    doc = NLP("Fièvre à 39")
    bytes_before, pickled_before = doc.to_bytes(), pickle.dumps(doc)
    TextView.of(doc).units
    assert doc.to_bytes() == bytes_before
    assert len(pickle.dumps(doc)) == len(pickled_before)
    assert TextView.of(doc.copy()).words == TextView.of(doc).words


def test_a_view_does_not_keep_its_doc_alive():
    doc = NLP("Fièvre")
    gone = weakref.ref(doc)
    TextView.of(doc).words
    del doc
    gc.collect()
    assert gone() is None


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(text_view, "MAX_CACHED_CHARS", 100)
    monkeypatch.setattr(text_view, "MAX_CACHED_FORMS", 5)
    remembered = text_view._Remembered()
    docs = [NLP(f"mot{place} de la note") for place in range(40)]
    for doc in docs:
        assert remembered.of(doc).text == doc.text
        assert TextView(doc).words[-1] == "note"
    assert sum(len(tokens.text) for tokens in remembered.tokens.values()) <= 100


def test_docs_of_spacy_have_views_too():
    doc = spacy.blank("fr")("L’œdème n'est pas là.")
    view = TextView.of(doc)
    assert view.text == "l'oedeme n'est pas la."
    assert view.words[:2] == ["l'", "oedeme"]


def test_an_empty_doc_has_an_empty_view():
    view = TextView.of(NLP(""))
    assert (view.text, view.words, view.units.words) == ("", [], [])


@pytest.mark.parametrize("attr", ["norm", "LEMMA", "", "lowercase+case"])
def test_an_unknown_attr_is_refused(attr):
    with pytest.raises(ValueError, match=r"attr: expected one of TEXT, LOWER, NORM, or some of"):
        parts_of(attr)
