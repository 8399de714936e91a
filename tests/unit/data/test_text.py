"""read_text: plain text, a document a file, a line or a paragraph."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tracemalloc
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edspipe
from edspipe.data import read_text
from edspipe.data.text.files import RawText, TextFile
from edspipe.errors import DataError, PipeError
from edspipe.stream.hooks import describe, identity_of, plain

TEXT = "\ufeffPas de fièvre.\r\nToux\rsèche\u2028\x85\0\n\n  \n Fin. "


def put(path: Path, text: str | bytes = TEXT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def pairs(path: Path | str, **options) -> list[tuple[str, str]]:
    """Ids and texts."""
    records = read_text(path, converter=None, **options)
    return [(record["note_id"], record["note_text"]) for record in records]


# ---- what a document is ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["n1.txt", "n1.txt.gz"])
def test_a_file_is_a_document_byte_for_byte(tmp_path, name):
    assert pairs(put(tmp_path / name)) == [("n1", TEXT)]


def test_documents_are_docs_with_ids(tmp_path):
    (doc,) = read_text(put(tmp_path / "n1.txt"), tokenizer=edspipe.blank("eds").tokenizer)
    assert (doc.text, doc._.note_id) == (TEXT, "n1")


def test_a_line_is_a_document(tmp_path):
    path = put(tmp_path / "n1.txt", "\ufeffa \r\n\nb\rc\n \t\r\n\u2028d\x0be\x0c\n\xa0\nf\r")
    assert pairs(path, by="line") == [
        ("n1#1", "\ufeffa "),
        ("n1#3", "b\rc"),
        ("n1#5", "\u2028d\x0be\x0c"),
        ("n1#6", "\xa0"),
        ("n1#7", "f\r"),
    ]


def test_a_paragraph_is_a_document(tmp_path):
    path = put(tmp_path / "n1.txt", "\n\na\r\n b\n\t\n\r\nc\nd\r\n\n\ne")
    assert pairs(path, by="paragraph") == [("n1#1", "a\r\n b"), ("n1#2", "c\nd"), ("n1#3", "e")]


@pytest.mark.parametrize("by", ["file", "line", "paragraph"])
def test_an_empty_file_has_one_document_or_none(tmp_path, by):
    path = put(tmp_path / "n1.txt", "")
    assert pairs(path, by=by) == ([("n1", "")] if by == "file" else [])


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab \r\n\t\u2028"))
def test_no_text_is_changed(tmp_path_factory, text):
    path = put(tmp_path_factory.mktemp("text") / "n1.txt", text)
    assert pairs(path) == [("n1", text)]
    lines = [line for _, line in pairs(path, by="line")]
    ends = [line.removesuffix("\r") for line in text.split("\n")[:-1]] + [text.split("\n")[-1]]
    assert lines == [line for line in ends if line.encode().strip()]
    for _, paragraph in pairs(path, by="paragraph"):
        assert paragraph in text
        assert all(line.encode().strip() for line in paragraph.split("\n"))


# ---- ids ---------------------------------------------------------------------------------------


def test_an_id_is_the_path_below_the_folder(tmp_path, monkeypatch):
    for name in ("a/n1.txt", "a/b/n.2.txt.gz", "n3.txt", "%2E.txt", ".hidden/x.txt", "n4.ann"):
        put(tmp_path / "in" / name, "x")
    expected = ["a/b/n.2", "a/n1", "n3", "."]
    assert sorted(i for i, _ in pairs(tmp_path / "in")) == sorted(expected)
    monkeypatch.chdir(tmp_path / "in")
    assert sorted(i for i, _ in pairs(".")) == sorted(expected)
    assert [i for i, _ in pairs("a/n1.txt")] == ["n1"]


def test_an_id_is_the_path_below_the_fixed_part_of_a_pattern(tmp_path):
    for name in ("a/1/n.txt", "a/2/n.txt", "b/1/n.txt"):
        put(tmp_path / name, "x")
    assert [i for i, _ in pairs(tmp_path / "a/*/n.txt")] == ["1/n", "2/n"]
    assert [i for i, _ in pairs(f"{tmp_path}/*/1/*")] == ["a/1/n", "b/1/n"]
    assert [i for i, _ in pairs(f"{tmp_path}/**/2/n.txt")] == ["a/2/n"]


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("memory://notes", ["a/n1", "n2"]),
        ("memory://notes/", ["a/n1", "n2"]),
        ("memory://notes/a/n1.txt", ["n1"]),
        ("memory://notes/*/n1.txt", ["a/n1"]),
        ("memory://notes/*.gz", ["n2"]),
    ],
)
def test_an_id_of_an_address_is_made_likewise(path, ids):
    system = fsspec.filesystem("memory")
    system.pipe({"/notes/a/n1.txt": b"x", "/notes/n2.txt.gz": gzip.compress(b"y")})
    try:
        assert [i for i, _ in pairs(path)] == ids
    finally:
        system.rm("/notes", recursive=True)


def test_ids_of_cut_names_are_in_the_map_file(tmp_path):
    put(tmp_path / "abc%~00.txt", "x")
    (tmp_path / "ids.json").write_text('{"ids": {"abc%~00": "abc…"}}')
    assert pairs(tmp_path) == [("abc…", "x")]


def test_other_suffixes_can_be_asked_for(tmp_path):
    put(tmp_path / "a.md", "x")
    put(tmp_path / "b.txt", "y")
    assert pairs(tmp_path, suffixes=[".md", ".rst"]) == [("a", "x")]
    assert pairs(tmp_path / "a.md") == [("a", "x")]


# ---- positions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("by", ["file", "line", "paragraph"])
def test_a_stream_goes_on_from_every_position(tmp_path, by, workers):
    for i in range(3):
        put(tmp_path / f"n{i}.txt", f"a{i}\n\n\nb{i}\nc{i}\n\nd")
    stream = read_text(tmp_path, by=by, converter=None)
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    whole = list(stream)
    assert len(whole) == {"file": 3, "line": 12, "paragraph": 9}[by]
    for number in range(0, len(whole), 2):
        with iter(stream) as first:
            for _ in range(number):
                next(first)
            state = json.loads(json.dumps(first.get_state()))
        with iter(stream) as second:
            second.set_state(state)
            assert list(second) == whole[number:]


def test_the_number_of_documents_is_known_by_file_only():
    assert TextFile("a.txt", "file", "a").num_items() == 1
    assert TextFile("a.txt", "line", "a").num_items() is None


def test_files_are_opened_by_the_op_that_decodes_them(tmp_path):
    (raw,) = TextFile(str(tmp_path / "none.txt"), "file", "none").read()
    assert raw == RawText("none", str(tmp_path / "none.txt"))
    assert identity_of(raw) == ("none", str(tmp_path / "none.txt"), None)


def test_a_piece_has_an_identity_without_text():
    raw = RawText("n1#3", "n1.txt", 3, b"Toux.")
    assert identity_of(raw) == ("n1#3", "n1.txt:3", hashlib.sha256(b"Toux.").hexdigest())
    assert describe(raw, 0) == "document 'n1#3'"
    assert plain(raw) == {"note_id": "n1#3", "file": "n1.txt", "note_text": "Toux."}


def test_reading_can_loop_and_shuffle(tmp_path):
    for i in range(9):
        put(tmp_path / f"n{i}.txt", "x")
    for shuffle in (True, "fragment"):
        stream = read_text(tmp_path, shuffle=shuffle, loop=True, seed=1, converter=None).take(18)
        ids = [record["note_id"] for record in stream]
        assert sorted(ids[:9]) == sorted(ids[9:]) == [f"n{i}" for i in range(9)]
        assert ids[:9] != ids[9:]


@pytest.mark.parametrize("by", ["line", "paragraph"])
def test_a_file_is_never_held_whole(tmp_path, by):
    path = put(tmp_path / "a.txt", b"Toux. \n\n" * 400_000)
    tracemalloc.start()
    try:
        stream = read_text(path, by=by, converter=None).take(2000)
        assert sum(1 for _ in stream) == 2000
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1_000_000 < path.stat().st_size / 3


# ---- what is wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["file", "line", "paragraph"])
def test_what_is_not_utf8_is_named_with_its_line(tmp_path, by):
    path = put(tmp_path / "a.txt", b"x\n\nM. Dupont\ny\nM. Dupont \xe9\n")
    message = f"^{re.escape(str(path))}:5: not UTF-8 at byte 11 of the line: convert the file"
    with pytest.raises(DataError, match=message) as caught:
        pairs(path, by=by)
    assert "Dupont" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_documents_are_skipped_and_counted_where_asked(tmp_path, workers):
    put(tmp_path / "a.txt", "x")
    put(tmp_path / "b.txt", b"\xff")
    (tmp_path / "c.txt.gz").write_bytes(b"M. Dupont")
    stream = read_text(tmp_path, on_error="skip", converter=None)
    stream = stream.set_processing(num_cpu_workers=workers, process_start_method="fork")
    iterator = iter(stream)
    assert [record["note_id"] for record in iterator] == ["a"]
    assert iterator.counts == {"read": 3, "done": 1, "skipped": 2, "delivered": 1}


@pytest.mark.parametrize("by", ["file", "line"])
def test_a_damaged_packed_file_is_named(tmp_path, by):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"Toux.\n" * 1000)[:-20])
    with pytest.raises(DataError, match=r"a\.txt\.gz: not a whole gzip file"):
        pairs(path, by=by)


def test_an_unknown_unit_is_refused(tmp_path):
    put(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="by is 'file', 'line' or 'paragraph', got 'word'"):
        read_text(tmp_path, by="word")


def test_a_file_that_is_not_there_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected \.txt files, found none"):
        read_text(tmp_path)


def test_an_error_of_a_function_names_the_document(tmp_path):
    def convert(record):
        raise ValueError(record["note_text"])

    put(tmp_path / "a.txt", "M. Dupont")
    with pytest.raises(PipeError, match="read_text failed on document 'a' with Value") as caught:
        list(read_text(tmp_path, converter=convert))
    assert "Dupont" not in str(caught.value)
