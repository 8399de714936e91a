"""The pipes of a pipeline, in order, by name; and which of them are switched off for a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from edspipe.errors import did_you_mean


class PipeList:
    """`nlp.pipes`: iterates over (name, pipe), gives `nlp.pipes.ner` and `nlp.pipes["ner"]`."""

    def __init__(self) -> None:
        self._pipes: dict[str, Any] = {}

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(list(self._pipes.items()))

    def __len__(self) -> int:
        return len(self._pipes)

    def __contains__(self, name: object) -> bool:
        return name in self._pipes

    def __getitem__(self, name: str) -> Any:
        if name not in self._pipes:
            raise ValueError(
                f"the pipeline has no pipe '{name}'.{did_you_mean(name, self._pipes)} "
                f"Its pipes are: {', '.join(self._pipes) or 'none'}"
            )
        return self._pipes[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except ValueError as error:
            raise AttributeError(str(error)) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._pipes]

    @property
    def names(self) -> list[str]:
        """All names, in order."""
        return list(self._pipes)

    def insert(self, index: int, name: str, pipe: Any) -> None:
        """Put a pipe at a place.

        Raises:
            ValueError: There is a pipe of that name.
        """
        if name in self._pipes:
            raise ValueError(
                f"the pipeline has a pipe '{name}' already; give another name: "
                f"add_pipe(..., name='{name}_2')"
            )
        items = list(self._pipes.items())
        items.insert(index, (name, pipe))
        self._pipes = dict(items)

    def remove(self, name: str) -> Any:
        """Take a pipe out and return it."""
        pipe = self[name]
        del self._pipes[name]
        return pipe

    def index(self, name: str) -> int:
        """Return the place of a pipe."""
        self[name]
        return self.names.index(name)


class PipeSelection:
    """What `select_pipes` returns: leaving it as a context, or `restore()`, undoes the selection.

    Args:
        nlp: The pipeline, whose `disabled` is set at once.
        disabled: Names that are off from now on.
    """

    def __init__(self, nlp: Any, disabled: Iterable[str]) -> None:
        self._nlp = nlp
        self._before = nlp.disabled
        nlp.disabled = frozenset(disabled)

    def restore(self) -> None:
        """Switch on and off what was before."""
        self._nlp.disabled = self._before

    def __enter__(self) -> PipeSelection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()
