"""edspipe apply with a pipeline that classifies documents: files of notes in, scores out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

import edspipe
import edspipe.pipes as eds
from edspipe.cli.apply import found_in
from edspipe.cli.main import main
from edspipe.data.converters.base import make_converter
from edspipe.doc.attributes import declare_doc_attribute
from edspipe.errors import DataError

TEXTS = ["Fever and cough.", "No fever,\nno cough.", "Rash"]


def classifier(**options) -> edspipe.Pipeline:
    torch.manual_seed(0)
    nlp = edspipe.blank("eds")
    cnn = eds.text_cnn(embedding=eds.char_cnn())
    options = {"labels": ["flu", "cold"], "thresholds": {"flu": 0.0, "cold": 1.0}, **options}
    nlp.add_pipe(eds.doc_classifier(embedding=cnn, **options), name="classifier")
    return nlp


@pytest.fixture
def files(tmp_path: Path) -> Path:
    classifier().to_disk(tmp_path / "model")
    with (tmp_path / "notes.csv").open("w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["visit", "ward", "note"])
        rows.writerows([f"v{i}", "A", text] for i, text in enumerate(TEXTS))
    return tmp_path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def apply(files: Path, target: str, *words: str, code: int = 0) -> Path:
    columns = ["--text-column", "note", "--id-column", "visit"]
    common = ["--model", str(files / "model"), "--input", str(files / "notes.csv"), *columns]
    assert main(["apply", *common, "--output", str(files / target), *words]) == code
    return files / target


def expected(files: Path) -> list[dict[str, float]]:
    return [dict(edspipe.load(files / "model")(text).cats) for text in TEXTS]


def test_a_table_gives_a_table_of_scores_without_text(files):
    rows = table(apply(files, "scored.csv"))
    assert list(rows[0]) == ["visit", "labels", "p_flu", "p_cold"]
    assert [row["visit"] for row in rows] == ["v0", "v1", "v2"]
    assert [row["labels"] for row in rows] == ["flu"] * 3
    found = [{"flu": float(row["p_flu"]), "cold": float(row["p_cold"])} for row in rows]
    for one, other in zip(found, expected(files), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_columns_and_the_text_are_kept_where_asked_for(files):
    path = apply(files, "scored.csv", "--keep", "ward", "--with-text")
    rows = table(path)
    assert [(row["ward"], row["note"]) for row in rows] == [("A", text) for text in TEXTS]


@pytest.mark.parametrize("target", ["scored.jsonl", "scored.parquet"])
def test_json_and_parquet_nest_labels_and_scores(files, target):
    path = apply(files, target)
    rows = (
        [json.loads(line) for line in path.read_text().splitlines()]
        if target.endswith("jsonl")
        else pq.read_table(path).to_pylist()
    )
    assert list(rows[0]) == ["visit", "labels", "scores"]
    assert [row["labels"] for row in rows] == [["flu"]] * 3
    assert rows[1]["scores"] == pytest.approx(expected(files)[1], abs=1e-6)


def test_there_is_a_receipt_and_nothing_is_replaced_unasked(files, capsys):
    path = apply(files, "scored.csv")
    assert main(["audit", str(path)]) == 0
    apply(files, "scored.csv", code=1)
    assert "FileExistsError" in capsys.readouterr().err
    apply(files, "scored.csv", "--overwrite")


def test_bad_rows_are_quarantined(files):
    with (files / "notes.csv").open("a") as handle:
        handle.write("v3,A,\n")
    apply(files, "scored.csv", "--on-error", f"quarantine:{files}/bad.jsonl")
    assert len((files / "scored.csv").read_text().splitlines()) == 4
    assert len((files / "bad.jsonl").read_text().splitlines()) == 1


def test_usual_names_of_columns_are_found(files):
    (files / "notes.csv").write_text("id,text\nn1,Fever\n")
    words = ["--model", str(files / "model"), "--input", str(files / "notes.csv")]
    assert main(["apply", *words, "--output", str(files / "scored.csv")]) == 0
    assert (files / "scored.csv").read_text().startswith("id,labels,p_flu,p_cold\nn1,flu,")


def test_columns_that_are_not_there_are_an_error(files, capsys):
    apply(files, "scored.csv", "--keep", "age", code=1)
    message = "expected the columns age; the first record has: note, visit, ward"
    assert message in capsys.readouterr().err
    words = ["--model", str(files / "model"), "--input", str(files / "notes.csv")]
    assert main(["apply", *words, "--output", str(files / "scored.csv")]) == 1
    assert "note_text or text (else --text-column)" in capsys.readouterr().err


def test_folders_of_texts_have_labels_too(files):
    (files / "texts").mkdir()
    (files / "texts/a.txt").write_text("Fever")
    words = ["--model", str(files / "model"), "--input", str(files / "texts")]
    assert main(["apply", *words, "--output", str(files / "scored.csv")]) == 0
    assert (files / "scored.csv").read_text().startswith("note_id,labels,p_flu,p_cold\na,flu,")


def test_columns_of_features_are_read_as_numbers(files):
    nlp = classifier(features=["_.age_apply"])
    declare_doc_attribute("age_apply")
    docs = [nlp.make_doc("x"), nlp.make_doc("y")]
    for doc, age in zip(docs, (20, 60), strict=True):
        doc._.age_apply, doc.cats = age, {"flu": 1.0, "cold": 0.0}
    nlp.post_init(docs)
    nlp.to_disk(files / "model", overwrite=True)
    (files / "notes.csv").write_text("id,text,age_apply\nn1,Fever,20\nn2,Fever,60\nn3,Fever,\n")
    words = ["--model", str(files / "model"), "--input", str(files / "notes.csv")]
    assert main(["apply", *words, "--output", str(files / "scored.csv")]) == 0
    rows = table(files / "scored.csv")
    assert len({row["p_flu"] for row in rows}) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--keep-annotations"], "--keep-annotations: records that are read by columns have none"),
    ],
)
def test_options_that_do_not_fit_are_refused(files, capsys, words, message):
    apply(files, "scored.csv", *words, code=1)
    assert message in capsys.readouterr().err


def test_labels_need_a_classifier(files, capsys):
    edspipe.blank("eds").to_disk(files / "model", overwrite=True)
    apply(files, "scored.csv", "--with-text", code=1)
    assert "--keep and --with-text go with labels of documents" in capsys.readouterr().err
    rows = table(apply(files, "notes_out.csv", "--converter", "text"))
    assert [(row["note_id"], row["note_text"]) for row in rows] == [
        (f"v{i}", text) for i, text in enumerate(TEXTS)
    ]


def test_a_pipeline_without_a_classifier_writes_a_row_an_entity(files):
    nlp = edspipe.blank("eds")
    nlp.add_pipe("eds.matcher", config={"terms": {"symptom": ["fever", "rash"]}})
    nlp.to_disk(files / "model", overwrite=True)
    rows = table(apply(files, "entities.csv"))
    assert [row["lexical_variant"] for row in rows] == ["Fever", "fever", "Rash"]


def test_columns_are_for_records(files, capsys):
    (files / "texts").mkdir()
    (files / "texts/a.txt").write_text("Fever")
    words = ["--model", str(files / "model"), "--input", str(files / "texts")]
    words += ["--output", str(files / "scored.csv"), "--id-column", "x"]
    assert main(["apply", *words]) == 1
    assert "--text-column, --id-column and --keep are for records" in capsys.readouterr().err


def test_labels_of_one_text_are_printed():
    lines = found_in(classifier(), "Fever").splitlines()
    assert sorted(line.split()[0] for line in lines) == ["cold", "flu"]
    assert next(line for line in lines if line.endswith("*")).startswith("flu")


# ---- the converter -----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_records_with_text_come_back(layout):
    options = {"labels": ["flu", "cold"], "layout": layout, "text_column": "t"}
    converter = make_converter("label_scores", {**options, "doc_attributes": ["ward_s"]})
    doc = edspipe.blank("eds").make_doc("x")
    doc._.note_id, doc._.ward_s, doc._.labels = "n1", "A", ["cold"]
    doc.cats = {"flu": 0.25, "cold": 0.75}
    record = converter.to_record(doc)
    back = converter.to_doc(record)
    assert (back.cats, back._.labels, back._.ward_s) == (doc.cats, ["cold"], "A")
    assert converter.to_record(back) == record


def test_what_cannot_be_a_record_is_an_error():
    flat = make_converter("label_scores", {"labels": ["a;b"], "layout": "flat"})
    doc = edspipe.blank("eds").make_doc("x")
    doc._.note_id, doc.cats, doc._.labels = "n1", {"a;b": 1.0}, ["a;b"]
    with pytest.raises(DataError, match=r"^n1: the label 'a;b' holds ';', which stands between"):
        flat.to_record(doc)
    doc.cats, doc._.labels = {}, []
    with pytest.raises(DataError, match=r"^n1: expected scores of a;b in doc\.cats; it has: noth"):
        flat.to_record(doc)
    with pytest.raises(DataError, match="records without a text cannot be read as documents"):
        flat.to_doc({"note_id": "n1", "labels": "", "p_a;b": 1})
    with pytest.raises(
        ValueError, match="two columns would have one name: note_id, labels, labels"
    ):
        make_converter("label_scores", {"labels": ["a"], "decisions": ["labels", "labels"]})


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"note_id": "n1", "t": "x", "labels": []}, "^n1: expected the columns scores"),
        ({"note_id": "n1", "t": 3, "labels": [], "scores": {}}, "^n1: expected a text"),
        (
            {"note_id": "n1", "t": "x", "labels": [], "scores": {}},
            "expected a score of a, got None",
        ),
    ],
)
def test_records_that_lack_something_are_an_error(record, message):
    converter = make_converter("label_scores", {"labels": ["a"], "text_column": "t"})
    with pytest.raises(DataError, match=message):
        converter.to_doc(record)
