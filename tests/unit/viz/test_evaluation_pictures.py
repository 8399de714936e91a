"""Pictures of an evaluation: labels, confusion, precision-recall, reliability."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_runs import evaluation

from edspipe.errors import DataError
from edspipe.viz import (
    plot_confusion,
    plot_labels,
    plot_precision_recall,
    plot_reliability,
    read_evaluation,
)
from edspipe.viz.confusion import MAX_LABELS, confusion_of, draw_confusion
from edspipe.viz.labels import draw_labels
from edspipe.viz.precision_recall import curve_of, draw_precision_recall
from edspipe.viz.reliability import draw_reliability

pytestmark = pytest.mark.usefixtures("drawn")
PLOTS = [plot_labels, plot_confusion, plot_precision_recall, plot_reliability]
HOSTILE = ("<script>alert(1)</script>", "$\\frac{", "_hidden", "a" * 300, "疾病", "x\ny\x00\ud800")


def texts_of(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    "data",
    [{}, {"scores": {}, "confidence": None, "confusion": {}}, evaluation(("A",))],
    ids=["nothing", "empty", "one label"],
)
def test_little_data_gives_a_picture(
    tmp_path: Path, plot: Callable[..., Path], data: dict[str, Any]
) -> None:
    assert plot(data, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("plot", PLOTS)
def test_hostile_labels_give_a_picture(tmp_path: Path, plot: Callable[..., Path]) -> None:
    svg = plot(evaluation(HOSTILE), tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "<script" not in svg


# labels.png


def labels_data() -> dict[str, Any]:
    scores: dict[str, Any] = {
        "rare": {"f": 0.9, "support": 3},
        "bad": {"f": 0.25, "support": 80},
        "good": {"f": 0.75, "support": 50},
        "absent": {"f": None, "support": 0},
        "micro": {"f": 0.6, "support": 133},
        "ci": {"good": {"f": [0.7, 0.8]}, "bad": {"f": [0.1, None]}},
    }
    return {"scores": scores}


def test_labels_are_sorted_by_f1_below_the_sums() -> None:
    axes = draw_labels(labels_data()).axes[0]
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == ["micro", "rare", "good", "bad", "absent"]
    assert texts_of(axes) == ["0.60", "0.90", "0.75", "0.25", "not known"]


def test_intervals_are_drawn_where_they_are_known() -> None:
    lines = draw_labels(labels_data()).axes[0].lines
    assert [list(line.get_xdata()) for line in lines if len(line.get_xdata()) == 2][:1] == [
        [0.7, 0.8]
    ]


def test_support_stands_beside_and_rare_labels_are_told() -> None:
    beside = draw_labels(labels_data()).axes[1]
    assert texts_of(beside) == ["133", "3", "50", "80", "0"]
    assert [bar.get_width() for bar in beside.patches] == [0, 3, 50, 80, 0]
    assert beside.get_title(loc="left") == "orange: fewer than 30"


def test_of_very_many_labels_the_weakest_are_drawn() -> None:
    scores = {f"label{i:03}": {"f": i / 100, "support": 50} for i in range(100)}
    axes = draw_labels({"scores": scores}).axes[0]
    assert axes.get_yticklabels()[-1].get_text() == "label000"
    assert "the 80 weakest of 100 labels" in axes.get_title(loc="left")


# confusion.png

MATRIX = {"labels": ["A", "B"], "matrix": [[8, 1, 2], [0, 5, 1], [3, 0, 0]]}


def test_each_count_stands_in_its_cell_and_zeros_are_blank() -> None:
    axes = draw_confusion({"confusion": MATRIX}).axes[0]
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert found == {(0, 0): "8", (1, 0): "1", (2, 0): "2", (1, 1): "5", (2, 1): "1", (0, 2): "3"}
    rows = [tick.get_text() for tick in axes.get_yticklabels()]
    assert rows == ["A (11)", "B (6)", "nothing (spurious)"]
    columns = [tick.get_text() for tick in axes.get_xticklabels()]
    assert columns == ["A", "B", "nothing (missed)"]


def test_right_cells_are_blue_wrong_ones_orange_and_zeros_white() -> None:
    colors = np.asarray(draw_confusion({"confusion": MATRIX}).axes[0].images[0].get_array())
    red, blue = colors[..., 0], colors[..., 2]
    assert (blue > red).tolist() == [[True, False, False], [False, True, False], [False] * 3]
    assert (red > blue).tolist() == [
        [False, True, True],
        [False, False, True],
        [True, False, False],
    ]


def test_the_rarest_of_many_labels_are_added_up() -> None:
    size = MAX_LABELS + 10
    matrix = np.zeros((size + 1, size + 1), dtype=int)
    matrix[:size, :size] = np.diag(np.arange(size) + 1)
    matrix[0, 1] = 1
    labels = [f"L{i}" for i in range(size)]
    axes = draw_confusion({"confusion": {"labels": labels, "matrix": matrix.tolist()}}).axes[0]
    rows = [tick.get_text() for tick in axes.get_yticklabels()]
    rest = sum(range(1, 12)) + 1
    assert rows[-2] == f"(11 others) ({rest})"
    assert len(rows) == MAX_LABELS + 1
    total = sum(int(text.get_text()) for text in axes.texts)
    assert total == matrix.sum()


@pytest.mark.parametrize("matrix", [[[1]], [[1, 2], [3]], []])
def test_a_matrix_that_does_not_fit_its_labels_is_refused(matrix: list[list[int]]) -> None:
    with pytest.raises(DataError, match="expected a confusion matrix of 2 x 2 for 1 labels"):
        confusion_of({"confusion": {"labels": ["A"], "matrix": matrix}})


# precision_recall.png


def test_the_threshold_with_the_best_f1_is_marked() -> None:
    curve = {"threshold": [0.1, 0.5, 0.9, None], "p": [0.2, 0.8, 1.0, 1.0], "r": [1, 0.8, 0.1, 0]}
    figure = draw_precision_recall({"confidence": {"precision_recall": {"micro": curve}}})
    texts = [text for axes in figure.axes for text in texts_of(axes)]
    assert "best F1 0.80 at ≥ 0.50" in texts
    assert "≥ 0.9" in texts


def test_points_that_are_no_numbers_are_left_out_and_recall_rises() -> None:
    data = {"threshold": [0.1, 0.5, 0.9], "p": [0.5, None, 1.0], "r": [0.9, 0.5, 0.1]}
    curve = curve_of({"confidence": {"precision_recall": {"A": data}}}, "A")
    assert curve.r.tolist() == [0.1, 0.9]
    assert curve.threshold.tolist() == [0.9, 0.1]


def test_each_label_has_a_panel() -> None:
    figure = draw_precision_recall(evaluation(("A", "B")))
    titles = [axes.get_title(loc="left").split("\n")[0] for axes in figure.axes]
    assert [title for title in titles if title in ("A", "B")] == ["A", "B"]


# reliability.png


def test_bars_show_the_share_that_is_right_pale_where_there_are_few() -> None:
    above, below = draw_reliability(evaluation(("A",))).axes
    assert [round(bar.get_height(), 2) for bar in above.patches][:3] == [0.5, 0.2, 0.35]
    assert [bar.get_alpha() for bar in above.patches][:3] == [0.25, 0.25, 0.7]
    assert texts_of(below)[:3] == ["0", "0", "4"]
    assert "6.1 points" in above.get_title(loc="left")


# The file


def test_an_evaluation_is_read(tmp_path: Path) -> None:
    file = tmp_path / "test.json"
    file.write_text('{"format": 1, "scores": {"A": {"f": 1.0}}}')
    assert read_evaluation(file)["scores"]["A"] == {"f": 1.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"test\.json:1: expected JSON; the file may be cut short"),
        (b'"\xff"', r"test\.json: expected JSON in UTF-8"),
        (b"[]", r"test\.json: expected the object of an evaluation"),
        (b'{"scores": {}, "format": 2}', r"expected an evaluation of format 1, got format 2"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "test.json"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_evaluation(file)
