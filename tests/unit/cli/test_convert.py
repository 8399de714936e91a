"""edspipe convert: documents from one format to another, found by the paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edspipe
from edspipe.cli.main import main
from edspipe.data.formats import FORMATS, find_format, find_target_format, read_docs


@pytest.fixture
def brat(tmp_path) -> Path:
    folder = tmp_path / "brat"
    folder.mkdir()
    (folder / "n1.txt").write_text("No fever today.")
    (folder / "n1.ann").write_text("T1\tsymptom 3 8\tfever\nA1\tnegated T1\n")
    return folder


def test_every_format_is_a_reader_and_a_writer():
    registry = edspipe.registry
    assert set(FORMATS) <= set(registry.readers.names()) & set(registry.writers.names())


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.parquet", "out.spacy", "folder"])
def test_brat_goes_to_a_format_and_comes_back(name, brat, tmp_path, capsys):
    assert main(["convert", str(brat), str(tmp_path / name)]) == 0
    assert "read 1, done 1" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / name), str(tmp_path / "again")]) == 0
    for file in ("n1.txt", "n1.ann"):
        assert (tmp_path / "again" / file).read_bytes() == (brat / file).read_bytes()


def test_converters_and_formats_can_be_named(brat, tmp_path):
    target = tmp_path / "notes.data"
    words = ["convert", str(brat), str(target), "--to", "json", "--out-converter", "omop"]
    assert main([*words, "--from", "standoff"]) == 1  # the writer wants a suffix that it knows
    target = tmp_path / "notes.jsonl"
    assert main(["convert", str(brat), str(target), "--out-converter", "omop"]) == 0
    assert json.loads(target.read_text())["note_text"] == "No fever today."


def test_an_existing_output_is_refused_then_replaced(brat, tmp_path, capsys):
    words = ["convert", str(brat), str(tmp_path / "out.jsonl")]
    assert main(words) == 0
    assert main(words) == 1
    assert "exists" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0


def test_a_document_that_fails_is_left_out_where_asked(brat, tmp_path, capsys):
    (brat / "n2.txt").write_text("x")
    (brat / "n2.ann").write_text("T1\tsymptom 3 8\tfever\n")
    quarantine = tmp_path / "q.jsonl"
    words = ["convert", str(brat), str(tmp_path / "out.jsonl")]
    assert main(words) == 1
    assert main([*words, "--on-error", f"quarantine:{quarantine}"]) == 0
    assert "quarantined 1" in capsys.readouterr().out
    assert json.loads(quarantine.read_text())["id"] == "n2"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.jsonl", "json"),
        ("a.json.gz", "json"),
        ("a.tsv", "csv"),
        ("a.parquet", "parquet"),
        ("a.conllu", "conll"),
        ("a.spacy", "docbin"),
        ("a.txt", "text"),
        ("folder", "standoff"),
    ],
)
def test_the_path_says_what_is_written(path, name):
    assert find_target_format(path) == name


def test_a_path_that_says_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.xyz: expected a folder or one of \.ann"):
        find_target_format("a.xyz")
    with pytest.raises(ValueError, match="found no file of a known format"):
        find_format(tmp_path)


def test_a_format_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"no format 'jason'. Did you mean 'json'"):
        find_format("x", "jason")


def test_a_text_with_annotations_beside_it_is_brat_and_one_without_is_text(brat, tmp_path):
    (tmp_path / "alone.txt").write_text("x")
    assert find_format(brat / "n1.txt") == "standoff"
    assert find_format(tmp_path / "alone.txt") == "text"


def test_records_without_a_text_are_refused_with_what_they_have(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": 1, "content": "fever"}\n')
    with pytest.raises(edspipe.errors.DataError, match="got: content, id") as error:
        read_docs(path)
    assert "fever" not in str(error.value)
