from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.vocab import Vocab
from standoff_support import contents, documents, only_document, write_files

import edspipe.data.standoff.writer as standoff_writer
from edspipe.data.standoff.docs import doc_to_record, record_to_doc
from edspipe.data.standoff.files import (
    StandoffDocument,
    list_standoff_files,
    locate_document,
    read_record,
    read_records,
)
from edspipe.data.standoff.report import ReadReport, WriteReport
from edspipe.data.standoff.streams import read_standoff
from edspipe.data.standoff.writer import StandoffWriter, write_record
from edspipe.doc.tokenizer import EdsTokenizer
from edspipe.errors import DataError

ANN = "T1\tX 0 1\ta\n"


def plain(note_id: str | None, text: str = "a", **rest) -> dict:
    entities = [{"id": "T1", "label": "X", "fragments": [[0, 1]]}]
    return {"note_id": note_id, "text": text, "entities": entities, **rest}


def ids_of(folder: Path, **options) -> list[str]:
    return [document.note_id for document in list_standoff_files(folder, **options)]


# Listing


def test_documents_are_listed_by_path_with_subfolders(tmp_path):
    write_files(tmp_path, {"b.txt": "", "a/c.txt": "", "a/b/d.txt": "", "B.txt": "", "x.json": ""})
    assert ids_of(tmp_path) == ["B", "a/b/d", "a/c", "b"]


def test_backups_and_hidden_files_are_never_read(tmp_path):
    names = ["d.txt", "d.ann", "d.ann~", "d.ann.bak", ".d.ann", "#d.ann#", "d.annx", ".git/e.txt"]
    write_files(tmp_path, dict.fromkeys(names, ""))
    document = only_document(tmp_path)
    assert document.anns == (str(tmp_path / "d.ann"),)


def test_only_the_last_suffix_is_cut(tmp_path):
    write_files(tmp_path, {"a.txt.b.txt": "a", "a.txt.b.ann": ANN, "x.txt/c.txt": ""})
    assert ids_of(tmp_path) == ["a.txt.b", "x.txt/c"]
    assert len(read_record(list_standoff_files(tmp_path)[0])["entities"]) == 1


def test_split_annotations_are_read_together(tmp_path):
    write_files(tmp_path, {"d.txt": "a", "d.a2": "E1\tY:T1\n", "d.a1": ANN})
    record = read_record(only_document(tmp_path))
    assert record["source"] == {".a1": ANN, ".a2": "E1\tY:T1\n"}
    assert [event["id"] for event in record["events"]] == ["E1"]


def test_suffixes_may_be_chosen(tmp_path):
    write_files(tmp_path, {"d.txt": "a", "d.ann": ANN, "d.gold": "T2\tY 0 1\ta\n", "d.a1": ANN})
    (document,) = list_standoff_files(tmp_path, suffixes=[".gold"])
    assert [one["id"] for one in read_record(document)["entities"]] == ["T2"]


@pytest.mark.parametrize("suffixes", [".ann", ["ann"], [".txt"]])
def test_suffixes_that_mean_nothing_are_refused(tmp_path, suffixes):
    with pytest.raises(ValueError, match=r"suffixes is a list like \['.a1', '.a2'\]"):
        list_standoff_files(tmp_path, suffixes=suffixes)


def test_links_to_folders_are_followed_once(tmp_path):
    write_files(tmp_path, {"in/a/d.txt": "", "other/e.txt": ""})
    (tmp_path / "in" / "a" / "ring").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "other")
    assert ids_of(tmp_path / "in") == ["a/d", "more/e"]


def test_one_text_may_be_read_alone(tmp_path):
    write_files(tmp_path, {"d.txt": "a", "d.ann": ANN})
    (document,) = list_standoff_files(tmp_path / "d.txt")
    assert document == locate_document(tmp_path / "d.txt") == only_document(tmp_path)
    assert read_record(tmp_path / "d.txt")["note_id"] == "d"


def test_a_document_is_small_plain_data(tmp_path):
    document = StandoffDocument("d", "d.txt", ("d.ann",))
    assert pickle.loads(pickle.dumps(document)) == document  # noqa: S301


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list_standoff_files(tmp_path / "nowhere")


