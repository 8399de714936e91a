"""from_x and to_x of pandas, Polars and Hugging Face, and what all tables keep of a Doc."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import edspipe
from edspipe.data import (
    from_hf_dataset,
    from_pandas,
    from_polars,
    read_parquet,
    to_hf_dataset,
    to_pandas,
    to_polars,
    write_parquet,
)
from edspipe.data.converters.base import make_converter
from edspipe.data.standoff.parse import parse_annotations
from edspipe.data.standoff.record import build_record
from edspipe.doc.attributes import declare_span_attribute
from edspipe.errors import DataError, MissingExtraError
from edspipe.stream.stream import Stream

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
datasets = pytest.importorskip("datasets")

SECRET = "M. Dupont"


class Format(NamedTuple):
    """A table in memory.

    Attributes:
        read: Table -> stream.
        write: Stream -> table.
        make: Records -> table, without edspipe.
    """

    read: Callable[..., Stream]
    write: Callable[..., Any]
    make: Callable[[list[dict]], Any]


FORMATS = {
    "pandas": Format(from_pandas, to_pandas, lambda records: pd.DataFrame(records)),
    "polars": Format(from_polars, to_polars, lambda records: pl.DataFrame(records)),
    "hf_dataset": Format(from_hf_dataset, to_hf_dataset, datasets.Dataset.from_list),
    "hf_iterable": Format(
        from_hf_dataset,
        to_hf_dataset,
        lambda records: datasets.Dataset.from_list(records).to_iterable_dataset(
            num_shards=min(3, len(records))
        ),
    ),
}


@pytest.fixture(params=FORMATS)
def table(request) -> Format:
    return FORMATS[request.param]


def notes(count: int) -> list[dict]:
    return [{"note_id": f"n{i}", "note_text": f"Toux {i}."} for i in range(count)]


# ---- reading -----------------------------------------------------------------------------------


def test_rows_are_records(table):
    assert list(table.read(table.make(notes(2500)))) == notes(2500)


def test_a_stream_over_a_table_goes_on_from_any_row(table):
    stream = table.read(table.make(notes(2001)))
    for number in (0, 1, 999, 1000, 1001, 2001):
        with iter(stream) as iterator:
            for _ in range(number):
                next(iterator)
            state = json.loads(json.dumps(iterator.get_state()))
        with iter(stream) as iterator:
            iterator.set_state(state)
            assert list(iterator) == notes(2001)[number:]


def test_reading_can_loop_and_shuffle(table):
    stream = table.read(table.make(notes(9)), loop=True, shuffle=True, seed=1)
    ids = [record["note_id"] for record in stream.take(18)]
    assert sorted(ids[:9]) == sorted(ids[9:]) == [f"n{i}" for i in range(9)]
    assert ids[:9] != ids[9:]


@pytest.mark.parametrize("first", [1, "a"])
def test_ids_keep_their_kind(table, first):
    rows = [{"note_id": first, "note_text": "a"}, {"note_id": first * 2, "note_text": "b"}]
    docs = list(table.read(table.make(rows), converter="text"))
    assert [doc._.note_id for doc in docs] == [first, first * 2]
    assert all(type(doc._.note_id) is type(first) for doc in docs)


def test_a_null_text_is_an_error_with_row_and_id(table):
    rows = [*notes(2), {"note_id": "bad", "note_text": None}]
    message = "(Frame|Dataset):3:bad: expected a text under note_text.*a null note_text"
    with pytest.raises(DataError, match=message):
        list(table.read(table.make(rows), converter="text"))


def test_a_null_text_is_left_out_where_asked(table):
    rows = [*notes(2), {"note_id": "bad", "note_text": None}]
    with iter(table.read(table.make(rows), converter="text", on_error="skip")) as iterator:
        assert [doc._.note_id for doc in iterator] == ["n0", "n1"]
        assert iterator.report.skipped == 1


@pytest.mark.parametrize("number", [None, float("nan"), pd.NA, pd.NaT])
def test_what_is_missing_for_pandas_is_none(number):
    frame = pd.DataFrame({"x": [number, "a"], "y": [1, 2]}, dtype=object)
    assert list(from_pandas(frame)) == [{"x": None, "y": 1}, {"x": "a", "y": 2}]


def test_pandas_values_are_plain():
    frame = pd.DataFrame(
        {
            "int": np.array([1, 2], dtype=np.int8),
            "maybe": pd.array([1, None], dtype="Int64"),
            "float": [0.5, float("nan")],
            "words": [np.array(["a", "b"]), ["c"]],
            "ents": [np.array([{"start": np.int64(1)}], dtype=object), None],
            "kind": pd.Categorical(["a", "b"]),
        },
        index=[7, 7],
    )
    rows = list(from_pandas(frame))
    first = {"int": 1, "maybe": 1, "float": 0.5, "words": ["a", "b"], "ents": [{"start": 1}]}
    second = {"int": 2, "maybe": None, "float": None, "words": ["c"], "ents": None}
    assert rows == [{**first, "kind": "a"}, {**second, "kind": "b"}]
    assert type(rows[0]["ents"][0]["start"]) is int


def test_a_record_of_pandas_is_a_copy():
    ents = [{"start": 1}]
    (row,) = from_pandas(pd.DataFrame({"ents": [ents]}))
    row["ents"][0]["start"] = 5
    assert ents == [{"start": 1}]


@pytest.mark.parametrize(
    ("read", "wrong", "message"),
    [
        (from_pandas, [1], "from_pandas takes a DataFrame, got a list"),
        (from_polars, [1], "from_polars takes a DataFrame, got a list"),
        (
            from_polars,
            pl.DataFrame({"x": [1]}).lazy(),
            r"got a LazyFrame; collect\(\) a LazyFrame, or write it with sink_parquet",
        ),
        (
            from_hf_dataset,
            datasets.DatasetDict(),
            r"got a DatasetDict; choose a split of a DatasetDict: dataset\['train'\]",
        ),
    ],
)
def test_what_is_no_table_is_refused(read, wrong, message):
    with pytest.raises(TypeError, match=message):
        read(wrong)


def test_two_columns_of_one_name_are_refused():
    frame = pd.DataFrame([[1, 2]], columns=["x", "x"])
    with pytest.raises(ValueError, match="columns have one name: x; rename them"):
        from_pandas(frame)


def test_a_format_set_on_a_dataset_does_not_matter():
    dataset = datasets.Dataset.from_list([{"x": [1, 2]}]).with_format("numpy")
    assert list(from_hf_dataset(dataset)) == [{"x": [1, 2]}]


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("pandas", "pandas", "pandas"), ("polars", "polars", "polars"), ("hf_", "datasets", "hf")],
)
@pytest.mark.parametrize("verb", ["from", "to"])
def test_a_missing_library_is_named_with_its_extra(monkeypatch, name, library, extra, verb):
    monkeypatch.setitem(sys.modules, library, None)
    name = "hf_dataset" if name == "hf_" else name
    message = rf"{verb}_{name} needs the library '{library}'.*pip install 'edspipe\[{extra}\]'"
    with pytest.raises(MissingExtraError, match=message):
        getattr(edspipe.data, f"{verb}_{name}")([])


# ---- writing -----------------------------------------------------------------------------------


def test_what_is_written_is_read_back(table):
    records = [{"note_id": i, "x": None if i % 2 else [{"a": "b"}]} for i in range(1500)]
    assert list(table.read(table.write(records))) == records


def test_numbers_and_truth_values_stay_what_they_are_next_to_missing_ones(table):
    records = [{"i": 1, "b": True, "s": "a"}, {"i": None, "b": None, "s": None}]
    assert list(table.read(table.write(records))) == records


def test_a_key_that_a_record_does_not_have_is_missing(table):
    found = list(table.read(table.write([{"a": 1}, {"b": "x"}])))
    assert found == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_without_records_there_are_the_columns_of_the_converter(table):
    written = table.write([], converter="omop")
    names = written.column_names if hasattr(written, "column_names") else list(written.columns)
    assert names == ["note_id", "note_datetime", "note_text", "entities"]


@pytest.mark.parametrize("write", [to_pandas, to_polars, to_hf_dataset])
def test_what_is_no_record_is_refused(write):
    with pytest.raises(TypeError, match=r"to_.* writes records .dicts., got a str; pass") as caught:
        write([SECRET])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("write", [to_polars, to_hf_dataset])
def test_values_of_two_kinds_are_an_error(write):
    with pytest.raises(DataError, match=r"^b: column 'x' holds int64, and here is string"):
        write([{"note_id": "a", "x": 1}, {"note_id": "b", "x": SECRET}])


def test_a_stream_has_the_writers():
    stream = Stream.from_items(notes(2))
    assert len(stream.to_pandas()) == len(stream.to_polars()) == len(stream.to_hf_dataset()) == 2


def test_types_can_be_chosen():
    records = [{"x": 1}, {"x": 2}]
    assert to_pandas(records, dtypes={"x": "int8"})["x"].dtype == np.int8
    assert to_polars(records, schema={"x": pl.Int8}).schema == {"x": pl.Int8}
    features = datasets.Features({"x": datasets.Value("int8")})
    assert to_hf_dataset(records, features=features).features == features


@pytest.mark.parametrize(
    ("write", "types"),
    [
        (to_pandas, {"dtypes": {"x": "int64"}}),
        (to_polars, {"schema": {"x": pl.Int64}}),
        (to_hf_dataset, {"features": datasets.Features({"x": datasets.Value("int64")})}),
        (to_hf_dataset, {"features": datasets.Features({"y": datasets.Value("int64")})}),
    ],
)
def test_types_that_do_not_fit_are_an_error_without_the_text(write, types):
    with pytest.raises(DataError, match=r"values that are no|do not fit the features") as caught:
        write([{"x": SECRET}], **types)
    assert SECRET not in str(caught.value)


# ---- what tables keep of a Doc -----------------------------------------------------------------

TEXT = "\ufeffPas  de fièvre 🤒,\r\ntoux\u2028sèche.\t"


def through(name: str, folder: Path, data: Any, **converter: Any) -> list[Any]:
    """Write and read again."""
    if name in FORMATS:
        table = FORMATS[name]
        return list(table.read(table.write(data, **converter), **converter))
    path = folder / ("a.parquet" if name == "parquet" else "out")
    write_parquet(data, path, **converter, rows_per_group=2)
    return list(read_parquet(path, **converter))


@pytest.fixture(params=["parquet", "parquet folder", "pandas", "polars", "hf_dataset"])
def again(request, tmp_path) -> Callable[..., list[Any]]:
    """Writes with a format, and reads again."""
    return lambda data, **converter: through(request.param, tmp_path, data, **converter)


@pytest.fixture(scope="module")
def nlp() -> edspipe.Pipeline:
    return edspipe.blank("eds")


def entity(**changes: Any) -> dict[str, Any]:
    first = {"note_nlp_id": "7", "start_char": 9, "end_char": 15, "lexical_variant": "fièvre"}
    return {**first, "note_nlp_source_value": "Symptom", **changes}


def test_the_text_is_kept_as_it_is(again, nlp):
    doc = nlp.make_doc(TEXT)
    doc._.note_id = "n1"
    (found,) = again([doc], converter="text", tokenizer=nlp.tokenizer)
    assert (found.text, found._.note_id) == (TEXT, "n1")


def test_omop_keeps_spans_labels_ids_and_attributes(again, nlp):
    declare_span_attribute("past_or_not", default=False)
    converter = make_converter(
        "omop", {"tokenizer": nlp.tokenizer, "span_setter": "all", "span_getter": "all"}
    )
    entities = [
        entity(negated=True, score=0.5, tags=["a", "b"]),
        entity(note_nlp_id="9", negated=False),
        entity(note_nlp_id="8", end_char=17, lexical_variant="fièvre 🤒"),
    ]
    records = [
        {"note_id": i, "note_datetime": "2020-01-02", "note_text": TEXT, "entities": found}
        for i, found in enumerate([[], [], entities, entities[:1]])
    ]
    docs = [converter.to_doc(record) for record in records]
    found = again(docs, converter=converter)
    assert [converter.to_record(doc) for doc in found] == records
    spans = found[2].spans["all"]
    assert [(s._.negated, s._.score, s._.tags, s._.past_or_not) for s in spans] == [
        (True, 0.5, ["a", "b"], False),
        (False, None, None, False),
        (None, None, None, False),
    ]


def test_omop_loses_the_groups_of_spans(again, nlp):
    options = {"tokenizer": nlp.tokenizer, "span_setter": {"a": ["Symptom"]}}
    converter = make_converter("omop", options)
    doc = converter.to_doc({"note_text": TEXT, "entities": [entity()]})
    (found,) = again([doc], converter=make_converter("omop", {"tokenizer": nlp.tokenizer}))
    assert (len(found.ents), list(found.spans)) == (1, [])


def test_standoff_keeps_all_that_brat_has(again, nlp):
    lines = [
        "T1\tSymptom 9 15\tfièvre",
        "T2\tSymptom 1 4;9 15\tPas fièvre",
        "A1\tNegation T1",
        "A2\tSide T2 left",
        "N1\tReference T1 MeSH:D005334\tFever",
        "#1\tAnnotatorNotes T1\tP2W",
        "R1\tOf Arg1:T1 Arg2:T2",
        "E1\tSymptom:T2 Of:T1",
        "*\tEquiv T1 T2",
    ]
    record = standoff_record("\n".join(lines) + "\n")
    converter = make_converter("standoff", {"tokenizer": nlp.tokenizer, "span_setter": "all"})
    docs = [converter.to_doc(r) for r in (plain_record(), record, plain_record("n3"))]
    found = again(docs, converter=converter)
    for before, after in zip(docs, found, strict=True):
        assert converter.to_record(after) == converter.to_record(before)
        assert after.text == TEXT
    first, second = found[1].spans["all"]
    assert (first.id_, first._.Negation, first.kb_id_) == ("T1", True, "D005334")
    assert (second._.Side, second._.fragments) == ("left", [[1, 4], [9, 15]])
    assert converter.to_record(found[1])["source"] == {".ann": "\n".join(lines) + "\n"}


def plain_record(note_id: str = "n0") -> dict[str, Any]:
    return {"note_id": note_id, "text": TEXT, "entities": []}


def standoff_record(annotations: str) -> dict[str, Any]:
    parsed = parse_annotations({"a.ann": annotations.encode()}, TEXT)
    return build_record("n1", TEXT, parsed, {"a.ann": ".ann"})


def test_standoff_columns_that_are_no_json_are_an_error(nlp):
    converter = make_converter("standoff", {"tokenizer": nlp.tokenizer})
    frame = pd.DataFrame([{**plain_record(), "source": SECRET}])
    message = "DataFrame:1:n0: expected JSON in 'attributes' and 'source'"
    with pytest.raises(DataError, match=message) as caught:
        list(from_pandas(frame, converter=converter))
    assert SECRET not in str(caught.value)


def test_entities_in_none_of_the_first_rows_fix_no_wrong_columns(tmp_path, nlp):
    empty = {"note_text": TEXT, "entities": []}
    records = [{"note_id": f"n{i}", **empty} for i in range(30)]
    records.append({"note_id": "x", "note_text": TEXT, "entities": [entity(note_nlp_id="0")]})
    docs = [make_converter("omop", {"tokenizer": nlp.tokenizer}).to_doc(r) for r in records]
    write_parquet(docs, tmp_path / "a.parquet", converter="omop", rows_per_group=1)
    found = list(read_parquet(tmp_path / "a.parquet"))
    assert found[-1]["entities"] == [{**entity(note_nlp_id="0"), "more_attributes": None}]
    assert found[0]["entities"] == []
