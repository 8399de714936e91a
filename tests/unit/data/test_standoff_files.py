from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from standoff_support import only_document, write_files, write_folder

from edspipe.data.standoff.files import (
    StandoffDocument,
    list_standoff_files,
    locate_document,
    read_record,
    read_records,
)
from edspipe.data.standoff.report import ReadReport
from edspipe.data.standoff.streams import read_standoff
from edspipe.errors import DataError

ANN = "T1\tX 0 1\ta\n"


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
    write_folder(tmp_path / "out", [])
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


# Streams


def test_what_was_odd_is_reported_at_the_end_of_a_stream(tmp_path, log):
    folder = write_files(tmp_path / "in", {"d.txt": "diabete", "d.ann": "T1\tX 3 7\tbete\n"})
    stream = read_standoff(folder)
    iterator = iter(stream)
    assert [str(ent) for doc in iterator for ent in doc.ents] == ["diabete"]
    assert iterator.counts["snapped"] == 1
    assert log == ["INFO of 1 documents read: snapped 1"]
