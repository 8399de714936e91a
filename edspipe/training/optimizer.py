"""Optimizers as a config describes them: torch's, with groups by name, and schedules.

```yaml
optimizer:
    "@optimizers": adamw
    lr: 3e-4
    weight_decay: 0.01
    groups:
        '\\.encoder\\.':
            lr: {"@schedules": linear, max_value: 5e-5}
```

A group is a regular expression that is searched in the names of the parameters. The first one that
matches wins; what matches none, and what a group does not set, is as outside of `groups`. Every
hyper-parameter that is a number may be a schedule.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from loguru import logger

from edspipe.config.registry import registry
from edspipe.config.schema import resolve
from edspipe.errors import ConfigError, did_you_mean
from edspipe.training.scheduled_optimizer import ParameterGroup, ScheduledOptimizer
from edspipe.training.schedules import Schedule

Groups = dict[str, dict[str, Any]]

REST = "rest"
"""The group of the parameters that no pattern matches."""
FUSED_CLASSES = (torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD)
FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")
"""Where torch updates the parameters of a group in one kernel."""
NEED_A_CLOSURE = ("LBFGS",)
"""These evaluate the loss themselves, several times a step."""
NUM_EXAMPLES = 5
"""Names that a message shows."""


@dataclass(frozen=True)
class OptimizerRecipe:
    """What an optimizer is to be, before there are parameters.

    Attributes:
        torch_class: The class of torch.
        defaults: Hyper-parameters of the parameters that no pattern matches, and of groups that
            don't set them: numbers, schedules, or what else the class takes.
        groups: Hyper-parameters by pattern, in the order in which the patterns are tried.
        head: How a config block of it begins.
    """

    torch_class: type[torch.optim.Optimizer]
    defaults: dict[str, Any] = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)

    def config(self) -> dict[str, Any]:
        """Return the config block that makes this description, schedules written out."""
        block = {**self.head, **_to_config(self.defaults)}
        return {**block, "groups": _to_config(self.groups)} if self.groups else block

    def build(
        self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]
    ) -> ScheduledOptimizer:
        """Build the optimizer: a group for each pattern, in their order, and the rest last.

        A pattern that matches nothing is warned of. Parameters that need no gradient now are part
        of it too, so that they can be trained later. Schedules are copied: what one training
        remembers is not known to the next.

        Args:
            named_parameters: As `nlp.named_parameters()` gives them, on the device where they stay.

        Raises:
            ConfigError: There are no parameters, some have no learning rate, or torch refuses a
                hyper-parameter.
        """
        named = dict(named_parameters)
        if not named:
            raise ConfigError("no parameters to train: add a trainable pipe to the pipeline")
        defaults, own = deepcopy((self.defaults, self.groups))
        groups = [
            ParameterGroup(label, found, {**defaults, **own.get(label, {})})
            for label, found in self._assign(named).items()
        ]
        for group in groups:
            _check_lr(group)
        return ScheduledOptimizer(self._make_torch(groups, self._fused(named.values())), groups)

    def _assign(
        self, named: dict[str, torch.nn.Parameter]
    ) -> dict[str, dict[str, torch.nn.Parameter]]:
        """Return the parameters of each group that has any."""
        found: dict[str, dict[str, torch.nn.Parameter]] = {p: {} for p in (*self.groups, REST)}
        for name, parameter in named.items():
            label = next((p for p in self.groups if re.search(p, name)), REST)
            found[label][name] = parameter
        for pattern in self.groups:
            if not found[pattern]:
                _warn_of_unused(pattern, list(named))
        return {label: parameters for label, parameters in found.items() if parameters}

    def _fused(self, parameters: Iterable[torch.nn.Parameter]) -> dict[str, Any]:
        """Return what makes torch update a group in one kernel, where it can and nobody objects."""
        said = {key for values in (self.defaults, *self.groups.values()) for key in values}
        if self.torch_class not in FUSED_CLASSES or said & {"fused", "foreach", "differentiable"}:
            return {}
        can = all(p.device.type in FUSED_DEVICES and p.is_floating_point() for p in parameters)
        return {"fused": True} if can else {}

    def _make_torch(
        self, groups: list[ParameterGroup], extra: dict[str, Any]
    ) -> torch.optim.Optimizer:
        """Make torch's optimizer, each group with a value for all that any group sets."""
        options = inspect.signature(self.torch_class).parameters
        keys = [*dict.fromkeys(key for group in groups for key in group.values)]
        parts: list[dict[str, Any]] = [
            {key: _first(group.values.get(key, options[key].default)) for key in keys}
            for group in groups
        ]
        try:
            for group, values in zip(groups, parts, strict=True):
                where = f" (in the group '{group.label}')"
                # torch looks at what is the same for all groups only
                self.torch_class([torch.nn.Parameter(torch.zeros(1, 1))], **values)
            where = ""
            return self.torch_class(
                [
                    {"params": list(group.parameters.values()), **values}
                    for group, values in zip(groups, parts, strict=True)
                ],
                **parts[0],
                **extra,
            )
        except (ValueError, TypeError, RuntimeError) as error:
            raise ConfigError(f"{self.torch_class.__name__}: {error}{where}") from None


def _check_lr(group: ParameterGroup) -> None:
    if group.values.get("lr") is None:
        raise ConfigError(
            f"lr: {len(group.parameters)} parameters of the group '{group.label}' have no learning "
            f"rate, e.g. {_examples(group.parameters)}. Set lr for all, or in each group"
        )


