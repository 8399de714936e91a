"""Optimizers: torch's own updates, groups by name, and states that go on bit by bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import edspipe
from edspipe.config.files import parse_yaml
from edspipe.config.registry import registry
from edspipe.config.schema import resolve
from edspipe.config.serialize import Config
from edspipe.errors import CheckpointError, ConfigError
from edspipe.training.optimizer import OptimizerRecipe, adam, adamw, any_torch, sgd
from edspipe.training.scheduled_optimizer import ScheduledOptimizer
from edspipe.training.schedules import Constant, Linear, Plateau, Progress

ENCODER = r"\.encoder\."


def make_parameters(seed: int = 0) -> dict[str, torch.nn.Parameter]:
    """Four parameters with names as a pipeline has them."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "ner.embedding.encoder.layer.0.weight": (4, 3),
        "ner.embedding.encoder.layer.0.bias": (4,),
        "ner.classifier.weight": (2, 4),
        "ner.classifier.scale": (),
    }
    return {
        name: torch.nn.Parameter(torch.randn(shape, generator=generator))
        for name, shape in shapes.items()
    }


def set_gradients(parameters: Any, step: int) -> None:
    generator = torch.Generator().manual_seed(1000 + step)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def train(
    optimizer: ScheduledOptimizer, first: int, last: int, total: int = 20
) -> list[torch.Tensor]:
    """Update with made up gradients, steps counted from 0; return the parameters."""
    parameters = [p for group in optimizer.groups for p in group.parameters.values()]
    for step in range(first, last):
        optimizer.zero_grad()
        set_gradients(parameters, step)
        optimizer.apply(Progress.of(step, total))
        optimizer.step()
    return [p.detach().clone() for p in parameters]


# What torch does


def test_adamw_updates_a_pipeline_as_the_hand_written_loop_does(
    make_nlp: Callable[..., edspipe.Pipeline],
) -> None:
    ours, theirs = make_nlp(), make_nlp()
    optimizer = adamw(lr=1e-3).build(ours.named_parameters())
    reference = torch.optim.AdamW(params=theirs.parameters(), lr=1e-3, fused=True)
    for step in range(3):
        set_gradients(ours.parameters(), step)
        set_gradients(theirs.parameters(), step)
        optimizer.apply(Progress.of(step, 3))
        optimizer.step()
        reference.step()
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    ("recipe", "torch_class", "options"),
    [
        (adamw, torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.3, "fused": True}),
        (adam, torch.optim.Adam, {"lr": 0.1, "betas": (0.5, 0.9), "fused": True}),
        (sgd, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "fused": True}),
    ],
)
def test_the_named_optimizers_are_those_of_torch_in_one_kernel(
    recipe: Any, torch_class: Any, options: dict[str, Any]
) -> None:
    ours, theirs = make_parameters(), make_parameters()
    given = {key: value for key, value in options.items() if key != "fused"}
    optimizer = recipe(**given).build(ours.items())
    train(optimizer, 0, 5)
    reference = torch_class(theirs.values(), **options)
    for step in range(5):
        set_gradients(theirs.values(), step)
        reference.step()
    assert optimizer.optimizer.param_groups[0]["fused"] is True
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_one_kernel_can_be_refused() -> None:
    optimizer = adamw(lr=0.1, fused=False).build(make_parameters().items())
    assert optimizer.optimizer.param_groups[0]["fused"] is False


def test_what_no_kernel_takes_is_updated_otherwise() -> None:
    parameters = {"a": torch.nn.Parameter(torch.zeros(2, dtype=torch.complex64))}
    optimizer = adamw(lr=0.1).build(parameters.items())
    assert not optimizer.optimizer.param_groups[0]["fused"]


def test_any_optimizer_of_torch_can_be_named() -> None:
    optimizer = any_torch("RAdam", lr=0.1, weight_decay=0.2).build(make_parameters().items())
    assert type(optimizer.optimizer) is torch.optim.RAdam
    assert optimizer.optimizer.param_groups[0]["weight_decay"] == 0.2


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Radam", "Did you mean 'RAdam'"), ("LBFGS", "that can be used"), ("Optimizer", "They are")],
)
def test_an_unknown_optimizer_of_torch_is_refused(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"torch.optim has no optimizer '{name}'.*{hint}"):
        any_torch(name, lr=0.1)


# Groups


def labels(optimizer: ScheduledOptimizer) -> dict[str, list[str]]:
    return {group.label: list(group.parameters) for group in optimizer.groups}


