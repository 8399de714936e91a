"""Converter "labels": documents for classification."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from spacy.tokens import Doc

import edspipe
from edspipe.config.schema import resolve
from edspipe.data import from_iterable, read_csv, read_json, write_json
from edspipe.data.converters.base import make_converter
from edspipe.data.converters.labels import LabelsConverter
from edspipe.errors import DataError
from edspipe.stream.stream import Stream

SECRET = "M. Dupont tousse."


@pytest.fixture(scope="module")
def nlp() -> edspipe.Pipeline:
    return edspipe.blank("eds")


@pytest.fixture
def several(nlp) -> LabelsConverter:
    return make_converter(
        "labels",
        {
            "labels_columns": ["flu", "cold"],
            "id_column": "id",
            "group_column": "patient",
            "tokenizer": nlp.tokenizer,
        },
    )


def one(nlp, **options) -> LabelsConverter:
    options = {"label_column": "label", "id_column": "id", **options}
    return make_converter("labels", {"tokenizer": nlp.tokenizer, **options})


def record_of(**changes) -> dict:
    return {"id": "n1", "patient": "p1", "text": SECRET, "flu": 1, "cold": 0, **changes}


# ---- several labels ----------------------------------------------------------------------------


def test_a_record_becomes_a_doc(several):
    doc = several.to_doc(record_of(other="x"))
    assert isinstance(doc, Doc)
    assert (doc.text, doc.cats) == (SECRET, {"flu": 1.0, "cold": 0.0})
    assert (doc._.note_id, doc._.group) == ("n1", "p1")


def test_a_record_comes_back_as_it_was(several):
    record = several.to_record(several.to_doc(record_of()))
    assert record == record_of()
    assert list(record) == several.columns


@pytest.mark.parametrize(
    ("value", "score"),
    [
        *[(value, 0.0) for value in (0, 0.0, False, "0", "0.0", "false", "False", "FALSE")],
        *[(value, 1.0) for value in (1, 1.0, True, "1", "1.0", "true", "True", "TRUE")],
        *[(np.int64(1), 1.0), (np.float32(0), 0.0), (np.bool_(True), 1.0)],
    ],
)
def test_truth_values_have_several_forms(several, value, score):
    cats = several.to_doc(record_of(cold=value)).cats
    assert cats == {"flu": 1.0, "cold": score}
    assert type(cats["cold"]) is float


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (None, "None"),
        (2, "2"),
        (0.5, "0.5"),
        (-1, "-1"),
        (float("nan"), "nan"),
        (np.float64("nan"), "nan"),
        ("", "a text of 0 characters"),
        (" 1", "a text of 2 characters"),
        ("yes", "a text of 3 characters"),
        (SECRET, "a text of 17 characters"),
        ([1], "a list"),
    ],
)
def test_other_values_are_an_error_that_does_not_quote_text(several, value, got):
    message = f"^n1: expected 0, 1, true or false under cold, got {got}$"
    with pytest.raises(DataError, match=message) as caught:
        several.to_doc(record_of(cold=value))
    assert "Dupont" not in str(caught.value)


@pytest.mark.parametrize("score", [0.25, 1e-9])
def test_scores_of_a_model_are_written_as_they_are(several, score):
    doc = several.to_doc(record_of())
    doc.cats = {"flu": 1.0, "cold": score, "other": 0.5}
    assert several.to_record(doc) == record_of(cold=score)


def test_a_label_without_a_score_is_an_error(several):
    doc = several.to_doc(record_of())
    doc.cats = {"flu": 1.0}
    with pytest.raises(DataError, match=r"^n1: expected a score of cold in .*; it has: flu$"):
        several.to_record(doc)
    doc.cats, doc._.note_id = {}, None
    with pytest.raises(DataError, match=r"^expected a score of flu in doc\.cats; it has: nothing$"):
        several.to_record(doc)


# ---- one label ---------------------------------------------------------------------------------


def test_one_column_may_name_the_label(nlp):
    converter = one(nlp)
    doc = converter.to_doc({"id": 7, "text": "x", "label": "flu"})
    assert (doc.cats, doc._.note_id) == ({"flu": 1.0}, 7)
    assert converter.to_record(doc) == {"id": 7, "text": "x", "label": "flu"}


def test_known_labels_all_get_a_score(nlp):
    doc = one(nlp, labels=["flu", "cold"]).to_doc({"id": 7, "text": "x", "label": "cold"})
    assert doc.cats == {"flu": 0.0, "cold": 1.0}


def test_the_highest_score_is_written(nlp):
    doc = nlp.make_doc("x")
    doc.cats = {"flu": 0.2, "cold": 0.7, "none": 0.1}
    assert one(nlp).to_record(doc) == {"id": None, "text": "x", "label": "cold"}
    doc.cats = {}
    assert one(nlp).to_record(doc)["label"] is None


@pytest.mark.parametrize(
    ("label", "got"),
    [(None, "None"), ("", "a text of 0 characters"), (3, "3"), (float("nan"), "nan")],
)
def test_a_null_label_is_an_error(nlp, label, got):
    with pytest.raises(DataError, match=f"^n1: expected a label under label, got {got}$"):
        one(nlp).to_doc({"id": "n1", "text": SECRET, "label": label})


def test_an_unknown_label_is_an_error_that_does_not_quote_it(nlp):
    converter = one(nlp, labels=["flu", "cold"])
    message = "^n1: expected one of flu, cold under label, got a text of 17 characters$"
    with pytest.raises(DataError, match=message):
        converter.to_doc({"id": "n1", "text": "x", "label": SECRET})


# ---- columns -----------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["id", "patient", "text", "flu"])
def test_a_missing_column_is_an_error_with_what_is_there(several, column):
    record = record_of()
    del record[column]
    found = ", ".join(sorted(record))
    message = f"expected the columns {column}; the record has: {found}$"
    with pytest.raises(DataError, match=message) as caught:
        several.to_doc(record)
    assert caught.value.id == (None if column == "id" else "n1")
    assert "Dupont" not in str(caught.value)


def test_an_empty_record_has_nothing(several):
    with pytest.raises(DataError, match="id, patient, text, flu, cold; the record has: nothing"):
        several.to_doc({})


@pytest.mark.parametrize("text", [None, 3, float("nan"), [SECRET]])
def test_a_text_must_be_a_text(several, text):
    with pytest.raises(DataError, match=r"^n1: expected a text under text, got ") as caught:
        several.to_doc(record_of(text=text))
    assert "Dupont" not in str(caught.value)


def test_what_is_no_record_is_refused(several):
    with pytest.raises(DataError, match=r"^expected a record \(a dict\), got a str$"):
        several.to_doc(SECRET)


def test_an_empty_text_is_a_text(several):
    assert several.to_doc(record_of(text="")).cats == {"flu": 1.0, "cold": 0.0}


def test_without_labels_there_is_only_the_text(nlp):
    converter = make_converter("labels", {"text_column": "t", "tokenizer": nlp.tokenizer})
    doc = converter.to_doc({"t": "x"})
    assert (doc.text, doc.cats, doc._.note_id, doc._.group) == ("x", {}, None, None)
    assert converter.to_record(doc) == {"t": "x"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels_columns": ["a"], "label_column": "b"}, "labels_columns= or label_column=, not"),
        (
            {"labels": ["a"]},
            "labels= says what may stand in label_column=, list_column= or scores_",
        ),
        ({"labels_columns": ["a", "a"]}, "a column is asked for twice: text, a, a"),
        ({"labels_columns": ["a"], "id_column": "a"}, "a column is asked for twice: a, text, a"),
    ],
)
def test_settings_that_contradict_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_converter("labels", options)


# ---- with readers and writers ------------------------------------------------------------------


def test_an_error_is_named_by_its_line(tmp_path, nlp):
    path = tmp_path / "a.csv"
    path.write_text("id,text,flu\nn1,x,1\nn2,M. Dupont,\n")
    options = {"labels_columns": ["flu"], "id_column": "id", "tokenizer": nlp.tokenizer}
    message = r"a\.csv:3:n2: expected 0, 1, true or false under flu, got None$"
    with pytest.raises(DataError, match=message):
        list(read_csv(path, converter="labels", **options))


def test_a_converter_is_made_from_yaml(tmp_path):
    (tmp_path / "a.csv").write_text("id;note;flu\nn1;x;1\nn2;y;0\n")
    config = f"""
    "@readers": csv
    path: {tmp_path}/a.csv
    delimiter: ";"
    converter: labels
    text_column: note
    id_column: id
    labels_columns: [flu]
    """
    stream = resolve(yaml.safe_load(config))
    assert isinstance(stream, Stream)
    docs = list(stream)
    assert [(doc.text, doc._.note_id, doc.cats) for doc in docs] == [
        ("x", "n1", {"flu": 1.0}),
        ("y", "n2", {"flu": 0.0}),
    ]


def test_a_converter_may_stand_in_yaml_by_itself(nlp):
    converter = resolve({"@converters": "labels", "label_column": "l", "text_column": "t"})
    (doc,) = from_iterable([{"t": "x", "l": "A"}], converter=converter)
    assert doc.cats == {"A": 1.0}


def test_written_ids_stand_in_their_own_column(tmp_path, nlp):
    options = {"label_column": "l", "id_column": "id"}
    docs = [nlp.make_doc("x"), nlp.make_doc("y")]
    docs[0]._.note_id, docs[0].cats = "n1", {"A": 1.0}
    write_json(docs, tmp_path / "a.jsonl", converter="labels", **options)
    assert list(read_json(tmp_path / "a.jsonl")) == [
        {"id": "n1", "text": "x", "l": "A"},
        {"id": "doc-000002", "text": "y", "l": None},
    ]


@pytest.mark.parametrize("workers", [0, 1])
def test_labels_and_groups_cross_to_workers_and_back(several, workers):
    stream = Stream.from_items([record_of()]).map(several.to_doc)
    stream = stream.map(lambda doc: doc)
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    (record,) = stream.map(several.to_record)
    assert json.dumps(record) == json.dumps(record_of())