def test_a_folder_without_documents_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.txt file, so no document"):
        list_standoff_files(write_files(tmp_path, {"d.json": ""}))


def test_an_empty_output_is_no_error(tmp_path):
    with StandoffWriter(tmp_path / "out"):
        pass
    assert list_standoff_files(tmp_path / "out") == []


def test_only_a_txt_is_a_document(tmp_path):
    with pytest.raises(DataError, match=r"ends in \.txt"):
        locate_document(write_files(tmp_path, {"d.ann": ""}) / "d.ann")


# Reading


def test_text_is_read_as_it_is(tmp_path):
    text = "\ufeffa\r\nb\rc\u2028d\x00e\u0301"
    write_files(tmp_path, {"d.txt": text, "d.ann": "T1\tX 6 7\tc\n"})
    assert read_record(only_document(tmp_path))["text"] == text


def test_a_text_without_annotations_is_counted(tmp_path):
    report = ReadReport()
    record = read_record(write_files(tmp_path, {"d.txt": "a"}) / "d.txt", report=report)
    assert (record["entities"], record["source"], report.txt_without_ann) == ([], {}, 1)


def test_the_report_counts_lines(tmp_path):
    write_files(tmp_path, {"d.txt": "a", "d.ann": ANN + "A1\tN T1\nodd\n\n", "e.txt": "a"})
    report = ReadReport()
    list(read_records(list_standoff_files(tmp_path), report=report))
    assert (report.documents, report.unknown_lines) == (2, 2)
    assert report.annotations == {"Entity": 1, "Attribute": 1}


def test_on_error_skip_leaves_out_lines_and_documents(tmp_path):
    bad = ANN + "T2\tX 7 9\tb\nA1\tN T2\nT3\tX 8 9\tb\n"
    write_files(tmp_path, {"a.txt": "a", "a.ann": bad, "b.txt": b"\xff", "b.ann": ""})
    report = ReadReport()
    (record,) = read_records(list_standoff_files(tmp_path), on_error="skip", report=report)
    assert record["source"] == {".ann": ANN}
    assert (report.documents, report.skipped_documents, report.skipped_lines) == (1, 1, 3)
    assert report.reasons == {"offsets N-N are out of range": 2, "not UTF-N at byte N of N": 1}


def test_on_error_is_one_of_two_words():
    with pytest.raises(ValueError, match="on_error is 'raise' or 'skip', got 'drop'"):
        list(read_records([], on_error="drop"))


def test_reports_add_up():
    one, other = ReadReport(documents=1), ReadReport(documents=2)
    one.reasons["x"] = 1
    other.reasons["x"] = 2
    one.add(other)
    assert one.as_dict()["documents"] == 3
    assert one.as_dict()["reasons"] == {"x": 3}


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    write_files(tmp_path, {"d.txt": "a"})
    (tmp_path / "d.ann").symlink_to(tmp_path / "nowhere")
    for document in (locate_document(tmp_path / "d.txt"), only_document(tmp_path)):
        with pytest.raises(DataError, match=r"d\.ann: cannot be read: No such file"):
            read_record(document)


@pytest.mark.parametrize("content", ["[]", '{"ids": 1}', '{"ids": {"a": 1}}', "{", "\ufeff\x00"])
def test_a_damaged_map_is_an_error(tmp_path, content):
    write_files(tmp_path, {"d.txt": "", "ids.json": content})
    with pytest.raises(DataError, match=r'ids.json: damaged: expected {"ids"'):
        list_standoff_files(tmp_path)


# Writing


def test_what_is_written_reads_back(tmp_path):
    with StandoffWriter(tmp_path / "out") as writer:
        writer.write(plain("a/d"))
    assert contents(tmp_path / "out") == {"a/d.ann": ANN.encode(), "a/d.txt": b"a"}
    assert writer.report.documents == writer.report.lines_added == 1


def test_nothing_is_seen_before_the_end(tmp_path):
    with StandoffWriter(tmp_path / "out") as writer:
        writer.write(plain("d"))
        assert not (tmp_path / "out").exists()
    assert ids_of(tmp_path / "out") == ["d"]


