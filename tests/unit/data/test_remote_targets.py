"""Targets behind an address: written here, uploaded at the end."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import fsspec
import pytest
from output_support import BreakAt, commit_always, notes
from standoff_support import write_folder

from edspipe.data.json.sinks import JsonLinesSink
from edspipe.data.output.writing import write_records
from edspipe.errors import PipeError
from edspipe.stream.stream import Stream

FILE, FOLDER = "memory://bucket/notes.jsonl", "memory://bucket/notes"


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    """An empty store; temporary folders are made in a place of the test."""
    system = fsspec.filesystem("memory")
    monkeypatch.setattr(type(system), "store", {})
    monkeypatch.setattr(type(system), "pseudo_dirs", [""])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield system
    assert list(tmp_path.iterdir()) == []  # nothing stays here


def write(items, **options):
    return write_records(
        Stream.from_items(items), FILE, JsonLinesSink(FILE), stage="write_json", **options
    )


def documents(*ids: str) -> list[dict]:
    return [{"note_id": ident, "text": "a", "entities": []} for ident in ids]


def names(store) -> list[str]:
    return sorted(name.removeprefix("/bucket/") for name in store.find("/bucket"))


def test_a_file_and_its_receipt_are_uploaded(store):
    report = write(notes(3))
    assert report.done == 3
    assert names(store) == ["notes.jsonl", "notes.jsonl.receipt"]
    lines = store.cat_file("/bucket/notes.jsonl").splitlines()
    assert [json.loads(line)["note_id"] for line in lines] == ["n0", "n1", "n2"]
    assert b'"output": "notes.jsonl"' in store.cat_file("/bucket/notes.jsonl.receipt")


def test_a_folder_is_uploaded_and_what_vouches_for_it_comes_last(store, monkeypatch):
    put = []
    original = type(store).put_file

    def put_file(self, local, remote, **options):
        put.append(Path(remote).name)
        return original(self, local, remote, **options)

    monkeypatch.setattr(type(store), "put_file", put_file)
    write_folder(FOLDER, documents("a", "s/b"))
    files = ["a.ann", "a.txt", "s/b.ann", "s/b.txt"]
    assert names(store) == [f"notes/{name}" for name in sorted([*files, *put[-2:]])]
    assert sorted(put[-2:]) == ["edspipe.receipt", "manifest.json"]


def test_what_is_there_is_refused_before_anything_runs(store):
    runs = []
    write(notes(1))
    with pytest.raises(FileExistsError, match=r"notes\.jsonl exists; pass overwrite=True"):
        write(lambda: runs.append(1) or [])
    write_folder(FOLDER, documents("a"))
    with pytest.raises(FileExistsError, match=r"bucket/notes exists; pass overwrite=True"):
        write_folder(FOLDER, documents("b"))
    assert runs == []


def test_overwrite_leaves_no_stale_file(store):
    write_folder(FOLDER, documents("a", "s/b"))
    write_folder(FOLDER, documents("c"), overwrite=True, receipt=False)
    assert names(store) == ["notes/c.ann", "notes/c.txt", "notes/manifest.json"]
    write(notes(1))
    write(notes(2), overwrite=True, receipt=False)
    assert "notes.jsonl.receipt" not in names(store)


def test_append_adds(store):
    write(notes(2))
    write(notes(3)[2:], overwrite="append")
    assert len(store.cat_file("/bucket/notes.jsonl").splitlines()) == 3
    assert store.cat_file("/bucket/notes.jsonl.receipt").count(b'"status"') == 3
    write_folder(FOLDER, documents("a"))
    write_folder(FOLDER, documents("s/b"), overwrite="append")
    assert {"notes/a.txt", "notes/s/b.txt"} <= set(names(store))


def test_an_error_leaves_what_was_there(store, monkeypatch, log):
    commit_always(monkeypatch)
    write(notes(2))
    before = store.cat_file("/bucket/notes.jsonl")
    with pytest.raises(PipeError):
        write(BreakAt(notes(5), 3), overwrite=True)
    assert store.cat_file("/bucket/notes.jsonl") == before
    assert log == []  # nothing is said of going on


def test_a_run_cannot_be_resumed(store):
    message = "a run whose output is uploaded at its end cannot be resumed. Write to a local path"
    with pytest.raises(ValueError, match=message):
        write(notes(2), resume=True)