def test_the_first_pattern_that_matches_wins() -> None:
    groups = {"bias": {"lr": 0.1}, ENCODER: {"lr": 0.2}}
    optimizer = adamw(lr=0.3, groups=groups).build(make_parameters().items())
    assert labels(optimizer) == {
        "bias": ["ner.embedding.encoder.layer.0.bias"],
        ENCODER: ["ner.embedding.encoder.layer.0.weight"],
        "rest": ["ner.classifier.weight", "ner.classifier.scale"],
    }
    assert [g["lr"] for g in optimizer.optimizer.param_groups] == [0.1, 0.2, 0.3]


def test_a_group_takes_from_outside_what_it_does_not_set() -> None:
    groups = {ENCODER: {"weight_decay": 0.0}, "scale": {"betas": [0.5, 0.5]}}
    optimizer = adamw(lr=0.3, eps=1e-5, groups=groups).build(make_parameters().items())
    found = [
        (g["lr"], g["eps"], g["weight_decay"], g["betas"]) for g in optimizer.optimizer.param_groups
    ]
    assert found == [
        (0.3, 1e-5, 0.0, (0.9, 0.999)),
        (0.3, 1e-5, 0.01, (0.5, 0.5)),
        (0.3, 1e-5, 0.01, (0.9, 0.999)),
    ]


def test_a_pattern_that_matches_nothing_is_warned_of(log: list[str]) -> None:
    optimizer = adamw(lr=0.1, groups={"transformer": {"lr": 1.0}}).build(make_parameters().items())
    assert list(labels(optimizer)) == ["rest"]
    assert len(log) == 1
    assert log[0].startswith("WARNING the parameter group 'transformer' matches no parameter")
    assert "ner.embedding.encoder.layer.0.weight" in log[0]


def test_a_pattern_that_comes_too_late_is_warned_of(log: list[str]) -> None:
    groups = {"ner": {"lr": 0.1}, "classifier": {"lr": 0.2}}
    adamw(groups=groups).build(make_parameters().items())
    assert len(log) == 1
    assert "'classifier' is empty: patterns before it match all that it matches" in log[0]
    assert "ner.classifier.weight" in log[0]


def test_groups_that_fit_are_not_warned_of(log: list[str]) -> None:
    adamw(lr=0.1, groups={ENCODER: {"lr": 0.2}}).build(make_parameters().items())
    assert log == []


def test_frozen_parameters_are_part_of_it_and_stay_as_they_are() -> None:
    parameters = make_parameters()
    frozen = parameters["ner.classifier.weight"].requires_grad_(False)
    before = frozen.detach().clone()
    optimizer = adamw(lr=0.1).build(parameters.items())
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    assert torch.equal(frozen, before)
    frozen.requires_grad_(True)
    frozen.grad = torch.ones_like(frozen)
    optimizer.step()
    assert not torch.equal(frozen, before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: adamw(lr=0.1, weigth_decay=0.1), "weigth_decay: AdamW has no .*'weight_decay'"),
        (lambda: sgd(groups={"a": {"beta": 1}}), r"groups\.a\.beta: SGD has no hyper-parameter"),
        (lambda: adamw(groups={"(": {}}), r"groups\.\(: not a regular expression"),
        (lambda: adamw(groups={"rest": {}}), r"groups\.rest: this is what the parameters that"),
        (lambda: adamw(lr=0.1).build([]), "no parameters to train: add a trainable pipe"),
        (
            lambda: adamw().build(make_parameters().items()),
            r"lr: 4 parameters of the group 'rest' have no .* e\.g\. ner\.embedding\.encoder",
        ),
        (
            lambda: adamw(groups={"bias": {"lr": 0.1}}).build(make_parameters().items()),
            "lr: 3 parameters of the group 'rest' have no learning rate",
        ),
        (
            lambda: adamw(lr=0.1, groups={"bias": {"lr": -1.0}}).build(make_parameters().items()),
            r"AdamW: Invalid learning rate: -1.0 \(in the group 'bias'\)",
        ),
        (
            lambda: sgd(lr=0.1, momentum="fast").build(make_parameters().items()),
            "SGD: .*not supported between",
        ),
        (
            lambda: any_torch("Muon", lr=0.1).build(make_parameters().items()),
            "Muon: Muon only supports 2D parameters",
        ),
    ],
)
def test_what_cannot_be_built_says_why(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


# Schedules


def test_schedules_set_any_hyper_parameter_before_the_update() -> None:
    recipe = adamw(
        lr=Linear(1.0),
        weight_decay=Linear(0.1, warmup=0.0, end_value=0.05),
        groups={ENCODER: {"lr": Linear(0.5)}},
    )
    optimizer = recipe.build(make_parameters().items())
    optimizer.apply(Progress.of(5, 100))
    assert optimizer.values() == pytest.approx(
        {
            f"lr/{ENCODER}": 0.25,
            f"weight_decay/{ENCODER}": 0.0975,
            "lr/rest": 0.5,
            "weight_decay/rest": 0.0975,
        }
    )
    groups = optimizer.optimizer.param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.25, 0.5])
    assert [group["weight_decay"] for group in groups] == pytest.approx([0.0975, 0.0975])


