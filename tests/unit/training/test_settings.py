"""Settings: what is refused, what recipes expand to, and intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edspipe.errors import ConfigError
from edspipe.training.settings import Settings


def of(**given: Any) -> Settings:
    return Settings.of({"output_dir": "run", "max_steps": 10, **given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_stesp": 3}, r"train\.max_stesp: unknown\. Did you mean 'max_steps'\? The settings"),
        ({"max_steps": None}, "give either max_steps or max_epochs"),
        ({"max_epochs": 3}, "give either max_steps or max_epochs"),
        ({"max_steps": 0}, "max_steps is a whole number, 1 or more, got 0"),
        ({"max_steps": 2.5}, "max_steps is a whole number, 1 or more, got 2.5"),
        ({"max_steps": "10"}, "max_steps is a whole number, 1 or more, got '10'"),
        ({"max_steps": True}, "max_steps is a whole number, 1 or more, got True"),
        ({"max_steps": None, "max_epochs": -1}, "max_epochs is a whole number, 1 or more, got -1"),
        ({"log_every": 0}, "log_every is a whole number, 1 or more, got 0"),
        ({"grad_max_norm": 0}, "grad_max_norm is more than 0, or None for no limit, got 0"),
        ({"grad_max_norm": -5.0}, "grad_max_norm is more than 0, or None for no limit, got -5.0"),
        ({"precision": "fp8"}, "precision is auto, .*; got 'fp8'"),
        ({"optimizer": {}, "lr": 1e-3}, "give either optimizer or lr: an optimizer has its own"),
        ({"resume": "a", "init_from": "b"}, "give either resume .* or init_from"),
        ({"schedules_on_resume": "bend"}, "schedules_on_resume is 'stretch' or 'keep', got 'bend'"),
        ({"recipe": "finetun"}, "Did you mean 'finetune'"),
    ],
)
def test_what_is_wrong_is_said(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        of(**given)


def test_folders_may_be_text() -> None:
    settings = of(resume="a/b")
    assert settings.output_dir == Path("run")
    assert settings.resume == Path("a/b")


def test_a_recipe_is_written_out_and_gives_way_to_what_is_set() -> None:
    settings = Settings.of({"output_dir": "run", "recipe": "scratch", "grad_max_norm": 1.0})
    assert settings.recipe is None
    assert settings.optimizer is not None
    assert settings.max_epochs == 100
    assert settings.grad_max_norm == 1.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "100 steps"),
        ({"max_steps": None, "max_epochs": 2}, "1 epoch"),
        ({"evaluate_every": "7 steps"}, "7 steps"),
        ({"evaluate_every": 7}, 7),
    ],
)
def test_validations_have_an_interval(given: Any, expected: Any) -> None:
    assert of(**given).interval == expected


def test_a_learning_rate_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="lr: expected a number or a schedule, got 'abc'"):
        of(lr="abc").make_optimizer()