def _warn_of_unused(pattern: str, names: list[str]) -> None:
    taken = [name for name in names if re.search(pattern, name)]
    if taken:
        logger.warning(
            "the parameter group '{}' is empty: patterns before it match all that it matches, "
            "e.g. {}. Put it first",
            pattern,
            _examples(taken),
        )
    else:
        logger.warning(
            "the parameter group '{}' matches no parameter. They are called, e.g.: {}",
            pattern,
            _examples(names[:: max(1, len(names) // NUM_EXAMPLES)]),
        )


def _examples(names: Iterable[str]) -> str:
    return ", ".join(islice(names, NUM_EXAMPLES))


def _first(value: Any) -> Any:
    """Return a number that torch accepts for a hyper-parameter, until its schedule is applied."""
    return value.peak if isinstance(value, Schedule) else value


def _to_config(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value.config()
    if isinstance(value, dict):
        return {key: _to_config(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


# ---- what a config can name -----------------------------------------------------------------


@registry.optimizers.register("adamw")
def adamw(
    lr: float | Schedule | None = None, groups: Groups | None = None, **defaults: Any
) -> OptimizerRecipe:
    """Describe `torch.optim.AdamW`, in one kernel where the device can.

    Args:
        lr: Learning rate; may be left out if each parameter has one from its group.
        groups: Hyper-parameters by regular expression on the names of parameters.
        **defaults: More hyper-parameters: `weight_decay`, `betas`, `eps`, `amsgrad`, ...

    Raises:
        ConfigError: A hyper-parameter or a pattern is wrong.
    """
    return _describe(torch.optim.AdamW, {"@optimizers": "adamw"}, lr, groups, defaults)


@registry.optimizers.register("adam")
def adam(
    lr: float | Schedule | None = None, groups: Groups | None = None, **defaults: Any
) -> OptimizerRecipe:
    """Describe `torch.optim.Adam`, in one kernel where the device can.

    Args:
        lr: Learning rate; may be left out if each parameter has one from its group.
        groups: Hyper-parameters by regular expression on the names of parameters.
        **defaults: More hyper-parameters: `weight_decay`, `betas`, `eps`, `amsgrad`, ...

    Raises:
        ConfigError: A hyper-parameter or a pattern is wrong.
    """
    return _describe(torch.optim.Adam, {"@optimizers": "adam"}, lr, groups, defaults)


@registry.optimizers.register("sgd")
def sgd(
    lr: float | Schedule | None = None, groups: Groups | None = None, **defaults: Any
) -> OptimizerRecipe:
    """Describe `torch.optim.SGD`, in one kernel where the device can.

    Args:
        lr: Learning rate; may be left out if each parameter has one from its group.
        groups: Hyper-parameters by regular expression on the names of parameters.
        **defaults: More hyper-parameters: `momentum`, `nesterov`, `weight_decay`, ...

    Raises:
        ConfigError: A hyper-parameter or a pattern is wrong.
    """
    return _describe(torch.optim.SGD, {"@optimizers": "sgd"}, lr, groups, defaults)


@registry.optimizers.register("torch")
def any_torch(
    name: str, lr: float | Schedule | None = None, groups: Groups | None = None, **defaults: Any
) -> OptimizerRecipe:
    """Describe an optimizer of `torch.optim` by the name of its class.

    Those that need a closure (LBFGS) are not among them.

    Args:
        name: The class, e.g. `"RAdam"`.
        lr: Learning rate; may be left out if each parameter has one from its group.
        groups: Hyper-parameters by regular expression on the names of parameters.
        **defaults: More hyper-parameters, as the class has them.

    Raises:
        ConfigError: There is no such class, or a hyper-parameter or a pattern is wrong.
    """
    known = _torch_classes()
    if name not in known:
        raise ConfigError(
            f"name: torch.optim has no optimizer '{name}' that can be used here."
            f"{did_you_mean(name, known)} They are: {', '.join(known)}"
        )
    return _describe(known[name], {"@optimizers": "torch", "name": name}, lr, groups, defaults)


def _torch_classes() -> dict[str, type[torch.optim.Optimizer]]:
    base = torch.optim.Optimizer
    found = {name: value for name, value in vars(torch.optim).items() if inspect.isclass(value)}
    return {
        name: value
        for name, value in sorted(found.items())
        if issubclass(value, base) and value is not base and name not in NEED_A_CLOSURE
    }


def _describe(
    torch_class: type[torch.optim.Optimizer],
    head: dict[str, str],
    lr: float | Schedule | None,
    groups: Groups | None,
    defaults: dict[str, Any],
) -> OptimizerRecipe:
    shared = {**({} if lr is None else {"lr": lr}), **defaults}
    for pattern in groups or {}:
        _check_pattern(pattern)
    check = _checker(torch_class)
    return OptimizerRecipe(
        torch_class,
        check("", shared),
        {p: check(f"groups.{p}.", values) for p, values in (groups or {}).items()},
        head,
    )


def _checker(
    torch_class: type[torch.optim.Optimizer],
) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Return what checks the names of hyper-parameters, and makes schedules of their configs."""
    known = [name for name in inspect.signature(torch_class).parameters if name != "params"]

    def check(where: str, values: dict[str, Any]) -> dict[str, Any]:
        for key in values:
            if key not in known:
                raise ConfigError(
                    f"{where}{key}: {torch_class.__name__} has no hyper-parameter '{key}'."
                    f"{did_you_mean(key, known)} They are: {', '.join(known)}"
                )
        return {key: _read(value) for key, value in values.items()}

    return check


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return resolve({"it": value})["it"]
    return tuple(value) if isinstance(value, list) else value


def _check_pattern(pattern: str) -> None:
    if pattern == REST:
        raise ConfigError(
            f"groups.{REST}: this is what the parameters that match no pattern are called; write "
            f"'({REST})' to search for it in names"
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"groups.{pattern}: not a regular expression ({error})") from None