def test_with_one_group_the_values_have_short_names() -> None:
    optimizer = sgd(lr=0.1, momentum=Constant(0.9)).build(make_parameters().items())
    optimizer.apply(Progress.of(0, 10))
    assert optimizer.values() == {"lr": 0.1, "momentum": 0.9}


def test_a_scheduled_run_is_one_of_torch_with_lambda_lr() -> None:
    ours, theirs = make_parameters(), make_parameters()
    train(adamw(lr=Linear(0.1, warmup=0.2)).build(ours.items()), 0, 20)
    reference = torch.optim.AdamW(theirs.values(), lr=0.1, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        reference, lambda n: Linear(1.0, warmup=0.2).value(Progress.of(n, 20))
    )
    for step in range(20):
        set_gradients(theirs.values(), step)
        reference.step()
        scheduler.step()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-6, atol=1e-7)


def test_a_step_before_the_schedules_are_applied_is_refused() -> None:
    optimizer = adamw(lr=Linear(0.1)).build(make_parameters().items())
    with pytest.raises(RuntimeError, match=r"call apply\(progress\) before step"):
        optimizer.step()


def test_a_schedule_that_two_groups_share_is_one() -> None:
    recipe = sgd(lr=Plateau(0.1, patience=0), groups={ENCODER: {"momentum": 0.9}})
    optimizer = recipe.build(make_parameters().items())
    assert len(optimizer.groups) == 2
    (plateau,) = optimizer.schedules()
    for _ in range(3):
        optimizer.observe({"val/micro_f": 0.5}.get)
    assert plateau.state_dict()["num_cuts"] == 2


def test_plateaus_look_at_what_they_monitor() -> None:
    recipe = sgd(
        lr=Plateau(0.1, patience=0, monitor="val/a", tie_breaker=None, min_value=0.04),
        groups={ENCODER: {"lr": Plateau(0.2, patience=0, min_value=0.04)}},
    )
    optimizer = recipe.build(make_parameters().items())
    assert optimizer.monitored == ["val/micro_f", "val/a"]
    found = []
    for step, score in enumerate([0.5, 0.6, 0.7, 0.8, 0.9]):
        seen = {"val/micro_f": 0.5, "val/a": score if step < 2 else 0.5, "val/loss": 1.0}
        optimizer.observe(seen.get)
        optimizer.apply(Progress.of(step, 10))
        found.append((*optimizer.values().values(), optimizer.exhausted))
    assert found == [
        (0.2, 0.1, False),
        (0.1, 0.1, False),
        (0.05, 0.05, False),
        (0.025, 0.025, True),
        (0.025, 0.025, True),
    ]


def test_equal_scores_are_told_apart_by_the_tie_breaker() -> None:
    optimizer = sgd(lr=Plateau(0.1, patience=0)).build(make_parameters().items())
    for loss in (0.3, 0.2, 0.1):
        optimizer.observe({"val/micro_f": 0.5, "val/loss": loss}.get)
    assert optimizer.schedules()[0].state_dict()["num_cuts"] == 0


def test_without_plateaus_nothing_is_exhausted() -> None:
    optimizer = sgd(lr=Constant(0.1)).build(make_parameters().items())
    optimizer.observe({}.get)
    assert not optimizer.exhausted


def test_a_monitored_score_that_was_not_recorded_is_an_error() -> None:
    optimizer = sgd(lr=Plateau(0.1)).build(make_parameters().items())
    with pytest.raises(ConfigError, match="plateau: no 'val/micro_f' was recorded"):
        optimizer.observe({"val/loss": 1.0}.get)


def test_two_optimizers_of_one_recipe_know_nothing_of_each_other() -> None:
    recipe = sgd(lr=Plateau(0.1, patience=0))
    one, other = (recipe.build(make_parameters().items()) for _ in range(2))
    for _ in range(3):
        one.observe({"val/micro_f": 0.5}.get)
    assert one.schedules()[0].state_dict()["num_cuts"] == 2
    assert other.schedules()[0].state_dict()["num_cuts"] == 0


# States


