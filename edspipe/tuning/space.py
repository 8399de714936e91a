"""What is searched: parameters, the choices that they have, and what a trial makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

from confit import Config

from edspipe.errors import ConfigError
from edspipe.tuning.paths import set_path

UNIFORM, LOG_UNIFORM, INT, LOG_INT, CHOICE = "uniform", "log_uniform", "int", "log_int", "choice"
KINDS = (UNIFORM, LOG_UNIFORM, INT, LOG_INT, CHOICE)
WHOLE = (INT, LOG_INT)
LOGARITHMIC = (LOG_UNIFORM, LOG_INT)
DIGITS = 12
"""Digits after the point of a value on a grid of steps: 0.3, not 0.30000000000000004."""

Shown = bool | int | float | str | None
"""A value as trials are listed with: of a choice, its name."""


class Suggest(Protocol):
    """What a space needs of a trial of Optuna."""

    def suggest_float(self, name: str, low: float, high: float, *, step: Any, log: bool) -> float:
        """Draw a number."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Draw a whole number."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Draw one of many."""


@dataclass(frozen=True)
class Choice:
    """One of the values that a parameter can have.

    Attributes:
        name: What trials are listed with.
        value: What is written in the config.
        space: What is searched inside of the value, where it is chosen.
    """

    name: Shown
    value: Any
    space: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """A setting that is searched.

    Attributes:
        path: Where it stands in the config.
        name: What trials are listed with: the path, or, inside of a choice,
            `path[choice].path inside`.
        kind: One of `KINDS`.
        low: The lowest value.
        high: The highest value, which is one of those tried.
        step: The distance of values; None leaves none out.
        choices: The values, of a choice.
    """

    path: str
    name: str
    kind: str
    low: float = 0
    high: float = 0
    step: float | None = None
    choices: tuple[Choice, ...] = ()

    def draw(self, trial: Suggest) -> Shown:
        """Let a trial choose."""
        if self.kind == CHOICE:
            return trial.suggest_categorical(self.name, [choice.name for choice in self.choices])
        log = self.kind in LOGARITHMIC
        if self.kind in WHOLE:
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return trial.suggest_int(self.name, low, high, step=step, log=log)
        value = trial.suggest_float(self.name, self.low, self.high, step=self.step, log=log)
        return value if self.step is None else round(value, DIGITS)

    def choose(self, name: Shown) -> Choice:
        """Return the choice of a name."""
        return next(c for c in self.choices if type(c.name) is type(name) and c.name == name)

    def points(self) -> list[Shown]:
        """Return all values, or raise a `ConfigError` if they cannot be counted."""
        if self.kind == CHOICE:
            return [choice.name for choice in self.choices]
        if self.kind not in WHOLE and self.step is None:
            raise ConfigError(
                f"{self.name}: a grid needs values that can be counted: give a step, or choices"
            )
        step = self.step or 1
        number = int((self.high - self.low) / step + 1e-9) + 1
        values = [round(self.low + i * step, DIGITS) for i in range(number)]
        return [int(value) if self.kind in WHOLE else value for value in values]


Space = tuple[Parameter, ...]


def draw(space: Space, trial: Suggest) -> dict[str, Shown]:
    """Let a trial choose a value of each parameter; return them by name."""
    drawn: dict[str, Shown] = {}
    for parameter in space:
        drawn[parameter.name] = shown = parameter.draw(trial)
        if parameter.kind == CHOICE:
            drawn.update(draw(parameter.choose(shown).space, trial))
    return drawn


class Replay:
    """Chooses again what a trial chose.

    Args:
        chosen: Its values, by name.
    """

    def __init__(self, chosen: Mapping[str, Any]) -> None:
        self.chosen = chosen

    def suggest_float(self, name: str, *args: Any, **kwargs: Any) -> float:
        """Return what was chosen."""
        return float(self.chosen[name])

    def suggest_int(self, name: str, *args: Any, **kwargs: Any) -> int:
        """Return what was chosen."""
        return int(self.chosen[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return what was chosen."""
        return self.chosen[name]


