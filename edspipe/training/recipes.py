"""Recipes: settings of a training that are known to work, under a name.

A recipe is nothing but settings: `expand_recipe` writes them out, and what is written out is what
the run keeps as its config.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from edspipe.config.schema import merge
from edspipe.errors import ConfigError, did_you_mean

ENCODER = r"\.encoder\."
"""Parameters of pretrained encoders: a transformer keeps its model under `encoder`. The name of a
pipe has no dot before it, so a pipe that is called `encoder` is not one."""

RECIPES: dict[str, dict[str, Any]] = {
    "finetune": {
        "optimizer": {
            "@optimizers": "adamw",
            "lr": {"@schedules": "linear", "max_value": 3e-4, "warmup": 0.0},
            "groups": {
                ENCODER: {"lr": {"@schedules": "linear", "max_value": 5e-5, "warmup": 0.1}},
            },
        },
    },
    "scratch": {
        "optimizer": {
            "@optimizers": "sgd",
            "lr": {
                "@schedules": "plateau",
                "start_value": 0.1,
                "factor": 0.5,
                "patience": 3,
                "min_value": 1e-4,
            },
        },
        "batch_size": "32 docs",
        "grad_max_norm": 5.0,
        "max_epochs": 100,
        "embedding_cache": "cpu",
    },
}
"""`finetune` is for a pretrained encoder: it warms up to a small learning rate over a tenth of the
steps while what stands above it, which is new, begins with a larger one; both then go down to 0.
`scratch` is for models without a pretrained part: plain SGD, whose learning rate is halved when the
score stops getting better, until it is too small to matter. Embeddings that are frozen are computed
once, not in each of its many epochs."""

_LENGTHS = ("max_steps", "max_epochs")


def expand_recipe(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write a recipe out, changed by the settings that are given beside it.

    Given settings win. An `optimizer` block of the same kind is merged, the given groups before
    those of the recipe, since the first pattern that matches wins; another kind replaces it. `lr`
    is the learning rate outside of the groups. `max_steps` takes the place of `max_epochs`.

    Args:
        name: `"finetune"` or `"scratch"`.
        settings: Settings of the training, without `recipe`.

    Returns:
        The settings, all of which can be written in a config if those that were given can.

    Raises:
        ConfigError: There is no such recipe.
    """
    if name not in RECIPES:
        raise ConfigError(
            f"recipe: no recipe is called '{name}'.{did_you_mean(name, RECIPES)} They are: "
            f"{', '.join(RECIPES)}"
        )
    recipe, given = deepcopy(RECIPES[name]), dict(settings)
    if any(given.get(key) is not None for key in _LENGTHS):
        for key in _LENGTHS:
            recipe.pop(key, None)
    optimizer = _merge_optimizers(recipe["optimizer"], given.pop("optimizer", None))
    lr = given.get("lr")
    if lr is not None and "optimizer" not in settings:
        optimizer["lr"] = lr
        del given["lr"]
    return {**recipe, **given, "optimizer": optimizer}


def _merge_optimizers(recipe: dict[str, Any], given: Any) -> Any:
    if given is None:
        return recipe
    if not isinstance(given, Mapping):
        return given
    if given.get("@optimizers", recipe["@optimizers"]) != recipe["@optimizers"]:
        return _plain(given)
    merged = _plain(merge(recipe, given))
    if merged.get("groups") and given.get("groups"):
        order = dict.fromkeys([*given["groups"], *merged["groups"]])
        merged["groups"] = {pattern: merged["groups"][pattern] for pattern in order}
    return merged


def _plain(value: Any) -> Any:
    """Return plain dicts, whatever kind of dicts they were."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value
