"""Converter "markup": marked-up texts to Docs, and back."""

from __future__ import annotations

import pytest
from spacy.tokens import Span

import edspipe
from edspipe.data.converters.base import make_converter
from edspipe.doc.attributes import declare_span_attribute
from edspipe.errors import DataError

MARKED = "Pas de <ent label=disease negated=true>fracture du <ent label=bone>fémur</ent></ent>."
NLP = edspipe.blank("eds")


def markup(**kwargs):
    return make_converter("markup", {"tokenizer": NLP.tokenizer, **kwargs})


def test_a_marked_up_text_becomes_a_doc():
    doc = markup(span_setter="gold").to_doc(MARKED)
    assert doc.text == "Pas de fracture du fémur."
    assert [(s.text, s.label_, s._.negated) for s in doc.spans["gold"]] == [
        ("fracture du fémur", "disease", True),
        ("fémur", "bone", None),
    ]
    assert markup().to_record(doc) == {"note_id": None, "note_text": MARKED}


def test_a_record_keeps_its_id():
    converter = markup(preset="md", text_column="content")
    record = {"note_id": "n1", "content": "[Toux](sign)."}
    doc = converter.to_doc(record)
    assert (doc.text, doc._.note_id) == ("Toux.", "n1")
    assert converter.to_record(doc) == record


def test_attributes_can_be_chosen_and_be_false_where_there_are_none():
    converter = markup(span_attributes=["degree"], bool_attributes=["negated"], span_setter="gold")
    doc = converter.to_doc("<ent degree=3 other=1>a</ent> <ent negated>b</ent>")
    assert [(s._.degree, s._.negated) for s in doc.spans["gold"]] == [(3, False), (None, True)]
    declare_span_attribute("other")
    doc.spans["gold"][0]._.other = 1
    text = converter.to_record(doc)["note_text"]
    assert text == "<ent degree=3>a</ent> <ent negated=true>b</ent>"


def test_offsets_inside_a_word_are_widened_and_blank_spans_are_left_out():
    doc = markup().to_doc("brady<ent>cardie</ent> <ent label=x>  </ent>")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("bradycardie", "ent"), ("  ", "x")]
    assert markup().to_doc("a<ent> </ent>b").ents == ()


def test_malformed_markup_names_the_record():
    with pytest.raises(DataError, match=r"^7: malformed markup at character 2: a span begins here"):
        markup().to_doc({"note_id": 7, "text": "a <ent>b"})


def test_crossing_spans_name_the_document():
    doc = NLP("a b c")
    doc._.note_id = "n1"
    doc.spans["x"] = [Span(doc, 0, 2, "L"), Span(doc, 1, 3, "L")]
    with pytest.raises(DataError, match=r"^n1: the spans of characters 0 to 3 and 2 to 5 cross"):
        markup().to_record(doc)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="a preset of markup is one of xml, md; got 'html'"):
        markup(preset="html")


def test_texts_stream_through_the_converter():
    stream = edspipe.data.from_iterable([MARKED, "Rien."], converter="markup")
    docs = list(stream)
    assert [doc.text for doc in docs] == ["Pas de fracture du fémur.", "Rien."]
    records = list(edspipe.data.to_iterable(docs, converter="markup"))
    # doc.ents takes no overlaps: the longest one stayed
    marked = "Pas de <ent label=disease negated=true>fracture du fémur</ent>."
    assert [record["note_text"] for record in records] == [marked, "Rien."]


def test_records_of_json_lines_stream_through_the_converter(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"note_id": "n1", "text": "[Toux](sign)"}\n{"text": "[x"}\n')
    stream = edspipe.data.read_json(path, converter="markup", preset="md", on_error="skip")
    (doc,) = stream
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Toux", "sign")]
