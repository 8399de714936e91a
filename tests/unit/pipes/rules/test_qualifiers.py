"""eds.negation, eds.hypothesis, eds.family, eds.history, eds.reported_speech."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest
import spacy
import yaml
from spacy.tokens import Doc, DocBin, Span

import edspipe
import edspipe.pipes as eds
from edspipe.doc.markup import parse_markup
from edspipe.errors import ConfigError
from edspipe.lang.words import load_words
from edspipe.matching import text_view
from edspipe.pipes.rules.qualifiers.frame import Frame, cut_term

SENTENCES = Path(__file__).parent / "sentences"
QUALIFIERS = ("negation", "hypothesis", "family", "history", "reported_speech")
LANGS = ("en", "fr", "es")
NLP = edspipe.blank("eds")


def build(name: str, **options):
    return getattr(eds, name)(**options).build()


PIPES = {(name, lang): build(name, lang=lang) for name in QUALIFIERS for lang in LANGS}


def read_sentences() -> list:
    return [
        pytest.param(name, lang, marked, id=f"{name}-{lang}-{number}")
        for name in QUALIFIERS
        for lang in LANGS
        for number, marked in enumerate(
            yaml.safe_load((SENTENCES / f"{name}_{lang}.yml").read_text("utf-8"))
        )
    ]


def make_doc(marked: str, nlp=NLP, group: str = "findings") -> Doc:
    """Return a Doc with the spans of a marked-up text; their labels are their numbers."""
    text, spans = parse_markup(marked)
    doc = nlp.make_doc(text)
    doc.spans[group] = [
        doc.char_span(span.start, span.end, label=str(number), alignment_mode="expand")
        for number, span in enumerate(spans)
    ]
    return doc


def qualify(name: str, lang: str, marked: str, **options) -> list[Span]:
    pipe = build(name, lang=lang, **options) if options else PIPES[name, lang]
    doc = pipe(make_doc(marked))
    return list(doc.spans["findings"])


@pytest.mark.parametrize(("name", "lang", "marked"), read_sentences())
def test_a_sentence(name, lang, marked):
    gold = [span.attributes[name] for span in parse_markup(marked)[1]]
    found = qualify(name, lang, marked)
    assert [(span.text, span._.get(name)) for span in found] == [
        (span.text, value) for span, value in zip(found, gold, strict=True)
    ]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", QUALIFIERS)
def test_there_are_dozens_of_sentences(name, lang):
    marked = yaml.safe_load((SENTENCES / f"{name}_{lang}.yml").read_text("utf-8"))
    values = [span.attributes[name] for text in marked for span in parse_markup(text)[1]]
    assert len(marked) >= 24
    assert {True, False} == set(values)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", ["negation", "hypothesis"])
def test_spacys_own_tokenizers_give_the_same_values(name, lang):
    nlp = spacy.blank(lang)
    nlp.add_pipe(f"edspipe_{name}")
    marked = yaml.safe_load((SENTENCES / f"{name}_{lang}.yml").read_text("utf-8"))
    for sentence in marked:
        doc = nlp.get_pipe(f"edspipe_{name}")(make_doc(sentence, nlp))
        gold = [span.attributes[name] for span in parse_markup(sentence)[1]]
        assert [span._.get(name) for span in doc.spans["findings"]] == gold, sentence


def test_the_cue_that_decided_is_a_span():
    fever, cough = qualify("negation", "fr", "Pas de <ent>fièvre</ent>, mais une <ent>toux</ent>.")
    assert fever._.negation_cue.text == "Pas de"
    assert cough._.negation_cue is None


def test_the_nearest_cue_decides():
    (pain,) = qualify("negation", "en", "No fever, denies any <ent>pain</ent>.")
    assert pain._.negation_cue.text == "denies"


def test_without_the_pipe_the_value_is_none():
    doc = make_doc("No <ent>fever</ent>")
    assert doc.spans["findings"][0]._.negation is None
    assert doc[0]._.negation is None


def test_a_second_pass_changes_nothing():
    doc = make_doc("No <ent>fever</ent>, but <ent>cough</ent>. History of <ent>gout</ent>.")
    pipes = [PIPES[name, "en"] for name in QUALIFIERS]
    for pipe in pipes:
        pipe(doc)
    once = pickle.dumps(doc.user_data)
    for pipe in pipes:
        pipe(doc)
    assert pickle.dumps(doc.user_data) == once


def test_a_cue_that_is_gone_is_forgotten():
    doc = PIPES["negation", "en"](make_doc("No <ent>fever</ent>"))
    PIPES["negation", "fr"](doc)
    assert doc.spans["findings"][0]._.negation is False
    assert doc.spans["findings"][0]._.negation_cue is None


def test_values_and_cues_survive_being_saved():
    doc = PIPES["negation", "en"](make_doc("No <ent>fever</ent>"))
    box = DocBin(docs=[doc], store_user_data=True)
    (read,) = DocBin().from_bytes(box.to_bytes()).get_docs(NLP.vocab)
    (fever,) = read.spans["findings"]
    assert (fever._.negation, fever._.negation_cue.text) == (True, "No")


def test_entities_and_all_groups_are_qualified():
    doc = make_doc("No <ent>fever</ent> or cough")
    doc.ents = [Span(doc, 3, 4, label="sign")]
    PIPES["negation", "en"](doc)
    assert (doc.ents[0]._.negation, doc.spans["findings"][0]._.negation) == (True, True)


def test_a_span_getter_chooses():
    doc = make_doc("No <ent>fever</ent> or cough")
    doc.ents = [Span(doc, 3, 4, label="sign")]
    eds.negation(lang="en", span_getter="ents").build()(doc)
    assert (doc.ents[0]._.negation, doc.spans["findings"][0]._.negation) == (True, None)


def test_tokens_are_qualified_where_asked_for():
    doc = eds.negation(lang="en", on_tokens=True).build()(NLP.make_doc("No fever but cough. Pain."))
    assert [token.text for token in doc if token._.negation] == ["fever"]
    assert doc[3]._.negation is False


@pytest.mark.parametrize(
    ("name", "lang", "text"),
    [
        ("negation", "en", "<ent>absence of pain</ent>"),
        ("negation", "en", "<ent>afebrile</ent>"),
        ("negation", "fr", "<ent>apyrétique</ent>"),
        ("negation", "es", "<ent>afebril</ent>"),
        ("hypothesis", "fr", "<ent>possible fracture</ent>"),
    ],
)
def test_a_cue_within_the_span_counts_where_asked_for(name, lang, text):
    assert qualify(name, lang, text)[0]._.get(name) is False
    assert qualify(name, lang, text, within=True)[0]._.get(name) is True


def test_history_looks_within_the_span_unless_told_not_to():
    text = "<ent>status post stroke</ent>"
    assert qualify("history", "en", text)[0]._.history is True
    assert qualify("history", "en", text, within=False)[0]._.history is False


@pytest.mark.parametrize(
    ("name", "lang", "text"),
    [
        ("negation", "en", "no <ent>change</ent> in the <ent>fracture</ent>"),
        ("negation", "fr", "pas d'<ent>aggravation</ent> de la <ent>fracture</ent>"),
        ("negation", "es", "sin <ent>cambios</ent> en la <ent>fractura</ent>"),
    ],
)
def test_what_a_pseudo_cue_speaks_of_is_qualified_and_nothing_behind_it(name, lang, text):
    assert [span._.get(name) for span in qualify(name, lang, text)] == [True, False]


@pytest.mark.parametrize(
    ("text", "past"),
    [
        ("PMH: <ent>gout</ent>.\n<ent>asthma</ent>.\n\n<ent>fever</ent>", [1, 1, 0]),
        ("PMH: <ent>gout</ent>.\nHe was seen for <ent>fever</ent>.", [1, 0]),
        ("PMH: <ent>gout</ent>. He was treated for <ent>fever</ent>.", [1, 1]),
        ("PMH\n\n<ent>gout</ent>\n\n<ent>asthma</ent>\n", [1, 1]),
        ("2. Medical history\n<ent>gout</ent>", [1]),
        ("He has no medical history\n<ent>Gout</ent>", [0]),
    ],
)
def test_a_heading_reaches_over_its_section(text, past):
    assert [int(span._.history) for span in qualify("history", "en", text)] == past


def test_changes_add_and_take_away_cues():
    changes = {"groups": {"absence": {"terms": ["nope", "-no"]}}}
    text = "Nope <ent>fever</ent>. No <ent>cough</ent>."
    values = [s._.negation for s in qualify("negation", "en", text, changes=changes)]
    assert values == [True, False]


def test_a_cue_reaches_no_further_than_its_sentence():
    values = qualify("negation", "en", "No <ent>fever</ent>. <ent>Cough</ent> since Monday.")
    assert [span._.negation for span in values] == [True, False]


def test_sentences_that_are_set_count():
    doc = make_doc("No <ent>fever</ent> today <ent>cough</ent>")
    for token in doc:
        token.is_sent_start = token.i in (0, 3)
    PIPES["negation", "en"](doc)
    assert [span._.negation for span in doc.spans["findings"]] == [True, False]


def test_a_heading_reaches_to_the_next_one():
    text = (
        "Past medical history:\n- <ent>gout</ent>\n- <ent>asthma</ent>. Well.\n"
        "Examination:\n<ent>murmur</ent>"
    )
    assert [s._.history for s in qualify("history", "en", text)] == [True, True, False]


def test_cues_go_over_line_breaks_and_blanks():
    (fever,) = qualify("negation", "en", "without   evidence\nof any  <ent>fever</ent>")
    assert fever._.negation


def test_pollution_is_no_cue():
    doc = make_doc("no <ent>fever</ent>")
    doc.spans["pollution"] = [doc[0:1]]
    PIPES["negation", "en"](doc)
    assert doc.spans["findings"][0]._.negation is False


@pytest.mark.parametrize("text", ["", " ", "\n\n", "no", "<ent>no</ent>", "( ) no ) <ent>x</ent>"])
@pytest.mark.parametrize("name", QUALIFIERS)
def test_odd_texts_pass(name, text):
    doc = make_doc(text)
    PIPES[name, "en"](doc)
    build(name, lang="en", on_tokens=True, within=True)(doc)


def test_the_language_of_the_pipeline_is_taken():
    nlp = spacy.blank("es")
    nlp.add_pipe("edspipe_negation")
    doc = nlp.get_pipe("edspipe_negation")(make_doc("Sin <ent>fiebre</ent>", nlp))
    assert doc.spans["findings"][0]._.negation is True


def test_a_pipeline_without_a_language_must_be_told():
    with pytest.raises(ConfigError, match=r"eds\.negation: expected lang="):
        edspipe.blank("eds").add_pipe("eds.negation")


def test_a_spacy_pipeline_is_saved_and_loaded(tmp_path):
    nlp = spacy.blank("fr")
    nlp.add_pipe("edspipe_negation", config={"within": True})
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    doc = loaded.get_pipe("edspipe_negation")(make_doc("<ent>apyrétique</ent>", loaded))
    assert doc.spans["findings"][0]._.negation is True


def write_words(folder: Path, text: str) -> Path:
    (folder / "clauses.yml").write_text("stops: []\njoints: []\n", "utf-8")
    (folder / "negation.yml").write_text(text, "utf-8")
    return folder


def test_a_language_of_ones_own_is_a_folder(tmp_path):
    text = "groups: {without: {direction: before, terms: [ohne]}}"
    folder = write_words(tmp_path, text)
    assert qualify("negation", str(folder), "ohne <ent>Fieber</ent>", within=False)[0]._.negation


def test_a_term_in_two_places_is_refused(tmp_path):
    text = "groups: {a: {direction: before, terms: [no]}}\npseudo: [no]"
    with pytest.raises(ConfigError, match=r"'no' stands in groups\.a\.terms and in pseudo"):
        load_words("negation", write_words(tmp_path, text))


def test_a_cue_in_two_parts_takes_what_stands_between(tmp_path):
    text = "groups: {}\npairs: {ne: {first: [ne], second: [pas], max_words: 2}}"
    folder = str(write_words(tmp_path, text))
    near = qualify("negation", folder, "ne <ent>tousse</ent> pas", within=False)
    far = qualify("negation", folder, "ne <ent>tousse</ent> a b c pas", within=False)
    assert (near[0]._.negation, far[0]._.negation) == (True, False)


@pytest.mark.parametrize("name", QUALIFIERS)
def test_time_is_linear(name):
    sentence = "no fever, cough and rash (not seen), denies history of mother if « pain , , ( "
    pipe = PIPES[name, "en"]
    doc = NLP.make_doc(sentence * 1250)  # 100 000 characters, one sentence
    doc.spans["findings"] = [Span(doc, i, i + 1, label="x") for i in range(1, len(doc), 2)]
    begin = time.process_time()
    pipe(doc)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", QUALIFIERS)
def test_no_two_terms_of_different_groups_are_the_same_without_accents(name, lang):
    words = load_words(name, lang)
    places = {group: cues.terms for group, cues in words.groups.items()}
    places |= {pair: parts.first for pair, parts in words.pairs.items()}
    places["pseudo"] = words.pseudo
    seen: dict[tuple[str, ...], str] = {}
    for place, terms in places.items():
        for term in terms:
            assert seen.setdefault(cut_term(term), place) == place, term


@pytest.mark.parametrize("lang", LANGS)
def test_the_words_of_clauses_are_single_words(lang):
    clauses = load_words("clauses", lang).model_dump()
    for name in set(clauses) - {"stops", "joints"}:
        assert [term for term in clauses[name] if len(cut_term(term)) != 1] == []


def test_changes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"negation\.yml: groups\.absence\.direction"):
        build("negation", lang="en", changes={"groups": {"absence": {"direction": "up"}}})


def test_an_examination_with_a_negative_result_is_not_negated():
    culture, virus = qualify(
        "negation", "en", "The <ent>blood culture</ent> was negative, the <ent>virus</ent> absent."
    )
    assert (culture._.negation, virus._.negation) == (False, True)


def test_a_text_of_headings_alone_takes_linear_time():
    doc = NLP.make_doc("ATCD : asthme.\n" * 12_000)
    places = [token.i for token in doc if token.text == "asthme"]
    doc.spans["findings"] = [Span(doc, place, place + 1, label="x") for place in places]
    begin = time.process_time()
    PIPES["history", "fr"](doc)
    assert time.process_time() - begin < 2
    assert all(span._.history for span in doc.spans["findings"])


def test_a_frame_is_forgotten_with_its_view():
    doc = make_doc("Pas de <ent negation=true>toux</ent>.")
    first = Frame.of(doc)
    assert Frame.of(doc) is first
    text_view._REMEMBERED.tokens.clear()
    assert Frame.of(doc) is not first


@pytest.mark.parametrize("group", ["pollution", "sections", "section_titles", "tables"])
def test_spans_of_the_layout_are_not_qualified(group):
    doc = PIPES["negation", "fr"](make_doc("Pas de <ent negation=true>toux</ent>.", group=group))
    assert [span._.negation for span in doc.spans[group]] == [None]


def test_an_answer_that_goes_on_is_the_cue_that_it_begins():
    changes = {"groups": {"answer": {"terms": [": absence"]}}}
    text = "<ent>Chest</ent>: absence of <ent>fracture</ent>"
    chest, fracture = qualify("negation", "en", text, changes=changes)
    assert (chest._.negation, fracture._.negation) == (False, True)
    (cough,) = qualify("negation", "en", "<ent>Cough</ent>: absence.", changes=changes)
    assert cough._.negation
