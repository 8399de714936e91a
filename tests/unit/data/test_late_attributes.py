"""Attributes that no entity of the first rows of a parquet file has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spacy.tokens import Doc, Span

import edspipe
from edspipe.data import read_parquet, write_parquet
from edspipe.data.converters.late import find_kinds, with_room
from edspipe.doc.attributes import declare_span_attribute, span_attributes
from edspipe.errors import DataError

NLP = edspipe.blank("eds")
NAMES = ("sure", "grade", "where", "dose")
LATE = {"sure": False, "grade": 2, "where": "left", "dose": {"value": 5.0, "unit": "mg"}}

for _name in NAMES:
    declare_span_attribute(_name)


def note(number: int, values: dict[str, Any]) -> Doc:
    doc = NLP.make_doc("Toux.")
    doc._.note_id = f"n{number}"
    doc.ents = [Span(doc, 0, 1, label="symptom")]
    for name, value in values.items():
        doc.ents[0]._.set(name, value)
    return doc


def notes(first: dict[str, Any], late: dict[str, Any], num: int = 3) -> list[Doc]:
    return [note(0, first), *(note(number, late) for number in range(1, num))]


def write(path: Path, docs: list[Doc], **options: Any) -> Any:
    return write_parquet(docs, path, rows_per_group=1, **options)


def test_they_are_kept_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr("edspipe.data.parquet.sink.BATCH_ROWS", 1)
    docs = notes({"sure": True}, LATE)
    assert write(tmp_path / "a.parquet", docs, converter="omop").done == 3
    rows = pq.read_table(tmp_path / "a.parquet").column("entities").to_pylist()
    assert (rows[0][0]["sure"], rows[0][0]["more_attributes"]) == (True, None)
    assert rows[1][0]["sure"] is False
    assert json.loads(rows[1][0]["more_attributes"])["grade"] == 2
    stream = read_parquet(tmp_path / "a.parquet", converter="omop", tokenizer=NLP.tokenizer)
    assert [span_attributes(doc.ents[0]) for doc in stream] == [{"sure": True}, LATE, LATE]


def test_values_that_a_column_does_not_hold_are_kept_there_too(tmp_path, monkeypatch):
    monkeypatch.setattr("edspipe.data.parquet.sink.BATCH_ROWS", 1)
    write(tmp_path / "a.parquet", notes({"grade": 1}, {"grade": 2.5}, 2), converter="omop")
    stream = read_parquet(tmp_path / "a.parquet", converter="omop", tokenizer=NLP.tokenizer)
    assert [doc.ents[0]._.grade for doc in stream] == [1, 2.5]


@pytest.mark.parametrize("converter", ["omop", "note_nlp"])
def test_attributes_that_are_named_have_columns_of_texts(tmp_path, monkeypatch, converter):
    monkeypatch.setattr("edspipe.data.parquet.sink.BATCH_ROWS", 1)
    docs = notes({"where": "right"}, LATE, 2)
    write(tmp_path / "a.parquet", docs, converter=converter, span_attributes=list(NAMES))
    row = pq.read_table(tmp_path / "a.parquet").to_pylist()[1]
    entity = row["entities"][0] if converter == "omop" else row
    assert [entity[name] for name in ("sure", "grade", "where")] == ["false", "2", "left"]
    assert json.loads(entity["dose"]) == LATE["dose"]


def test_columns_have_the_types_of_the_first_rows(tmp_path):
    docs = [note(0, LATE)]
    for converter in ("omop", "note_nlp"):
        path = tmp_path / f"{converter}.parquet"
        write(path, docs, converter=converter, span_attributes=["sure", "grade"])
        schema = pq.read_schema(path)
        columns = schema.field("entities").type.value_type if converter == "omop" else schema
        assert columns.field("sure").type == pa.bool_()
        assert columns.field("grade").type == pa.int64()


def test_a_schema_of_ones_own_without_room_refuses_them(tmp_path):
    entity = pa.struct([("start_char", pa.int64())])
    schema = pa.schema([("note_id", pa.string()), ("entities", pa.list_(entity))])
    with pytest.raises(DataError, match=r"column '[a-z_.\[\]]+' is not among those"):
        write(tmp_path / "a.parquet", [note(0, LATE)], converter="omop", schema=schema)


def test_what_fits_stays_as_it_is():
    kinds = find_kinds(pa.schema([("a", pa.bool_()), ("b", pa.float64()), ("c", pa.null())]))
    assert kinds == {"a": (bool,), "b": (int, float), "c": ()}
    assert with_room({"a": True, "b": 1, "c": None, "d": None}, kinds) == {
        "a": True,
        "b": 1,
        "c": None,
    }
    assert with_room({"c": 1}, kinds) == {"c": 1}