def values(space: Space, drawn: Mapping[str, Shown]) -> dict[str, Any]:
    """Return what a trial chose by path: numbers, and whole values of choices.

    Raises:
        ConfigError: A space of a choice names what is not in its value.
    """
    return {parameter.path: _value(parameter, drawn) for parameter in space}


def _value(parameter: Parameter, drawn: Mapping[str, Shown]) -> Any:
    if parameter.kind != CHOICE:
        return drawn[parameter.name]
    choice = parameter.choose(drawn[parameter.name])
    value = deepcopy(choice.value)
    for inner in choice.space:
        path = inner.path.removeprefix(f"{parameter.path}.")
        try:
            set_path(value, path, _value(inner, drawn), root="the value")
        except ConfigError as error:
            raise ConfigError(f"{parameter.path}: space of '{choice.name}': {error}") from None
    return value


def every_point(space: Space) -> list[dict[str, Shown]]:
    """Return all that can be drawn.

    Raises:
        ConfigError: A parameter has values that cannot be counted.
    """
    alternatives = []
    for parameter in space:
        of_parameter: list[dict[str, Shown]] = []
        for shown in parameter.points():
            inner: list[dict[str, Shown]] = [{}]
            if parameter.kind == CHOICE:
                inner = every_point(parameter.choose(shown).space)
            of_parameter += [{parameter.name: shown, **more} for more in inner]
        alternatives.append(of_parameter)
    return [
        {name: shown for part in parts for name, shown in part.items()}
        for parts in product(*alternatives)
    ]


def each_choice(space: Space) -> Iterator[tuple[str, dict[str, Shown]]]:
    """Yield drawn values in which each choice comes at least once, with what is new in them.

    These are enough to try whether all that a space names exists.
    """
    first = _first(space)
    if not any(parameter.choices for parameter in space):
        yield "", first
    for parameter in space:
        for choice in parameter.choices:
            name = f"{parameter.path}: choice '{choice.name}'"
            for _, inner in each_choice(choice.space) if choice.space else [("", {})]:
                yield name, {**first, parameter.name: choice.name, **inner}


def _first(space: Space) -> dict[str, Shown]:
    found: dict[str, Shown] = {}
    for parameter in space:
        if parameter.kind == CHOICE:
            found[parameter.name] = parameter.choices[0].name
            found.update(_first(parameter.choices[0].space))
        else:
            low = parameter.low
            found[parameter.name] = int(low) if parameter.kind in WHOLE else low
    return found


def all_parameters(space: Space) -> list[Parameter]:
    """Return the parameters, those of choices after the choice."""
    found = []
    for parameter in space:
        found.append(parameter)
        for choice in parameter.choices:
            found += all_parameters(choice.space)
    return found


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return for each name its shortest ending that is not the ending of another one."""
    parts = {name: name.split(".") for name in names}
    short = {}
    for name in names:
        for number in range(1, len(parts[name]) + 1):
            ending = ".".join(parts[name][-number:])
            others = (".".join(parts[o][-number:]) for o in names if o != name)
            if ending not in others:
                break
        short[name] = ending
    return short


def describe(space: Space) -> list[Any]:
    """Return a space as plain data, to compare it with another."""
    return [
        {
            "name": parameter.name,
            "kind": parameter.kind,
            **(
                {
                    "choices": {
                        str(choice.name): [_as_text(choice.value), describe(choice.space)]
                        for choice in parameter.choices
                    }
                }
                if parameter.kind == CHOICE
                else {"range": [parameter.low, parameter.high, parameter.step]}
            ),
        }
        for parameter in space
    ]


def _as_text(value: Any) -> str:
    return json.dumps(Config({"v": value}), default=str, sort_keys=True)