@pytest.mark.parametrize("overwrite", [True, "append"])
def test_an_error_leaves_the_folder_as_it_was(tmp_path, overwrite):
    out = write_files(tmp_path / "out", {"old.txt": "x"})
    with pytest.raises(RuntimeError), StandoffWriter(out, overwrite=overwrite) as writer:  # noqa: PT012
        writer.write(plain("d"))
        raise RuntimeError
    assert contents(out) == {"old.txt": b"x"}
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    out = write_files(tmp_path / "out", {"old.txt": "x"})
    with (
        pytest.raises(FileExistsError, match=r"not empty.*overwrite=True.*out"),
        StandoffWriter(out),
    ):
        pass
    assert contents(out) == {"old.txt": b"x"}


def test_overwrite_leaves_no_stale_file(tmp_path):
    out = write_files(tmp_path / "out", {"old.txt": "x", "ids.json": "{}"})
    with StandoffWriter(out, overwrite=True) as writer:
        writer.write(plain("d"))
    assert set(contents(out)) == {"d.ann", "d.txt"}


def test_append_keeps_what_is_there(tmp_path):
    out = tmp_path / "out"
    for ids in (["a/1", "x" * 300], ["a/2", "y" * 300]):
        with StandoffWriter(out, overwrite="append") as writer:
            for note_id in ids:
                writer.write(plain(note_id))
    assert sorted(ids_of(out)) == ["a/1", "a/2", "x" * 300, "y" * 300]


@pytest.mark.parametrize("there", [{"d.txt": "x"}, {"d.ann": ""}])
def test_append_refuses_an_id_that_is_there(tmp_path, there):
    out = write_files(tmp_path / "out", there)
    with (
        pytest.raises(DataError, match="there is such a document already"),
        StandoffWriter(out, overwrite="append") as writer,
    ):
        writer.write(plain("d"))
    assert set(contents(out)) == set(there)


def test_append_works_where_the_disk_has_no_links(tmp_path, monkeypatch):
    out = write_files(tmp_path / "out", {"old.txt": "x"})

    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr(standoff_writer.os, "link", refuse)
    with StandoffWriter(out, overwrite="append") as writer:
        writer.write(plain("d"))
    assert ids_of(out) == ["d", "old"]


def test_overwrite_is_one_of_three(tmp_path):
    with pytest.raises(ValueError, match="overwrite is True, False or 'append', got 'yes'"):
        StandoffWriter(tmp_path, overwrite="yes")


def test_a_writer_writes_inside_its_block_only(tmp_path):
    with pytest.raises(ValueError, match="inside its 'with' block only"):
        StandoffWriter(tmp_path / "out").write(plain("d"))


def test_documents_without_id_get_one_by_their_order(tmp_path):
    with StandoffWriter(tmp_path / "out") as writer:
        given = [writer.write(plain(note_id)) for note_id in (None, "x", None, 7)]
    assert given == ["doc-000001", "x", "doc-000003", "7"]
    assert writer.report.generated_ids == 2
    with StandoffWriter(tmp_path / "out", overwrite="append") as writer:
        assert writer.write(plain(None)) == "doc-000002"


def test_an_id_is_text(tmp_path):
    with (
        pytest.raises(DataError, match="the id of a document is text, got list"),
        StandoffWriter(tmp_path / "out") as writer,
    ):
        writer.write(plain(["d"]))


def test_two_documents_with_one_id_are_refused_before_anything_is_seen(tmp_path):
    with (
        pytest.raises(DataError, match="d: two documents have this id"),
        StandoffWriter(tmp_path / "out") as writer,
    ):
        _ = [writer.write(plain("d", text=text)) for text in "ab"]
    assert not (tmp_path / "out").exists()


def test_a_refused_document_leaves_nothing_behind(tmp_path):
    with StandoffWriter(tmp_path / "out") as writer:
        with pytest.raises(DataError, match=r"character 1 of 3 of the \.txt is a lone surrogate"):
            writer.write(plain("bad", text="a\ud800b"))
        writer.write(plain("bad"))
    assert ids_of(tmp_path / "out") == ["bad"]
    assert writer.report.documents == 1


# No id leaves the folder


