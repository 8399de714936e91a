"""Drafts: a component that has been described but not built, because it has no pipeline yet.

`eds.ner_crf(embedding=eds.transformer(...))` is a draft that holds a draft. `nlp.add_pipe(draft)`
builds it, inner drafts first. Code and config are one: a config's `"@factory"` blocks become the
same drafts.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confit.errors import ConfitValidationError

from edspipe.errors import ConfigError, did_you_mean

_GONE = object()
"""Stands for a pipeline that was deleted."""


@dataclass(frozen=True)
class Origin:
    """Where a built component came from; kept on it as `_origin`.

    Attributes:
        factory: The registered name, e.g. `"eds.ner_crf"`.
        params: The arguments that were given, inner components built.
        kind: The registry that has the name.
    """

    factory: str
    params: dict[str, Any] = field(default_factory=dict)
    kind: str = "factory"


class Draft:
    """A component to be built.

    Args:
        factory: The registered name.
        func: The class or function that builds it.
        params: Its arguments, without `nlp` and `name`; values may hold drafts.

    Raises:
        ConfigError: An argument does not exist.
    """

    kind = "factory"

    def __init__(self, factory: str, func: Callable[..., Any], params: dict[str, Any]) -> None:
        self.factory = factory
        self.func = func
        self.params = dict(params)
        self._built: tuple[weakref.ref[Any] | None, Any] | None = None

    def __repr__(self) -> str:
        args = ", ".join(f"{key}={value!r}" for key, value in self.params.items())
        return f"{self.factory}({args})"

    def build(
        self,
        nlp: Any = None,
        name: str | None = None,
        path: str = "",
        source: Path | None = None,
    ) -> Any:
        """Build the component, inner drafts first.

        Two parents that hold the same draft share one component: it is built once a pipeline.

        Args:
            nlp: The pipeline, passed on where the constructor takes it.
            name: The name of the pipe, likewise.
            path: Where the draft stands in the config, for error messages.
            source: The component's folder in a saved model, where it is rebuilt from one.

        Raises:
            ConfigError: An argument is missing, unknown, or of the wrong type.
        """
        if self._built is not None:
            owner, built = self._built
            if nlp is (None if owner is None else owner() or _GONE):
                return built
        path = path or name or self.factory
        check_arguments(self.factory, self.func, self.params, path)
        params = {
            key: _build_nested(
                value,
                nlp,
                f"{name or self.factory}.{key}",
                f"{path}.{key}",
                source / key if source is not None else None,
            )
            for key, value in self.params.items()
        }
        built = self._call(params, nlp, name, path, source)
        built._origin = Origin(self.factory, params)
        self._built = (weakref.ref(nlp) if nlp is not None else None, built)
        return built

    def embed(self, docs: Any) -> Any:
        """Embed Docs with the component, built without a pipeline and kept.

        Args:
            docs: As of the component's own `embed`.

        Raises:
            TypeError: What is described is no embedding.
        """
        component = self.build()
        if not hasattr(component, "embed"):
            raise TypeError(f"{self.factory} is no embedding: it has no method embed")
        return component.embed(docs)

    def _call(
        self,
        params: dict[str, Any],
        nlp: Any,
        name: str | None,
        path: str,
        source: Path | None,
    ) -> Any:
        accepted = inspect.signature(self.func).parameters
        given = {
            key: value
            for key, value in (("nlp", nlp), ("name", name))
            if key in accepted and value is not None
        }
        if source is not None and hasattr(self.func, "saved_parameters"):
            params = {**params, **self.func.saved_parameters(source)}
        try:
            return self.func(**{**given, **params})
        except ConfitValidationError as error:
            raise config_error(error, path) from None
        except ConfigError as error:
            raise _with_path(error, path, accepted) from None


def check_arguments(name: str, func: Callable[..., Any], keys: Iterable[Any], path: str) -> None:
    """Refuse an argument that a registered function or class does not have.

    Args:
        name: The registered name.
        func: What it stands for.
        keys: The names of the arguments that are given.
        path: Where they stand in the config.

    Raises:
        ConfigError: With the nearest name that exists.
    """
    parameters = inspect.signature(func).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [key for key in parameters if key not in ("self", "nlp", "name")]
    for key in keys:
        if key not in known:
            raise ConfigError(
                f"{path}.{key}: {name} has no argument '{key}'."
                f"{did_you_mean(str(key), known)} Its arguments are: {', '.join(known)}"
            )


def _with_path(error: ConfigError, path: str, arguments: Iterable[str]) -> ConfigError:
    """Put the path before a message of a constructor, which may begin with an argument's name."""
    message = str(error)
    if message.startswith(path):
        return error
    is_named = message.partition(":")[0] in arguments
    return ConfigError(f"{path}{'.' if is_named else ': '}{message}")


def _build_nested(value: Any, nlp: Any, name: str, path: str, source: Path | None) -> Any:
    if isinstance(value, Draft):
        return value.build(nlp, name, path, source)
    if isinstance(value, dict):
        return {
            key: _build_nested(
                item, nlp, f"{name}.{key}", f"{path}.{key}", source / str(key) if source else None
            )
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(
            _build_nested(
                item, nlp, f"{name}.{i}", f"{path}.{i}", source / str(i) if source else None
            )
            for i, item in enumerate(value)
        )
    return value


def config_error(error: ConfitValidationError, path: str = "") -> ConfigError:
    """Say a validation error of confit with the full path in the config.

    Args:
        error: What confit raised.
        path: Where the validated block stands.
    """
    lines = []
    for item in error.errors():
        loc = ".".join(str(part) for part in (path, *item["loc"]) if part != "")
        lines.append(f"{loc}: {item['msg'].strip()}")
    return ConfigError("\n".join(lines) or str(error))
