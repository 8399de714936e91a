"""The console's table: a row a validation, columns under their names, tqdm's bar below."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator

import pytest
from tqdm import tqdm

from edspipe.training.loggers.console import ConsoleLogger
from edspipe.training.records import Record, RunInfo


@pytest.fixture
def console() -> Iterator[ConsoleLogger]:
    logger = ConsoleLogger()
    logger.start(RunInfo("unused", {}))
    yield logger
    logger.close("finished")


def train(step: int, loss: float) -> list[Record]:
    return [
        Record("loss", loss, step),
        Record("loss/ner", 99.0, step),
        Record(r"lr/\.encoder\.", 5e-5, step),
        Record("lr/rest", 3e-4, step),
        Record("epoch", step / 4, step),
    ]


def val(step: int, **scores: float) -> list[Record]:
    scores = {"loss": 0.25, "loss/ner": 9.0, **scores}
    return [Record(name, value, step, "val") for name, value in scores.items()]


MICRO = {"A_f": 0.1, "micro_p": 0.5, "micro_r": 0.75, "micro_f": 0.6, "macro_f": 0.2}


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a table whose columns are parted by two blanks at least, or are right-aligned."""
    lines = text.splitlines()
    ends = [match.end() for match in re.finditer(r"\S+(?: loss)?", lines[0])]
    names = [match[0] for match in re.finditer(r"\S+(?: loss)?", lines[0])]
    starts = [0, *ends[:-1]]
    return [
        {n: line[a:b].strip() for n, a, b in zip(names, starts, ends, strict=True)}
        for line in lines[1:]
    ]


def test_a_validation_is_a_row(console: ConsoleLogger, capsys: pytest.CaptureFixture[str]) -> None:
    console.write(train(1, 3.0))
    console.write([*train(2, 1.0), *val(2, **MICRO)])
    (row,) = rows(capsys.readouterr().out)
    assert row.pop("seconds") == "0"
    assert row == {
        "split": "val",
        "step": "2",
        "epoch": "0.50",
        "train loss": "2.0000",
        "val loss": "0.2500",
        "micro_p": "0.5000",
        "micro_r": "0.7500",
        "micro_f": "0.6000",
        "lr": "3.00e-04",
    }


def test_the_training_loss_is_the_mean_since_the_row_before(
    console: ConsoleLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in range(1, 7):
        console.write(train(step, float(step)))
        if step % 2 == 0:
            console.write(val(step, **MICRO))
    out = capsys.readouterr().out
    assert out.count("train loss") == 1
    assert [row["train loss"] for row in rows(out)] == ["1.5000", "3.5000", "5.5000"]


def test_steps_without_scores_print_nothing(
    console: ConsoleLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    console.write(train(1, 1.0))
    assert capsys.readouterr().out == ""


def test_scores_of_a_step_that_come_later_print_no_second_row(
    console: ConsoleLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    console.write(val(2, **MICRO))
    console.write([Record("more", 1.0, 2, "val")])
    assert len(rows(capsys.readouterr().out)) == 1


def test_test_scores_are_a_row_under_a_header_of_their_own(
    console: ConsoleLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    console.write(val(2, **MICRO))
    console.write([Record("micro_f", 0.4, 2, "test")])
    lines = capsys.readouterr().out.splitlines()
    (row,) = rows("\n".join(lines[2:]))
    assert (row["split"], row["test loss"], row["micro_f"]) == ("test", "-", "0.4000")


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        (MICRO, ["micro_p", "micro_r", "micro_f"]),
        ({"exact/micro_p": 0.1, "exact/micro_f": 0.1}, ["exact/micro_p", "exact/micro_f"]),
        ({"a/micro_p": 0.1, "a/micro_f": 0.1, "b/micro_f": 0.1}, ["a/micro_f", "b/micro_f"]),
        ({"accuracy": 0.1, "auc": 0.2}, ["accuracy", "auc"]),
        ({f"s{n}": 0.1 for n in range(9)}, ["s0", "s1", "s2", "s3"]),
    ],
)
def test_the_averages_are_shown_or_what_there_is(
    console: ConsoleLogger,
    capsys: pytest.CaptureFixture[str],
    scores: dict[str, float],
    shown: list[str],
) -> None:
    console.write(val(1, **scores))
    header = capsys.readouterr().out.splitlines()[0]
    assert re.sub(r".*val loss|lr +seconds$", "", header).split() == shown


def test_scores_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    logger = ConsoleLogger(scores=["A_f", "missing"])
    logger.write(val(1, **MICRO))
    (row,) = rows(capsys.readouterr().out)
    assert (row["A_f"], row["missing"]) == ("0.1000", "-")


def test_lines_are_aligned_whatever_the_numbers(
    console: ConsoleLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (1, 100_000):
        console.write([*train(step, math.nan), *val(step, **{**MICRO, "loss": 123.45678})])
    assert len({len(line) for line in capsys.readouterr().out.splitlines()}) == 1


def test_a_bar_stays_below_the_table(
    console: ConsoleLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    with tqdm(total=3, file=sys.stderr, ncols=40) as bar:
        bar.update()
        for step in (1, 2):
            capsys.readouterr()
            console.write(val(step, **MICRO))
            printed = capsys.readouterr()
            assert printed.out.count("\n") == 3 - step  # the first with the header
            assert printed.err.startswith("\r" + " " * 39)  # the bar is taken away
            assert printed.err.rstrip().endswith("]")  # and drawn again
