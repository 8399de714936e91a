"""What trials draw from a space, and what becomes of it."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from edspipe.errors import ConfigError
from edspipe.tuning.read_space import read_space
from edspipe.tuning.space import (
    Replay,
    all_parameters,
    describe,
    draw,
    each_choice,
    every_point,
    short_names,
    values,
)

SMALL = {"layers": 1, "sizes": [3, 5]}
NESTED = {
    "size": {"kind": "int", "low": 1, "high": 2},
    "net": {
        "kind": "choice",
        "choices": {
            "small": {
                "value": SMALL,
                "space": {
                    "layers": {"kind": "int", "low": 1, "high": 2},
                    "sizes.1": {"kind": "choice", "choices": [5, 7]},
                },
            },
            "none": None,
        },
    },
}


def test_a_trial_draws_the_space_of_the_choice_it_made() -> None:
    space = read_space(NESTED)
    chosen = {"size": 2, "net": "small", "net[small].layers": 2, "net[small].sizes.1": 7}
    assert draw(space, optuna.trial.FixedTrial(chosen)) == chosen
    assert draw(space, optuna.trial.FixedTrial({"size": 1, "net": "none"})) == {
        "size": 1,
        "net": "none",
    }


def test_values_are_written_inside_of_a_copy_of_the_choice() -> None:
    space = read_space(NESTED)
    chosen = {"size": 2, "net": "small", "net[small].layers": 2, "net[small].sizes.1": 7}
    assert values(space, chosen) == {"size": 2, "net": {"layers": 2, "sizes": [3, 7]}}
    assert SMALL == {"layers": 1, "sizes": [3, 5]}
    assert values(space, {"size": 1, "net": "none"}) == {"size": 1, "net": None}


def test_choices_within_choices_work_likewise() -> None:
    deeper = {
        "kind": "choice",
        "choices": {"in": {"value": {"x": 0}, "space": {"x": {"int": [1, 9]}}}},
    }
    outer = {"kind": "choice", "choices": {"o": {"value": {"d": None}, "space": {"d": deeper}}}}
    space = read_space({"a": outer})
    assert [parameter.name for parameter in all_parameters(space)] == [
        "a",
        "a[o].d",
        "a[o].d[in].x",
    ]
    chosen = {"a": "o", "a[o].d": "in", "a[o].d[in].x": 4}
    assert values(space, draw(space, Replay(chosen))) == {"a": {"d": {"x": 4}}}


def test_a_space_that_names_what_is_not_in_the_value_is_refused() -> None:
    block = {"value": {"layers": 1}, "space": {"layer": {"int": [1, 2]}}}
    space = read_space({"net": {"choice": {"small": block}}})
    with pytest.raises(ConfigError, match=r"net: space of 'small': layer: no 'layer' in the value"):
        values(space, {"net": "small", "net[small].layer": 1})


def test_values_on_steps_have_no_rounding_errors() -> None:
    space = read_space({"a": {"uniform": [0, 1, 0.1]}})
    assert draw(space, Replay({"a": 3 * 0.1})) == {"a": 0.3}


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("uniform", -1, 1), ("log_uniform", 1e-5, 1), ("log_int", 1, 512)]
)
def test_drawn_numbers_are_in_their_range(kind: str, low: float, high: float) -> None:
    space = read_space({"a": {"kind": kind, "low": low, "high": high}})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [draw(space, study.ask())["a"] for _ in range(50)]
    assert all(low <= value <= high for value in drawn)
    assert len({type(value) for value in drawn}) == 1
    assert min(drawn) < low + (high - low) / 10  # the logarithmic ones draw small ones often
    if kind.startswith("log"):
        assert sorted(drawn)[25] < (low + high) / 4


def test_true_and_1_are_different_choices_of_different_lists() -> None:
    space = read_space({"a": {"choice": [True, 0]}})
    assert space[0].choose(True).value is True
    assert space[0].choose(0).value == 0


def test_every_point_of_a_grid_comes_once_with_its_conditions() -> None:
    points = every_point(read_space(NESTED))
    assert len(points) == 2 * (2 * 2 + 1)
    assert len({str(point) for point in points}) == len(points)
    assert points[-1] == {"size": 2, "net": "none"}


def test_a_grid_counts_steps() -> None:
    points = every_point(read_space({"a": {"uniform": [0, 0.3, 0.1]}}))
    assert [point["a"] for point in points] == [0.0, 0.1, 0.2, 0.3]


def test_a_grid_without_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a: a grid needs values that can be counted: give a st"):
        every_point(read_space({"a": {"uniform": [0, 1]}}))


def test_each_choice_comes_with_all_that_it_needs() -> None:
    tried = list(each_choice(read_space(NESTED)))
    assert [said for said, _ in tried] == ["net: choice 'small'", "net: choice 'small'"] + [
        "net: choice 'none'"
    ]
    for _, drawn in tried:
        values(read_space(NESTED), drawn)


def test_numbers_alone_are_tried_at_their_low_ends() -> None:
    assert list(each_choice(read_space({"a": {"int": [2, 3]}}))) == [("", {"a": 2})]


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["train.lr", "nlp.dropout"], ["lr", "dropout"]),
        (["a.lr", "b.lr"], ["a.lr", "b.lr"]),
        (["lr", "b.lr"], ["lr", "b.lr"]),
    ],
)
def test_short_names_are_endings_that_differ(names: list[str], short: list[str]) -> None:
    assert list(short_names(names).values()) == short


def test_descriptions_tell_spaces_apart() -> None:
    other: dict[str, Any] = {**NESTED, "size": {"kind": "int", "low": 1, "high": 3}}
    same = {"size": {"int": [1, 2]}, "net": NESTED["net"]}
    assert describe(read_space(NESTED)) == describe(read_space(same))
    assert describe(read_space(NESTED)) != describe(read_space(other))
