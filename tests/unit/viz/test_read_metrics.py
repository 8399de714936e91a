"""Metrics files: ours, those of Flair's trainer, and what is wrong with others."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edspipe.errors import DataError
from edspipe.viz import read_metrics


def file_of(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def points(file: Path, split: str, name: str) -> list[tuple[float, float]]:
    series = read_metrics(file).series(split, name)
    return list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


JSONL = """{"step": 2, "split": "train", "loss": 0.5, "lr": 0.001}
{"step": 1, "split": "train", "loss": 0.75}

{"step": 2, "split": "val", "micro_f": 0.7}
"""


def test_jsonl_is_read_by_split_and_sorted_by_step(tmp_path: Path) -> None:
    file = file_of(tmp_path, "metrics.jsonl", JSONL)
    assert points(file, "train", "loss") == [(1, 0.75), (2, 0.5)]
    assert points(file, "val", "micro_f") == [(2, 0.7)]
    assert points(file, "test", "micro_f") == []
    assert read_metrics(file).names("train") == ["loss", "lr"]


@pytest.mark.parametrize("value", ["null", "NaN", "Infinity", '"text"', "[1]"])
def test_what_is_no_finite_number_is_nan(tmp_path: Path, value: str) -> None:
    file = file_of(tmp_path, "m.jsonl", f'{{"step": 1, "split": "train", "loss": {value}}}\n')
    assert math.isnan(points(file, "train", "loss")[0][1])


def test_a_step_that_comes_again_after_a_resume_replaces_the_first(tmp_path: Path) -> None:
    again = JSONL + '{"step": 2, "split": "train", "loss": 0.25}\n'
    file = file_of(tmp_path, "metrics.jsonl", again)
    assert points(file, "train", "loss") == [(1, 0.75), (2, 0.25)]


def test_a_last_line_that_is_cut_short_is_left_out(tmp_path: Path) -> None:
    file = file_of(tmp_path, "metrics.jsonl", JSONL + '{"step": 3, "spl')
    assert read_metrics(file).last_step() == 2


def test_an_empty_file_has_no_metrics(tmp_path: Path) -> None:
    assert read_metrics(file_of(tmp_path, "metrics.jsonl", "")).last_step() is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", r"metrics\.jsonl:2: expected a JSON object, found something else"),
        ("[1, 2]", r'metrics\.jsonl:2: expected an object with "step"'),
        ('{"split": "train"}', r'metrics\.jsonl:2: expected an object with "step"'),
        ('{"step": "1", "split": "train"}', r'metrics\.jsonl:2: expected an object with "step"'),
        ('{"step": NaN, "split": "train"}', r'metrics\.jsonl:2: expected an object with "step"'),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    first = '{"step": 1, "split": "train"}'
    file = file_of(tmp_path, "metrics.jsonl", f"{first}\n{line}\n{first}\n")
    with pytest.raises(DataError, match=message):
        read_metrics(file)


def test_csv_is_read_in_its_long_form(tmp_path: Path) -> None:
    text = 'step,split,name,value\n1,train,loss,0.5\n1,val,"a,b",1e-3\n2,train,loss,\n'
    file = file_of(tmp_path, "metrics.csv", text)
    assert points(file, "train", "loss")[0] == (1, 0.5)
    assert math.isnan(points(file, "train", "loss")[1][1])
    assert points(file, "val", "a,b") == [(1, 0.001)]


def test_csv_that_is_cut_short_in_its_last_line_is_read(tmp_path: Path) -> None:
    file = file_of(tmp_path, "metrics.csv", "step,split,name,value\n1,train,loss,0.5\n2,tra")
    assert points(file, "train", "loss") == [(1, 0.5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,split,value\n", r"metrics\.csv:1: expected the columns .* missing: \['name'\]"),
        (
            "step,split,name,value\nx,train,loss,1\n2,train,loss,1\n",
            r"metrics\.csv:2: expected four cells, with a number as step",
        ),
    ],
)
def test_bad_csv_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_metrics(file_of(tmp_path, "metrics.csv", text))


LOSSES = (
    "EPOCH\tTIMESTAMP\tLEARNING_RATE\tTRAIN_LOSS\tDEV_LOSS\tDEV_PRECISION\tDEV_RECALL\tDEV_F1\n"
    "1\t10:00:00\t0.1000\t1.5\t1.25\t_\t0.5\t0.4\n"
    "2\t10:01:00\t0.1000\t0.75\t1.0\t0.6\t0.5\t0.55\n"
)


def test_a_loss_table_is_read_by_epoch(tmp_path: Path) -> None:
    file = file_of(tmp_path, "loss.tsv", LOSSES)
    assert read_metrics(file).unit == "epoch"
    assert points(file, "train", "loss") == [(1, 1.5), (2, 0.75)]
    assert points(file, "train", "lr") == [(1, 0.1), (2, 0.1)]
    assert points(file, "val", "f1") == [(1, 0.4), (2, 0.55)]
    assert points(file, "val", "precision") == [(2, 0.6)]


def test_an_older_loss_table_with_a_second_header_is_read(tmp_path: Path) -> None:
    header = "EPOCH\tTIMESTAMP\tBAD_EPOCHS\tLEARNING_RATE\tLOSS\tTEST_F1\n"
    text = f"{header}1\t10:00\t0\t0.1\t2.5\t0.3\n{header}2\t10:01\t1\t0.05\t2.0\t0.4\n"
    file = file_of(tmp_path, "loss.tsv", text)
    assert points(file, "train", "loss") == [(1, 2.5), (2, 2.0)]
    assert points(file, "train", "bad_epochs") == [(1, 0), (2, 1)]
    assert points(file, "test", "f1") == [(1, 0.3), (2, 0.4)]


def test_a_loss_table_without_an_epoch_is_named(tmp_path: Path) -> None:
    file = file_of(tmp_path, "loss.tsv", LOSSES + "x\t10:00\n")
    with pytest.raises(DataError, match=r"loss\.tsv:4: expected the number of an epoch"):
        read_metrics(file)


def test_a_weight_table_is_read_by_iteration(tmp_path: Path) -> None:
    text = "10\tlinear.weight\t3\t0.5\n20\tlinear.weight\t3\t-0.25\n20\tlinear.bias\t0\t1e-2\n"
    file = file_of(tmp_path, "weights.txt", text)
    assert points(file, "weights", "linear.weight[3]") == [(10, 0.5), (20, -0.25)]
    assert points(file, "weights", "linear.bias[0]") == [(20, 0.01)]


def test_a_weight_table_with_times_and_tensors_is_read(tmp_path: Path) -> None:
    text = "10\t2024-01-01 10:00\tlinear.weight\t(3, 17)\ttensor(0.5)\n"
    file = file_of(tmp_path, "weights.txt", text)
    assert points(file, "weights", "linear.weight[3, 17]") == [(10, 0.5)]


def test_iterations_that_begin_again_in_each_epoch_are_counted(tmp_path: Path) -> None:
    text = "".join(f"{i}\tw\t0\t{i}\n" for i in (1, 2, 1, 2))
    file = file_of(tmp_path, "weights.txt", text)
    assert points(file, "weights", "w[0]") == [(1, 1), (2, 2), (3, 1), (4, 2)]
    assert read_metrics(file).unit == "record"


def test_a_weight_table_that_is_cut_short_is_read(tmp_path: Path) -> None:
    file = file_of(tmp_path, "weights.txt", "1\tw\t0\t0.5\n2\tw\t")
    assert points(file, "weights", "w[0]") == [(1, 0.5)]


def test_a_bad_line_of_a_weight_table_is_named(tmp_path: Path) -> None:
    file = file_of(tmp_path, "weights.txt", "1\tw\t0\t0.5\nx\tw\t0\t0.5\n")
    with pytest.raises(DataError, match=r"weights\.txt:2: expected an iteration"):
        read_metrics(file)


def test_an_unknown_file_is_refused_with_what_is_known_and_without_its_content(
    tmp_path: Path,
) -> None:
    file = file_of(tmp_path, "notes.txt", "the secret of the patient\n")
    with pytest.raises(DataError, match=r"notes\.txt:1: Expected a metrics\.jsonl") as caught:
        read_metrics(file)
    assert "secret" not in str(caught.value)


def test_a_table_of_the_finder_is_refused_with_the_reader_to_take(tmp_path: Path) -> None:
    file = file_of(tmp_path, "learning_rate.tsv", "step\tlr\tloss\tsmoothed_loss\n")
    with pytest.raises(DataError, match="read it with read_learning_rates"):
        read_metrics(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        read_metrics(tmp_path / "none.jsonl")
