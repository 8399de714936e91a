"""Records to batches of Arrow: what columns they need, and what is refused."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import pyarrow as pa
import pytest

from edspipe.data.parquet.arrow_batches import RecordEncoder, SchemaFinder, to_table
from edspipe.errors import DataError

SECRET = "M. Dupont"
DAY = dt.datetime(2020, 1, 2, 3, 4, 5, 6)
ENTITY = pa.struct([("start", pa.int64()), ("label", pa.string())])
HINT = pa.schema([("note_id", pa.string()), ("entities", pa.list_(ENTITY))])


def schema_of(*chunks: list[dict], hint: pa.Schema | None = None) -> pa.Schema:
    finder = SchemaFinder(hint)
    for chunk in chunks:
        finder.add(chunk)
    return finder.schema()


# ---- the columns that records need -------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["a", None], pa.string()),
        ([1, 2], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([True, None], pa.bool_()),
        ([None, None], pa.null()),
        ([[], ["a"]], pa.list_(pa.string())),
        ([[], []], pa.list_(pa.null())),
        ([{"a": 1}, {"b": "x"}], pa.struct([("a", pa.int64()), ("b", pa.string())])),
        ([dt.date(2020, 1, 2)], pa.date32()),
        ([dt.datetime(2020, 1, 2)], pa.timestamp("us")),
        ([Decimal("1.5"), Decimal("10.25")], pa.decimal128(4, 2)),
        ([b"a"], pa.binary()),
    ],
)
def test_values_say_what_a_column_is(values, type_):
    whole = schema_of([{"x": value} for value in values])
    apart = schema_of(*([{"x": value}] for value in values))
    assert whole == apart == pa.schema([("x", type_)])


def test_columns_are_those_of_all_records_as_they_appear():
    assert schema_of([{"b": 1}, {"a": 1}], [{"c": 1, "b": 2}]).names == ["b", "a", "c"]


def test_keys_of_nested_records_are_joined_over_chunks():
    found = schema_of([{"x": [{"a": 1}]}], [{"x": []}], [{"x": [{"b": None}, {"c": [0.5]}]}])
    fields = [("a", pa.int64()), ("b", pa.null()), ("c", pa.list_(pa.float64()))]
    assert found.field("x").type == pa.list_(pa.struct(fields))


@pytest.mark.parametrize("empty", [[], None])
def test_what_records_leave_open_is_taken_from_the_hint(empty):
    found = schema_of([{"note_id": 1, "entities": empty, "other": None}], hint=HINT)
    assert found.field("entities").type == pa.list_(ENTITY)
    assert found.field("other").type == pa.null()


def test_what_records_say_wins_over_the_hint():
    found = schema_of([{"note_id": 7, "entities": [{"score": 0.5, "start": None}]}], hint=HINT)
    fields = [*ENTITY, pa.field("score", pa.float64())]
    assert found == pa.schema([("note_id", pa.int64()), ("entities", pa.list_(pa.struct(fields)))])


def test_without_records_there_is_the_hint():
    assert schema_of(hint=HINT) == HINT


@pytest.mark.parametrize(("value", "type_"), [({}, pa.null()), ([{}], pa.list_(pa.null()))])
def test_dicts_without_keys_are_null_as_no_file_can_hold_them(value, type_):
    assert schema_of([{"x": value}]).field("x").type == type_


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (1, SECRET, "column 'x' holds int64, and here is string"),
        (SECRET, 1, "column 'x' holds string, and here is int64"),
        (True, 1, "column 'x' holds bool, and here is int64"),
        (b"a", SECRET, "column 'x' holds binary, and here is string"),
        ([1], SECRET, "column 'x' holds a list of int64, and here is string"),
        ({"a": 1}, 2, "column 'x' holds a struct, and here is int64"),
        (1, [1, SECRET], "column 'x': no column of a table can hold such a list"),
        ("a", "\ud800", "column 'x': no column of a table can hold such a str"),
        (DAY.date(), DAY, "column 'x' holds date32[day], and here is timestamp[us]"),
        (
            DAY,
            DAY.replace(tzinfo=dt.UTC),
            "column 'x' holds timestamp[us], and here is timestamp[us, t",
        ),
        ({"a": b"x"}, {"a": SECRET}, "column 'x' holds a struct, and here is a struct"),
        (
            [[b"x"]],
            [[SECRET]],
            "column 'x' holds a list of a list of binary, and here is a list of",
        ),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_values_of_two_kinds_are_an_error_that_names_the_record(first, second, message, together):
    records = [{"note_id": "n1", "x": first}, {"note_id": "n2", "x": second}]
    chunks = [records] if together else [records[:1], records[1:]]
    with pytest.raises(DataError, match=f"^n2: {re.escape(message)}") as caught:
        schema_of(*chunks)
    assert SECRET not in str(caught.value)


def test_times_of_several_places_are_one_column():
    east = dt.timezone(dt.timedelta(hours=2))
    times = [DAY.replace(tzinfo=dt.UTC), DAY.replace(tzinfo=east)]
    found = to_table([{"x": time} for time in times], "to_polars")
    assert found["x"].to_pylist() == times
    assert schema_of([{"x": times[0]}], [{"x": times[1]}]) == found.schema


@pytest.mark.parametrize("values", [[Decimal("1.5"), 2.5], [2**62, 0.5]])
def test_numbers_that_go_together_only_one_by_one_are_an_error(values):
    with pytest.raises(DataError, match=r"^column 'x' holds values of several kinds; pass schema="):
        schema_of([{"x": value} for value in values])
    with pytest.raises(DataError, match="column 'x' holds"):
        RecordEncoder(pa.schema([("x", pa.float32())])).encode([{"x": value} for value in values])


@pytest.mark.parametrize("value", [[1, SECRET], object(), "\ud800", {1: SECRET}, 2**70])
def test_a_value_that_no_column_can_hold_is_an_error(value):
    message = f"^n1: column 'x': no column of a table can hold such a {type(value).__name__}"
    with pytest.raises(DataError, match=message) as caught:
        schema_of([{"note_id": "n1", "x": value}])
    assert SECRET not in str(caught.value)


def test_names_of_columns_are_texts():
    with pytest.raises(DataError, match="names of columns are texts, got a key of type int"):
        schema_of([{3: 1}])


# ---- batches of a schema -----------------------------------------------------------------------

SCHEMA = pa.schema(
    [
        ("note_id", pa.string()),
        ("count", pa.int64()),
        ("score", pa.float64()),
        ("entities", pa.list_(ENTITY)),
        ("empty", pa.null()),
        ("when", pa.timestamp("s")),
    ]
)


def test_records_come_back_as_they_were():
    entities = [{"start": 1, "label": "a"}, {"start": None, "label": None}]
    row = {"note_id": "n1", "count": 2, "score": 0.5, "entities": entities, "empty": None}
    row["when"] = dt.datetime(2020, 1, 2)
    assert RecordEncoder(SCHEMA).encode([row]).to_pylist() == [row]


def test_a_key_that_is_not_there_is_null():
    batch = RecordEncoder(SCHEMA).encode([{"entities": [{"start": 1}]}])
    row = dict.fromkeys(SCHEMA.names) | {"entities": [{"start": 1, "label": None}]}
    assert batch.to_pylist() == [row]


def test_integers_fit_a_column_of_numbers():
    assert RecordEncoder(SCHEMA).encode([{"score": 3}])["score"].to_pylist() == [3.0]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"other": 1}, "column 'other' is not among those that were fixed before the first write"),
        ({"entities": [{"score": 1}]}, r"column 'entities\[\].score' is not among those"),
        ({"count": 1.0}, "column 'count' holds int64, and here is double"),
        ({"count": True}, "column 'count' holds int64, and here is bool"),
        ({"count": SECRET}, "column 'count' holds int64, and here is string"),
        ({"score": 2**53 + 1}, "column 'score' holds double, and here is int64"),
        ({"note_id": b"a"}, "column 'note_id' holds string, and here is binary"),
        (
            {"entities": [{"start": 1}, {"start": SECRET}]},
            "column 'entities': no column of a table can hold such a list",
        ),
        ({"entities": [{"start": SECRET}]}, r"column 'entities\[\].start' holds int64, and here"),
        ({"entities": {"start": 1}}, "column 'entities' holds a list of a struct, and here is a s"),
        (
            {"when": DAY.replace(tzinfo=dt.UTC)},
            r"column 'when' holds timestamp\[s\], and here is t",
        ),
        ({"when": DAY}, r"column 'when' holds timestamp\[s\], and here is timestamp\[us\]"),
        ({"empty": "a"}, "column 'empty' was empty in all the first records, so it has no type"),
        ({"score": object()}, "column 'score': no column of a table can hold such a object"),
    ],
)
def test_a_record_that_does_not_fit_is_named_with_its_column(record, message):
    records = [{"note_id": "n1"}, {"note_id": "n2", **record}, {"note_id": "n3"}]
    ident = "" if isinstance(record.get("note_id"), bytes) else "n2: "
    with pytest.raises(DataError, match=f"^{ident}{message}") as caught:
        RecordEncoder(SCHEMA).encode(records)
    assert SECRET not in str(caught.value)
    if "can hold" not in str(caught.value):
        assert "pass schema= (a pyarrow.Schema of all columns)" in str(caught.value)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (pa.int8(), 7),
        (pa.large_string(), "a"),
        (pa.dictionary(pa.int32(), pa.string()), "a"),
        (pa.timestamp("s"), dt.datetime(2020, 1, 2)),
        (pa.decimal128(10, 2), Decimal("1.50")),
        (pa.large_list(pa.int16()), [1]),
        (pa.map_(pa.string(), pa.int64()), {"a": 1}),
    ],
)
def test_a_schema_of_other_types_holds_the_same_values(type_, value):
    batch = RecordEncoder(pa.schema([("x", type_)])).encode([{"x": value}, {"x": None}])
    assert batch.column(0).to_pylist(maps_as_pydicts="strict") == [value, None]


def test_a_number_too_large_for_the_column_is_an_error():
    with pytest.raises(DataError, match="column 'x' holds int8, and here is int64"):
        RecordEncoder(pa.schema([("x", pa.int8())])).encode([{"x": 300}])


# ---- one table ---------------------------------------------------------------------------------


def test_a_table_of_many_chunks_has_the_columns_of_all():
    records = [{"i": i} for i in range(2500)] + [{"i": 0.5, "x": [{"a": "b"}]}]
    table = to_table(iter(records), "to_polars")
    assert table.num_rows == 2501
    assert table.slice(2499).to_pylist() == [{"i": 2499.0, "x": None}, records[-1]]


def test_a_table_may_have_a_schema():
    schema = pa.schema([("i", pa.int8())])
    assert to_table([{"i": 1}], "to_polars", schema=schema).schema == schema


def test_what_is_no_record_is_refused():
    with pytest.raises(TypeError, match=r"to_polars writes records .dicts., got a str; pass conv"):
        to_table([SECRET], "to_polars")