HOSTILE = [
    *("../x", "/abs", "a/../../b", "..", "", "\x00", "CON", "x" * 300, "%2e%2e", "a.txt.b", "."),
    *("a/", "//", "~root", "c:\\x", "a\nb", "é" * 200, "d/" * 600, ".hidden", "ids.json/x"),
]


def test_hostile_ids_read_back_exactly_and_stay_inside(tmp_path):
    out = tmp_path / "deep" / "out"
    with StandoffWriter(out) as writer:
        for note_id in HOSTILE:
            writer.write(plain(note_id))
    assert sorted(ids_of(out)) == sorted(HOSTILE)
    assert os.listdir(tmp_path) == ["deep"]
    assert os.listdir(tmp_path / "deep") == ["out"]


def test_what_is_read_and_written_keeps_its_id(tmp_path):
    with StandoffWriter(tmp_path / "one") as writer:
        for note_id in HOSTILE:
            writer.write(plain(note_id))
    with StandoffWriter(tmp_path / "two") as writer:
        for record in read_records(list_standoff_files(tmp_path / "one")):
            writer.write(record)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_link_in_the_place_of_the_folder_is_replaced_not_followed(tmp_path):
    outside = write_files(tmp_path / "outside", {"keep.txt": "x"})
    (tmp_path / "out").symlink_to(outside)
    with StandoffWriter(tmp_path / "out", overwrite=True) as writer:
        writer.write(plain("d"))
    assert contents(outside) == {"keep.txt": b"x"}
    assert ids_of(tmp_path / "out") == ["d"]


def test_nothing_is_appended_through_a_link(tmp_path):
    outside = write_files(tmp_path / "outside", {"keep.txt": "x"})
    out = write_files(tmp_path / "out", {"d.txt": ""})
    (out / "sub").symlink_to(outside)
    with (
        pytest.raises(DataError, match="sub: a link, which cannot be appended to"),
        StandoffWriter(out, overwrite="append"),
    ):
        pass
    assert contents(outside) == {"keep.txt": b"x"}


def test_nothing_is_written_through_a_link(tmp_path):
    outside = write_files(tmp_path / "outside", {"keep.txt": "x"})
    out = write_files(tmp_path / "out", {"d.txt": ""})
    (out / "sub").symlink_to(outside)
    (out / "e.txt").symlink_to(outside / "new.txt")
    with pytest.raises(DataError, match="sub:sub/d: a link: nothing is written through it"):
        write_record(out, plain("sub/d"))
    with pytest.raises(DataError, match="there is such a document already"):
        write_record(out, plain("e"))
    assert contents(outside) == {"keep.txt": b"x"}


# Round trips


@settings(max_examples=60, deadline=None)
@given(st.lists(documents(), min_size=1, max_size=3))
def test_a_folder_read_and_written_is_the_same_folder(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("brat")
    for number, (text, lines) in enumerate(found):
        write_files(folder / "in", {f"{number}.txt": text, f"{number}.ann": lines})
    records = list(read_records(list_standoff_files(folder / "in")))
    with StandoffWriter(folder / "out") as writer:
        for record in records:
            writer.write(record)
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
    report, written = ReadReport(), WriteReport()
    documents = list_standoff_files(Path(root, corpus))
    with StandoffWriter(tmp_path / "out") as writer:
        for record in read_records(documents, report=report):
            doc = record_to_doc(record, tokenizer, setter)
            writer.write(doc_to_record(doc, setter, report=written))
    assert report.documents == len(documents) == writer.report.documents > 30
    assert report.unknown_lines == report.skipped_lines == report.txt_without_ann == 0
    for document in documents:
        for name in (document.txt, *document.anns):
            again = tmp_path / "out" / os.path.relpath(name, Path(root, corpus))
            assert again.read_bytes() == Path(name).read_bytes()


def test_what_was_odd_is_reported_at_the_end_of_a_stream(tmp_path, log):
    folder = write_files(tmp_path / "in", {"d.txt": "diabete", "d.ann": "T1\tX 3 7\tbete\n"})
    stream = read_standoff(folder)
    iterator = iter(stream)
    assert [str(ent) for doc in iterator for ent in doc.ents] == ["diabete"]
    assert iterator.counts["snapped"] == 1
    assert log == ["INFO of 1 items read: snapped 1"]
