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


ODD = [
    pytest.param([], ["a"], id="open list"),
    pytest.param([None], ["a", None], id="list of nothing"),
    pytest.param([1], ["a"], id="other items"),
    pytest.param([1], [2.5], id="floats behind ints"),
    pytest.param([1], [True], id="bool behind ints"),
    pytest.param([True], [0], id="int behind bools"),
    pytest.param(["a"], [1, "b"], id="several kinds"),
    pytest.param(["a"], "a", id="no list"),
    pytest.param(["a"], [{"b": 1}], id="nested"),
    pytest.param(1, True, id="one bool"),
    pytest.param(1, 1 << 70, id="large int"),
    pytest.param(1.5, (1 << 53) + 1, id="int that is no float"),
]


@pytest.mark.parametrize("asked", [None, ["grade"]], ids=["all", "asked"])
@pytest.mark.parametrize(("first", "late"), ODD)
def test_late_values_of_other_kinds_are_kept(tmp_path, monkeypatch, first, late, asked):
    monkeypatch.setattr("edspipe.data.parquet.sink.BATCH_ROWS", 1)
    path = tmp_path / "a.parquet"
    docs = notes({"grade": first}, {"grade": late}, 2)
    write(path, docs, converter="omop", span_attributes=asked)
    stream = read_parquet(path, converter="omop", tokenizer=NLP.tokenizer)
    read = [doc.ents[0]._.grade for doc in stream]
    assert read == [first, late]
    assert type(read[1]) is type(late)


@pytest.mark.parametrize(
    ("first", "late"), [(["a"], []), (["a"], ["b", None]), ([1.5], [2]), ([1], None), (1.5, 2)]
)
def test_late_values_that_fit_go_into_the_column(tmp_path, monkeypatch, first, late):
    monkeypatch.setattr("edspipe.data.parquet.sink.BATCH_ROWS", 1)
    write(tmp_path / "a.parquet", notes({"grade": first}, {"grade": late}, 2), converter="omop")
    entity = pq.read_table(tmp_path / "a.parquet").to_pylist()[1]["entities"][0]
    assert (entity["grade"], entity["more_attributes"]) == (late, None)


STRUCT = pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))])
HELD = [
    (pa.bool_(), [True], [1, "a"]),
    (pa.int64(), [1, -(1 << 63)], [True, 1.0, 1 << 63]),
    (pa.uint8(), [0, 255], [-1, 256]),
    (pa.float64(), [1, 2.5], [True, "a", (1 << 53) + 1]),
    (pa.float32(), [1.5], [(1 << 24) + 1]),
    (pa.string(), ["a"], [1, b"a"]),
    (pa.large_string(), ["a"], [1]),
    (pa.list_(pa.int64()), [[], [1, None], (1,)], [1, [1.5], [True], [[1]]]),
    (pa.large_list(pa.list_(pa.string())), [[["a"], None]], [["a"]]),
    (pa.list_(pa.null()), [[], [None]], [["a"]]),
    (STRUCT, [{}, {"x": None}, {"x": 1, "y": ["a"]}], [{"x": 1.5}, {"z": None}, {"y": [1]}, 1]),
    (pa.list_(STRUCT), [[{"x": 1}, None]], [[{"x": "1"}], [1]]),
    (pa.null(), [], [1, "a", [], {}]),
    (pa.timestamp("s"), [], ["2020"]),
]


@pytest.mark.parametrize(
    ("type_", "fitting", "odd"), [pytest.param(*case, id=str(case[0])) for case in HELD]
)
def test_a_column_holds_values_of_its_type_with_all_that_is_in_them(type_, fitting, odd):
    holds = find_kinds(pa.schema([("a", type_)]))["a"]
    assert [holds(value) for value in fitting] == [True] * len(fitting)
    assert [holds(value) for value in odd] == [False] * len(odd)
    for value in fitting:
        assert pa.array([value], type_).null_count == 0


def test_what_fits_stays_as_it_is():
    kinds = find_kinds(pa.schema([("a", pa.bool_()), ("b", pa.float64()), ("c", pa.null())]))
    assert with_room({"a": True, "b": 1, "c": None, "d": None}, kinds) == {
        "a": True,
        "b": 1,
        "c": None,
    }
    assert with_room({"c": 1}, kinds) == {"c": 1}
