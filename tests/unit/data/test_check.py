from __future__ import annotations

import pytest
from standoff_support import write_files

from edspipe.data.check import check_corpus


def test_every_bad_line_is_listed_with_file_line_and_id(tmp_path):
    write_files(
        tmp_path,
        {
            "a.txt": "abc",
            "a.ann": "T1\tX 0 9\tabc\nT2\tX 0 1\ta\nA1\tNeg T7\nodd\n",
            "sub/b.txt": b"\xff",
            "c.ann": "",
            "d.txt": "x",
        },
    )
    report = check_corpus(tmp_path)
    assert not report.ok
    assert str(report).splitlines() == [
        f"{tmp_path}/a.ann:1:T1: offsets 0-9 are out of range: the text has 3 characters",
        f"{tmp_path}/a.ann:3:A1: points at T7, which no line of this document defines",
        f"{tmp_path}/c.ann: annotations without a text: expected a .txt beside it",
        f"{tmp_path}/sub/b.txt:1: not UTF-8 at byte 0 of 1: convert the file to UTF-8",
        "2 documents, 1 annotations, 4 problems in 3 files, 1 lines of no known kind, "
        "1 texts without annotations",
    ]


def test_a_clean_corpus_is_ok(tmp_path):
    report = check_corpus(write_files(tmp_path, {"a.txt": "abc", "a.ann": "T1\tX 0 1\ta\n"}))
    assert report.ok
    assert str(report).startswith("1 documents, 1 annotations, 0 problems in 0 files")


def test_a_folder_without_documents_is_a_problem(tmp_path):
    (problem,) = check_corpus(tmp_path).problems
    assert "so no document" in str(problem)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_corpus(tmp_path / "nowhere")


def test_chosen_suffixes_are_checked(tmp_path):
    write_files(tmp_path, {"a.txt": "abc", "a.ann": "T1", "a.gold": "T1\tX 0 1\ta\n"})
    assert check_corpus(tmp_path, suffixes=[".gold"]).ok


def test_one_text_may_be_checked(tmp_path):
    write_files(tmp_path, {"a.txt": "abc", "a.ann": "T1"})
    assert len(check_corpus(tmp_path / "a.txt").problems) == 1
