"""from_split: one side of a split, also in a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import edspipe
from edspipe.config.schema import resolve
from edspipe.data import from_split, read_json
from edspipe.errors import DataError
from edspipe.stream.shares import SIDES

NUM_GROUPS = 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.jsonl"
    rows = [
        {"note_id": f"{group}-{i}", "person": f"p{group}", "text": f"note {group} {i}"}
        for group in range(NUM_GROUPS)
        for i in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sides_of(source: Path, **options: Any) -> dict[str, list[dict[str, Any]]]:
    return {side: list(from_split(read_json(source), side=side, **options)) for side in SIDES}


def test_the_sides_are_all_documents_and_share_no_group(file):
    sides = sides_of(file, group_by="person", ratios=[0.6, 0.2, 0.2])
    groups = {side: {row["person"] for row in rows} for side, rows in sides.items()}
    assert all(sides.values())
    assert sum(map(len, sides.values())) == 3 * NUM_GROUPS
    assert sum(map(len, groups.values())) == len(set.union(*groups.values())) == NUM_GROUPS


def test_the_sides_are_those_of_the_stream(file):
    streams = read_json(file).train_dev_test_split([0.9, 0.1, 0], group_by="person", seed=3)
    sides = sides_of(file, ratios=[0.9, 0.1, 0], group_by="person", seed=3)
    assert [list(stream) for stream in streams] == [sides[side] for side in SIDES]
    assert sides["test"] == []


def test_groups_may_stand_in_ids(file):
    by_id = sides_of(file, group_pattern="([0-9]+)-[0-9]+")
    groups = [{row["person"] for row in rows} for rows in by_id.values()]
    assert sum(map(len, groups)) == NUM_GROUPS


def test_without_groups_documents_are_parted_one_by_one(file):
    sides = sides_of(file, group_by=None)
    groups = [{row["person"] for row in rows} for rows in sides.values()]
    assert sum(map(len, groups)) > NUM_GROUPS


@pytest.mark.parametrize("missing", ["error", "own"])
def test_documents_without_a_group_are_treated_as_said(file, missing):
    if missing == "own":
        assert sum(map(len, sides_of(file, missing="own").values())) == 3 * NUM_GROUPS
        return
    with pytest.raises(DataError, match=r"no group: doc\._\.patient_id is empty; give it a value"):
        sides_of(file)


def test_a_kept_split_is_taken_from_its_file(file, tmp_path):
    docs = list(edspipe.data.read_json(file, converter="text"))
    kept = edspipe.train_dev_test_split(docs, group_by=None, save=tmp_path / "splits.tsv")
    sides = sides_of(file, file=tmp_path / "splits.tsv")
    for side in SIDES:
        expected = [doc._.note_id for doc in getattr(kept, side)]
        assert [row["note_id"] for row in sides[side]] == expected


def test_documents_that_the_file_does_not_name_are_an_error(file, tmp_path):
    (tmp_path / "splits.tsv").write_text("note_id\tside\n0-0\ttrain\n")
    message = r"splits\.tsv.*0-1.*this file does not name the document; leave it out, add a line"
    with pytest.raises(DataError, match=message):
        sides_of(file, file=tmp_path / "splits.tsv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": "val"}, "side\n.*'train', 'dev' or 'test', got 'val'"),
        ({"side": "dev", "ratios": [0.5, 0.1, 0]}, "ratios are three numbers from 0 on that add"),
    ],
)
def test_wrong_arguments_are_refused(file, options, message):
    with pytest.raises(ValueError, match=message):
        from_split(read_json(file), **options)


def test_a_config_trains_and_calibrates_on_one_file(file):
    config = yaml.safe_load(f"""
    train: &part
      "@readers": split
      side: train
      ratios: [0.7, 0.3, 0]
      group_by: group
      data:
        "@readers": json
        path: {file}
        converter: labels
        id_column: note_id
        group_column: person
    val:
      <<: *part
      side: dev
    """)
    sides = {name: list(resolve(block)) for name, block in config.items()}
    groups = {name: {doc._.group for doc in docs} for name, docs in sides.items()}
    assert len(groups["train"]) + len(groups["val"]) == NUM_GROUPS
    assert not groups["train"] & groups["val"]
    assert len(sides["train"]) > len(sides["val"]) > 0


@pytest.mark.parametrize("workers", [0, 2])
def test_sides_are_the_same_with_workers(file, tmp_path, workers):
    docs = list(edspipe.data.read_json(file, converter="text"))
    edspipe.train_dev_test_split(docs, group_by=None, save=tmp_path / "splits.tsv")
    stream = from_split(read_json(file), side="dev", file=tmp_path / "splits.tsv")
    expected = list(stream)
    stream = stream.map(dict).set_processing(num_cpu_workers=workers, process_start_method="fork")
    assert list(stream) == expected
