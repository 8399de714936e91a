"""Every writer: a run that is broken off again and again leaves what a calm one does."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from output_support import BreakAt, commit_always, files_below, notes

from edspipe.data import audit, write_csv, write_json, write_parquet, write_text
from edspipe.errors import PipeError
from edspipe.stream.stream import Stream

WRITERS = {
    "a.csv": write_csv,
    "a.csv.gz": write_csv,
    "a.json": write_json,
    "a.jsonl": write_json,
    "a.jsonl.gz": write_json,
    "a.parquet": write_parquet,
    "parts": write_parquet,
    "a.txt": write_text,
    "texts": write_text,
}
NOT_THE_SAME = ("manifest.json", "edspipe.receipt")
"""Where something was added to, these tell apart what it was added to."""


def data_below(folder: Path) -> dict[str, bytes]:
    files = files_below(folder)
    return {
        name: gzip.decompress(data) if name.endswith(".gz") else data
        for name, data in files.items()
        if not name.endswith((*NOT_THE_SAME, ".receipt"))
    }


@pytest.mark.parametrize("overwrite", [True, "append"])
@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_goes_on(tmp_path, monkeypatch, name, overwrite):
    commit_always(monkeypatch)
    options = {"converter": None} if WRITERS[name] is write_text else {}
    source = BreakAt(notes(12)[3:], None)
    stream = Stream.from_items(source)

    def write(folder: str, *items: object, **more: object) -> object:
        return WRITERS[name](*items, tmp_path / folder / name, **options, **more)

    for folder in ("calm", "broken"):
        write(folder, notes(3))
    expected = write("calm", stream, overwrite=overwrite)
    for index in (3, 6, 6, 8):
        source.index = index
        with pytest.raises(PipeError):
            write("broken", stream, overwrite=overwrite, resume=True)
    source.index = None
    assert write("broken", stream, overwrite=overwrite, resume=True) == expected
    assert data_below(tmp_path / "broken") == data_below(tmp_path / "calm")
    assert audit(tmp_path / "broken" / name).ok
