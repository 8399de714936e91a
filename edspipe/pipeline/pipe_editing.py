"""Adding pipes to a pipeline, finding them, taking them out, switching them on and off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spacy.language import Language

from edspipe.config.draft import Draft
from edspipe.config.registry import registry
from edspipe.errors import ConfigError, did_you_mean
from edspipe.pipeline.pipe_list import PipeList, PipeSelection

RESERVED_NAMES = ("stats", "doc_id", "doc_ids")
"""Keys of samples and batches that are not pipes."""


class PipeEditing:
    """What a Pipeline does with its list of pipes; mixed into `Pipeline`."""

    pipes: PipeList
    disabled: frozenset[str]

    @property
    def spacy_language(self) -> Language:
        """A spaCy pipeline that makes spaCy's components."""
        raise AssertionError("Pipeline has one")

    @property
    def component_names(self) -> list[str]:
        """The names of all pipes, in order."""
        return self.pipes.names

    @property
    def pipe_names(self) -> list[str]:
        """The names of the pipes that are switched on, in order."""
        return [name for name in self.pipes.names if name not in self.disabled]

    active_names = pipe_names

    @property
    def pipeline(self) -> list[tuple[str, Any]]:
        """The (name, pipe) pairs that are switched on, in order."""
        return [(name, self.pipes[name]) for name in self.pipe_names]

    def add_pipe(
        self,
        factory: str | Draft | Any,
        name: str | None = None,
        *,
        first: bool = False,
        before: str | int | None = None,
        after: str | int | None = None,
        config: Mapping[str, Any] | None = None,
        path: str | None = None,
        source: Path | None = None,
    ) -> Any:
        """Add a pipe and return it.

        Args:
            factory: A registered name (edspipe's or spaCy's), a draft, or a callable Doc -> Doc.
            name: The name of the pipe; by default the factory's, without `eds.`.
            first: Put it first.
            before: Put it before this pipe (name or index).
            after: Put it after this pipe.
            config: Arguments, where `factory` is a name.
            path: Where the pipe stands in a config, for messages.
            source: Its folder in a saved model, where it is rebuilt from one.

        Raises:
            ConfigError: The factory does not exist, or an argument is wrong.
            ValueError: The name is taken or reserved, or the place does not exist.
        """
        draft = self._as_draft(factory, config)
        if name is None:
            default = draft.params.get("factory") if draft.factory == "spacy" else draft.factory
            name = str(default).rpartition(".")[2]
        if problem := name_problem(name):
            raise ValueError(problem)
        if name in self.pipes:
            raise ValueError(
                f"the pipeline has a pipe '{name}' already; give another name: "
                f"add_pipe(..., name='{name}_2')"
            )
        index = self._place(first, before, after)
        pipe = draft.build(self, name, path or f"nlp.components.{name}", source)
        self.pipes.insert(index, name, pipe)
        return pipe

    def _as_draft(self, factory: Any, config: Mapping[str, Any] | None) -> Draft:
        if isinstance(factory, Draft):
            if config:
                raise ValueError("config= goes with a registered name; a draft has its arguments")
            return factory
        if isinstance(factory, str):
            params = dict(config or {})
            if factory in registry.factory:
                return registry.factory.get(factory)(**params)
            if self.spacy_language.has_factory(factory):
                return registry.factory.get("spacy")(factory=factory, config=params)
            names = [*registry.factory.names(), *self.spacy_language.factory_names]
            raise ConfigError(
                f"no component '{factory}', neither in edspipe nor in spaCy."
                f"{did_you_mean(factory, names)} A component of your own must be imported first"
            )
        if not callable(factory):
            raise TypeError(
                f"add_pipe takes a registered name, a draft or a callable, got a "
                f"{type(factory).__name__}"
            )
        return _Built(factory)

    def _place(self, first: bool, before: str | int | None, after: str | int | None) -> int:
        if sum((first, before is not None, after is not None)) > 1:
            raise ValueError("give at most one of first, before, after")
        if first:
            return 0
        place = before if before is not None else after
        if place is None:
            return len(self.pipes)
        index = place if isinstance(place, int) else self.pipes.index(place)
        if not 0 <= index < len(self.pipes):
            raise ValueError(f"there is no pipe {index}: the pipeline has {len(self.pipes)}")
        return index if before is not None else index + 1

    def get_pipe(self, name: str) -> Any:
        """Return a pipe by name."""
        return self.pipes[name]

    def has_pipe(self, name: str) -> bool:
        """Whether there is a pipe of that name."""
        return name in self.pipes

    def remove_pipe(self, name: str) -> Any:
        """Take a pipe out and return it."""
        self.disabled = self.disabled - {name}
        return self.pipes.remove(name)

    def select_pipes(
        self,
        *,
        enable: str | Iterable[str] | None = None,
        disable: str | Iterable[str] | None = None,
    ) -> PipeSelection:
        """Switch pipes on and off from now on; as a context manager, only inside.

        Raises:
            ValueError: A name is unknown, or both or none of the arguments are given.
        """
        if (enable is None) == (disable is None):
            raise ValueError("select_pipes takes either enable= or disable=")
        chosen = enable if enable is not None else disable
        names = [chosen] if isinstance(chosen, str) else list(chosen or ())
        for name in names:
            self.pipes[name]
        if enable is None:
            return PipeSelection(self, names)
        return PipeSelection(self, [name for name in self.pipes.names if name not in names])


class _Built(Draft):
    """A callable that is a pipe already."""

    def __init__(self, pipe: Any) -> None:
        name = getattr(pipe, "name", None) or getattr(pipe, "__name__", type(pipe).__name__)
        super().__init__(str(name), pipe, {})

    def build(self, *args: Any, **kwargs: Any) -> Any:
        return self.func


def name_problem(name: str) -> str | None:
    """Say why a name cannot be that of a pipe, if it cannot."""
    if name in RESERVED_NAMES or name.startswith("_"):
        return f"'{name}' cannot be the name of a pipe: it means something else"
    if name in ("", ".", "..") or any(mark in name for mark in "/\\\0"):
        return f"{name!r} cannot be the name of a pipe: a folder is named after it"
    return None
