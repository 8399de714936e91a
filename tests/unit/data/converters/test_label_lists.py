"""Converter "labels": lists of labels, dicts of scores, and columns that become attributes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edspipe.data import read_csv, read_json, read_parquet, write_csv, write_json, write_parquet
from edspipe.data.converters.base import make_converter
from edspipe.data.converters.labels import LabelsConverter
from edspipe.doc.document_labels import gold_labels
from edspipe.errors import DataError
from edspipe.stream.stream import Stream

SECRET = "M. Dupont tousse."
KNOWN = ["flu", "cold", "rash"]


def listed(**options: Any) -> LabelsConverter:
    options = {"list_column": "labels", "id_column": "id", **options}
    found = make_converter("labels", options)
    assert isinstance(found, LabelsConverter)
    return found


def record_of(labels: Any) -> dict[str, Any]:
    return {"id": "n1", "text": SECRET, "labels": labels}


# ---- lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "cats"),
    [
        (["flu", "rash"], {"flu": 1.0, "cold": 0.0, "rash": 1.0}),
        (("cold",), {"flu": 0.0, "cold": 1.0, "rash": 0.0}),
        (np.array(["cold"]), {"flu": 0.0, "cold": 1.0, "rash": 0.0}),
        ([], {"flu": 0.0, "cold": 0.0, "rash": 0.0}),
    ],
)
def test_known_labels_that_a_list_lacks_do_not_hold(labels, cats):
    assert listed(labels=KNOWN).to_doc(record_of(labels)).cats == cats


@pytest.mark.parametrize("labels", [["rash", "flu"], []])
def test_without_known_labels_the_list_itself_is_kept(labels):
    doc = listed().to_doc(record_of(labels))
    assert doc.cats == {}
    assert doc._.gold_labels == labels
    assert gold_labels(doc, "_.gold_labels") == set(labels)


@pytest.mark.parametrize("labels", [KNOWN, None])
@pytest.mark.parametrize("found", [["flu", "rash"], ["cold"], []])
def test_lists_come_back_as_they_were(labels, found):
    converter = listed(labels=labels)
    assert converter.to_record(converter.to_doc(record_of(found))) == record_of(found)


def test_a_label_that_stands_twice_counts_once():
    assert listed().to_doc(record_of(["flu", "flu"]))._.gold_labels == ["flu"]


def test_scores_of_a_model_are_written_as_labels_from_a_half_on():
    doc = listed().to_doc(record_of([]))
    doc._.gold_labels = None
    doc.cats = {"flu": 0.5, "cold": 0.49}
    assert listed().to_record(doc)["labels"] == ["flu"]
    assert listed(labels=["cold", "rash"]).to_record(doc)["labels"] == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("flu;rash", ["flu", "rash"]),
        (" flu ; rash;", ["flu", "rash"]),
        ("", []),
        (["flu"], ["flu"]),
    ],
)
def test_a_separator_cuts_texts(value, found):
    assert listed(separator=";").to_doc(record_of(value))._.gold_labels == found


def test_texts_come_back_with_the_separator():
    converter = listed(separator="|", labels=KNOWN)
    assert converter.to_record(converter.to_doc(record_of("flu|rash")))["labels"] == "flu|rash"
    assert converter.to_record(converter.to_doc(record_of("")))["labels"] == ""


def test_a_label_that_holds_the_separator_is_not_written():
    doc = listed(separator="|").to_doc(record_of("flu;A"))
    with pytest.raises(DataError, match=r"^n1: the label 'flu;A' holds the separator ';'; give"):
        listed(separator=";").to_record(doc)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_null_is_an_error_unless_it_is_said_what_it_means(value):
    message = r"^n1: expected a list of labels under labels, got (None|nan)"
    with pytest.raises(DataError, match=message):
        listed().to_doc(record_of(value))
    assert gold_labels(listed(labels=KNOWN, missing="none").to_doc(record_of(value))) == set()
    unknown = listed(labels=KNOWN, missing="unknown")
    assert gold_labels(unknown.to_doc(record_of(value))) is None
    assert unknown.to_record(unknown.to_doc(record_of(value)))["labels"] is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (SECRET, "expected a list of labels under labels, got a text of 17 characters; separator="),
        (3, "expected a list of labels under labels, got 3$"),
        ({"flu": 1}, "expected a list of labels under labels, got a dict$"),
        (["flu", 3], "expected labels in labels, got 3 among them$"),
        ([""], "expected labels in labels, got a text of 0 characters among them$"),
        ([SECRET], "expected one of flu, cold, rash under labels, got a text of 17 characters$"),
    ],
)
def test_what_is_no_list_of_labels_is_an_error_that_quotes_nothing(value, message):
    with pytest.raises(DataError, match=f"^n1: {message}") as caught:
        listed(labels=KNOWN).to_doc(record_of(value))
    assert "Dupont" not in str(caught.value)


# ---- dicts of scores ---------------------------------------------------------------------------


def scored(**options: Any) -> LabelsConverter:
    return listed(list_column=None, scores_column="labels", **options)


def test_a_dict_says_a_score_by_label():
    converter = scored()
    doc = converter.to_doc(record_of({"flu": 0.25, "cold": np.float32(1), "rash": False}))
    assert doc.cats == {"flu": 0.25, "cold": 1.0, "rash": 0.0}
    assert converter.to_record(doc) == record_of({"flu": 0.25, "cold": 1.0, "rash": 0.0})


@pytest.mark.parametrize("value", [{}, {"cold": 0}])
def test_known_labels_that_a_dict_lacks_do_not_hold(value):
    converter = scored(labels=["flu", "cold"])
    doc = converter.to_doc(record_of(value))
    assert doc.cats == {"flu": 0.0, "cold": 0.0}
    assert converter.to_record(doc)["labels"] == {"flu": 0.0, "cold": 0.0}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "expected a dict of scores by label under labels, got a list$"),
        ({3: 1}, "expected a dict of scores by label under labels, got a dict$"),
        ({}, "an empty dict under labels says nothing of any label; give labels=$"),
        ({"flu": 2}, "expected scores from 0 to 1 in labels, got 2$"),
        ({"flu": float("nan")}, "expected scores from 0 to 1 in labels, got nan$"),
        ({"flu": "yes"}, "expected scores from 0 to 1 in labels, got a text of 3 characters$"),
    ],
)
def test_what_is_no_dict_of_scores_is_an_error(value, message):
    with pytest.raises(DataError, match=f"^n1: {message}"):
        scored().to_doc(record_of(value))


def test_a_dict_names_known_labels_only():
    with pytest.raises(DataError, match=r"^n1: expected one of flu under labels, got a text of 4"):
        scored(labels=["flu"]).to_doc(record_of({"cold": 1}))


# ---- attributes --------------------------------------------------------------------------------


def test_columns_become_attributes_and_come_back():
    converter = make_converter("labels", {"doc_attributes": ["ward", "beds"]})
    record = {"ward": "A", "beds": 3, "text": "x"}
    doc = converter.to_doc(record)
    assert (doc._.ward, doc._.beds) == ("A", 3)
    assert converter.to_record(doc) == record


@pytest.mark.parametrize(
    ("value", "number"), [("61", 61.0), (" 6.5", 6.5), (7, 7.0), ("", None), (None, None)]
)
def test_numbers_are_made_of_texts_where_asked_for(value, number):
    converter = make_converter("labels", {"doc_attributes": {"age_read": "number"}})
    assert converter.to_doc({"age_read": value, "text": "x"})._.age_read == number


@pytest.mark.parametrize(
    ("value", "got"), [("old", "a text of 3 characters"), ("nan", "a text of 3"), (True, "True")]
)
def test_what_is_no_number_is_an_error(value, got):
    options = {"doc_attributes": {"age_read": "number"}, "id_column": "id"}
    with pytest.raises(DataError, match=f"^n1: expected a number under age_read, got {got}"):
        make_converter("labels", options).to_doc({"id": "n1", "age_read": value, "text": "x"})


# ---- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"list_column": "a", "label_column": "b"}, "give label_column= or list_column=, not both"),
        ({"scores_column": "a", "list_column": "b"}, "give list_column= or scores_column=, not"),
        ({"labels": ["a"], "labels_columns": ["a"]}, "labels= says what may stand in label_column"),
        ({"separator": ";"}, "separator= cuts the texts of list_column=, which is not given"),
        ({"list_column": "a", "separator": " "}, "separator is a mark such as ';', got ' '"),
        (
            {"list_column": "a", "missing": "no"},
            "input should be 'error', 'none' or 'unknown', got",
        ),
        (
            {"doc_attributes": {"a": "int"}},
            "doc_attributes: expected one of any, number for a, got",
        ),
    ],
)
def test_options_that_contradict_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_converter("labels", options)


# ---- files -------------------------------------------------------------------------------------

RECORDS = [record_of([]), {"id": "n2", "text": "x", "labels": ["flu", "cold"]}]


@pytest.mark.parametrize("labels", [None, ["flu", "cold"]])
@pytest.mark.parametrize(
    ("suffix", "read", "write"),
    [("jsonl", read_json, write_json), ("parquet", read_parquet, write_parquet)],
)
def test_files_with_lists_are_read_and_written(tmp_path: Path, suffix, read, write, labels):
    options: dict[str, Any] = {"list_column": "labels", "id_column": "id", "labels": labels}
    first, second = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    write(RECORDS, first)
    write(read(first, converter="labels", **options), second, converter="labels", **options)
    assert list(read(second)) == RECORDS


def test_lists_that_are_all_empty_make_a_column_that_can_be_read(tmp_path: Path):
    options: dict[str, Any] = {"list_column": "labels", "id_column": "id"}
    docs = [listed().to_doc(record_of([]))]
    write_parquet(docs, tmp_path / "a.parquet", converter="labels", **options)
    (doc,) = read_parquet(tmp_path / "a.parquet", converter="labels", **options)
    assert doc._.gold_labels == []


def test_a_table_has_texts_with_a_separator(tmp_path: Path):
    path, second = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text('id,text,labels\nn1,x,""\nn2,y,flu;cold\n')
    options: dict[str, Any] = {"list_column": "labels", "id_column": "id", "separator": ";"}
    docs = list(read_csv(path, converter="labels", **options))
    assert [doc._.gold_labels for doc in docs] == [[], ["flu", "cold"]]
    write_csv(docs, second, converter="labels", **options)
    assert second.read_text() == path.read_text()


def test_lists_cross_to_workers_and_back():
    converter = listed(doc_attributes=["ward"])
    record = {"id": "n1", "ward": "A", "text": "x", "labels": ["flu"]}
    stream = Stream.from_items([record]).map(pickle.loads(pickle.dumps(converter)).to_doc)  # noqa: S301
    stream = stream.set_processing(num_cpu_workers=1, process_start_method="fork")
    assert list(stream.map(converter.to_record)) == [record]
