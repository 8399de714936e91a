"""Every reader, writer and executor: each document once, the same output, balanced books."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

import edspipe
from edspipe.data.formats import read_docs, write_docs
from edspipe.data.paths import RECEIPT

NAMES = {
    "standoff": "notes",
    "json": "notes.jsonl",
    "parquet": "notes.parquet",
    "csv": "notes.csv",
    "conll": "notes.conllup",
    "docbin": "notes.spacy",
    "text": "texts",
}
FEW, MANY = 67, 1003
EXECUTORS = {
    "simple": {},
    "1 worker": {"num_cpu_workers": 1, "process_start_method": "fork"},
    "2 workers": {"num_cpu_workers": 2, "process_start_method": "fork"},
    "3 workers": {"num_cpu_workers": 3},
}


def make_notes(count: int) -> list:
    nlp = edspipe.blank("eds")
    notes = []
    for i in range(count):
        doc = nlp(f"Patient {i} : fièvre depuis {i % 9} jours.")
        doc._.note_id = f"note-{i:04d}"
        doc.set_ents([doc[3:4]])
        notes.append(doc)
    return notes


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Callable[[int], Path]:
    """Return a function: the folder that holds so many notes in all formats."""

    @functools.cache
    def folder_of(count: int) -> Path:
        folder = tmp_path_factory.mktemp(f"notes-{count}")
        notes = edspipe.data.from_iterable(make_notes(count))
        for format, name in NAMES.items():
            write_docs(notes, folder / name, format=format, receipt=False)
        return folder

    return folder_of


def digest(path: Path) -> str:
    """Hash what was written; the receipt tells the executor apart, so it is left out."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    kept = [
        file for file in files if file.is_file() and file.name not in (RECEIPT, "manifest.json")
    ]
    whole = hashlib.sha256()
    for file in kept:
        whole.update(file.name.encode() + file.read_bytes())
    return whole.hexdigest()


def run(source: Path, target: Path, reader: str, writer: str, settings: dict) -> str:
    docs = read_docs(source / NAMES[reader], format=reader).set_processing(**settings)
    report = write_docs(docs, target, format=writer)
    assert report.balanced
    audit = edspipe.data.audit(target)
    assert audit.ok, str(audit)
    return digest(target)


def check(sources: Path, tmp_path: Path, reader: str, writer: str, executors: list[str]) -> None:
    found = {}
    for name in executors:
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        found[name] = run(sources, folder / NAMES[writer], reader, writer, EXECUTORS[name])
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("reader", NAMES)
def test_every_reader_gives_each_document_once(reader, sources, tmp_path):
    check(sources(FEW), tmp_path, reader, "json", ["simple", "2 workers"])
    ids = [doc._.note_id for doc in read_docs(tmp_path / "simple" / NAMES["json"])]
    assert len(ids) == len(set(ids)) == FEW


@pytest.mark.parametrize("writer", NAMES)
def test_every_writer_writes_each_document_once(writer, sources, tmp_path):
    check(sources(FEW), tmp_path, "json", writer, ["simple", "2 workers"])
    again = read_docs(tmp_path / "simple" / NAMES[writer], format=writer)
    assert sum(1 for _ in again) == FEW


@pytest.mark.slow
@pytest.mark.parametrize("writer", NAMES)
@pytest.mark.parametrize("reader", NAMES)
def test_every_reader_with_every_writer_and_executor(reader, writer, sources, tmp_path):
    check(sources(MANY), tmp_path, reader, writer, list(EXECUTORS))
