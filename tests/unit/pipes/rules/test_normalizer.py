"""eds.normalizer: pollution, norms, and offsets that stay exact."""

from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Span

import edspipe
import edspipe.pipes as eds
from edspipe.errors import ConfigError
from edspipe.lang.words import languages
from edspipe.matching.folding import fold
from edspipe.matching.phrases import PhraseMatcher
from edspipe.matching.text_view import TextView

NLP = edspipe.blank("eds")
ODD = "aÉ1 œŒß\u0301\u00ad\u00a0İ\n\r\t’–²°🙂漢_x*[]|=-."
TEXTS = st.text(st.sampled_from(ODD), max_size=40) | st.text(max_size=40)
POLLUTED = st.sampled_from(["[**Nom**]", "\nPage 2/3\n", "*A1B2C3D4*", "=====", "www.a.fr", "XXXX"])


def normalized(text: str, **kwargs):
    return eds.normalizer(**{"lang": "fr", **kwargs}).build()(NLP.make_doc(text))


def pollution(text: str, **kwargs) -> list[tuple[str, str]]:
    doc = normalized(text, **kwargs)
    return [(span.label_, span.text) for span in doc.spans["pollution"]]


@pytest.mark.parametrize("lang", languages())
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vu [**Name 12**] ce", [("mask", "[**Name 12**]")]),
        ("XXXXX a", [("mask", "XXXXX")]),
        ("le ____ a", [("mask", "____")]),
        ("a\n*0012AB34CD*\nb", [("barcode", "*0012AB34CD*")]),
        ("a || ||| b", [("barcode", "|| |||")]),
        ("a\n==========\nb", [("ruler", "==========")]),
        ("a ........ b", [("ruler", "........")]),
        ("a\fb", [("page", "\f")]),
        ("a https://b.org/c?d=1 e", [("web", "https://b.org/c?d=1")]),
        ("[**2151-7-16**]", []),
        ("a - b -- c ... d", []),
        ("maxxxx **note** T4 | T5", []),
        ("", []),
    ],
)
def test_pollution_of_all_languages_is_marked(lang, text, expected):
    assert pollution(text, lang=lang) == expected


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("fr", "a\nPage 2/3\nb", [("page", "Page 2/3")]),
        ("fr", "a\nPAGE 2 sur 3\nb", [("page", "PAGE 2 sur 3")]),
        ("fr", "a\nPage 2\nb", [("page", "Page 2")]),
        ("fr", "Imprimé le 12/03/2020 à 10:32", [("page", "Imprimé le 12/03/2020 à 10:32")]),
        ("fr", "Vu <NOM> ce jour", [("mask", "<NOM>")]),
        ("fr", "la page 12 du carnet de 3 pages", []),
        ("fr", "Le compte rendu est imprimé le jour même. Toux.", []),
        ("en", "a\nPage 2 of 3\nb", [("page", "Page 2 of 3")]),
        ("en", "Seen by <DOCTOR> today", [("mask", "<DOCTOR>")]),
        ("es", "a\nPágina 2 de 3\nb", [("page", "Página 2 de 3")]),
        ("es", "Visto por <NOMBRE>", [("mask", "<NOMBRE>")]),
    ],
)
def test_pollution_of_a_language_is_marked(lang, text, expected):
    assert pollution(text, lang=lang) == expected


def test_a_term_is_found_across_pollution_and_reported_on_the_raw_text():
    doc = normalized("Insuffisance\nPage 2/3\nrénale")
    ((_, first, end),) = PhraseMatcher({"x": ["insuffisance renale"]}).find(doc)
    assert doc[first:end].text == doc.text


def test_kinds_can_be_switched_off():
    text = "Page 2/3\n=====\n"
    assert [kind for kind, _ in pollution(text)] == ["page", "ruler"]
    assert [kind for kind, _ in pollution(text, pollution={"page": False})] == ["ruler"]
    assert "pollution" not in normalized(text, pollution=False).spans


def test_patterns_can_be_added_and_taken_away():
    changes = {"patterns": {"footer": [r"Hôpital \w{1,20} - pôle"], "ruler": None}}
    found = pollution("===== HOPITAL Nord – Pôle", changes=changes)
    assert found == [("footer", "HOPITAL Nord – Pôle")]


def test_spans_of_others_stay():
    doc = NLP("a b =====")
    doc.spans["pollution"] = [Span(doc, 0, 1, label="mine")]
    eds.normalizer(lang="fr").build()(doc)
    assert [span.label_ for span in doc.spans["pollution"]] == ["mine", "ruler"]


