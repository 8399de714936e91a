"""Converter "note_nlp": a row for each entity, whatever the format."""

from __future__ import annotations

import csv
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from spacy.tokens import Doc, Span

import edspipe
from edspipe.data.converters.note_nlp import NoteNlpConverter
from edspipe.data.csv.streams import write_csv
from edspipe.data.json.streams import write_json
from edspipe.data.parquet.streams import write_parquet
from edspipe.doc.attributes import declare_span_attribute
from edspipe.errors import DataError

for _name in ("negation", "hypothesis", "family", "history", "grade", "when"):
    declare_span_attribute(_name)
NLP = edspipe.blank("eds")


def note(ident: str | None = "n1", text: str = "No fever.\nCough since May.") -> Doc:
    doc = NLP.make_doc(text)
    doc._.note_id = ident
    doc.ents = [
        Span(doc, 1, 2, label="symptom", kb_id="C1"),
        Span(doc, 4, 5, label="symptom"),
    ]
    return doc


def rows(doc: Doc, **options: Any) -> list[dict[str, Any]]:
    return list(NoteNlpConverter(**options).to_record(doc))


def test_each_entity_is_a_row():
    first, second = rows(note())
    assert (first["note_nlp_id"], first["note_id"]) == ("n1-0", "n1")
    assert (first["start_char"], first["end_char"]) == (3, 8)
    assert first["lexical_variant"] == "fever"
    assert (first["note_nlp_source_value"], first["note_nlp_source_concept"]) == ("symptom", "C1")
    assert (second["note_nlp_id"], second["note_nlp_source_concept"]) == ("n1-1", None)


def test_the_layout_has_rows_only_where_it_is_named():
    doc = note()
    doc.spans["sections"] = [Span(doc, 0, 3, label="exam")]
    doc.spans["dates"] = [Span(doc, 6, 7, label="date")]
    labels = [row["note_nlp_source_value"] for row in rows(doc, span_getter=["ents", "*"])]
    assert labels == ["symptom", "symptom", "date"]
    assert [row["note_nlp_source_value"] for row in rows(doc, span_getter="sections")] == ["exam"]


def test_a_note_without_id_numbers_its_rows():
    assert [(row["note_nlp_id"], row["note_id"]) for row in rows(note(None))] == [
        ("0", None),
        ("1", None),
    ]


@pytest.mark.parametrize(
    ("values", "exists"),
    [
        ({}, None),
        ({"negation": False}, "Y"),
        ({"negation": True}, "N"),
        ({"negation": False, "family": True}, "N"),
        ({"negation": False, "hypothesis": True}, "N"),
        ({"history": True}, None),
    ],
)
def test_a_term_exists_if_it_is_the_patients_and_not_negated(values, exists):
    doc = note()
    for name, value in values.items():
        doc.ents[0]._.set(name, value)
    assert rows(doc)[0]["term_exists"] == exists


@pytest.mark.parametrize(("value", "time"), [(None, None), (True, "past"), (False, "present")])
def test_a_term_is_past_or_present(value, time):
    doc = note()
    doc.ents[0]._.history = value
    assert rows(doc)[0]["term_temporal"] == time


def test_all_attributes_are_modifiers():
    doc = note()
    doc.ents[0]._.when = {"value": "2020"}
    doc.ents[0]._.negation = False
    modifiers = json.loads(rows(doc)[0]["term_modifiers"])
    assert modifiers == {"when": {"value": "2020"}, "negation": False}


def test_chosen_attributes_are_columns():
    doc = note()
    doc.ents[0]._.when, doc.ents[0]._.grade = {"value": "é"}, 2
    first, second = rows(doc, span_attributes=["when", "grade", "never_declared"])
    assert (first["when"], first["grade"], first["never_declared"]) == ('{"value": "é"}', 2, None)
    assert (second["when"], second["grade"]) == (None, None)


def test_the_section_is_that_in_which_an_entity_begins():
    doc = note()
    doc.spans["sections"] = [Span(doc, 4, 8, label="history")]
    assert [row["section"] for row in rows(doc)] == [None, "history"]


@pytest.mark.parametrize(("chars", "snippet"), [(3, "No fever. C"), (0, None)])
def test_a_snippet_is_the_words_around_on_one_line(chars, snippet):
    assert rows(note(), snippet_chars=chars)[0]["snippet"] == snippet


def test_a_getter_says_which_spans():
    doc = note()
    doc.spans["dates"] = [Span(doc, 6, 7, label="date")]
    assert [row["lexical_variant"] for row in rows(doc, span_getter="dates")] == ["May"]


def test_rows_cannot_be_read_as_documents():
    with pytest.raises(DataError, match="rows of 'note_nlp' hold entities without the text"):
        NoteNlpConverter().to_doc({"note_nlp_id": "n1-0"})


def notes() -> list[Doc]:
    empty = NLP.make_doc("Nothing.")
    empty._.note_id = "n2"
    return [note("n1"), empty, note("n3")]


IDS = ["n1-0", "n1-1", "n3-0", "n3-1"]


def test_parquet_has_a_row_an_entity(tmp_path):
    report = write_parquet(notes(), tmp_path / "x.parquet", converter="note_nlp")
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.column("note_nlp_id").to_pylist() == IDS
    assert table.column("end_char").to_pylist() == [8, 15, 8, 15]
    assert (report.read, report.done, report.filtered) == (3, 2, 1)


def test_parquet_without_any_entity_has_the_columns(tmp_path):
    write_parquet([notes()[1]], tmp_path / "x.parquet", converter="note_nlp")
    table = pq.read_table(tmp_path / "x.parquet")
    assert (table.num_rows, table.schema.names) == (0, NoteNlpConverter().arrow_schema().names)


def test_csv_and_json_have_a_row_an_entity(tmp_path):
    write_csv(notes(), tmp_path / "x.csv", converter="note_nlp")
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        assert [row["note_nlp_id"] for row in csv.DictReader(file)] == IDS
    write_json(notes(), tmp_path / "x.jsonl", converter="note_nlp")
    lines = (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["note_nlp_id"] for line in lines] == IDS
