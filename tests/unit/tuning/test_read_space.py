"""Search spaces: what they say, and what is wrong with them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from confit import Config
from confit.utils.xjson import Reference

from edspipe.config.files import parse_yaml
from edspipe.errors import ConfigError
from edspipe.tuning.read_space import read_space
from edspipe.tuning.space import Choice, Parameter


def test_a_range_has_kind_bounds_and_step() -> None:
    space = read_space({"a.b": {"kind": "int", "low": 1, "high": 9, "step": 2}})
    assert space == (Parameter("a.b", "a.b", "int", 1, 9, 2),)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ({"uniform": [0, 1]}, {"kind": "uniform", "low": 0, "high": 1}),
        ({"int": [1, 8, 2]}, {"kind": "int", "low": 1, "high": 8, "step": 2}),
        ({"choice": [1, "a"]}, {"kind": "choice", "choices": [1, "a"]}),
        ({"choice": {"x": 1}}, {"kind": "choice", "choices": {"x": 1}}),
    ],
)
def test_the_short_form_says_the_same(short: dict[str, Any], long: dict[str, Any]) -> None:
    assert read_space({"a": short}) == read_space({"a": long})


def test_the_high_end_is_what_the_steps_lead_to() -> None:
    (parameter,) = read_space({"a": {"kind": "uniform", "low": 0, "high": 0.35, "step": 0.1}})
    assert parameter.high == 0.3


def test_choices_in_a_list_are_named_by_their_values() -> None:
    (parameter,) = read_space({"a": {"choice": [1, 0.5, "8 docs", None, False, [3, 5]]}})
    assert [c.name for c in parameter.choices] == [1, 0.5, "8 docs", None, False, "[3, 5]"]
    assert parameter.choices[-1].value == [3, 5]


def test_a_reference_is_named_by_its_path() -> None:
    (parameter,) = read_space(Config({"a": {"choice": [Reference("b.c")]}}))
    assert parameter.choices[0].name == "${b.c}"


def test_choices_by_name_keep_blocks_as_they_are() -> None:
    block = {"@factory": "x", "value": 3}
    (parameter,) = read_space({"a": {"choice": {"one": block, "two": {"value": block}}}})
    assert [c.value for c in parameter.choices] == [block, block]


def test_a_choice_has_a_space_of_its_own_below_its_path() -> None:
    config = parse_yaml(
        "a.b:\n"
        "  kind: choice\n"
        "  choices:\n"
        "    big:\n"
        "      value: {layers: 1}\n"
        "      space:\n"
        "        layers: {kind: int, low: 1, high: 4}\n"
        "    none:\n"
    )
    (parameter,) = read_space(config)
    inner = Parameter("a.b.layers", "a.b[big].layers", "int", 1, 4)
    assert parameter.choices == (Choice("big", {"layers": 1}, (inner,)), Choice("none", None))


RANGE = {"kind": "uniform", "low": 0, "high": 1}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (None, "space: expected what is searched by its path, got nothing"),
        ([], "space: expected what is searched by its path, got list"),
        ({"a": 3}, "space.a: expected {kind: ..., low: ..., high: ...}, got int"),
        ({"a": {"low": 1, "high": 2}}, "space.a: kind is missing. Kinds are: uniform, log_unif"),
        ({"a": {**RANGE, "kind": "unifrom"}}, "no kind is called 'unifrom'. Did you mean 'unif"),
        ({"a": {**RANGE, "hihg": 1}}, "space.a.hihg: uniform has no 'hihg'. Did you mean 'high'"),
        ({"a": {"kind": "choice", "low": 1}}, "space.a.low: choice has no 'low'. It has: choices"),
        ({"a": {"kind": "uniform", "low": 1}}, "space.a.high: expected a number, got nothing"),
        ({"a": {**RANGE, "low": "x"}}, "space.a.low: expected a number, got str"),
        ({"a": {**RANGE, "low": True}}, "space.a.low: expected a number, got bool"),
        ({"a": {**RANGE, "high": float("inf")}}, "space.a.high: expected a finite number, got inf"),
        ({"a": {"int": [1, 2.5]}}, "space.a.high: expected a whole number, got 2.5"),
        ({"a": {"int": [3, 1]}}, "space.a: low (3) is above high (1)"),
        ({"a": {"log_uniform": [0, 1]}}, "space.a.low: log_uniform begins above 0, got 0.0"),
        ({"a": {"log_int": [1, 8, 2]}}, "space.a.step: log_int has none; uniform and int have"),
        ({"a": {"uniform": [0, 1, -1]}}, "space.a.step: expected more than 0, got -1.0"),
        ({"a": {"choice": []}}, "space.a.choices: expected values, or values by name; got list"),
        ({"a": {"kind": "choice"}}, "space.a.choices: expected values, or values by name; got no"),
        ({"a": {"choice": [1, 2, 1]}}, "space.a.choices.2: 1 stands twice"),
        ({"a": {"choice": [{"b": 1}]}}, "space.a.choices.0: a dict needs a name: give choices as"),
        ({"a": {"choice": [[{"b": 1}]]}}, "space.a.choices.0: a list needs a name"),
        ({"a": {"choice": {"x": {"space": {"b": RANGE}}}}}, "a.choices.x.value: missing; it is"),
        (
            {"a": {"choice": {"x": {"value": {}, "space": {"b": {"kind": "in"}}}}}},
            "space.a.choices.x.space.b: no kind is called 'in'. Did you mean 'int'?",
        ),
        (
            {"a.b": {"choice": [1]}, "a.b.c": RANGE},
            "space.a.b.c: stands inside of a.b, which is searched too. Give it in the `space`",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_path(space: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_space(space)