def test_twice_is_as_once():
    pipe = eds.normalizer(lang="fr", norm=True).build()
    doc = pipe(NLP("Vu [**Nom**] Page 2/3\n====="))
    once = doc.to_bytes()
    assert pipe(doc).to_bytes() == once


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, "l ' oedeme"),
        ({"lowercase": False}, "L ' OEdeme"),
        ({"accents": False}, "l ' œdème"),
        ({"quotes": False}, "l ’ oedeme"),
        ({"lowercase": False, "accents": False, "quotes": False, "spaces": False}, "L ’ Œdème"),
    ],
)
def test_norms_are_written_with_the_parts_that_are_on(switches, expected):
    doc = normalized("L’Œdème", norm=True, **switches)
    assert " ".join(token.norm_ for token in doc) == expected


def test_norms_leave_the_rest_of_the_doc_alone():
    doc = eds.sentences().build()(NLP("Toux. Fièvre."))
    doc.ents = [Span(doc, 0, 1, label="x")]
    eds.normalizer(lang="fr", norm=True).build()(doc)
    assert [token.norm_ for token in doc] == ["toux", ".", "fievre", "."]
    assert len(list(doc.sents)) == 2
    assert [ent.label_ for ent in doc.ents] == ["x"]


@given(parts=st.lists(TEXTS | POLLUTED, max_size=5), data=st.data())
def test_every_span_goes_raw_to_normalised_and_back_inside_its_bounds(parts, data):
    text = "".join(parts).encode("utf-8", "replace").decode("utf-8")
    doc = normalized(text)
    assert "".join(token.text_with_ws for token in doc) == text
    view = TextView.of(doc)
    first = data.draw(st.integers(0, len(doc)))
    end = data.draw(st.integers(first, len(doc)))
    if first == end:
        return
    span = doc[first:end]
    start, stop = view.norm(span.start_char, span.end_char)
    assert 0 <= start <= stop <= len(view.text)
    if start == stop:
        assert fold(span.text, "NORM") == ""
        return
    raw_start, raw_end = view.raw(start, stop)
    assert span.start_char <= raw_start < raw_end <= span.end_char
    tokens = view.tokens(start, stop)
    assert first <= tokens[0] < tokens[1] <= end


@given(parts=st.lists(TEXTS | POLLUTED, max_size=5))
def test_pollution_is_blank_and_the_rest_is_not(parts):
    doc = normalized("".join(parts).encode("utf-8", "replace").decode("utf-8"))
    view, whole = TextView.of(doc), TextView.of(doc, ignore_excluded=False)
    inside = {i for span in doc.spans["pollution"] for i in range(span.start, span.end)}
    for token, word, full in zip(doc, view.words, whole.words, strict=True):
        assert word == (" " if token.i in inside else full)


def test_the_language_is_the_pipelines():
    assert pollution("Página 2 de 3", lang="es")
    nlp = spacy.blank("es")
    nlp.add_pipe("edspipe_normalizer")
    doc = nlp("Página 2 de 3")
    assert [span.label_ for span in doc.spans["pollution"]] == ["page"]


def test_it_works_saved_and_loaded_in_spacy(tmp_path):
    nlp = spacy.blank("fr")
    nlp.add_pipe("edspipe_normalizer", config={"norm": True, "pollution": {"mask": False}})
    nlp.to_disk(tmp_path / "m")
    doc = spacy.load(tmp_path / "m")("Été XXXX\nPage 2/3")
    assert [span.label_ for span in doc.spans["pollution"]] == ["page"]
    assert doc[0].norm_ == "ete"


def test_a_pipeline_without_a_language_is_refused():
    with pytest.raises(ConfigError, match=r"eds.normalizer: expected lang=, one of en, es, fr"):
        eds.normalizer().build()


def test_no_language_is_needed_without_pollution():
    eds.normalizer(pollution=False).build()(NLP("a"))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match=r"pollution.pages: unknown. Did you mean 'page'"):
        eds.normalizer(lang="fr", pollution={"pages": False}).build()


def test_a_wrong_pattern_of_a_user_is_refused():
    with pytest.raises(ValueError, match="regex of 'mine'"):
        eds.normalizer(lang="fr", changes={"patterns": {"mine": ["("]}}).build()


@pytest.mark.parametrize("lang", languages())
def test_a_word_between_asterisks_is_no_bar_code(lang):
    assert pollution("*PENICILLINE* et *AB123456*", lang=lang) == [("barcode", "*AB123456*")]
