"""Converters: records to Docs and back, by registered name or as a function."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol, runtime_checkable

from spacy.tokens import Doc

from edspipe.config.registry import registry
from edspipe.errors import DataError
from edspipe.pipeline.loading import blank
from edspipe.pipeline.memory import watch


@runtime_checkable
class Converter(Protocol):
    """What a registered converter can do."""

    def to_doc(self, record: Any) -> Doc:
        """Turn a record into a Doc."""

    def to_record(self, doc: Doc) -> Any:
        """Turn a Doc into a record of plain data."""


def make_converter(name: str, kwargs: dict[str, Any]) -> Converter:
    """Build a registered converter.

    Raises:
        ConfigError: There is none of that name.
    """
    return registry.converters.get(name)(**kwargs)


def reading_function(converter: Any, kwargs: dict[str, Any]) -> Callable[[Any], Any] | None:
    """Return what turns a record into a Doc; None leaves records as they are."""
    return _function(converter, kwargs, "to_doc")


def writing_function(converter: Any, kwargs: dict[str, Any]) -> Callable[[Any], Any] | None:
    """Return what turns a Doc into a record; None leaves Docs as they are."""
    return _function(converter, kwargs, "to_record")


def _function(converter: Any, kwargs: dict[str, Any], method: str) -> Callable[[Any], Any] | None:
    if converter is None:
        if kwargs:
            raise TypeError(
                f"{', '.join(kwargs)}: arguments of a converter, and converter= is not given"
            )
        return None
    if isinstance(converter, str):
        converter = make_converter(converter, kwargs)
        kwargs = {}
    found = getattr(converter, method, converter)
    if not callable(found):
        raise TypeError(f"a converter is a name or a function, got {type(converter).__name__}")
    return _With(found, kwargs) if kwargs else found


class _With:
    """A function with some arguments; unlike a lambda it has a name for errors."""

    def __init__(self, function: Callable[..., Any], kwargs: dict[str, Any]) -> None:
        self.function = function
        self.kwargs = kwargs
        self.__qualname__ = getattr(function, "__qualname__", type(function).__name__)

    def __call__(self, record: Any) -> Any:
        return self.function(record, **self.kwargs)


def default_tokenizer(tokenizer: Any) -> Any:
    """Return a tokenizer: the one given, that of a pipeline, or that of `edspipe.blank("eds")`, one
    for all readers."""
    if tokenizer is None:
        return _shared_tokenizer()
    return getattr(tokenizer, "tokenizer", tokenizer)


@cache
def _shared_tokenizer() -> Any:
    """Make it once: to learn its first words takes a new vocabulary longer than all the rest."""
    tokenizer = blank("eds").tokenizer
    watch(tokenizer)
    return tokenizer


def text_of(record: Any, *keys: str) -> str:
    """Return the text of a record.

    Raises:
        DataError: The record is no dict, or has no text under any of the keys.
    """
    if not isinstance(record, dict):
        raise DataError(f"expected a record (a dict), got a {type(record).__name__}")
    for key in keys:
        if isinstance(record.get(key), str):
            return record[key]
    nulls = {key for key in keys if key in record and record[key] is None}
    shown = (f"a null {key}" if key in nulls else str(key) for key in sorted(record, key=str))
    found = ", ".join(shown) or "nothing"
    ident = record.get("note_id") or record.get("doc_id")
    raise DataError(
        f"expected a text under {' or '.join(keys)}; the record has: {found}",
        id=None if ident is None else str(ident),
    )
