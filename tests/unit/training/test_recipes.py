"""Recipes: visible settings, which what is given beside them wins over."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import PreTrainedModel

import edspipe
import edspipe.pipes as eds
from edspipe.config.files import parse_yaml
from edspipe.config.schema import resolve
from edspipe.config.serialize import Config
from edspipe.errors import ConfigError
from edspipe.training.optimizer import OptimizerRecipe, sgd
from edspipe.training.recipes import ENCODER, RECIPES, expand_recipe
from edspipe.training.schedules import Linear, Plateau, Progress


def optimizer_of(settings: dict[str, Any]) -> OptimizerRecipe:
    return resolve({"optimizer": settings["optimizer"]})["optimizer"]


def encoder_names(nlp: edspipe.Pipeline) -> set[str]:
    """Names of the parameters that a model of transformers holds."""
    found: set[str] = set()
    for name, component in nlp.torch_components():
        for prefix, module in component.named_modules():
            if isinstance(module, PreTrainedModel):
                found |= {f"{name}.{prefix}.{key}" for key, _ in module.named_parameters()}
    return found


def test_finetune_writes_out_a_warmup_of_the_encoder_and_more_for_the_heads() -> None:
    assert expand_recipe("finetune", {"max_steps": 100}) == {
        "max_steps": 100,
        "optimizer": {
            "@optimizers": "adamw",
            "lr": {"@schedules": "linear", "max_value": 3e-4, "warmup": 0.0},
            "groups": {
                ENCODER: {"lr": {"@schedules": "linear", "max_value": 5e-5, "warmup": 0.1}},
            },
        },
    }


def test_scratch_writes_out_sgd_on_a_plateau() -> None:
    settings = expand_recipe("scratch", {})
    assert {key: value for key, value in settings.items() if key != "optimizer"} == {
        "batch_size": "32 docs",
        "grad_max_norm": 5.0,
        "max_epochs": 100,
        "embedding_cache": "cpu",
    }
    assert optimizer_of(settings) == sgd(lr=Plateau(0.1, factor=0.5, patience=3, min_value=1e-4))


@pytest.mark.parametrize("pipe", ["ner", "encoder"])
def test_the_encoder_group_is_the_encoder_and_nothing_else(
    tiny_nlp: edspipe.Pipeline, pipe: str
) -> None:
    named = {pipe + name.removeprefix("ner"): p for name, p in tiny_nlp.named_parameters()}
    encoder = {pipe + name.removeprefix("ner") for name in encoder_names(tiny_nlp)}
    optimizer = optimizer_of(expand_recipe("finetune", {})).build(named.items())
    groups = {group.label: set(group.parameters) for group in optimizer.groups}
    assert len(encoder) > 30
    assert groups == {ENCODER: encoder, "rest": set(named) - encoder}


def test_the_encoder_group_has_the_encoder_of_a_pipe_of_its_own(encoder_dir: Any) -> None:
    nlp = edspipe.blank("eds")
    nlp.add_pipe(eds.transformer(model=str(encoder_dir)), name="bert")
    optimizer = optimizer_of(expand_recipe("finetune", {})).build(nlp.named_parameters())
    assert set(optimizer.groups[0].parameters) == encoder_names(nlp)


def test_finetune_warms_up_over_a_tenth_of_the_steps(tiny_nlp: edspipe.Pipeline) -> None:
    optimizer = optimizer_of(expand_recipe("finetune", {})).build(tiny_nlp.named_parameters())
    found = []
    for step in (0, 5, 10, 55, 100):
        optimizer.apply(Progress.of(step, 100))
        found.append(optimizer.values())
    assert [v[f"lr/{ENCODER}"] for v in found] == pytest.approx([0, 2.5e-5, 5e-5, 2.5e-5, 0])
    assert [v["lr/rest"] for v in found] == pytest.approx([3e-4, 2.85e-4, 2.7e-4, 1.35e-4, 0])


def test_given_settings_win() -> None:
    settings = expand_recipe("scratch", {"grad_max_norm": None, "max_epochs": 3, "seed": 7})
    assert (settings["grad_max_norm"], settings["max_epochs"], settings["seed"]) == (None, 3, 7)
    assert settings["batch_size"] == "32 docs"


def test_given_steps_take_the_place_of_epochs() -> None:
    assert "max_epochs" not in expand_recipe("scratch", {"max_steps": 50})
    assert expand_recipe("scratch", {"max_steps": None})["max_epochs"] == 100


def test_part_of_an_optimizer_changes_that_part() -> None:
    given = {"optimizer": {"lr": 1e-3, "weight_decay": 0.0, "groups": {"bias": {"lr": 1e-2}}}}
    optimizer = expand_recipe("finetune", given)["optimizer"]
    assert optimizer["@optimizers"] == "adamw"
    assert (optimizer["lr"], optimizer["weight_decay"]) == (1e-3, 0.0)
    assert list(optimizer["groups"]) == ["bias", ENCODER]


def test_part_of_a_schedule_changes_that_part() -> None:
    given = {"optimizer": {"lr": {"patience": 5}}}
    assert optimizer_of(expand_recipe("scratch", given)).defaults["lr"] == Plateau(0.1, patience=5)


@pytest.mark.parametrize(
    "other", [{"@optimizers": "adam", "lr": 1e-3}, sgd(lr=0.5)], ids=["config", "object"]
)
def test_another_optimizer_replaces_that_of_the_recipe(other: Any) -> None:
    assert expand_recipe("finetune", {"optimizer": other})["optimizer"] == other


@pytest.mark.parametrize("lr", [1e-3, Linear(1e-3)], ids=["number", "schedule"])
def test_a_learning_rate_beside_a_recipe_is_that_of_its_optimizer(lr: Any) -> None:
    settings = expand_recipe("finetune", {"lr": lr})
    assert "lr" not in settings
    assert settings["optimizer"]["lr"] == lr
    assert list(settings["optimizer"]["groups"]) == [ENCODER]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_stays_as_it_is(name: str) -> None:
    before = expand_recipe(name, {})
    changed = expand_recipe(name, {"optimizer": {"lr": 1.0, "groups": {ENCODER: {"lr": 2.0}}}})
    changed["optimizer"]["groups"].clear()
    assert expand_recipe(name, {}) == before


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_can_be_written_as_yaml(name: str) -> None:
    settings = expand_recipe(name, {"optimizer": Config({"lr": Config({})})})
    assert type(settings["optimizer"]) is dict
    read = parse_yaml(Config(settings).to_yaml_str())
    assert optimizer_of(read) == optimizer_of(settings)


def test_an_unknown_recipe_is_refused() -> None:
    message = "no recipe is called 'fine-tune'. Did you mean 'finetune'"
    with pytest.raises(ConfigError, match=message):
        expand_recipe("fine-tune", {})
