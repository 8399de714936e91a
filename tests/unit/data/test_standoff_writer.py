"""Writing standoff folders: what is in them, and that nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.vocab import Vocab
from standoff_support import contents, documents, write_files, write_folder

from edspipe.data.output import document_folder
from edspipe.data.output.writing import write_records
from edspipe.data.standoff.docs import doc_to_record, record_to_doc
from edspipe.data.standoff.files import list_standoff_files, read_records
from edspipe.data.standoff.report import ReadReport
from edspipe.data.standoff.writer import StandoffSink, render_files
from edspipe.doc.tokenizer import EdsTokenizer
from edspipe.errors import DataError
from edspipe.stream.stream import Stream

ANN = "T1\tX 0 1\ta\n"


def plain(note_id: object, text: str = "a", **rest) -> dict:
    entities = [{"id": "T1", "label": "X", "fragments": [[0, 1]]}]
    return {"note_id": note_id, "text": text, "entities": entities, **rest}


def ids_of(folder: Path, **options) -> list[str]:
    return [document.note_id for document in list_standoff_files(folder, **options)]


def test_what_is_written_reads_back(tmp_path):
    report = write_folder(tmp_path / "out", [plain("a/d")])
    assert contents(tmp_path / "out") == {"a/d.ann": ANN.encode(), "a/d.txt": b"a"}
    assert report.done == report["lines_added"] == 1


def test_nothing_is_seen_before_the_end(tmp_path):
    def records():
        yield plain("d")
        assert not (tmp_path / "out").exists()

    write_folder(tmp_path / "out", records())
    assert ids_of(tmp_path / "out") == ["d"]


@pytest.mark.parametrize("overwrite", [True, "append"])
def test_an_error_leaves_the_folder_as_it_was(tmp_path, overwrite):
    def records():
        yield plain("d")
        raise DataError("bad")

    out = write_files(tmp_path / "out", {"old.txt": "x"})
    with pytest.raises(DataError, match="bad"):
        write_folder(out, records(), overwrite=overwrite)
    assert contents(out) == {"old.txt": b"x"}
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    out = write_files(tmp_path / "out", {"old.txt": "x"})
    with pytest.raises(FileExistsError, match=r"not empty.*overwrite=True.*out"):
        write_folder(out, [])
    assert contents(out) == {"old.txt": b"x"}


def test_overwrite_leaves_no_stale_file(tmp_path):
    out = write_files(tmp_path / "out", {"old.txt": "x", "ids.json": "{}"})
    write_folder(out, [plain("d")], overwrite=True)
    assert set(contents(out)) == {"d.ann", "d.txt"}


def test_append_keeps_what_is_there(tmp_path):
    out = tmp_path / "out"
    for ids in (["a/1", "x" * 300], ["a/2", "y" * 300]):
        write_folder(out, map(plain, ids), overwrite="append")
    assert sorted(ids_of(out)) == ["a/1", "a/2", "x" * 300, "y" * 300]


@pytest.mark.parametrize("there", [{"d.txt": "x"}, {"d.ann": ""}])
def test_append_refuses_an_id_that_is_there(tmp_path, there):
    out = write_files(tmp_path / "out", there)
    message = "there is such a document already|two records have this id"
    with pytest.raises(DataError, match=message):
        write_folder(out, [plain("d")], overwrite="append")
    assert set(contents(out)) == set(there)


def test_append_works_where_the_disk_has_no_links(tmp_path, monkeypatch):
    out = write_files(tmp_path / "out", {"old.txt": "x"})

    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr(document_folder.os, "link", refuse)
    write_folder(out, [plain("d")], overwrite="append")
    assert ids_of(out) == ["d", "old"]


def test_overwrite_is_one_of_three(tmp_path):
    with pytest.raises(ValueError, match="overwrite is True, False or 'append', got 'yes'"):
        write_folder(tmp_path, [], overwrite="yes")


def test_documents_without_id_get_one_by_their_order(tmp_path):
    out = tmp_path / "out"
    report = write_folder(out, map(plain, [None, "x", None, 7]))
    assert sorted(ids_of(out)) == ["7", "doc-000001", "doc-000003", "x"]
    assert report["generated_ids"] == 2
    write_folder(out, [plain(None)], overwrite="append")
    assert sorted(ids_of(out)) == ["7", "doc-000001", "doc-000002", "doc-000003", "x"]


def test_an_id_is_text(tmp_path):
    with pytest.raises(DataError, match="the id of a document is text, got list"):
        write_folder(tmp_path / "out", [plain(["d"])])


def test_two_documents_with_one_id_are_refused_before_anything_is_seen(tmp_path):
    with pytest.raises(DataError, match="d: two records have this id"):
        write_folder(tmp_path / "out", [plain("d", text=text) for text in "ab"])
    assert not (tmp_path / "out").exists()


def test_a_refused_document_leaves_nothing_behind(tmp_path):
    with pytest.raises(DataError, match=r"character 1 of 3 of the \.txt is a lone surrogate"):
        render_files(plain("bad", text="a\ud800b"))
    records = [plain("bad", text="a\ud800b"), plain("bad")]
    stream = Stream.from_items(records).set_processing(on_error="skip").map(render_files)
    write_records(stream, tmp_path / "out", StandoffSink(), stage="write_standoff")
    assert contents(tmp_path / "out") == {"bad.ann": ANN.encode(), "bad.txt": b"a"}


# No id leaves the folder


HOSTILE = [
    *("../x", "/abs", "a/../../b", "..", "", "\x00", "CON", "x" * 300, "%2e%2e", "a.txt.b", "."),
    *("a/", "//", "~root", "c:\\x", "a\nb", "é" * 200, "d/" * 600, ".hidden", "ids.json/x"),
]


def test_hostile_ids_read_back_exactly_and_stay_inside(tmp_path):
    out = tmp_path / "deep" / "out"
    write_folder(out, map(plain, HOSTILE))
    assert sorted(ids_of(out)) == sorted(HOSTILE)
    assert os.listdir(tmp_path) == ["deep"]
    assert os.listdir(tmp_path / "deep") == ["out"]


def test_what_is_read_and_written_keeps_its_id(tmp_path):
    write_folder(tmp_path / "one", map(plain, HOSTILE))
    write_folder(tmp_path / "two", read_records(list_standoff_files(tmp_path / "one")))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_link_in_the_place_of_the_folder_is_replaced_not_followed(tmp_path):
    outside = write_files(tmp_path / "outside", {"keep.txt": "x"})
    (tmp_path / "out").symlink_to(outside)
    write_folder(tmp_path / "out", [plain("d")], overwrite=True)
    assert contents(outside) == {"keep.txt": b"x"}
    assert ids_of(tmp_path / "out") == ["d"]


def test_nothing_is_appended_through_a_link(tmp_path):
    outside = write_files(tmp_path / "outside", {"keep.txt": "x"})
    out = write_files(tmp_path / "out", {"d.txt": ""})
    (out / "sub").symlink_to(outside)
    with pytest.raises(DataError, match="sub: a link, which cannot be appended to"):
        write_folder(out, [], overwrite="append")
    assert contents(outside) == {"keep.txt": b"x"}


# Round trips


@settings(max_examples=60, deadline=None)
@given(st.lists(documents(), min_size=1, max_size=3))
def test_a_folder_read_and_written_is_the_same_folder(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("brat")
    for number, (text, lines) in enumerate(found):
        write_files(folder / "in", {f"{number}.txt": text, f"{number}.ann": lines})
    records = list(read_records(list_standoff_files(folder / "in")))
    write_folder(folder / "out", records)
    assert contents(folder / "in") == contents(folder / "out")
    assert list(read_records(list_standoff_files(folder / "out"))) == records


CORPORA = [
    *("ncbi_disease/train", "ncbi_disease/dev", "meddocan/train", "meddocan/dev"),
    *("clinical_rules/e3c_fr", "clinical_rules/e3c_en", "clinical_rules/e3c_es"),
]


@pytest.mark.corpora
@pytest.mark.parametrize("setter", ["ents", "gold"])
@pytest.mark.parametrize("corpus", CORPORA)
def test_a_real_corpus_goes_through_docs_and_back_byte_for_byte(tmp_path, corpus, setter):
    root = os.environ.get("EDSPIPE_CORPORA")
    if not root or not Path(root, corpus).is_dir():
        pytest.skip(f"EDSPIPE_CORPORA names no folder with {corpus}")
    tokenizer = EdsTokenizer(Vocab())
    report = ReadReport()
    documents = list_standoff_files(Path(root, corpus))
    records = read_records(documents, report=report)
    docs = (record_to_doc(record, tokenizer, setter) for record in records)
    written = write_folder(tmp_path / "out", (doc_to_record(doc, setter) for doc in docs))
    assert report.documents == len(documents) == written.done > 30
    assert report.unknown_lines == report.skipped_lines == report.txt_without_ann == 0
    for document in documents:
        for name in (document.txt, *document.anns):
            again = tmp_path / "out" / os.path.relpath(name, Path(root, corpus))
            assert again.read_bytes() == Path(name).read_bytes()
