"""learning_rate.png: the table of the finder, its two suggestions, and where they are drawn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edspipe.errors import DataError
from edspipe.viz import (
    LearningRates,
    plot_learning_rate,
    read_learning_rates,
    suggest_learning_rates,
)
from edspipe.viz.learning_rate import draw_learning_rate

pytestmark = pytest.mark.usefixtures("drawn")
HEADER = "step\tlr\tloss\tsmoothed_loss\n"


def curve() -> LearningRates:
    """Loss falls fastest at 1e-3, is lowest at 1e-1, and explodes."""
    logs = np.linspace(-7, 1, 81)
    loss = 3 - 2 / (1 + np.exp(-4 * (logs + 3))) + 20 * np.maximum(0, logs + 1) ** 2
    return LearningRates(10.0**logs, loss, loss)


def test_a_table_is_read(tmp_path: Path) -> None:
    file = tmp_path / "learning_rate.tsv"
    file.write_text(f"{HEADER}0\t1e-07\t2.5\t2.5\n1\t1e-06\tnan\t2.25\n")
    table = read_learning_rates(file)
    assert table.lr.tolist() == [1e-7, 1e-6]
    assert table.smoothed.tolist() == [2.5, 2.25]
    assert math.isnan(table.loss[1])


def test_a_last_row_that_is_cut_short_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "learning_rate.tsv"
    file.write_text(f"{HEADER}0\t1e-07\t2.5\t2.5\n1\t1e-")
    assert read_learning_rates(file).lr.tolist() == [1e-7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr\tloss\n", r"lr\.tsv:1: expected the header step, lr, loss, smoothed_loss"),
        (f"{HEADER}0\tx\t1\t1\n", r"lr\.tsv:2: expected four numbers"),
        (f"{HEADER}0\t1\t1\n", r"lr\.tsv:2: expected four numbers"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "lr.tsv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_learning_rates(file)


def test_the_steepest_and_a_tenth_of_the_lowest_are_suggested() -> None:
    found = suggest_learning_rates(curve())
    assert found["steepest"] == pytest.approx(1e-3)
    assert found["minimum / 10"] == pytest.approx(1e-2, rel=0.3)


@pytest.mark.parametrize("loss", [[1, 2, 3], [1, 1, 1], [1, 0.5], [math.nan] * 3])
def test_nothing_is_suggested_where_the_loss_never_falls(loss: list[float]) -> None:
    values = np.array(loss, dtype=float)
    assert suggest_learning_rates(LearningRates(10.0 ** np.arange(len(loss)), values, values)) == {}


def test_suggestions_are_marked_by_name_on_a_logarithmic_axis() -> None:
    axes = draw_learning_rate(curve(), suggestions={"mine": 3e-4}).axes[0]
    assert axes.get_xscale() == "log"
    named = {line.get_label(): line for line in axes.lines}
    assert named["mine: 0.0003"].get_xdata() == [3e-4]
    assert 2.7 < named["mine: 0.0003"].get_ydata()[0] < 3


def test_the_explosion_at_the_end_does_not_flatten_the_fall() -> None:
    axes = draw_learning_rate(curve()).axes[0]
    assert axes.get_ylim()[1] < 6


def test_a_finder_that_made_no_step_gives_a_picture(tmp_path: Path) -> None:
    empty = LearningRates(*(np.zeros(0) for _ in range(3)))
    assert plot_learning_rate(empty, tmp_path / "lr.png").stat().st_size > 0
    text = draw_learning_rate(empty).axes[0].texts[0].get_text()
    assert text == "the finder made no step with a finite loss"
