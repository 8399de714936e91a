"""write_text: a file a document in a folder, or a line a document in a file."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sink_support import tree, write_all, write_broken

import edspipe
from edspipe.data import read_text, write_text
from edspipe.data.text.sinks import TextFolderSink, TextLinesSink
from edspipe.errors import DataError
from edspipe.stream.stream import Stream

SECRET = "M. Dupont"
LONG = "x" * 300
RECORDS = [
    {"note_id": "n1", "note_text": "\ufeffToux\r\nsèche\r\u2028\0"},
    {"note_id": "a/n2", "note_text": ""},
    {"note_id": "../n3", "note_text": " "},
    {"note_id": LONG, "note_text": "long"},
    {"note_id": "n5.txt", "note_text": "x\n"},
]
LINES = [{"note_id": f"n{i}", "note_text": f"\u2028Toux\r {i}."} for i in range(4)]


def by_id(path: Path) -> dict[str, str]:
    return {r["note_id"]: r["note_text"] for r in read_text(path, converter=None)}


# ---- folders -----------------------------------------------------------------------------------


def test_a_folder_gets_a_file_a_document_byte_for_byte(tmp_path):
    write_text(RECORDS, tmp_path / "out", converter=None)
    assert by_id(tmp_path / "out") == {r["note_id"]: r["note_text"] for r in RECORDS}
    assert (tmp_path / "out/a/n2.txt").read_bytes() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not list((tmp_path / "out").rglob(".*"))


def test_docs_are_written_with_their_texts(tmp_path):
    nlp = edspipe.blank("eds")
    doc = nlp.make_doc("Toux.\n")
    doc._.note_id = "n1"
    report = write_text([doc, nlp.make_doc("x")], tmp_path / "out")
    assert by_id(tmp_path / "out") == {"n1": "Toux.\n", "doc-000002": "x"}
    assert (report.read, report.done) == (2, 2)


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab \r\n\ufeff")


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(IDS, TEXTS, max_size=4))
def test_any_text_comes_back_under_its_id(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("text") / "out"
    records = [{"note_id": ident, "note_text": text} for ident, text in texts.items()]
    write_all(lambda: TextFolderSink(), folder, records)
    assert (by_id(folder) if records else {}) == texts


@pytest.mark.parametrize("has_links", [True, False])
def test_append_keeps_what_is_there(tmp_path, monkeypatch, has_links):
    def refuse(*args):
        raise OSError("this disk has no hard links")

    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    write_text(RECORDS, tmp_path / "out", converter=None)
    write_text(
        [{"note_id": "new", "text": "y"}], tmp_path / "out", converter=None, overwrite="append"
    )
    assert by_id(tmp_path / "out") == {"new": "y"} | {r["note_id"]: r["note_text"] for r in RECORDS}


def test_append_refuses_an_id_that_is_there(tmp_path):
    write_text(RECORDS, tmp_path / "out", converter=None)
    before = tree(tmp_path / "out")
    for ident in ("a/n2", LONG):
        record = {"note_id": ident, "note_text": "y"}
        with pytest.raises(DataError, match=f"^{ident}: two records have this id"):
            write_text([record], tmp_path / "out", converter=None, overwrite="append")
    assert tree(tmp_path / "out") == before


def test_overwrite_leaves_nothing_of_the_folder_before(tmp_path):
    write_text(RECORDS, tmp_path / "out", converter=None)
    write_text(LINES[:1], tmp_path / "out", converter=None, overwrite=True)
    assert by_id(tmp_path / "out") == {"n0": LINES[0]["note_text"]}


def test_a_folder_with_a_link_cannot_be_added_to(tmp_path):
    (tmp_path / "out").mkdir()
    os.symlink(tmp_path, tmp_path / "out/there")
    with pytest.raises(DataError, match="there: a link, which cannot be appended to: put a copy"):
        write_text(LINES, tmp_path / "out", converter=None, overwrite="append")


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "out").mkdir()
    sink = TextFolderSink()
    sink.open(tmp_path / "out", None, None)
    sink.write({"note_id": "n1", "note_text": "x"})
    with pytest.raises(DataError, match=r"^n1\.txt:n1: there is such a document already"):
        sink.write({"note_id": "n1", "note_text": "y"})
    sink.abort()
    assert (tmp_path / "out/n1.txt").read_text() == "x"


# ---- files of lines ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_file_gets_a_line_a_document(tmp_path, name):
    write_text(LINES, tmp_path / name, converter=None)
    texts = [r["note_text"] for r in read_text(tmp_path / name, by="line", converter=None)]
    assert texts == [r["note_text"] for r in LINES]
    data = (tmp_path / name).read_bytes()
    data = gzip.decompress(data) if name.endswith("gz") else data
    assert data.decode() == "".join(f"{r['note_text']}\n" for r in LINES)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=3))
def test_a_text_comes_back_from_its_line_or_is_refused(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("text") / "out"
    records = [{"note_id": str(i), "note_text": text} for i, text in enumerate(texts)]
    try:
        write_all(lambda: TextLinesSink("a.txt"), folder, records)
    except DataError:
        assert any("\n" in t or t.endswith("\r") or not t.encode().strip() for t in texts)
        return
    path = (folder / "data").rename(folder / "a.txt")
    found = read_text(path, by="line", converter=None)
    assert [record["note_text"] for record in found] == texts


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{SECRET}\nx", "the text has a line end at character 9 of 11, and a .txt file holds"),
        (f"{SECRET}\r", "the text has a line end at character 9 of 10, and a .txt file holds"),
        ("", "the text has nothing but blanks, and a .txt file holds a document a line: write to"),
        (" \t", "the text has nothing but blanks"),
        (f"{SECRET}\ud800", "character 9 is a lone surrogate, which UTF-8 cannot hold"),
    ],
)
def test_a_text_that_fits_no_line_is_an_error(tmp_path, text, problem):
    with pytest.raises(DataError, match=f"^n1: {problem}") as caught:
        write_text([{"note_id": "n1", "note_text": text}], tmp_path / "a.txt", converter=None)
    assert SECRET not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_fits_no_line_is_skipped_where_asked(tmp_path):
    stream = Stream.from_items([*LINES, RECORDS[0]]).set_processing(on_error="skip")
    assert stream.write_text(tmp_path / "a.txt", converter=None).skipped == 1
    assert len((tmp_path / "a.txt").read_bytes().splitlines(keepends=False)) == 8  # \r counts here


def test_a_lone_surrogate_is_an_error_in_a_folder_too(tmp_path):
    with pytest.raises(DataError, match=r"^n1: character 0 is a lone surrogate"):
        write_text([{"note_id": "n1", "text": "\ud800"}], tmp_path / "out", converter=None)
    assert list(tmp_path.iterdir()) == []


def test_append_adds_lines(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x\r\ny")
    write_text(LINES[:1], tmp_path / "a.txt", converter=None, overwrite="append")
    assert (tmp_path / "a.txt").read_bytes() == b"x\r\ny\n" + LINES[0]["note_text"].encode() + b"\n"


@pytest.mark.parametrize("name", ["out", "a.txt"])
def test_two_documents_with_one_id_are_an_error(tmp_path, name):
    with pytest.raises(DataError, match="n0: t"):
        write_text([LINES[0], LINES[0]], tmp_path / name, converter=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out", "a.txt"])
def test_what_exists_is_not_replaced_unasked(tmp_path, name):
    write_text(LINES, tmp_path / name, converter=None)
    with pytest.raises(FileExistsError):
        write_text(LINES, tmp_path / name, converter=None)


def test_what_is_no_record_is_an_error_that_names_the_cure(tmp_path):
    message = "write_text writes records .dicts., got a str; pass converter='text' or a function"
    with pytest.raises(TypeError, match=message):
        write_text(["x"], tmp_path / "out", converter=None)


def test_a_record_without_a_text_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"^n1: expected a text under note_text or text"):
        write_text([{"note_id": "n1"}], tmp_path / "out", converter=None)


# ---- the sinks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("commit_at", range(6))
def test_a_broken_run_of_a_folder_goes_on_from_any_commit(tmp_path, commit_at):
    write_all(TextFolderSink, tmp_path / "calm/out", RECORDS)
    for break_at in {commit_at, 5}:
        folder = tmp_path / str(break_at) / "out"
        write_broken(TextFolderSink, folder, RECORDS, commit_at, break_at)
        assert tree(folder) == tree(tmp_path / "calm/out")


@pytest.mark.parametrize("commit_at", range(5))
def test_a_broken_run_of_lines_goes_on_from_any_commit(tmp_path, commit_at):
    write_all(lambda: TextLinesSink("a.txt"), tmp_path / "calm", LINES)
    write_broken(lambda: TextLinesSink("a.txt"), tmp_path / "out", LINES, commit_at, 4)
    assert tree(tmp_path / "out") == tree(tmp_path / "calm")


def test_a_folder_that_was_closed_and_not_put_in_place_goes_on(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    sink = TextFolderSink()
    sink.open(folder, None, None)
    for record in RECORDS:
        sink.write(record)
    state = json.loads(json.dumps(sink.commit()))
    sink.close()
    before = tree(folder)
    sink = TextFolderSink()
    sink.open(folder, None, state)
    sink.close()
    assert tree(folder) == before


def test_the_ids_of_an_old_folder_are_known(tmp_path):
    write_text(RECORDS, tmp_path / "old", converter=None)
    (tmp_path / "new").mkdir()
    sink = TextFolderSink()
    sink.open(tmp_path / "new", tmp_path / "old", None)
    assert sorted(sink.old_ids()) == sorted(record["note_id"] for record in RECORDS)
    sink.abort()


def test_sinks_can_be_let_go_at_any_moment(tmp_path):
    (tmp_path / "out").mkdir()
    for sink in (TextFolderSink(), TextLinesSink("a.txt")):
        assert list(sink.old_ids()) == []
        sink.abort()
        sink.open(tmp_path / "out", None, None)
        sink.abort()
        sink.abort()


@pytest.mark.parametrize("name", ["out", "a.txt"])
def test_a_killed_run_goes_on(tmp_path, monkeypatch, name):
    monkeypatch.setattr("edspipe.data.output.writing.COMMIT_EVERY_S", 0.0)
    records = [{"note_id": f"n{i}", "note_text": "x" * (i + 1)} for i in range(20)]
    seen = []

    def stop(record):
        seen.append(record["note_id"])
        if record["note_id"] == "n13" and seen.count("n13") == 1:
            raise KeyboardInterrupt
        return record

    stream = Stream.from_items(records).map(stop)
    with pytest.raises(KeyboardInterrupt):
        stream.write_text(tmp_path / name, converter=None, resume=True)
    assert stream.write_text(tmp_path / name, converter=None, resume=True).read == 20
    by = "file" if name == "out" else "line"
    texts = [r["note_text"] for r in read_text(tmp_path / name, by=by, converter=None)]
    assert sorted(texts) == sorted(record["note_text"] for record in records)
    assert (seen.count("n0"), seen.count("n19")) == (1, 1)
