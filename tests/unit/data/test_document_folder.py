"""Folders of documents: written once, and brought back to a commit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from output_support import BreakAt, commit_always, files_below
from standoff_support import write_files, write_folder

from edspipe.data.output import document_folder
from edspipe.data.output.document_folder import DocumentFolder
from edspipe.data.output.placing import list_folder
from edspipe.errors import DataError, PipeError

IDS = ["a", "s/b", "s/t/c", "é" * 200, "x" * 300, "d"]


def folder_of(path: Path, old: Path | None = None, state: object = None) -> DocumentFolder:
    documents = DocumentFolder()
    documents.open(path, old, state)
    return documents


def paths_below(path: Path) -> list[str]:
    return sorted(found.relative_to(path).as_posix() for found in path.rglob("*"))


@pytest.fixture
def staged(tmp_path):
    (tmp_path / "run" / "files").mkdir(parents=True)
    return tmp_path / "run" / "files"


@pytest.mark.parametrize("count", range(len(IDS) + 1))
def test_what_came_after_a_commit_is_undone(staged, count):
    documents = folder_of(staged)
    for ident in IDS[:count]:
        documents.add(ident, {".txt": b"x", ".ann": b""})
    state = documents.commit()
    before = paths_below(staged)
    for ident in IDS[count:]:
        documents.add(ident, {".txt": b"x", ".ann": b""})
    documents.close()  # a run may be broken off behind its end, too
    again = folder_of(staged, state=state)
    assert paths_below(staged) == before
    assert sorted(again.ids(".txt")) == sorted(IDS[:count])
    again.abort()


def test_what_the_list_of_files_does_not_know_is_deleted(staged):
    """As after a loss of power, which may have kept a file and lost its line."""
    documents = folder_of(staged)
    documents.add("a", {".txt": b"x"})
    state = documents.commit()
    documents.abort()
    write_files(staged, {"b.txt": "x", "s/c.txt": "x", "a.ann": "x"})
    folder_of(staged, state=state).abort()
    assert paths_below(staged) == ["a.txt"]


def test_kept_files_and_empty_folders_stay(staged, tmp_path):
    old = write_files(tmp_path / "old", {"a\n.txt": "x", "s/b.txt": "x"})
    (old / "empty").mkdir()
    documents = folder_of(staged, old)
    state = documents.commit()
    documents.add("t/c", {".txt": b"x"})
    documents.abort()
    folder_of(staged, state=state).abort()
    assert paths_below(staged) == ["a\n.txt", "empty", "s", "s/b.txt"]


def test_our_own_files_are_not_kept(staged, tmp_path):
    names = ["a.txt", "manifest.json", "edspipe.receipt"]
    old = write_files(tmp_path / "old", dict.fromkeys(names, ""))
    folder_of(staged, old).abort()
    assert paths_below(staged) == ["a.txt"]


def test_a_document_that_is_there_is_an_error(staged):
    documents = folder_of(staged)
    documents.add("s/a", {".txt": b"x"})
    with pytest.raises(DataError, match=r"a\.txt:s/a: there is such a document already"):
        documents.add("s/a", {".txt": b"y"})
    documents.abort()
    assert (staged / "s/a.txt").read_bytes() == b"x"


def test_a_link_is_no_part_of_an_output(tmp_path):
    os.symlink("nowhere", tmp_path / "link")
    with pytest.raises(DataError, match="link: expected a plain file, found a link or a special"):
        list(list_folder(tmp_path))


def test_files_are_listed_in_one_order(tmp_path):
    names = ["b", "a-b", "a", "s/a", "a/x", "a-/x", "é"]
    for name in names:
        path = tmp_path / "out" / (f"{name}.txt" if "/" not in name else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    listed = [file.name for file in list_folder(tmp_path / "out")]
    assert listed == ["a-b.txt", "a.txt", "b.txt", "é.txt", "a/x", "a-/x", "s/a"]


def test_an_empty_folder_has_no_files(tmp_path):
    assert list(list_folder(tmp_path)) == []


@pytest.mark.parametrize("index", range(0, 8, 2))
def test_a_run_broken_off_goes_on_to_the_same_folder(tmp_path, monkeypatch, index):
    commit_always(monkeypatch)
    names = [*IDS, None, None]
    records = [{"note_id": name, "text": f"x{i}", "entities": []} for i, name in enumerate(names)]
    calm, broken = tmp_path / "calm" / "out", tmp_path / "broken" / "out"
    source = BreakAt(records, None)
    write_folder(calm, source)
    source.index = index
    with pytest.raises(PipeError):
        write_folder(broken, source)
    source.index = None
    write_folder(broken, source, resume=True)
    assert files_below(broken) == files_below(calm)
    assert len(files_below(calm)) == 2 * len(names) + 3  # receipt, manifest, map of ids


@pytest.mark.parametrize("links", [True, False])
def test_an_addition_that_was_broken_off_goes_on(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(document_folder.os, "link", _no_links)
    commit_always(monkeypatch)
    records = [{"note_id": name, "text": "x", "entities": []} for name in IDS]
    source = BreakAt(records[3:], None)
    for folder in ("calm", "broken"):
        write_folder(tmp_path / folder / "out", records[:3])
    write_folder(tmp_path / "calm/out", source, overwrite="append")
    source.index = 2
    with pytest.raises(PipeError):
        write_folder(tmp_path / "broken/out", source, overwrite="append")
    source.index = None
    write_folder(tmp_path / "broken/out", source, overwrite="append", resume=True)
    differ = {
        name
        for name, data in files_below(tmp_path / "calm").items()
        if files_below(tmp_path / "broken").get(name) != data
    }
    assert differ == {"out/edspipe.receipt", "out/manifest.json"}  # they tell the old folders apart


def _no_links(*args: object) -> None:
    raise PermissionError
