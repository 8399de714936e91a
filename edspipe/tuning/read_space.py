"""Search spaces: which values the settings of a search may have.

```yaml
space:
    train.lr: {kind: log_uniform, low: 1e-4, high: 1e-2}
    nlp.components.ner.dropout: {kind: uniform, low: 0.0, high: 0.5, step: 0.1}
    train.batch_size: {kind: choice, choices: ["8 docs", "16 docs"]}
    nlp.components.ner.embedding:
        kind: choice
        choices:
            plain: {"@factory": eds.transformer, model: encoder}
            cnn:
                value: {"@factory": eds.text_cnn, kernel_sizes: [3], embedding: ...}
                space:
                    kernel_sizes.0: {kind: int, low: 2, high: 5}
```

A choice has a name, which trials are listed with, and a value: a number, a text, or a whole block.
The `space` of a choice holds the paths inside of its value that are searched where it is chosen.
`{log_uniform: [1e-4, 1e-2]}` is short for a kind with `low`, `high` and, if there is a third
number, `step`; `{choice: [a, b]}` is short for choices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from confit.utils.xjson import Reference

from edspipe.errors import ConfigError, did_you_mean
from edspipe.tuning.space import (
    CHOICE,
    DIGITS,
    KINDS,
    LOGARITHMIC,
    WHOLE,
    Choice,
    Parameter,
    Shown,
    Space,
)

_RANGE = ("low", "high", "step")
_OF_A_CHOICE = {"value", "space"}


def read_space(space: Any, where: str = "space") -> Space:
    """Read a search space.

    Args:
        space: Kinds and ranges by dotted path, see above.
        where: Where it stands, for messages.

    Raises:
        ConfigError: It is none, or a range is empty; the message begins with its path.
    """
    return _read(space, where, "", "")


def _read(space: Any, where: str, path: str, name: str) -> Space:
    if not isinstance(space, Mapping) or not space:
        raise ConfigError(f"{where}: expected what is searched by its path, got {_type(space)}")
    found = []
    for key, value in space.items():
        place = f"{where}.{key}"
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"{place}: expected {{kind: ..., low: ..., high: ...}}, got {_type(value)}"
            )
        found.append(_parameter(_written_out(value), place, f"{path}{key}", f"{name}{key}"))
    _check_apart(found, where)
    return tuple(found)


def _check_apart(parameters: Sequence[Parameter], where: str) -> None:
    for outer, inner in product(parameters, repeat=2):
        if inner.path.startswith(f"{outer.path}."):
            raise ConfigError(
                f"{where}.{inner.path}: stands inside of {outer.path}, which is searched too. Give "
                "it in the `space` of the choices that it belongs to"
            )


def _written_out(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write `{uniform: [0, 1]}` out."""
    if len(block) != 1:
        return block
    ((kind, values),) = block.items()
    if kind == CHOICE and isinstance(values, (list, tuple, Mapping)):
        return {"kind": kind, "choices": values}
    if kind in KINDS and isinstance(values, (list, tuple)) and len(values) in (2, 3):
        return {"kind": kind, **dict(zip(_RANGE, values, strict=False))}
    return block


def _parameter(block: Mapping[str, Any], where: str, path: str, name: str) -> Parameter:
    kind = block.get("kind")
    if kind not in KINDS:
        said = "kind is missing" if kind is None else f"no kind is called {kind!r}"
        raise ConfigError(
            f"{where}: {said}.{did_you_mean(str(kind), KINDS)} Kinds are: {', '.join(KINDS)}"
        )
    known = ("kind", "choices") if kind == CHOICE else ("kind", *_RANGE)
    for key in block:
        if key not in known:
            raise ConfigError(
                f"{where}.{key}: {kind} has no '{key}'.{did_you_mean(str(key), known)} It has: "
                f"{', '.join(known[1:])}"
            )
    if kind == CHOICE:
        choices = _choices(block.get("choices"), f"{where}.choices", path, name)
        return Parameter(path, name, kind, choices=choices)
    return Parameter(path, name, kind, **_range(kind, block, where))


def _range(kind: str, block: Mapping[str, Any], where: str) -> dict[str, Any]:
    low, high = (_number(kind, block.get(key), f"{where}.{key}") for key in ("low", "high"))
    if low > high:
        raise ConfigError(f"{where}: low ({low}) is above high ({high})")
    if kind in LOGARITHMIC and low <= 0:
        raise ConfigError(f"{where}.low: {kind} begins above 0, got {low}")
    if block.get("step") is None:
        return {"low": low, "high": high}
    step = _number(kind, block["step"], f"{where}.step")
    if kind in LOGARITHMIC:
        raise ConfigError(f"{where}.step: {kind} has none; uniform and int have")
    if step <= 0:
        raise ConfigError(f"{where}.step: expected more than 0, got {step}")
    last = low + int((high - low) / step + 1e-9) * step
    return {"low": low, "high": round(last, DIGITS), "step": step}


def _number(kind: str, value: Any, where: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{where}: expected a number, got {_type(value)}")
    if not math.isfinite(value) or (kind in WHOLE and value != int(value)):
        what = "a whole" if kind in WHOLE else "a finite"
        raise ConfigError(f"{where}: expected {what} number, got {value}")
    return int(value) if kind in WHOLE else float(value)


def _choices(choices: Any, where: str, path: str, name: str) -> tuple[Choice, ...]:
    if not isinstance(choices, (Mapping, list, tuple)) or not choices:
        raise ConfigError(f"{where}: expected values, or values by name; got {_type(choices)}")
    if isinstance(choices, Mapping):
        return tuple(
            _choice(str(key), value, f"{where}.{key}", path, f"{name}[{key}].")
            for key, value in choices.items()
        )
    found = [Choice(_name_of(value, f"{where}.{i}"), value) for i, value in enumerate(choices)]
    names = [choice.name for choice in found]
    for i, one in enumerate(names):
        if one in names[:i]:
            raise ConfigError(f"{where}.{i}: {one!r} stands twice")
    return tuple(found)


def _choice(key: str, value: Any, where: str, path: str, name: str) -> Choice:
    is_written_out = isinstance(value, Mapping) and "value" in value and set(value) <= _OF_A_CHOICE
    if not is_written_out:
        if isinstance(value, Mapping) and set(value) == {"space"}:
            raise ConfigError(f"{where}.value: missing; it is what the space is inside of")
        return Choice(key, value)
    space = value.get("space")
    inner = () if space is None else _read(space, f"{where}.space", f"{path}.", name)
    return Choice(key, value["value"], inner)


def _name_of(value: Any, where: str) -> Shown:
    """Return the name of a choice that has none: the value itself, or, of a list, its text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Reference):
        return str(value)
    try:
        return json.dumps(_plain_list(value), ensure_ascii=False)
    except TypeError:
        raise ConfigError(
            f"{where}: a {_type(value)} needs a name: give choices as name: value"
        ) from None


def _plain_list(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)) and not any(isinstance(v, Mapping) for v in value):
        return list(value)
    raise TypeError


def _type(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__.replace("Config", "block")
