"""read_json and write_json, and the converter "omop"."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from spacy.tokens import Doc, Span

import edspipe
from edspipe.data import read_json, write_json
from edspipe.doc.attributes import declare_span_attribute
from edspipe.errors import DataError, PipeError
from edspipe.stream.stream import Stream

SECRET = "M. Dupont"
BOM = b"\xef\xbb\xbf"


def write_lines(path: Path, *lines: str | bytes) -> Path:
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def notes(count: int) -> list[dict]:
    return [{"note_id": f"n{i}", "note_text": f"Toux {i}."} for i in range(count)]


# ---- reading -----------------------------------------------------------------------------------


def test_lines_are_records(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", *map(json.dumps, notes(3)))
    assert list(read_json(path)) == notes(3)


def test_an_array_is_records(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(notes(3), indent=1))
    assert list(read_json(path)) == notes(3)


def test_one_object_is_one_record(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(notes(1)[0]))
    assert list(read_json(path)) == notes(1)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".json.gz"])
def test_packed_files_are_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    text = json.dumps(notes(2)) if "jsonl" not in suffix else "\n".join(map(json.dumps, notes(2)))
    path.write_bytes(gzip.compress(text.encode()))
    assert list(read_json(path)) == notes(2)


def test_blank_lines_a_mark_and_windows_line_ends_do_not_matter(tmp_path):
    path = write_lines(tmp_path / "a.ndjson", BOM + b'{"a": 1}\r', "", "  \t\r", '{"a": 2}\r', "")
    assert list(read_json(path)) == [{"a": 1}, {"a": 2}]


def test_a_mark_before_an_array_does_not_matter(tmp_path):
    (tmp_path / "a.json").write_bytes(BOM + b'[{"a": 1}]')
    assert list(read_json(tmp_path / "a.json")) == [{"a": 1}]


def test_line_separators_inside_a_string_do_not_end_a_line(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", '{"a": "x\u2028y\x85z"}')
    assert list(read_json(path)) == [{"a": "x\u2028y\x85z"}]


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "a.jsonl").touch()
    assert list(read_json(tmp_path / "a.jsonl")) == []


def test_a_folder_is_all_its_files_in_order(tmp_path):
    for name in ("b.jsonl", "a.json", "sub/c.jsonl.gz", "note.txt", ".hidden/d.jsonl", ".e.jsonl"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"file": name}).encode()
        path.write_bytes(gzip.compress(line) if name.endswith("gz") else line)
    names = [record["file"] for record in read_json(tmp_path / "in")]
    assert names == ["a.json", "b.jsonl", "sub/c.jsonl.gz"]


@pytest.mark.parametrize("place", [".hidden/in", "in"])
def test_a_folder_may_stand_anywhere(tmp_path, monkeypatch, place):
    folder = tmp_path / place
    folder.mkdir(parents=True)
    write_lines(folder / "a.jsonl", '{"a": 1}')
    monkeypatch.chdir(folder)
    there = Path("..") / folder.name
    assert list(read_json(folder)) == list(read_json(there)) == list(read_json(".")) == [{"a": 1}]


def test_files_are_read_when_the_stream_runs_and_line_by_line(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", '{"a": 1}', "{")
    assert next(iter(read_json(path))) == {"a": 1}


def test_reading_can_loop_and_shuffle(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", *map(json.dumps, notes(9)))
    ids = [
        record["note_id"] for record in read_json(path, shuffle=True, loop=True, seed=1).take(18)
    ]
    assert sorted(ids[:9]) == sorted(ids[9:]) == [f"n{i}" for i in range(9)]
    assert ids[:9] != ids[9:]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(b'{"a": 1', r"not valid JSON at column 8 \(Expecting ',' delimiter\)"),
        (b"<<<<<<< HEAD", "not valid JSON at column 1 .Expecting value."),
        pytest.param(
            b'{"a": "M. Dupont', r"not valid JSON at column 7 \(Unterminated string starting at\)"
        ),
        (b'["M. Dupont"]', r"expected a JSON object \(a record\), got a list"),
        (b'"M. Dupont"', r"expected a JSON object \(a record\), got a str"),
        (b"null", r"expected a JSON object \(a record\), got a NoneType"),
        (b'{"a": "\xe9 Dupont"}', "not UTF-8 at byte 7"),
        (b"[" * 100_000, "not valid JSON: nested too deeply"),
    ],
)
def test_one_bad_line_of_a_thousand_is_named(tmp_path, line, message):
    lines = ['{"a": 1}'] * 1000
    path = write_lines(tmp_path / "a.jsonl", *lines[:700], "", line, *lines[701:])
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}:702: {message}$") as caught:
        list(read_json(path))
    assert "Dupont" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_lines_are_skipped_and_counted_where_asked(tmp_path, workers):
    path = write_lines(tmp_path / "a.jsonl", '{"a": 1}', "{", '{"a": 2}', "[]")
    stream = read_json(path, on_error="skip")
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    iterator = iter(stream)
    assert list(iterator) == [{"a": 1}, {"a": 2}]
    assert iterator.counts == {"read": 4, "done": 2, "skipped": 2, "delivered": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"a": 1},\n{"a": }]', "not valid JSON at line 2"),
        (b'[{"a": 1}, "M. Dupont"]', "expected a JSON object"),
        (b'["\xe9"]', "not UTF-8 at byte 2"),
    ],
)
def test_a_bad_array_is_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {message}") as caught:
        list(read_json(path))
    assert "Dupont" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [gzip.compress(b'{"a": 1}\n' * 1000)[:-20], b"M. Dupont"], ids=["cut", "no gzip"]
)
def test_a_damaged_packed_file_is_named(tmp_path, content):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: not a whole gzip file"):
        list(read_json(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.jsonl", "expected a file, a folder or a pattern, found none"),
        ("", "files, found none"),
    ],
)
def test_a_file_that_is_not_there_is_an_error_at_once(tmp_path, name, message):
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(tmp_path / name))}: .*{message}"):
        read_json(tmp_path / name)


def test_an_unknown_policy_is_refused(tmp_path):
    path = write_lines(tmp_path / "a.jsonl")
    with pytest.raises(ValueError, match="on_error is 'raise' or 'skip', got 'ignore'"):
        read_json(path, on_error="ignore")


def test_an_error_of_a_converter_is_named_by_its_line(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", json.dumps(notes(1)[0]), '{"note_id": "n7"}')
    message = (
        f"^{re.escape(str(path))}:2:n7: expected a text under note_text; the record has: note_id$"
    )
    with pytest.raises(DataError, match=message):
        list(read_json(path, converter="omop"))


def test_an_error_of_a_function_hides_its_message(tmp_path):
    def convert(record):
        raise ValueError(SECRET)

    path = write_lines(tmp_path / "a.jsonl", '{"a": 1}')
    with pytest.raises(PipeError, match="read_json failed on item 0 with ValueError") as caught:
        list(read_json(path, converter=convert))
    assert "Dupont" not in str(caught.value)


# ---- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.jsonl.gz", "a.json.gz"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_is_written_is_read_back(tmp_path, name, count):
    write_json(notes(count), tmp_path / name)
    assert list(read_json(tmp_path / name)) == notes(count)


def test_lines_and_arrays_are_utf8_with_a_record_a_line(tmp_path):
    records = [{"note_id": "é", "a": "x\u2028\n"}, {"note_id": "b"}]
    write_json(records, tmp_path / "a.jsonl")
    write_json(records, tmp_path / "a.json")
    first, second = '{"note_id": "é", "a": "x\u2028\\n"}', '{"note_id": "b"}'
    assert (tmp_path / "a.jsonl").read_text("utf-8") == f"{first}\n{second}\n"
    assert (tmp_path / "a.json").read_text("utf-8") == f"[\n{first},\n{second}\n]\n"


def test_a_packed_file_is_the_same_each_time(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    write_json(notes(3), path)
    first = path.read_bytes()
    write_json(notes(3), path, overwrite=True)
    assert path.read_bytes() == first


def test_writing_runs_the_stream_and_returns_what_was_counted(tmp_path):
    stream = Stream.from_items(notes(5)).filter(lambda record: record["note_id"] != "n3")
    report = stream.write_json(tmp_path / "a.jsonl")
    assert report == {"read": 5, "done": 4, "filtered": 1, "delivered": 4}


def test_records_without_id_get_one(tmp_path):
    records = [{"a": 1}, {"a": 2, "note_id": "doc-000002"}, {"a": 3}, {"a": 4, "note_id": None}]
    write_json(records, tmp_path / "a.jsonl")
    ids = [record["note_id"] for record in read_json(tmp_path / "a.jsonl")]
    assert ids == ["doc-000001", "doc-000002", "doc-000003", "doc-000004"]


@pytest.mark.parametrize(("first", "second"), [("x", "x"), (7, "7")])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_two_records_with_one_id_are_an_error_and_nothing_is_seen(tmp_path, name, first, second):
    message = (
        rf"^{first}: two records have this id; give each document an id of its own .doc._.note"
    )
    with pytest.raises(DataError, match=message):
        write_json([{"note_id": first}, {"note_id": second}], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_stream_leaves_the_old_file_as_it_was(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", '{"old": 1}')
    stream = Stream.from_items(notes(5)).map(lambda record: 1 / 0)
    with pytest.raises(PipeError):
        stream.write_json(path, overwrite=True)
    assert path.read_text() == '{"old": 1}\n'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (float("nan"), "ValueError"),
        (float("-inf"), "ValueError"),
        ({1, 2}, "TypeError"),
        ("\ud800", "UnicodeEncodeError"),
    ],
)
def test_a_value_that_json_cannot_say_is_an_error(tmp_path, value, error):
    record = {"note_id": "n1", "note_text": SECRET, "value": value}
    message = rf"^n1: a value of the record is not plain data \({error}\)$"
    with pytest.raises(DataError, match=message):
        write_json([record], tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("item", [SECRET, 3, edspipe.blank("eds")(SECRET)])
def test_what_is_no_record_is_an_error_that_names_the_cure(tmp_path, item):
    message = f"writes records .dicts., got a {type(item).__name__}; pass converter='omop'"
    with pytest.raises(TypeError, match=message) as caught:
        write_json([item], tmp_path / "a.jsonl")
    assert SECRET not in str(caught.value)


def test_an_existing_file_is_not_replaced_unasked(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", '{"old": 1}')
    message = "a.jsonl exists; pass overwrite=True to replace it, or overwrite='append' to add"
    with pytest.raises(FileExistsError, match=message):
        write_json(notes(1), path)


def test_overwrite_replaces(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", '{"old": 1}')
    write_json(notes(1), path, overwrite=True)
    assert list(read_json(path)) == notes(1)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz", "a.json.gz"])
def test_append_adds(tmp_path, name):
    path = tmp_path / name
    write_json(notes(3)[:2], path, overwrite="append")
    write_json(notes(3)[2:], path, overwrite="append")
    assert list(read_json(path)) == notes(3)


def test_append_leaves_old_lines_as_they_are(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(BOM + b'{"old":1}\r\n\n{"old":  2}')
    write_json(notes(1), path, overwrite="append")
    assert path.read_bytes().startswith(BOM + b'{"old":1}\r\n\n{"old":  2}\n{"note_id"')


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_append_refuses_an_id_that_is_there(tmp_path, name):
    path = tmp_path / name
    write_json(notes(2), path)
    before = path.read_bytes()
    with pytest.raises(DataError, match="n1: two records have this id"):
        write_json(notes(2)[1:], path, overwrite="append")
    assert path.read_bytes() == before


def test_append_to_a_damaged_file_is_an_error(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", '{"a": 1}', "{")
    with pytest.raises(DataError, match=r"a.jsonl:2: not valid JSON"):
        write_json(notes(1), path, overwrite="append")


def test_an_unknown_overwrite_is_refused(tmp_path):
    with pytest.raises(ValueError, match="overwrite is True, False or 'append', got 'add'"):
        write_json([], tmp_path / "a.jsonl", overwrite="add")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", "a.csv.gz"])
def test_an_unknown_suffix_is_refused(tmp_path, name):
    message = r"expected one of .json, .jsonl, .ndjson \(or .jsonl.gz\)"
    with pytest.raises(ValueError, match=message):
        write_json([], tmp_path / name)


# ---- converter "omop" --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nlp() -> edspipe.Pipeline:
    return edspipe.blank("eds")


def omop(nlp, **kwargs):
    from edspipe.data.converters.base import make_converter

    return make_converter("omop", {"tokenizer": nlp.tokenizer, **kwargs})


def record_of(**changes) -> dict:
    entity = {
        "note_nlp_id": "7",
        "start_char": 7,
        "end_char": 13,
        "lexical_variant": "fièvre",
        "note_nlp_source_value": "Symptom",
        "negated": True,
        "score": 0.5,
    }
    record = {
        "note_id": "n1",
        "note_datetime": "2020-01-02",
        "note_text": "Pas de fièvre, toux.",
        "entities": [entity],
    }
    return {**record, **changes}


def test_a_record_becomes_a_doc(nlp):
    doc = omop(nlp).to_doc(record_of())
    (ent,) = doc.ents
    assert (doc.text, doc._.note_id) == ("Pas de fièvre, toux.", "n1")
    assert doc._.note_datetime == "2020-01-02"
    assert (ent.text, ent.label_, ent.id_, ent._.negated, ent._.score) == (
        *("fièvre", "Symptom", "7"),
        *(True, 0.5),
    )


def test_a_record_comes_back_as_it_was(nlp):
    converter = omop(nlp)
    assert converter.to_record(converter.to_doc(record_of())) == record_of()


def test_a_doc_comes_back_as_it_was_through_a_file(nlp, tmp_path):
    write_json([omop(nlp).to_doc(record_of())], tmp_path / "a.jsonl", converter="omop")
    assert list(read_json(tmp_path / "a.jsonl")) == [record_of()]
    (doc,) = read_json(tmp_path / "a.jsonl", converter="omop")
    assert omop(nlp).to_record(doc) == record_of()


def test_spans_on_the_same_words_keep_their_attributes(nlp):
    (entity,) = record_of()["entities"]
    twin = {**entity, "note_nlp_id": "8", "negated": False}
    other = {**entity, "note_nlp_id": "9", "note_nlp_source_value": "Disorder", "negated": None}
    record = record_of(entities=[other, entity, twin])
    converter = omop(nlp, span_setter="events", span_getter="events")
    doc = converter.to_doc(record)
    assert len(doc.spans["events"]) == 3
    assert converter.to_record(doc) == record


def test_attributes_can_be_chosen(nlp):
    converter = omop(nlp, span_attributes=["negated", "certainty"])
    declare_span_attribute("certainty")
    doc = converter.to_doc(record_of())
    (entity,) = converter.to_record(doc)["entities"]
    assert (entity["negated"], entity["certainty"], "score" in entity) == (True, None, False)


def test_labels_decide_where_spans_go(nlp):
    doc = omop(nlp, span_setter={"ents": ["Drug"], "all": True}).to_doc(record_of())
    assert (len(doc.ents), len(doc.spans["all"])) == (0, 1)


def test_entities_without_id_or_label_or_a_note_without_entities(nlp):
    entity = {"start_char": 7, "end_char": 13}
    converter = omop(nlp, span_setter="all", span_getter="all")
    (written,) = converter.to_record(converter.to_doc(record_of(entities=[entity])))["entities"]
    assert (written["note_nlp_id"], written["note_nlp_source_value"]) == ("0", "")
    assert converter.to_doc({"note_text": "Toux."}).ents == ()


def test_a_label_of_null_is_no_label(nlp):
    entity = {"start_char": 7, "end_char": 13, "note_nlp_source_value": None}
    doc = omop(nlp, span_setter="all").to_doc(record_of(entities=[entity]))
    assert doc.spans["all"][0].label_ == ""


def test_offsets_inside_a_word_are_widened_to_it(nlp):
    entity = {"start_char": 8, "end_char": 11, "note_nlp_source_value": "Symptom"}
    (ent,) = omop(nlp).to_doc(record_of(entities=[entity])).ents
    assert ent.text == "fièvre"


def test_an_entity_on_blanks_only_is_left_out(nlp):
    entity = {"start_char": 3, "end_char": 4}
    assert omop(nlp).to_doc(record_of(entities=[entity])).ents == ()


@pytest.mark.parametrize(
    ("entity", "got"),
    [
        ({"start_char": 7, "end_char": 21}, "7 and 21"),
        ({"start_char": -1, "end_char": 3}, "-1 and 3"),
        ({"start_char": 5, "end_char": 5}, "5 and 5"),
        ({"start_char": 9, "end_char": 3}, "9 and 3"),
        ({"end_char": 3}, "None and 3"),
        ({"start_char": 1.5, "end_char": 3}, "1.5 and 3"),
        ([], "None and None"),
    ],
)
def test_offsets_that_are_not_in_the_text_are_an_error(nlp, entity, got):
    record = record_of()
    record["entities"].append(entity)
    message = (
        "^n1: entity 1: expected start_char and end_char with 0 <= start < end <= 20, "
        f"got {re.escape(got)}$"
    )
    with pytest.raises(DataError, match=message):
        omop(nlp).to_doc(record)


def test_offsets_that_are_text_are_not_quoted(nlp):
    entity = {"start_char": SECRET, "end_char": 3}
    with pytest.raises(DataError, match="entity 0: expected start_char") as caught:
        omop(nlp).to_doc(record_of(entities=[entity]))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("record", [SECRET, 3, None, [SECRET]])
def test_what_is_no_record_is_refused(nlp, record):
    message = f"expected a record .a dict., got a {type(record).__name__}$"
    with pytest.raises(DataError, match=message):
        omop(nlp).to_doc(record)


@pytest.mark.parametrize("text", [None, 3, [SECRET]])
def test_a_record_without_a_text_is_refused(nlp, text):
    message = "n1: expected a text under note_text; the record has: .*note_text$"
    with pytest.raises(DataError, match=message) as caught:
        omop(nlp).to_doc(record_of(note_text=text))
    assert SECRET not in str(caught.value)


def test_spans_of_a_getter_are_written(nlp):
    doc: Doc = nlp(SECRET)
    doc.spans["a"] = [Span(doc, 0, 1, label="X")]
    doc.spans["b"] = [Span(doc, 2, 3, label="Y")]
    (entity,) = omop(nlp, span_getter={"a": True, "b": ["Z"]}).to_record(doc)["entities"]
    assert entity["note_nlp_source_value"] == "X"
