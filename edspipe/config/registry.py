"""The named registries, and the one decorator that puts a name there.

```python
@edspipe.registry.factory.register("my.pipe")
class MyPipe(edspipe.TorchComponent): ...
```

Names of edspipe itself are found through its entry points when they are first used, so nothing is
imported before it is needed. Code of other packages has to be imported by the user (`import
my_module`, or `--import my_module` on the command line) before its names exist: a config can name
code, it can never load it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import EntryPoint, distribution
from typing import Any, TypeVar, cast

import confit

from edspipe.config.draft import Draft, Origin
from edspipe.errors import ConfigError, did_you_mean

T = TypeVar("T")

_VALIDATION = {"arbitrary_types_allowed": True, "extra": "forbid"}


@cache
def _own_entry_points() -> dict[tuple[str, str], EntryPoint]:
    """The entry points of the distribution edspipe, by (group, name); no other package's."""
    return {(point.group, point.name): point for point in distribution("edspipe").entry_points}


class Registry(confit.Registry):
    """Names to functions and classes of one kind.

    Args:
        kind: `"factory"`, `"readers"`, ...; the key `"@<kind>"` in a config.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(("edspipe", kind), entry_points=False)
        self.kind = kind
        self._functions: dict[str, Callable[..., Any]] = {}

    @property
    def group(self) -> str:
        """The group of entry points that holds this kind's names."""
        return f"edspipe_{'factories' if self.kind == 'factory' else self.kind}"

    def register(self, name: str, *, func: Any = None) -> Any:
        """Register a function or class under a name; arguments are validated when it is called."""

        def add(fn: T) -> T:
            validated = self._validated(name, fn)
            self._functions[name] = cast(Callable[..., Any], validated)
            return validated

        return add(func) if func is not None else add

    def _validated(self, name: str, fn: T) -> T:
        def record(call: Callable[[dict[str, Any]], Any], params: dict[str, Any]) -> Any:
            result = call(params)
            if type(result) is fn:
                own = {key: value for key, value in params.items() if key not in ("nlp", "name")}
                result._origin = Origin(name, own, self.kind)
            return result

        with warnings.catch_warnings():
            # an argument may be named as a method of pydantic's models is, e.g. schema
            warnings.filterwarnings("ignore", message="Field name .* shadows an attribute")
            return confit.validate_arguments(
                fn,
                config=_VALIDATION,
                registry=registry,
                invoker=record,
            )

    def get(self, name: str) -> Callable[..., Any]:
        """Return what is registered under a name.

        Raises:
            ConfigError: Nothing is; the message names the nearest name.
        """
        if name not in self._functions:
            point = _own_entry_points().get((self.group, name))
            if point is not None:
                point.load()
        if name not in self._functions:
            raise ConfigError(
                f"no '{name}' among the registered {self.kind} names."
                f"{did_you_mean(name, self.names())} They are: {', '.join(self.names())}. "
                "A component of your own must be imported before a config can name it "
                "(import my_module, or --import my_module)"
            )
        return self._functions[name]

    def home(self, name: str) -> str | None:
        """Say which module a name comes from, importing nothing; None if it is not registered."""
        if name in self._functions:
            return self._functions[name].__module__
        point = _own_entry_points().get((self.group, name))
        return None if point is None else point.value.partition(":")[0]

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def names(self) -> list[str]:
        """All names, sorted: registered ones and those of edspipe not imported yet."""
        own = {name for group, name in _own_entry_points() if group == self.group}
        return sorted(own | set(self._functions))

    def get_available(self) -> list[str]:
        """The names, under the method name that confit knows."""
        return self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())


class FactoryRegistry(Registry):
    """Pipes. Getting a name gives a function that makes a draft when `nlp` is not passed."""

    def __init__(self) -> None:
        super().__init__("factory")

    def get(self, name: str) -> Callable[..., Any]:
        return draft_maker(name, super().get(name))

    def get_class(self, name: str) -> Callable[..., Any]:
        """Return the class or function itself."""
        return super().get(name)


def draft_maker(name: str, func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that builds at once when it gets `nlp`, and gives a draft otherwise."""

    def make(*args: Any, **kwargs: Any) -> Any:
        if args:
            raise TypeError(f"{name} takes keyword arguments only")
        if kwargs.get("nlp") is not None:
            nlp, label = kwargs.pop("nlp"), kwargs.pop("name", None)
            return Draft(name, func, kwargs).build(nlp, label)
        kwargs.pop("nlp", None)
        kwargs.pop("name", None)
        return Draft(name, func, kwargs)

    make.__name__ = make.__qualname__ = name.rpartition(".")[2]
    make.__doc__ = func.__doc__
    make.__signature__ = inspect.signature(func)  # type: ignore[attr-defined]
    make.__wrapped_factory__ = func  # type: ignore[attr-defined]
    return make


class registry(confit.RegistryCollection):
    """All registries; `"@readers": "standoff"` in a config is `registry.readers`."""

    core = Registry("core")
    factory = FactoryRegistry()
    readers = Registry("readers")
    writers = Registry("writers")
    converters = Registry("converters")
    metrics = Registry("metrics")
    schedules = Registry("schedules")
    optimizers = Registry("optimizers")
    callbacks = Registry("callbacks")
    loggers = Registry("loggers")
    losses = Registry("losses")
