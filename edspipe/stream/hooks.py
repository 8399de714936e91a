"""What streams need to know about the things that flow in them, told by those who know.

Streams import neither spaCy nor torch. The rooms that own a type register here how it crosses
between processes, what it is called in an error, and how large it is.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from typing import Any

import cloudpickle

Encode = Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]]

_ENCODERS: dict[type, Encode] = {}
_SHARED: set[type] = set()
_DESCRIBERS: dict[type, Callable[[Any], str | None]] = {}
_WORD_COUNTERS: dict[type, Callable[[Any], int]] = {}

MAX_SHARED = 16
"""Objects that cross once: a run has one Vocab or two. Docs that each have a Vocab of their own are
no reason to keep them all."""


class WrongValue(TypeError):
    """A value that streams cannot work with. Unlike that of a foreign error its message is safe:
    it quotes nothing."""


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


def id_of(value: Any) -> str | None:
    """Return the id of a document, None for what has none."""
    describer = _DESCRIBERS.get(type(value))
    found: Any = describer(value) if describer is not None else None
    if found is None and isinstance(value, dict):
        ids = (value.get(key) for key in ("note_id", "doc_id", "id"))
        found = next((ident for ident in ids if isinstance(ident, (str, int))), None)
    return None if found is None else str(found)


def describe(value: Any, index: int) -> str:
    """Name an item in an error: the id of the document, else its index; never its text."""
    ident = id_of(value)
    return f"item {index}" if ident is None else f"document '{ident}'"


def count_words(value: Any) -> int:
    """Return the words of an item: a Doc's tokens, a text's blank-separated runs, a feature's
    `stats["words"]`.

    Raises:
        WrongValue: Nobody said how to count words in this type.
    """
    counter = _WORD_COUNTERS.get(type(value))
    if counter is not None:
        return counter(value)
    if isinstance(value, str):
        return len(value.split())
    stats = value.get("stats") if isinstance(value, dict) else None
    if isinstance(stats, dict) and "words" in stats:
        return stats["words"]
    raise WrongValue(f"cannot count words in a {type(value).__name__}; give batch_by= a function")


class Shared:
    """The objects that cross once between two processes, by number; each side keeps them all.

    The main process collects them while it packs, and sends the new ones ahead of what needs them.
    """

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._packed: list[bytes] = []

    def number(self, value: Any, collect: bool) -> int | None:
        """Return the number of an object; an unknown one gets a number only while collecting."""
        if collect and id(value) not in self._numbers and len(self._objects) < MAX_SHARED:
            self.keep(value)
        return self._numbers.get(id(value))

    def keep(self, value: Any) -> None:
        """Remember an object; holding it keeps its identity from being used again."""
        self._numbers[id(value)] = len(self._objects)
        self._objects.append(value)

    def packed(self, start: int = 0) -> list[bytes]:
        """Return the objects from a number on as bytes."""
        new = self._objects[len(self._packed) :]
        self._packed += [cloudpickle.dumps(value) for value in new]
        return self._packed[start:]

    def __getitem__(self, number: int) -> Any:
        return self._objects[number]


class _Pickler(cloudpickle.Pickler):
    """cloudpickle, with the registered types in their own form; nothing global is patched."""

    def __init__(self, file: io.BytesIO, shared: Shared, collect: bool) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._shared = shared
        self._collect = collect

    def persistent_id(self, obj: Any) -> int | None:
        return self._shared.number(obj, self._collect) if type(obj) in _SHARED else None

    def reducer_override(self, obj: Any) -> Any:
        encode = _ENCODERS.get(type(obj))
        return encode(obj) if encode is not None else super().reducer_override(obj)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: Shared) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:
        return self._shared[pid]


def dumps(value: Any, shared: Shared, collect: bool = False) -> bytes:
    """Turn a value into bytes for a process on this machine.

    Args:
        value: The value.
        shared: The objects that both sides have.
        collect: Take objects of shared types that are not known yet in among them.

    Raises:
        WrongValue: The value, or something in it, cannot be pickled.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, shared, collect).dump(value)
    except Exception as error:
        raise WrongValue(
            f"a {type(value).__name__} cannot cross to another process: {_culprit(error)}"
        ) from None
    return buffer.getvalue()


def _culprit(error: Exception) -> str:
    """Say what cannot be pickled: only messages that name a type and nothing else are passed on."""
    found = re.fullmatch(r"cannot pickle '([\w. ]+)' object", str(error))
    return f"it holds a {found[1]}" if found else f"pickling failed with {type(error).__name__}"


def loads(data: bytes, shared: Shared) -> Any:
    """Turn bytes of `dumps` back; they only ever come from our own processes."""
    return _Unpickler(io.BytesIO(data), shared).load()
