"""metrics.jsonl and metrics.csv: full numbers, whole lines, and runs that go on."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edspipe.errors import DataError
from edspipe.training.loggers.csv import CsvLogger
from edspipe.training.loggers.jsonl import JsonlLogger
from edspipe.training.records import Record, RunInfo

LOGGERS = [JsonlLogger, CsvLogger]


def records_of(step: int) -> list[Record]:
    """What a step records: two numbers of the training, and one of the validation."""
    return [
        Record("loss", 1 / (3 + step), step),
        Record(r"lr/\.encoder\.|a,\"b\"", 5e-5, step),
        Record("micro_f", 0.1 + 0.2, step, "val"),
    ]


@contextmanager
def started(logger: Any, folder: Path, first: int = 0) -> Iterator[Any]:
    logger.start(RunInfo(str(folder), {}, first_step=first))
    try:
        yield logger
    finally:
        logger.close("finished")


def run(logger: Any, folder: Path, first: int, last: int) -> None:
    with started(logger, folder, first):
        for step in range(first + 1, last + 1):
            logger.write(records_of(step))


def file_of(logger: type[Any], folder: Path) -> Path:
    return folder / logger().file


def test_jsonl_has_an_object_for_each_step_and_split(tmp_path: Path) -> None:
    with started(JsonlLogger(), tmp_path) as logger:
        logger.write([Record("b", 0.5, 20), Record("f", 1 / 3, 20, "val"), Record("a", 2.0, 20)])
    assert (tmp_path / "metrics.jsonl").read_text() == (
        '{"step": 20, "split": "train", "b": 0.5, "a": 2.0}\n'
        '{"step": 20, "split": "val", "f": 0.3333333333333333}\n'
    )


def test_csv_has_a_row_for_each_number(tmp_path: Path) -> None:
    with started(CsvLogger(), tmp_path) as logger:
        logger.write([Record("b", 0.5, 20), Record("f", 1 / 3, 20, "val"), Record("a", 2.0, 20)])
    assert (tmp_path / "metrics.csv").read_text() == (
        "step,split,name,value\n20,train,b,0.5\n20,val,f,0.3333333333333333\n20,train,a,2.0\n"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null_or_empty(tmp_path: Path, value: float) -> None:
    for logger in (JsonlLogger(), CsvLogger()):
        with started(logger, tmp_path):
            logger.write([Record("loss", value, 1)])
    row = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert row == {"step": 1, "split": "train", "loss": None}
    assert (tmp_path / "metrics.csv").read_text().splitlines()[1] == "1,train,loss,"


def test_both_files_say_the_same_numbers_exactly(tmp_path: Path) -> None:
    for logger in LOGGERS:
        run(logger(), tmp_path, 0, 5)
    from_csv = [
        (int(row["step"]), row["split"], row["name"], float(row["value"]))
        for row in csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines())
    ]
    from_jsonl = [
        (row["step"], row["split"], name, value)
        for row in map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
        for name, value in row.items()
        if name not in ("step", "split")
    ]
    expected = [(r.step, r.split, r.name, r.value) for n in range(1, 6) for r in records_of(n)]
    assert from_csv == from_jsonl == expected


def test_a_line_break_in_a_name_is_a_blank_in_csv(tmp_path: Path) -> None:
    with started(CsvLogger(), tmp_path) as logger:
        logger.write([Record("a\r\nb", 1.0, 1)])
    assert (tmp_path / "metrics.csv").read_text().splitlines()[1] == "1,train,a b,1.0"


@pytest.mark.parametrize("logger", LOGGERS)
def test_lines_are_out_when_write_returns(logger: type[Any], tmp_path: Path) -> None:
    with started(logger(), tmp_path) as one:
        one.write(records_of(1))
        text = file_of(logger, tmp_path).read_text()
    assert text.endswith("\n")
    assert "0.30000000000000004" in text


@pytest.mark.parametrize("logger", LOGGERS)
@pytest.mark.parametrize("killed_after", [3, 5])
def test_a_resumed_run_leaves_the_file_of_one_that_was_never_stopped(
    logger: type[Any], killed_after: int, tmp_path: Path
) -> None:
    run(logger(), tmp_path / "whole", 0, 8)
    run(logger(), tmp_path / "killed", 0, killed_after)
    run(logger(), tmp_path / "killed", 3, 8)
    whole, killed = (file_of(logger, tmp_path / name) for name in ("whole", "killed"))
    assert killed.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("logger", LOGGERS)
@pytest.mark.parametrize("cut", [1, 2, 7, 30])
def test_a_last_line_that_was_cut_short_is_dropped(
    logger: type[Any], cut: int, tmp_path: Path
) -> None:
    run(logger(), tmp_path, 0, 2)
    file = file_of(logger, tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    run(logger(), tmp_path, 2, 2)
    lines = whole.splitlines(keepends=True)
    assert file.read_bytes() == b"".join(lines[:-1] if cut < len(lines[-1]) else lines[:-2])


@pytest.mark.parametrize("logger", LOGGERS)
def test_a_new_run_begins_a_new_file(logger: type[Any], tmp_path: Path) -> None:
    run(logger(), tmp_path, 0, 5)
    run(logger(), tmp_path, 0, 2)
    run(logger(), tmp_path / "other", 0, 2)
    expected = file_of(logger, tmp_path / "other").read_bytes()
    assert file_of(logger, tmp_path).read_bytes() == expected


@pytest.mark.parametrize("logger", LOGGERS)
def test_a_run_that_goes_on_in_another_folder_begins_there(
    logger: type[Any], tmp_path: Path
) -> None:
    run(logger(), tmp_path / "other", 3, 4)
    text = file_of(logger, tmp_path / "other").read_text()
    assert text.count("0.30000000000000004") == 1


@pytest.mark.parametrize("logger", LOGGERS)
def test_a_damaged_line_inside_is_named_and_the_file_is_left_as_it_is(
    logger: type[Any], tmp_path: Path
) -> None:
    run(logger(), tmp_path, 0, 3)
    file = file_of(logger, tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b"\xff\x00\n", *lines[2:]]))
    before = file.read_bytes()
    with pytest.raises(DataError, match=r"metrics\.\w+:3: not a line as \w+Logger writes it"):
        run(logger(), tmp_path, 2, 3)
    assert file.read_bytes() == before


def test_a_csv_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"metrics\.csv:1: not a line as CsvLogger writes it"):
        run(CsvLogger(), tmp_path, 1, 2)


@pytest.mark.parametrize("logger", LOGGERS)
def test_writing_before_the_start_is_refused(logger: type[Any]) -> None:
    with pytest.raises(RuntimeError, match=r"Logger: call start\(info\) before write"):
        logger().write(records_of(1))


@pytest.mark.parametrize("logger", LOGGERS)
def test_closing_before_the_start_does_nothing(logger: type[Any], tmp_path: Path) -> None:
    logger().close("failed")
    assert list(tmp_path.iterdir()) == []
