"""What streams need to know about the things that flow in them, told by those who know.

Streams import neither spaCy nor torch. The rooms that own a type register here how it crosses
between processes, what it is called in an error, and how large it is.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle

Encode = Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]]

_ENCODERS: dict[type, Encode] = {}
_SHARED: set[type] = set()
_DESCRIBERS: dict[type, Callable[[Any], str | None]] = {}
_WORD_COUNTERS: dict[type, Callable[[Any], int]] = {}


def register_transport(type_: type, encode: Encode) -> None:
    """Say how objects of a type cross to another process.

    Args:
        type_: The type itself; subclasses are not covered.
        encode: Returns `(function, arguments)`; the receiver calls it to get the object back.
    """
    _ENCODERS[type_] = encode


def register_shared(type_: type) -> None:
    """Say that objects of a type cross once, and are the same object on the other side after."""
    _SHARED.add(type_)


def register_describer(type_: type, describe: Callable[[Any], str | None]) -> None:
    """Say how to get the id of an object, for error messages."""
    _DESCRIBERS[type_] = describe


def register_word_counter(type_: type, count: Callable[[Any], int]) -> None:
    """Say how many words an object has, for batches by words."""
    _WORD_COUNTERS[type_] = count


def describe(value: Any, index: int | None = None) -> str:
    """Name an item in an error: the id of the document, else its index; never its text."""
    describer = _DESCRIBERS.get(type(value))
    found: Any = describer(value) if describer is not None else None
    if found is None and isinstance(value, dict):
        keys = ("note_id", "doc_id", "id")
        found = next((value[key] for key in keys if value.get(key) is not None), None)
    if found is not None:
        return f"document '{found}'"
    return "an item" if index is None else f"item {index}"


def count_words(value: Any) -> int:
    """Return the words of an item: a Doc's tokens, a text's blank-separated runs, a feature's
    `stats["words"]`.

    Raises:
        TypeError: Nobody said how to count words in this type.
    """
    counter = _WORD_COUNTERS.get(type(value))
    if counter is not None:
        return counter(value)
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, dict) and "words" in value.get("stats", {}):
        return value["stats"]["words"]
    raise TypeError(f"cannot count words in a {type(value).__name__}; give batch_by= a function")


class Shared:
    """The objects that cross once between two processes, by number; each side keeps one.

    Whoever meets an object first gives it a number and sends it whole. The two sides number apart
    (main even, workers odd) so that they never collide.
    """

    def __init__(self, first: int) -> None:
        self._next = first
        self._numbers: dict[int, int] = {}
        self._objects: dict[int, Any] = {}

    def number(self, value: Any) -> tuple[int, bool]:
        """Return the number of an object, and whether it is new."""
        number = self._numbers.get(id(value))
        if number is not None:
            return number, False
        number, self._next = self._next, self._next + 2
        self.keep(number, value)
        return number, True

    def keep(self, number: int, value: Any) -> Any:
        """Remember an object; holding it keeps its identity from being used again."""
        self._objects[number] = value
        self._numbers[id(value)] = number
        return value

    def __getitem__(self, number: int) -> Any:
        return self._objects[number]


class _Pickler(cloudpickle.Pickler):
    """cloudpickle, with the registered types in their own form; nothing global is patched."""

    def __init__(self, file: io.BytesIO, shared: Shared) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._shared = shared

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) not in _SHARED:
            return None
        number, new = self._shared.number(obj)
        return (number, cloudpickle.dumps(obj) if new else None)

    def reducer_override(self, obj: Any) -> Any:
        encode = _ENCODERS.get(type(obj))
        return encode(obj) if encode is not None else super().reducer_override(obj)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: Shared) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:
        number, payload = pid
        if payload is None:
            return self._shared[number]
        return self._shared.keep(number, pickle.loads(payload))  # noqa: S301 - our own process


def dumps(value: Any, shared: Shared) -> bytes:
    """Turn a value into bytes for a process on this machine."""
    buffer = io.BytesIO()
    _Pickler(buffer, shared).dump(value)
    return buffer.getvalue()


def loads(data: bytes, shared: Shared) -> Any:
    """Turn bytes of `dumps` back; they only ever come from our own processes."""
    return _Unpickler(io.BytesIO(data), shared).load()
