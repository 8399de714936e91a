"""Tables of scores, errors and confusions."""

from __future__ import annotations

from typing import Any

import pytest

from edspipe.metrics.errors_by_type import KINDS
from edspipe.metrics.tables import (
    comparison_table,
    confusions_table,
    errors_table,
    scores_table,
)


def figures(f: float, support: int = 1000) -> dict[str, Any]:
    return {"p": f, "r": f, "f": f, "tp": 1, "support": support, "positives": 2}


def test_scores_are_a_row_a_label_then_the_means() -> None:
    scores = {"micro": figures(0.5), "a_label": figures(0.25), "macro": figures(1.0, 7)}
    assert scores_table(scores).splitlines() == [
        "label    precision     recall         F1       gold      found",
        "a_label      0.250      0.250      0.250      1,000          2",
        "micro        0.500      0.500      0.500      1,000          2",
        "macro        1.000      1.000      1.000          7          2",
    ]


def test_intervals_stand_behind_their_figures() -> None:
    ends = {"p": [0.1, 0.2], "r": [0.3, 0.4], "f": [0.5, 0.6], "support": [1.0, 2.0]}
    table = scores_table({"A": figures(0.25), "ci": {"A": ends}})
    assert table.splitlines()[1].split(maxsplit=1) == [
        "A",
        "0.250 [0.100 0.200]   0.250 [0.300 0.400]   0.250 [0.500 0.600]      1,000          2",
    ]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_a_label_may_be_called_as_the_intervals_are() -> None:
    lines = scores_table({"ci": figures(0.25), "micro": figures(0.5)}).splitlines()
    assert [line.split()[0] for line in lines] == ["label", "ci", "micro"]


def test_a_figure_that_is_not_there_is_a_dash() -> None:
    row = scores_table({"A": {"f": 0.5}}).splitlines()[1]
    assert row.split() == ["A", "-", "-", "0.500", "-", "-"]


def test_no_scores_are_a_table_without_rows() -> None:
    assert len(scores_table({}).splitlines()) == 1


def test_systems_stand_side_by_side() -> None:
    a = {"A": figures(0.5), "micro": figures(0.75), "macro": figures(0.5)}
    b = {"B": figures(0.25), "micro": figures(0.5), "macro": figures(0.75)}
    assert comparison_table(a, b, ("new", "a longer name")).splitlines() == [
        "F1               new  a longer name     difference",
        "A              0.500          0.000         +0.500",
        "B              0.000          0.250         -0.250",
        "micro          0.750          0.500         +0.250",
        "macro          0.500          0.750         -0.250",
    ]


def test_errors_are_a_row_a_label_then_all() -> None:
    counts = dict(zip(KINDS, (80, 9, 7, 3, 5, 1234), strict=True))
    lines = errors_table({"counts": counts, "by_label": {"A": counts}}).splitlines()
    assert lines[0].startswith("label  correct  missed  spurious  wrong label  wrong boundary")
    assert [line.split() for line in lines[1:]] == [
        ["A", "80", "9", "7", "3", "5", "1,234"],
        ["all", "80", "9", "7", "3", "5", "1,234"],
    ]


@pytest.mark.parametrize(("num_rows", "expected"), [(10, 3), (2, 2)])
def test_confusions_that_happen_most_come_first(num_rows: int, expected: int) -> None:
    confusion = {
        "labels": ["A", "B", "C"],
        "matrix": [[9, 1, 0, 5], [2, 9, 0, 5], [1, 0, 9, 5], [5, 5, 5, 0]],
    }
    rows = [line.split() for line in confusions_table(confusion, num_rows).splitlines()]
    assert rows[1:] == [["B", "A", "2"], ["A", "B", "1"], ["C", "A", "1"]][:expected]


def test_without_confusions_it_says_so() -> None:
    confusion = {"labels": ["A"], "matrix": [[9, 1], [2, 0]]}
    assert confusions_table(confusion) == "no label was found in place of another"
