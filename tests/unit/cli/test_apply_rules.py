"""edspipe apply with rules: any reader, any writer, and what the rules say is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import edspipe
from edspipe.cli.main import main
from edspipe.data.formats import read_docs

RULES = """\
nlp:
  "@core": "pipeline"
  lang: "eds"
  components:
    sentences: {"@factory": "eds.sentences", lang: "en"}
    matcher: {"@factory": "eds.matcher", terms: {symptom: ["fever"]}}
    negation: {"@factory": "eds.negation", lang: "en", span_getter: "ents"}
    dates: {"@factory": "eds.dates", lang: "en"}
    quantities: {"@factory": "eds.quantities", lang: "en"}
"""

TEXT = "No fever since 12 March 2020. Weight 72 kg."


def write_input(folder: Path, kind: str) -> Path:
    """Write a note named n1 in a format."""
    path = folder / f"notes{kind}"
    if kind == ".txt" or kind == "brat":
        path.mkdir()
        (path / "n1.txt").write_text(TEXT, encoding="utf-8")
        if kind == "brat":
            (path / "n1.ann").write_text("T1\tgold 3 8\tfever\n", encoding="utf-8")
    elif kind == ".jsonl":
        path.write_text(json.dumps({"note_id": "n1", "note_text": TEXT}) + "\n", encoding="utf-8")
    elif kind == ".csv":
        path.write_text(f'note_id,note_text\nn1,"{TEXT}"\n', encoding="utf-8")
    else:
        edspipe.data.write_parquet([{"note_id": "n1", "note_text": TEXT}], path)
    return path


def apply(folder: Path, source: Path, target: str, *options: str) -> Path:
    (folder / "rules.yml").write_text(RULES, encoding="utf-8")
    config, output = folder / "rules.yml", folder / target
    words = ["apply", "--config", config, "--input", source, "--output", output, *options]
    assert main([str(word) for word in words]) == 0
    return output


def entities(path: Path) -> dict[str, dict[str, Any]]:
    """The entities of the only note of an OMOP file, by text."""
    rows = (
        pq.read_table(path).to_pylist()
        if path.suffix == ".parquet"
        else [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    )
    assert [row["note_id"] for row in rows] == ["n1"]
    return {entity["lexical_variant"]: entity for entity in rows[0]["entities"]}


@pytest.mark.parametrize("kind", [".txt", "brat", ".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("target", ["out", "out.jsonl", "out.parquet", "out.csv"])
def test_rules_run_over_any_reader_and_writer(kind, target, tmp_path):
    output = apply(tmp_path, write_input(tmp_path, kind), target)
    if target == "out.csv":
        with output.open(encoding="utf-8", newline="") as file:
            found = [row["lexical_variant"] for row in csv.DictReader(file)]
    else:
        (doc,) = list(read_docs(output))
        found = [span.text for span in doc.ents]
    assert found == ["fever", "12 March 2020", "72 kg"]


def test_brat_has_the_attributes_of_rules(tmp_path):
    output = apply(tmp_path, write_input(tmp_path, ".txt"), "out")
    lines = (output / "n1.ann").read_text(encoding="utf-8").splitlines()
    said = {line.split("\t", 1)[1] for line in lines if line.startswith("A")}
    assert {"negation T1", "date_value T2 2020-03-12", "date_precision T2 day"} <= said
    assert {"quantity_value T3 72.0", "quantity_unit T3 kg", "quantity_what T3 weight"} <= said


@pytest.mark.parametrize("kind", [".jsonl", ".parquet"])
def test_records_have_the_attributes_of_rules(kind, tmp_path):
    found = entities(apply(tmp_path, write_input(tmp_path, ".txt"), f"out{kind}"))
    assert found["fever"]["negation"] is True
    date, quantity = found["12 March 2020"]["date"], found["72 kg"]["quantity"]
    if kind == ".parquet":
        date, quantity = json.loads(date), json.loads(quantity)
    assert date["value"] == "2020-03-12"
    assert (quantity["value"], quantity["unit"]) == (72.0, "kg")


@pytest.mark.parametrize("kind", [".jsonl", ".parquet"])
def test_values_of_rules_are_read_again(kind, tmp_path):
    output = apply(tmp_path, write_input(tmp_path, ".txt"), f"out{kind}")
    (doc,) = list(read_docs(output))
    fever, date, weight = doc.ents
    assert (fever._.negation, date._.date.value) == (True, "2020-03-12")
    assert weight._.quantity.to("g").value == 72_000


def test_a_row_an_entity_goes_to_any_file_of_records(tmp_path):
    source = write_input(tmp_path, ".txt")
    output = apply(tmp_path, source, "out.parquet", "--converter", "note_nlp", "--spans", "ents")
    (row,) = pq.read_table(output).to_pylist()
    assert (row["note_nlp_id"], row["term_exists"]) == ("n1-0", "N")


@pytest.mark.parametrize("kind", [".jsonl", ".parquet"])
def test_sections_and_tables_are_read_again(kind, tmp_path):
    rules = (
        RULES
        + """\
    sections: {"@factory": "eds.sections", lang: "en"}
    tables: {"@factory": "eds.tables"}
"""
    )
    (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
    nlp = edspipe.load(tmp_path / "rules.yml")
    doc = nlp("LABS:\nNa | 135 | mmol/L\nK | 4.1 | mmol/L\nCl | 100 | mmol/L\n")
    write = edspipe.data.write_json if kind == ".jsonl" else edspipe.data.write_parquet
    write([doc], tmp_path / f"out{kind}", converter="omop")
    (again,) = list(read_docs(tmp_path / f"out{kind}", span_setter="found"))
    by_label = {span.label_: span for span in again.spans["found"]}
    assert by_label["table"]._.table.rows == doc.spans["tables"][0]._.table.rows


def test_attributes_that_are_asked_for_are_plain_in_records(tmp_path):
    (tmp_path / "rules.yml").write_text(RULES, encoding="utf-8")
    nlp = edspipe.load(tmp_path / "rules.yml")
    doc = nlp(TEXT)
    doc._.note_id = "n1"
    asked = {"span_getter": ["ents", "*"], "span_attributes": ["quantity", "date"]}
    edspipe.data.write_json([doc], tmp_path / "out.jsonl", converter="omop", **asked)
    assert entities(tmp_path / "out.jsonl")["72 kg"]["quantity"]["unit"] == "kg"


def test_a_converter_is_refused_where_no_records_are_written(tmp_path, capsys):
    (tmp_path / "rules.yml").write_text(RULES, encoding="utf-8")
    source = write_input(tmp_path, ".txt")
    words = ["apply", "--config", tmp_path / "rules.yml", "--input", source]
    words += ["--output", tmp_path / "out", "--converter", "note_nlp"]
    assert main([str(word) for word in words]) != 0
    assert "--converter: expected an output of records" in capsys.readouterr().err