RECIPES = {
    "adamw": adamw(lr=Linear(0.1), groups={ENCODER: {"lr": 0.01}}),
    "adam_amsgrad": adam(lr=0.1, amsgrad=True, fused=False),
    "sgd_momentum": sgd(lr=0.1, momentum=0.9),
    "sgd": sgd(lr=0.1),
    **{
        name: any_torch(name, lr=0.05)
        for name in ("RAdam", "NAdam", "Adafactor", "Adagrad", "ASGD", "Rprop", "RMSprop")
    },
}


def through_files(
    optimizer: ScheduledOptimizer,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The state as another process would read it."""
    tensors = {key: tensor.clone() for key, tensor in optimizer.tensors().items()}
    return tensors, json.loads(json.dumps(optimizer.state_dict(), allow_nan=False))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("stop", [0, 1, 4])
def test_a_loaded_optimizer_goes_on_bit_by_bit(name: str, stop: int) -> None:
    recipe = RECIPES[name]
    whole = recipe.build(make_parameters().items())
    expected = train(whole, 0, 8)

    before_parameters = make_parameters()
    before = recipe.build(before_parameters.items())
    train(before, 0, stop)
    tensors, state = through_files(before)

    parameters = make_parameters(seed=5)
    for key, parameter in parameters.items():
        parameter.data.copy_(before_parameters[key].data)
    after = recipe.build(parameters.items())
    if stop < 4:
        train(after, 0, 1)  # what it kept before is replaced
        for key, parameter in parameters.items():
            parameter.data.copy_(before_parameters[key].data)
    after.load(tensors, state)
    for one, other in zip(train(after, stop, 8), expected, strict=True):
        assert torch.equal(one, other)
    assert after.state_dict() == whole.state_dict()
    for key, tensor in whole.tensors().items():
        assert torch.equal(after.tensors()[key], tensor)


def test_tensors_are_named_by_parameter_and_key() -> None:
    optimizer = adamw(lr=0.1).build(make_parameters().items())
    assert optimizer.tensors() == {}
    train(optimizer, 0, 1)
    assert list(optimizer.tensors())[:4] == [
        "ner.embedding.encoder.layer.0.weight/step",
        "ner.embedding.encoder.layer.0.weight/exp_avg",
        "ner.embedding.encoder.layer.0.weight/exp_avg_sq",
        "ner.embedding.encoder.layer.0.bias/step",
    ]


def test_step_counts_keep_their_type_and_loaded_tensors_are_copies() -> None:
    before = adamw(lr=0.1).build(make_parameters().items())
    train(before, 0, 2)
    tensors, state = through_files(before)
    after = adamw(lr=0.1).build(make_parameters().items())
    after.load(tensors, state)
    train(after, 2, 3)
    step = "ner.classifier.weight/step"
    assert after.tensors()[step].dtype == torch.float32
    assert (tensors[step].item(), after.tensors()[step].item()) == (2.0, 3.0)


def test_loaded_tensors_are_laid_out_as_the_parameter() -> None:
    weight = torch.nn.Parameter(torch.randn(3, 4).T)
    optimizer = adamw(lr=0.1).build([("a", weight)])
    weight.grad = torch.randn(4, 3)
    optimizer.step()
    saved = {key: tensor.contiguous() for key, tensor in optimizer.tensors().items()}
    optimizer.load(saved, optimizer.state_dict())
    assert optimizer.tensors()["a/exp_avg"].stride() == weight.stride()


def test_plateaus_are_part_of_the_state() -> None:
    recipe = sgd(lr=Plateau(0.1, patience=0))
    before, after = (recipe.build(make_parameters().items()) for _ in range(2))
    for _ in range(3):
        before.observe({"val/micro_f": 0.5}.get)
    after.load(*through_files(before))
    after.apply(Progress.of(0, 1))
    assert after.values() == {"lr": 0.025}


def spoil_class(tensors: Any, state: Any) -> None:
    state["class"] = "SGD"


def spoil_missing(tensors: Any, state: Any) -> None:
    del tensors["ner.classifier.weight/exp_avg"]


def spoil_unexpected(tensors: Any, state: Any) -> None:
    tensors["ner.classifier.weight/more"] = torch.zeros(1)


def spoil_shape(tensors: Any, state: Any) -> None:
    tensors["ner.classifier.weight/exp_avg"] = torch.zeros(4, 2)


def spoil_dtype(tensors: Any, state: Any) -> None:
    tensors["ner.classifier.weight/step"] = torch.zeros((), dtype=torch.float64)


def spoil_parameter(tensors: Any, state: Any) -> None:
    state["parameters"]["ner.classifier.weight"]["form"] = ["float32", 7, 4]


def spoil_other_parameter(tensors: Any, state: Any) -> None:
    state["groups"]["rest"].append("ner.other")


def spoil_lost_parameter(tensors: Any, state: Any) -> None:
    state["groups"]["rest"].remove("ner.classifier.weight")


def spoil_group(tensors: Any, state: Any) -> None:
    state["groups"]["rest"].remove("ner.classifier.weight")
    state["groups"]["other"] = ["ner.classifier.weight"]


def spoil_schedules(tensors: Any, state: Any) -> None:
    state["schedules"] = {"lr": {}}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_class, "saved by SGD, and this optimizer is AdamW"),
        (spoil_missing, r"^ner\.classifier\.weight/exp_avg: the optimizer's tensor is missing"),
        (spoil_unexpected, r"^ner\.classifier\.weight/more: unexpected tensor"),
        (spoil_shape, r"weight/exp_avg: expected float32 of shape \(2, 4\), found .* \(4, 2\)"),
        (spoil_dtype, r"weight/step: expected float32 of shape \(\), found float64"),
        (spoil_parameter, r"the parameter ner\.classifier\.weight: expected .*\(7, 4\), found"),
        (spoil_other_parameter, r"ner\.other: saved, and the pipeline has no such parameter"),
        (spoil_lost_parameter, r"ner\.classifier\.weight: this parameter is not in the checkp"),
        (spoil_group, "weight: saved in the parameter group 'other', and here it is in 'rest'"),
        (spoil_schedules, r"saved with schedules of \['lr'\], and this optimizer has .* \[\]"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    spoil: Callable[[Any, Any], None], message: str
) -> None:
    optimizer = adamw(lr=0.1).build(make_parameters().items())
    train(optimizer, 0, 2)
    tensors, state = through_files(optimizer)
    kept = {key: tensor.clone() for key, tensor in tensors.items()}
    spoil(tensors, state)
    with pytest.raises(CheckpointError, match=message):
        optimizer.load(tensors, state)
    assert all(torch.equal(optimizer.tensors()[key], tensor) for key, tensor in kept.items())


def test_numbers_are_kept_beside_tensors_and_other_things_are_refused() -> None:
    parameters = make_parameters()
    optimizer = sgd(lr=0.1).build(parameters.items())
    weight = parameters["ner.classifier.weight"]
    optimizer.optimizer.state[weight] = {"count": 3, "buffer": None}
    state = optimizer.state_dict()
    assert state["parameters"]["ner.classifier.weight"]["values"] == {"count": 3, "buffer": None}
    other = sgd(lr=0.1).build(parameters.items())
    other.load({}, state)
    assert other.optimizer.state[weight] == {"count": 3, "buffer": None}
    optimizer.optimizer.state[weight] = {"count": SimpleNamespace()}
    with pytest.raises(CheckpointError, match=r"weight/count: SGD keeps a SimpleNamespace there"):
        optimizer.state_dict()


# Configs


CONFIG = r"""
optimizer:
    "@optimizers": adamw
    lr: {"@schedules": linear, max_value: 3e-4, warmup: 0.2}
    betas: [0.9, 0.98]
    groups:
        '(^|\.)encoder\.':
            lr: {"@schedules": cosine, max_value: 5e-5}
            weight_decay: 0.0
"""


def test_a_config_makes_an_optimizer_and_the_optimizer_its_config() -> None:
    recipe = resolve(parse_yaml(CONFIG))["optimizer"]
    assert isinstance(recipe, OptimizerRecipe)
    text = Config({"optimizer": recipe.config()}).to_yaml_str()
    again = resolve(parse_yaml(text))["optimizer"]
    assert again == recipe
    assert list(recipe.config()["groups"]) == [r"(^|\.)encoder\."]
    assert recipe.config()["lr"]["warmup_steps"] is None


def test_schedules_may_be_written_as_in_a_config() -> None:
    recipe = adamw(lr=0.1, groups={ENCODER: {"lr": {"@schedules": "constant", "value": 0.5}}})
    assert recipe.groups[ENCODER]["lr"] == Constant(0.5)


@pytest.mark.parametrize("name", registry.optimizers.names())
def test_every_registered_optimizer_can_be_built(name: str) -> None:
    extra = {"name": "Adamax"} if name == "torch" else {}
    recipe = resolve({"o": {"@optimizers": name, "lr": 0.1, **extra}})["o"]
    train(recipe.build(make_parameters().items()), 0, 2)
    assert recipe.config() == {"@optimizers": name, **extra, "lr": 0.1}
